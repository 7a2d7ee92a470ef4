// @ts-check
import { byId, h, pickEmoji } from "./dom.js";

/** @import { Message } from "./chat-protocol.js" */
/** @import { Chat } from "./app.js" */

/** Writing: a draft for each room, answers, edits, and what was refused. */
export class Composer {
  /** @param {Chat} chat */
  constructor(chat) {
    this._chat = chat;
    this._form = byId("composer", HTMLFormElement);
    this._text = byId("composer-text", HTMLTextAreaElement);
    this._send = byId("send", HTMLButtonElement);
    this._note = byId("composer-note");
    /** @type {{kind: "reply" | "edit", message: Message} | null} */
    this._about = null;
    /** @type {Map<string, string>} */
    this._drafts = new Map();
    this._room = "";
    this._form.addEventListener("submit", (event) => { event.preventDefault(); this._submit(); });
    this._text.addEventListener("input", () => this._typed());
    this._text.addEventListener("keydown", (event) => this._keys(event));
    byId("composer-emoji").addEventListener("click", (event) => {
      pickEmoji(/** @type {HTMLElement} */ (event.currentTarget), (emoji) => {
        this._text.focus();
        this._text.setRangeText(emoji, this._text.selectionStart, this._text.selectionEnd, "end");
        this._typed();
      });
    });
    byId("answering").querySelector("button")?.addEventListener("click", () => this._drop());
  }

  /** Another room is shown. */
  show() {
    if (this._about?.kind !== "edit") this._drafts.set(this._room, this._text.value);
    this._room = this._chat.current;
    this._about = null;
    this._text.value = this._drafts.get(this._room) ?? "";
    this.draw();
    this._grow();
  }

  draw() {
    const log = this._chat.log;
    const info = log?.info;
    const muted = (info?.muted_until ?? 0) > Date.now();
    const reader = info?.role === "reader" || (log?.epoch && !info?.role);
    this._text.disabled = !info || muted || Boolean(reader);
    const title = log ? this._chat.titleOf(log) : "";
    this._text.placeholder = muted ? "You are muted here" : reader ? "You may only read here" : log ? `Message ${title}` : "";
    this._sendable();
    this._drawAbout();
    this._drawTray();
  }

  /** @param {Message} message */
  reply(message) {
    if (this._about?.kind === "edit") this._text.value = this._drafts.get(this._room) ?? "";
    this._about = { kind: "reply", message };
    this._begin();
  }

  /** @param {Message} message */
  edit(message) {
    if (this._about?.kind !== "edit") this._drafts.set(this._room, this._text.value);
    this._about = { kind: "edit", message };
    this._text.value = message.text;
    this._begin();
    this._text.setSelectionRange(this._text.value.length, this._text.value.length);
  }

  _begin() {
    this._drawAbout();
    this._grow();
    this._sendable();
    this._text.focus();
  }

  /** Neither answers nor edits any more. */
  _drop() {
    if (this._about?.kind === "edit") this._text.value = this._drafts.get(this._room) ?? "";
    this._about = null;
    this._begin();
  }

  _drawAbout() {
    const row = byId("answering");
    row.hidden = !this._about;
    if (!this._about) return;
    const { kind, message } = this._about;
    const title = kind === "edit" ? "Editing your message" : `Answering ${this._chat.nameOf(message.user)}`;
    row.querySelector("strong")?.replaceChildren(title);
    row.querySelector(".answering-text span")?.replaceChildren(message.text);
    row.querySelector("button")?.setAttribute("aria-label", kind === "edit" ? "Stop editing" : "Do not answer it");
  }

  /** Changes that were refused; posts that were have their place in the conversation. */
  _drawTray() {
    const client = this._chat.client;
    const refused = (client.outbox?.of(this._room) ?? []).filter((item) => item.state === "failed" && item.frame.t !== "post");
    const tray = byId("tray");
    tray.hidden = !refused.length;
    const what = (/** @type {string} */ type) => ({ edit: "Edit", delete: "Deletion", react: "Reaction" })[type] ?? "Change";
    tray.replaceChildren(...refused.map((item) => h("p", { class: "refused", role: "alert" },
      `${what(item.frame.t)} not done: ${item.error}`,
      h("button", { type: "button", class: "link", text: "Try again", onclick: () => client.resend(item.mid) }),
      h("button", { type: "button", class: "link", text: "Discard", onclick: () => client.discard(item.mid) }))));
  }

  _typed() {
    this._grow();
    this._sendable();
    if (this._about?.kind !== "edit") this._chat.client.typing(this._room, this._text.value.trim() !== "");
  }

  _sendable() {
    const length = graphemes(this._text.value);
    const left = this._chat.client.maxText - length;
    this._note.textContent = left < 200 ? (left < 0 ? `${-left} too many characters` : `${left} characters left`) : "";
    this._note.classList.toggle("bad", left < 0);
    this._send.disabled = this._text.disabled || left < 0 || !this._text.value.trim();
    this._send.setAttribute("aria-label", this._about?.kind === "edit" ? "Save" : "Send");
  }

  _grow() {
    this._text.style.setProperty("height", "auto");
    this._text.style.setProperty("height", `${this._text.scrollHeight}px`);
  }

  _submit() {
    if (this._send.disabled) return;
    const text = this._text.value.trim();
    const about = this._about;
    if (about?.kind === "edit") {
      if (text !== about.message.text) this._chat.edit(about.message, text);
      this._drop();
      return;
    }
    if (!this._chat.post(text, about?.message.offset)) return;
    this._about = null;
    this._text.value = "";
    this._begin();
  }

  /** @param {KeyboardEvent} event */
  _keys(event) {
    if (event.isComposing) return;
    const empty = this._text.value === "";
    if (event.key === "Enter" && !event.shiftKey && !event.ctrlKey && !event.altKey) {
      // On a phone Enter makes a line, as its keyboard says; sending has a button.
      if (matchMedia("(pointer: coarse)").matches) return;
      event.preventDefault();
      this._submit();
    } else if (event.key === "Escape" && this._about) {
      event.preventDefault();
      this._drop();
    } else if (event.key === "ArrowUp" && empty && !event.altKey) {
      event.preventDefault();
      const own = this._chat.lastOwn();
      if (event.shiftKey || !own) this._chat.messages.focusLast();
      else this.edit(own);
    }
  }
}

const SEGMENTER = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/**
 * How long a text is to a reader, which is how the server counts.
 *
 * @param {string} text
 */
function graphemes(text) {
  if (text.length < 1000) return text.length; // Never more than its code units; far from the limit that is near enough.
  let count = 0;
  for (const _ of SEGMENTER.segment(text)) count++;
  return count;
}
