// @ts-check
import { changed } from "./chat-log.js";
import { byId, counted, day, dayKey, h } from "./dom.js";
import { messageElement } from "./message.js";

/** @import { Message } from "./chat-protocol.js" */
/** @import { Item } from "./chat-outbox.js" */
/** @import { Chat } from "./app.js" */

const TOGETHER = 5 * 60_000;
const NEAR = 80;
const PAGE = 50;

/**
 * @typedef {object} Shown A message as it is drawn, with what waits in the outbox applied to it.
 * @property {string} key
 * @property {Message} message
 * @property {Item | null} item the outbox's, of one that is not acknowledged
 * @property {boolean} changing whether a change of it waits
 * @property {boolean} joined to the one before: same person, shortly after
 * @property {boolean} last of those that are joined
 */

/** The conversation: draws what changed, keeps its place, loads what is before. */
export class MessagesView {
  /** @param {Chat} chat */
  constructor(chat) {
    this._chat = chat;
    this._scroller = byId("scroller");
    this._list = byId("messages");
    this._toEnd = byId("to-end");
    /** @type {Map<string, {element: HTMLElement, look: string}>} */
    this._drawn = new Map();
    this._room = "";
    this._newFrom = 0;
    this._missed = 0;
    this._loading = false;
    this._sticky = true;
    this._focused = "";
    this._scroller.addEventListener("scroll", () => this._scrolled(), { passive: true });
    this._toEnd.addEventListener("click", () => { this.toEnd(); byId("composer-text").focus(); });
    this._list.addEventListener("keydown", (event) => this._keys(event));
    this._list.addEventListener("focusin", (event) => this._roved(event));
    new ResizeObserver(() => { if (this._sticky) this._jump(); }).observe(this._scroller);
  }

  get atEnd() {
    const { scrollTop, scrollHeight, clientHeight } = this._scroller;
    return scrollHeight - scrollTop - clientHeight < NEAR;
  }

  /** Shows another room, from its end. */
  show() {
    const log = this._chat.log;
    this._room = log?.room ?? "";
    this._drawn.clear();
    this._list.replaceChildren();
    this._newFrom = log?.unread ? log.read : 0;
    this._missed = 0;
    this._focused = "";
    this._sticky = true;
    this.draw();
    this._jump();
    this._fill();
  }

  /** A message of others came while the end was not in sight. */
  missed() {
    if (this._sticky) return;
    this._missed++;
    this._drawToEnd();
  }

  /** The line before the first new message is not needed once one has answered. */
  answered() {
    this._newFrom = 0;
  }

  draw() {
    const log = this._chat.log;
    if (!log?.info || log.room !== this._room) return;
    const shown = this._shown();
    const room = log.info.members ?? 0;
    /** @type {Node[]} */
    const nodes = [];
    const kept = new Set();
    let before = "";
    let marked = false;
    for (const each of shown) {
      const key = dayKey(each.message.at);
      if (key !== before) nodes.push(this._separator(`day-${key}`, day(each.message.at), ""));
      before = key;
      if (this._newFrom && !marked && each.message.offset > this._newFrom && each.message.user !== this._chat.client.user) {
        nodes.push(this._separator("new", "New", " new"));
        marked = true;
      }
      nodes.push(this._element(each, each === shown.at(-1) ? this._seen(each.message, room) : ""));
      kept.add(each.key);
    }
    for (const key of this._drawn.keys()) if (!kept.has(key) && !key.startsWith("separator ")) this._drawn.delete(key);
    place(this._list, nodes);
    this._rove();
    byId("beginning").hidden = log.more || !shown.length;
    byId("beginning").textContent = `This is where ${this._chat.titleOf(log)} begins.`;
    this._drawEmpty(shown.length === 0);
    if (this._sticky) this._jump();
  }

  /** Goes to the newest message. */
  toEnd() {
    this._sticky = true;
    this._missed = 0;
    this._jump();
    this._drawToEnd();
    this._chat.seen();
  }

  /**
   * Loads what lies between, and shows a message.
   *
   * @param {number} offset
   * @returns {Promise<boolean>} false where it is too far back, or gone
   */
  async goTo(offset) {
    const room = this._room;
    const log = this._chat.log;
    for (let page = 0; log && !log.messages.has(offset) && log.more && page < 25; page++) {
      if (log.oldest && log.oldest <= offset) break;
      await this._chat.client.loadOlder(room, 200);
      if (this._room !== room) return false;
    }
    this._sticky = false;
    this.draw();
    const element = this._list.querySelector(`[data-offset="${offset}"]`);
    if (!(element instanceof HTMLElement)) return false;
    element.scrollIntoView({ block: "center" });
    element.focus({ preventScroll: true });
    element.classList.add("flash");
    setTimeout(() => element.classList.remove("flash"), 2_000);
    return true;
  }

