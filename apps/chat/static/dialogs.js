// @ts-check
import { avatar, byId, h, iconButton, toast } from "./dom.js";

/** @import { Member } from "./chat-protocol.js" */
/** @import { Chat } from "./app.js" */

const MINUTE = 60_000;
const FOR_EVER = Date.UTC(2200, 0, 1);

/**
 * Opens the page's dialog.
 *
 * @param {string} title
 * @param {Node[]} content
 * @param {Node | null} [picture]
 */
function open(title, content, picture = null) {
  const dialog = byId("dialog", HTMLDialogElement);
  const close = iconButton("close", "Close", () => dialog.close());
  dialog.replaceChildren(h("div", { class: "sheet" },
    h("header", {}, picture, h("h2", { id: "dialog-title", text: title }), close), ...content));
  dialog.onclick = (event) => { if (event.target === dialog) dialog.close(); };
  if (!dialog.open) dialog.showModal();
  const first = /** @type {HTMLElement | null} */ (dialog.querySelector("[autofocus], input:not([type=radio]), select, .button"));
  (first ?? close).focus();
  return dialog;
}

/**
 * A form that asks the server and says what it answers.
 *
 * @param {string} label of the button
 * @param {Node[]} fields
 * @param {(data: FormData) => Promise<unknown>} run
 */
function asking(label, fields, run) {
  const error = h("p", { class: "error", role: "alert" });
  const button = /** @type {HTMLButtonElement} */ (h("button", { class: "button primary", text: label }));
  const form = /** @type {HTMLFormElement} */ (h("form", { class: "sheet-form" }, ...fields, error, h("footer", {}, button)));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    error.textContent = "";
    try {
      await run(new FormData(form));
      byId("dialog", HTMLDialogElement).close();
    } catch (failure) {
      error.textContent = said(failure);
    } finally {
      button.disabled = false;
    }
  });
  return form;
}

/** @param {unknown} failure */
export function said(failure) {
  const text = failure instanceof Error ? failure.message : String(failure);
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/u.test(text) ? "" : ".");
}

/**
 * @param {string} label
 * @param {Record<string, unknown>} props
 * @param {string} [hint]
 */
function field(label, props, hint) {
  return h("label", { class: "field" }, label, hint ? h("small", { text: hint }) : null, h("input", { autocomplete: "off", ...props }));
}

/**
 * A new room, or a conversation with one person.
 *
 * @param {Chat} chat
 */
export function createDialog(chat) {
  const kinds = [["public", "Open room"], ["private", "Private room"], ["direct", "Person"]];
  const hints = {
    public: "Everybody can find it and come in.",
    private: "Only those who are invited see it.",
    direct: "Just the two of you.",
  };
  const hint = h("p", { class: "side-note" });
  const name = field("Name", { name: "name", required: true, maxlength: "128", placeholder: "Tea and biscuits" });
  const topic = field("Topic", { name: "topic", maxlength: "512", placeholder: "What is talked about" });
  const people = known(chat, new Set([chat.client.user]));
  const user = h("label", { class: "field" }, "Whom",
    people.length
      ? h("select", { name: "user" }, ...people.map((id) => h("option", { value: id, text: chat.nameOf(id) })))
      : h("small", { text: "You will find people here as soon as you share a room with them." }));
  const segments = h("div", { class: "segments", role: "radiogroup", "aria-label": "What to make" }, ...kinds.map(([kind, label], index) =>
    h("label", {}, h("input", { type: "radio", name: "kind", value: kind, checked: index === 0, onchange: () => choose(kind) }), label)));
  const choose = (/** @type {string} */ kind) => {
    const direct = kind === "direct";
    hint.textContent = hints[/** @type {keyof typeof hints} */ (kind)];
    name.hidden = topic.hidden = direct;
    user.hidden = !direct;
    for (const input of name.querySelectorAll("input")) input.disabled = direct;
  };
  choose("public");
  open("Start something", [asking("Start", [segments, hint, name, topic, user], async (data) => {
    const kind = String(data.get("kind"));
    const title = String(data.get("name") ?? "").trim();
    const wanted = kind === "direct"
      ? { kind, user: String(data.get("user") ?? "") }
      : { kind, name: title, topic: String(data.get("topic") ?? "").trim(), room: roomId(title) };
    const log = await chat.client.create(wanted);
    await chat.open(log.room);
  })]);
}

