// @ts-check
import { avatar, h, iconButton, isOnlyEmoji, linked, timeElement, whole } from "./dom.js";

/** @import { Message } from "./chat-protocol.js" */
/** @import { Shown } from "./messages-view.js" */
/** @import { Chat } from "./app.js" */

/**
 * One message as an item of the list.
 *
 * @param {Chat} chat
 * @param {Shown} shown
 * @param {Message | undefined} quoted
 * @param {string} seen
 */
export function messageElement(chat, shown, quoted, seen) {
  const { message, item, joined, last } = shown;
  const own = message.user === chat.client.user;
  const name = chat.nameOf(message.user);
  const kinds = ["message", own && "own", joined && "joined", last && "last", item?.state === "failed" && "failed",
    (item && item.state !== "failed") || shown.changing ? "pending" : null];
  const element = h("li", {
    class: kinds.filter(Boolean).join(" "), tabindex: "-1",
    data: { offset: String(message.offset), key: shown.key, mid: message.mid },
  });
  if (!own) element.append(joined ? h("span") : avatar(message.user, name));
  const column = h("div", { class: "column" });
  if (!own && !joined) column.append(h("p", { class: "who" }, h("span", { class: "name", text: name })));
  else column.append(h("span", { class: "unseen", text: own ? "You: " : `${name}: ` }));
  column.append(h("div", { class: "bubble-row" }, bubble(chat, shown, quoted), actions(chat, message)));
  const reactions = reactionRow(chat, message);
  if (reactions) column.append(reactions);
  column.append(...notes(chat, shown, seen));
  element.append(column);
  return element;
}

/**
 * @param {Chat} chat
 * @param {Shown} shown
 * @param {Message | undefined} quoted
 */
function bubble(chat, { message }, quoted) {
  const meta = h("span", { class: "meta" },
    message.edited && !message.deleted ? h("span", { title: `Edited ${whole(message.edited)}`, text: "edited " }) : null,
    timeElement(message.at));
  if (message.deleted) {
    return h("div", { class: "bubble gone" }, h("span", { class: "text", text: "This message was deleted" }), meta);
  }
  const large = isOnlyEmoji(message.text);
  return h("div", { class: "bubble" },
    message.reply_to ? quote(chat, message.reply_to, quoted) : null,
    h("span", { class: large ? "text large" : "text", dir: "auto" }, ...linked(message.text)), meta);
}

/**
 * @param {Chat} chat
 * @param {number} offset
 * @param {Message | undefined} quoted
 */
function quote(chat, offset, quoted) {
  const text = quoted ? (quoted.deleted ? "This message was deleted" : quoted.text) : "An earlier message";
  return h("button", { type: "button", class: "quote", tabindex: "-1", onclick: () => chat.goTo(offset) },
    quoted ? h("strong", { text: chat.nameOf(quoted.user) }) : null, h("span", { text }));
}

/**
 * @param {Chat} chat
 * @param {Message} message
 */
function actions(chat, message) {
  if (!message.offset || message.deleted) return null;
  const may = chat.may(message);
  const bar = h("div", { class: "actions", role: "group", "aria-label": "What to do with it" });
  const add = (/** @type {boolean} */ allowed, /** @type {string} */ name, /** @type {string} */ label, /** @type {(event: MouseEvent) => void} */ run) => {
    if (allowed) bar.append(iconButton(name, label, run));
  };
  add(may.react, "smile", "React", (event) => chat.pickReaction(/** @type {HTMLElement} */ (event.currentTarget), message));
  add(may.reply, "reply", "Reply", () => chat.composer.reply(message));
  add(may.edit, "edit", "Edit", () => chat.composer.edit(message));
  add(may.delete, "trash", "Delete", () => chat.askDelete(message));
  return bar.childElementCount ? bar : null;
}

/**
 * @param {Chat} chat
 * @param {Message} message
 */
function reactionRow(chat, message) {
  const reactions = Object.entries(message.reactions ?? {}).filter(([, users]) => users.length);
  if (!reactions.length) return null;
  const me = chat.client.user;
  return h("div", { class: "reactions" }, ...reactions.map(([emoji, users]) => {
    const mine = users.includes(me);
    const names = users.slice(0, 12).map((user) => (user === me ? "You" : chat.nameOf(user))).join(", ");
    return h("button", {
      type: "button", class: "reaction", "aria-pressed": String(mine), title: names, "aria-label": `${emoji} ${users.length}: ${names}`,
      disabled: !chat.may(message).react, onclick: () => chat.react(message, emoji, !mine),
    }, h("span", { text: emoji }), String(users.length));
  }));
}

/**
 * @param {Chat} chat
 * @param {Shown} shown
 * @param {string} seen
 */
function notes(chat, { item }, seen) {
  if (item?.state === "failed") {
    return [h("p", { class: "note bad", role: "alert" }, `Not sent: ${item.error} `,
      h("button", { type: "button", class: "link", text: "Try again", onclick: () => chat.client.resend(item.mid) }),
      h("button", { type: "button", class: "link", text: "Discard", onclick: () => chat.client.discard(item.mid) }))];
  }
  if (item) {
    const online = chat.client.state === "online";
    return [h("p", { class: "note" }, online ? "Sending…" : "Will be sent when you are connected")];
  }
  return seen ? [h("p", { class: "note", text: seen })] : [];
}