  // -- what is shown ------------------------------------------------------------------------------------------------

  /** @returns {Shown[]} */
  _shown() {
    const { client } = this._chat;
    const log = /** @type {NonNullable<Chat["log"]>} */ (this._chat.log);
    const waiting = client.outbox?.of(log.room) ?? [];
    /** @type {Shown[]} */
    const shown = [];
    for (let message of log.messages.values()) {
      let changing = false;
      for (const item of waiting) {
        if (item.frame.target !== message.offset || item.state === "failed") continue;
        message = hoped(message, item, client.user);
        changing = true;
      }
      // One that the log has is acknowledged, whatever the outbox still thinks.
      shown.push({ key: `${message.user} ${message.mid}`, message, item: null, changing, joined: false, last: true });
    }
    for (const item of waiting) {
      if (item.frame.t !== "post") continue;
      const { text, reply_to } = item.frame;
      const message = { offset: 0, changed: 0, at: item.at, user: client.user, mid: item.mid, text, reply_to };
      shown.push({ key: `${client.user} ${item.mid}`, message, item, changing: false, joined: false, last: true });
    }
    for (let index = 1; index < shown.length; index++) {
      const before = shown[index - 1];
      const each = shown[index];
      const near = Math.abs(each.message.at - before.message.at) < TOGETHER;
      const crosses = this._newFrom && before.message.offset <= this._newFrom && each.message.offset > this._newFrom;
      each.joined = near && !crosses && each.message.user === before.message.user && dayKey(each.message.at) === dayKey(before.message.at);
      before.last = !each.joined;
    }
    return shown;
  }

  /**
   * @param {Shown} shown
   * @param {string} seen
   */
  _element(shown, seen) {
    const chat = this._chat;
    const { message, item } = shown;
    const quoted = message.reply_to ? chat.log?.messages.get(message.reply_to) : undefined;
    const names = [message.user, quoted?.user ?? ""].map((user) => chat.nameOf(user));
    const look = JSON.stringify([
      message, item?.state, item?.error, shown.changing, shown.joined, shown.last, names, quoted?.text, quoted?.deleted, seen,
      chat.may(message),
    ]);
    const drawn = this._drawn.get(shown.key);
    if (drawn?.look === look) return drawn.element;
    const element = messageElement(chat, shown, quoted, seen);
    if (drawn) {
      element.tabIndex = drawn.element.tabIndex;
      if (drawn.element.contains(document.activeElement)) queueMicrotask(() => element.focus({ preventScroll: true }));
    }
    this._drawn.set(shown.key, { element, look });
    return element;
  }

  /**
   * @param {string} key
   * @param {string} text
   * @param {string} kind
   */
  _separator(key, text, kind) {
    const drawn = this._drawn.get(`separator ${key}`);
    if (drawn?.look === text) return drawn.element;
    const element = h("li", { class: `separator${kind}` }, h("span", { text }));
    this._drawn.set(`separator ${key}`, { element, look: text });
    return element;
  }

  /**
   * Who has read the last message, where it is one's own and the room is small.
   *
   * @param {Message} message
   * @param {number} members
   */
  _seen(message, members) {
    const { client, log } = this._chat;
    if (message.user !== client.user || !message.offset || !log || members > 50) return "";
    const readers = [...log.members.values()].filter((one) => one.user !== client.user && (one.read ?? 0) >= message.offset);
    if (!readers.length) return "";
    if (log.info?.kind === "direct") return "Seen";
    const names = readers.slice(0, 3).map((one) => this._chat.nameOf(one.user));
    return `Seen by ${names.join(", ")}${readers.length > 3 ? ` and ${readers.length - 3} more` : ""}`;
  }

  /** @param {boolean} empty */
  _drawEmpty(empty) {
    const element = byId("empty");
    const log = this._chat.log;
    element.hidden = !empty || !log?.epoch;
    if (element.hidden || !log) return;
    element.replaceChildren(h("strong", { text: "Nothing was said here yet" }), h("span", { text: "Write the first message below." }));
  }