/**
 * A room's id, which looks like its name; by the random part nobody has it.
 *
 * @param {string} name
 */
function roomId(name) {
  const plain = name.normalize("NFKD").toLowerCase().replace(/[^a-z0-9]+/gu, "-").replace(/^-+|-+$/gu, "").slice(0, 40);
  return `${plain || "room"}-${crypto.randomUUID().slice(0, 6)}`;
}

/**
 * Users whose names are known, without some.
 *
 * @param {Chat} chat
 * @param {Set<string>} without
 */
function known(chat, without) {
  const users = [...chat.client.names.keys()].filter((user) => !without.has(user));
  return users.sort((one, other) => chat.nameOf(one).localeCompare(chat.nameOf(other))).slice(0, 500);
}

/** @param {Chat} chat */
export function inviteDialog(chat) {
  const room = chat.current;
  const people = known(chat, new Set(chat.log?.members.keys()));
  const list = h("datalist", { id: "invitable" }, ...people.map((id) => h("option", { value: id, text: chat.nameOf(id) })));
  const user = field("User", { name: "user", required: true, maxlength: "64", list: "invitable" }, "Their id; it is shown in their own menu, at the top left.");
  open("Invite somebody", [asking("Invite", [user, list], async (data) => {
    const id = String(data.get("user")).trim();
    await chat.client.act("invite", room, { user: id });
    chat.client.loadMembers(room).catch(() => undefined);
    toast(`${chat.nameOf(id)} is a member now.`);
  })]);
}

/** @param {Chat} chat */
export function roomDialog(chat) {
  const log = chat.log;
  if (!log?.info) return;
  const { info, room } = log;
  const quit = h("button", { type: "button", class: "button danger", text: "Leave this room", onclick: () =>
    sure(`Leave ${chat.titleOf(log)}?`, "You will not hear from it any more.", "Leave", () => chat.client.quit(room)) });
  if (info.role !== "owner") {
    const facts = h("dl", {}, h("dt", { text: "Topic" }), h("dd", { text: info.topic || "None" }), h("dt", { text: "You are" }), h("dd", { text: info.role ?? "a guest" }));
    open(chat.titleOf(log), [facts, h("div", { class: "row" }, quit)]);
    return;
  }
  const remove = h("button", { type: "button", class: "button danger", text: "Delete it", onclick: () =>
    sure(`Delete ${chat.titleOf(log)}?`, "It is gone for everybody, with all that was said in it.", "Delete", () => chat.client.request({ t: "delete_room", room })) });
  open("About this room", [
    asking("Save", [field("Name", { name: "name", value: info.name, maxlength: "128", required: true }), field("Topic", { name: "topic", value: info.topic ?? "", maxlength: "512" })],
      (data) => chat.client.act("room", room, { name: String(data.get("name")).trim(), topic: String(data.get("topic")).trim() })),
    h("div", { class: "row" }, quit, remove),
  ]);
}

/**
 * One person: a conversation with them, and what a moderator may do.
 *
 * @param {Chat} chat
 * @param {Member} member
 */
