// @ts-check
import { avatar, byId, counted, h, iconButton, shortTime, toast } from "./dom.js";
import { inviteDialog, memberDialog, roomDialog } from "./dialogs.js";

/** @import { Message } from "./chat-protocol.js" */
/** @import { Chat } from "./app.js" */

const RANK = { owner: 0, moderator: 1, member: 2, reader: 3 };

/** The column at the side: who is in the room, or what a search found. */
export class SideView {
  /** @param {Chat} chat */
  constructor(chat) {
    this._chat = chat;
    this._root = byId("side");
    /** @type {"" | "members" | "search"} */
    this.shown = "";
    this._searched = 0;
    byId("open-members").addEventListener("click", () => this.toggle("members"));
    byId("open-search").addEventListener("click", () => this.toggle("search"));
    this._root.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.close();
    });
  }

  /** @param {"members" | "search"} what */
  toggle(what) {
    if (this.shown === what) this.close();
    else this.open(what);
  }

  /** @param {"members" | "search"} what */
  open(what) {
    this.shown = what;
    this._frame();
    const title = what === "members" ? "Members" : "Search";
    this._root.setAttribute("aria-label", title);
    const close = iconButton("close", `Close ${title.toLowerCase()}`, () => this.close());
    const body = h("div", { class: "side-body" });
    this._root.replaceChildren(h("header", { class: "side-head" }, h("h2", { text: title }), close), body);
    if (what === "members") {
      this._chat.client.loadMembers(this._chat.current).catch(() => undefined);
      this.draw();
      close.focus();
    } else {
      this._drawSearch(body);
    }
  }

  close() {
    const opener = byId(this.shown === "search" ? "open-search" : "open-members");
    const inside = this._root.contains(document.activeElement);
    this.shown = "";
    this._frame();
    this._root.replaceChildren();
    if (inside) opener.focus();
  }

  _frame() {
    byId("chat").classList.toggle("with-side", Boolean(this.shown));
    this._root.hidden = !this.shown;
    byId("scrim").hidden = false;
    byId("open-members").setAttribute("aria-expanded", String(this.shown === "members"));
    byId("open-search").setAttribute("aria-expanded", String(this.shown === "search"));
  }

  /** Another room is shown. */
  show() {
    if (this.shown === "members") this.open("members");
    else if (this.shown) this.close();
  }

  draw() {
    const { log } = this._chat;
    if (this.shown !== "members" || !log?.info) return;
    const body = this._root.querySelector(".side-body");
    if (!body) return;
    const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset.member;
    const top = body.scrollTop;
    const info = log.info;
    const members = [...log.members.values()].sort((one, other) =>
      RANK[one.role] - RANK[other.role] || this._chat.nameOf(one.user).localeCompare(this._chat.nameOf(other.user)));
    const here = members.filter((member) => log.present.has(member.user));
    const away = members.filter((member) => !log.present.has(member.user));
    const boss = info.role === "owner" || info.role === "moderator";
    body.replaceChildren(
      ...(info.kind === "direct" ? [] : [
        boss ? h("button", { type: "button", class: "button wide", text: "Invite somebody", onclick: () => inviteDialog(this._chat) }) : "",
        h("button", { type: "button", class: "button wide", text: "About this room", onclick: () => roomDialog(this._chat) }),
      ]),
      ...this._people(`Here now · ${log.count || here.length}`, here, true),
      ...this._people(`Away · ${away.length}`, away, false));
    body.scrollTop = top;
    if (focused) /** @type {HTMLElement | null} */ (body.querySelector(`[data-member="${CSS.escape(focused)}"]`))?.focus();
  }

  /**
   * @param {string} title
   * @param {import("./chat-protocol.js").Member[]} members
   * @param {boolean} here
   */
  _people(title, members, here) {
    if (!members.length) return [];
    const me = this._chat.client.user;
    const direct = this._chat.log?.info?.kind === "direct";
    return [h("h3", { class: "group-title", text: title }), h("ul", {}, ...members.map((member) => {
      const name = this._chat.nameOf(member.user);
      const role = direct || member.role === "member" ? null : h("span", { class: `role ${member.role}`, text: member.role });
      return h("li", {}, h("button", {
        type: "button", class: here ? "member" : "member away", data: { member: member.user }, "aria-haspopup": "dialog",
        onclick: () => memberDialog(this._chat, member),
      }, avatar(member.user, name, here), h("span", { class: "name", text: member.user === me ? `${name} (you)` : name }), role));
    }))];
  }

  // -- search -------------------------------------------------------------------------------------------------------

  /** @param {HTMLElement} body */
  _drawSearch(body) {
    const input = /** @type {HTMLInputElement} */ (h("input", { type: "search", placeholder: "Words in messages", "aria-label": "Words in messages", maxlength: "256" }));
    const here = /** @type {HTMLInputElement} */ (h("input", { type: "checkbox" }));
    const found = h("div", { role: "region", "aria-live": "polite", "aria-label": "Results" });
    let timer = 0;
    const go = () => this._search(input.value.trim(), here.checked, found);
    input.addEventListener("input", () => { clearTimeout(timer); timer = window.setTimeout(go, 250); });
    here.addEventListener("change", go);
    const form = h("form", { class: "search-form", role: "search", onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); clearTimeout(timer); go(); } },
      input, h("label", { class: "check" }, here, "Only in this room"));
    body.replaceChildren(form, found);
    input.focus();
  }

  /**
   * @param {string} text
   * @param {boolean} here
   * @param {HTMLElement} found
   * @param {number} [before]
   */
  async _search(text, here, found, before) {
    const searched = ++this._searched;
    if (!text) {
      found.replaceChildren();
      return;
    }
    try {
      const within = { ...(here ? { room: this._chat.current } : {}), ...(before ? { before } : {}) };
      const { hits, more } = await this._chat.client.search(text, within);
      if (searched !== this._searched) return;
      const items = hits.map((/** @type {{room: string, message: Message}} */ hit) => this._hit(hit, text));
      if (!before) found.replaceChildren(h("p", { class: "side-note", text: hits.length ? `${counted(hits.length, "message")}${more ? ", and more" : ""}` : "Nothing was found." }));
      else found.lastElementChild?.remove();
      found.append(...items);
      const last = hits.at(-1);
      if (more && last) {
        found.append(h("button", { type: "button", class: "button wide", text: "More", onclick: () => this._search(text, here, found, last.message.at) }));
      }
    } catch (error) {
      if (searched === this._searched) found.replaceChildren(h("p", { class: "side-note", text: `The search did not work: ${/** @type {Error} */ (error).message}` }));
    }
  }

  /**
   * @param {{room: string, message: Message}} hit
   * @param {string} text
   */
  _hit({ room, message }, text) {
    const chat = this._chat;
    const log = chat.client.rooms.get(room);
    const title = log ? chat.titleOf(log) : room;
    return h("button", { type: "button", class: "hit", onclick: () => this._show(room, message.offset) },
      h("span", { class: "top" }, h("strong", { text: `${chat.nameOf(message.user)} · ${title}` }), h("time", { text: shortTime(message.at) })),
      h("p", {}, ...marked(message.text, text)));
  }

  /**
   * @param {string} room
   * @param {number} offset
   */
  async _show(room, offset) {
    if (matchMedia("(max-width: 1100px)").matches) this.close();
    if (!(await this._chat.goTo(offset, room))) toast("That message is too far back to show.");
  }
}

/**
 * A text with the words that were looked for marked.
 *
 * @param {string} text
 * @param {string} wanted
 */
function marked(text, wanted) {
  const words = wanted.split(/\s+/u).filter(Boolean).map((word) => word.replace(/[.*+?^${}()|[\]\\]/gu, "\\$&"));
  const parts = text.split(new RegExp(`(${words.join("|")})`, "giu"));
  return parts.map((part, index) => (index % 2 ? h("mark", { text: part }) : part));
}