  _drawToEnd() {
    this._toEnd.hidden = this._sticky;
    const text = this._missed ? counted(this._missed, "new message") : "";
    this._toEnd.querySelector("span")?.replaceChildren(text);
    this._toEnd.setAttribute("aria-label", text ? `${text}: go to the newest` : "Go to the newest message");
  }

  // -- scrolling ----------------------------------------------------------------------------------------------------

  _jump() {
    this._scroller.scrollTop = this._scroller.scrollHeight;
  }

  _scrolled() {
    this._sticky = this.atEnd;
    if (this._sticky && this._missed) this._missed = 0;
    this._drawToEnd();
    if (this._sticky) this._chat.seen();
    if (this._scroller.scrollTop < 500) this._fill();
  }

  /** Loads older messages until they fill the window; what is in sight stays where it is. */
  async _fill() {
    const log = this._chat.log;
    if (this._loading || !log?.more || !log.oldest || this._chat.client.state !== "online") return;
    this._loading = true;
    const room = this._room;
    try {
      const fromEnd = () => this._scroller.scrollHeight - this._scroller.scrollTop;
      await this._chat.client.loadOlder(room, PAGE);
      if (this._room !== room) return;
      const before = fromEnd();
      this.draw();
      if (!this._sticky) this._scroller.scrollTop = this._scroller.scrollHeight - before;
    } catch {
      return; // Asked again by the next scrolling, or when the connection is back.
    } finally {
      this._loading = false;
    }
    if (this._scroller.scrollTop < 500) this._fill();
  }

  // -- the keyboard -------------------------------------------------------------------------------------------------

  _rove() {
    const items = this._messages();
    let current = items.find((item) => item.dataset.key === this._focused);
    current ??= items.at(-1);
    for (const item of items) item.tabIndex = item === current ? 0 : -1;
  }

  _messages() {
    return /** @type {HTMLElement[]} */ ([...this._list.querySelectorAll(".message")]);
  }

  /** @param {FocusEvent} event */
  _roved(event) {
    const message = /** @type {HTMLElement} */ (event.target).closest?.(".message");
    if (!(message instanceof HTMLElement) || message.dataset.key === this._focused) return;
    this._focused = message.dataset.key ?? "";
    this._rove();
  }

  /** Goes to the newest message by keyboard. */
  focusLast() {
    const last = this._messages().at(-1);
    last?.focus();
    return Boolean(last);
  }

  /** @param {KeyboardEvent} event */
  _keys(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    const here = /** @type {HTMLElement | null} */ (target.closest(".message"));
    if (!here || event.ctrlKey || event.metaKey || event.altKey) return;
    const items = this._messages();
    const index = items.indexOf(here);
    const go = { ArrowUp: index - 1, ArrowDown: index + 1, Home: 0, End: items.length - 1 }[event.key];
    if (go !== undefined) {
      event.preventDefault();
      if (go >= items.length) byId("composer-text").focus();
      else items[Math.max(0, go)]?.focus();
      return;
    }
    const message = this._chat.log?.messages.get(Number(here.dataset.offset));
    if (event.key === "Escape") byId("composer-text").focus();
    else if (!message || target !== here) return;
    else if (event.key === "r") this._chat.composer.reply(message);
    else if (event.key === "e" && this._chat.may(message).edit) this._chat.composer.edit(message);
    else if (event.key === "Delete" && this._chat.may(message).delete) this._chat.askDelete(message);
    else if (event.key === "+" && this._chat.may(message).react) this._chat.pickReaction(here, message);
    else return;
    event.preventDefault();
  }
}

/**
 * A message as it will be when an item of the outbox is done.
 *
 * @param {Message} message
 * @param {Item} item
 * @param {string} user
 */
function hoped(message, item, user) {
  const { t, text, emoji, on } = item.frame;
  const e = { edit: "edited", delete: "deleted", react: "reacted" }[t] ?? "";
  const body = { e, target: message.offset, text, emoji, on };
  return { ...changed(message, { offset: Infinity, at: item.at, user, mid: item.mid, body }), changed: message.changed };
}

/**
 * Makes `nodes` the children of `list`, moving only what is not in its place.
 *
 * @param {HTMLElement} list
 * @param {Node[]} nodes
 */
function place(list, nodes) {
  const wanted = new Set(nodes);
  for (const child of [...list.childNodes]) if (!wanted.has(child)) child.remove();
  let next = list.firstChild;
  for (const node of nodes) {
    if (node === next) next = next.nextSibling;
    else list.insertBefore(node, next);
  }
}