export function memberDialog(chat, member) {
  const log = chat.log;
  if (!log?.info) return;
  const { user } = member;
  const name = chat.nameOf(user);
  const room = log.room;
  const rank = { reader: 0, member: 1, moderator: 2, owner: 3 };
  const mine = log.info.role ? rank[log.info.role] : -1;
  const me = user === chat.client.user;
  const rules = log.info.kind !== "direct" && !me && mine >= rank.moderator && rank[member.role] < mine;
  const act = (/** @type {string} */ type, /** @type {Record<string, unknown>} */ fields, /** @type {string} */ done) => async () => {
    try {
      await chat.client.act(type, room, { user, ...fields });
      byId("dialog", HTMLDialogElement).close();
      toast(done);
      await chat.client.loadMembers(room);
    } catch (failure) {
      toast(said(failure));
    }
  };
  const button = (/** @type {string} */ text, /** @type {() => void} */ onclick, kind = "") => h("button", { type: "button", class: `button ${kind}`, text, onclick });
  const parts = [h("dl", {}, h("dt", { text: "Role" }), h("dd", { text: member.role }), h("dt", { text: "Now" }), h("dd", { text: log.present.has(user) ? "Here" : "Away" }),
    h("dt", { text: "Id" }), h("dd", { text: user }))];
  if (!me && log.info.kind !== "direct") {
    parts.push(button("Write to them alone", async () => {
      try {
        const direct = await chat.client.create({ kind: "direct", user });
        byId("dialog", HTMLDialogElement).close();
        await chat.open(direct.room);
      } catch (failure) {
        toast(said(failure));
      }
    }, "primary"));
  }
  if (log.info.role === "owner" && !me && log.info.kind !== "direct") {
    const select = /** @type {HTMLSelectElement} */ (h("select", {}, ...["reader", "member", "moderator", "owner"].map((role) => h("option", { value: role, text: role, selected: role === member.role }))));
    select.addEventListener("change", () => { act("role", { role: select.value }, `${name} is ${select.value} now.`)(); });
    parts.push(h("label", { class: "field" }, "Role in this room", select));
  }
  if (rules) {
    const now = Date.now();
    parts.push(h("div", { class: "row" },
      button("Mute 10 min", act("mute", { until: now + 10 * MINUTE }, `${name} is muted for ten minutes.`)),
      button("Mute a day", act("mute", { until: now + 1440 * MINUTE }, `${name} is muted for a day.`)),
      button("Unmute", act("mute", { until: 0 }, `${name} may write again.`))),
    h("div", { class: "row" },
      button("Remove", act("kick", {}, `${name} was removed.`), "danger"),
      button("Ban", () => sure(`Ban ${name}?`, "They are removed and cannot come back.", "Ban", act("ban", { until: FOR_EVER }, `${name} is banned.`)), "danger")));
  }
  open(name, parts, avatar(user, name, log.present.has(user)));
}

/**
 * Asks once more.
 *
 * @param {string} title
 * @param {string} text
 * @param {string} label
 * @param {() => Promise<unknown> | void} run
 */
export function sure(title, text, label, run) {
  const dialog = open(title, [h("p", { text }), h("footer", {},
    h("button", { type: "button", class: "button", text: "Cancel", autofocus: true, onclick: () => dialog.close() }),
    h("button", { type: "button", class: "button danger", text: label, onclick: async () => {
      dialog.close();
      try {
        await run();
      } catch (failure) {
        toast(said(failure));
      }
    } }))]);
}

export function keysDialog() {
  const keys = [
    ["Enter", "Send"], ["Shift Enter", "New line"], ["↑", "Edit your last message, in an empty field"], ["Shift ↑", "To the messages"],
    ["↑ ↓ Home End", "Through the messages"], ["r", "Reply to one"], ["+", "React to it"], ["e", "Edit it"], ["Delete", "Delete it"],
    ["Esc", "Back to the field"], ["Ctrl K", "Find a room"], ["Alt ↑ ↓", "Room above, room below"], ["Ctrl Shift F", "Search messages"],
  ];
  open("Keyboard", [h("dl", {}, ...keys.flatMap(([key, text]) => [h("dt", {}, h("kbd", { text: key })), h("dd", { text })]))]);
}
