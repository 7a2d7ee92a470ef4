// @ts-check
import { avatar, byId, h, icon, shortTime } from "./dom.js";

/** @import { RoomLog } from "./chat-log.js" */
/** @import { Chat } from "./app.js" */

const GROUPS = [["direct", "People"], ["private", "Private rooms"], ["public", "Rooms"]];

/** The list of rooms: what is new in each, and the public ones that could be entered. */
export class RoomsView {
  /** @param {Chat} chat */
  constructor(chat) {
    this._chat = chat;
    this._root = byId("rooms");
    this._filter = byId("filter", HTMLInputElement);
    /** @type {import("./chat-protocol.js").Room[]} */
    this._public = [];
    this._asked = 0;
    this._filter.addEventListener("input", () => { this.draw(); this.discover(); });
    this._filter.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        this._filter.value = "";
        this.draw();
        byId("composer-text").focus();
      } else if (event.key === "Enter" || event.key === "ArrowDown") {
        event.preventDefault();
        const first = /** @type {HTMLElement | null} */ (this._root.querySelector(".room-item"));
        if (event.key === "Enter") first?.click();
        else first?.focus();
      }
    });
    this._root.addEventListener("keydown", (event) => this._arrows(event));
  }

  /** Asks which public rooms there are. */
  async discover() {
    const asked = ++this._asked;
    try {
      const { rooms } = await this._chat.client.request({ t: "rooms", public: true, like: this._filter.value.trim(), limit: 30 });
      if (asked !== this._asked) return;
      this._public = rooms;
      this.draw();
    } catch {
      // Without a connection there is nothing to discover.
    }
  }

  /** @returns {RoomLog[]} in the order they are shown */
  get shown() {
    const wanted = this._filter.value.trim().toLowerCase();
    const logs = [...this._chat.client.rooms.values()].filter((log) => log.info);
    const fitting = logs.filter((log) => this._chat.titleOf(log).toLowerCase().includes(wanted));
    return fitting.sort((one, other) => (other.info?.last?.at ?? 0) - (one.info?.last?.at ?? 0));
  }

  draw() {
    const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset.room;
    const shown = this.shown;
    /** @type {Node[]} */
    const parts = [];
    for (const [kind, title] of GROUPS) {
      const logs = shown.filter((log) => log.info?.kind === kind);
      if (logs.length) parts.push(...group(title, logs.map((log) => this._item(log))));
    }
    const known = this._chat.client.rooms;
    const others = this._public.filter((room) => !known.has(room.room));
    if (others.length) parts.push(...group("Rooms to enter", others.map((room) => this._stranger(room))));
    if (!parts.length) parts.push(h("p", { class: "side-note", text: this._filter.value ? "No room is called that." : "No rooms yet." }));
    const top = this._root.scrollTop;
    this._root.replaceChildren(...parts);
    this._root.scrollTop = top;
    if (focused) /** @type {HTMLElement | null} */ (this._root.querySelector(`[data-room="${CSS.escape(focused)}"]`))?.focus();
    this._tellUnread();
  }

  /** @param {RoomLog} log */
  _item(log) {
    const chat = this._chat;
    const info = /** @type {NonNullable<RoomLog["info"]>} */ (log.info);
    const title = chat.titleOf(log);
    const unread = log.room === chat.current ? 0 : log.unread;
    const other = info.with_user;
    const typing = log.typing.length > 0;
    const last = info.last;
    const said = typing ? chat.typists(log) : last ? chat.previewOf(last, info.kind === "direct") : info.topic || "";
    return h("li", {}, h("button", {
      type: "button", class: unread ? "room-item unread" : "room-item", data: { room: log.room },
      "aria-current": log.room === chat.current ? "page" : null, onclick: () => chat.open(log.room),
    },
      other ? avatar(other, title, log.present.has(other)) : h("span", { class: "glyph" }, icon(info.kind === "private" ? "lock" : "hash")),
      h("span", { class: "lines" },
        h("span", { class: "line" }, h("span", { class: "title", text: title }), last && h("time", { text: shortTime(last.at) })),
        h("span", { class: "line" },
          h("span", { class: typing ? "preview typing-now" : "preview", text: said }),
          unread ? h("span", { class: "badge", text: unread > 99 ? "99+" : String(unread), "aria-label": `${unread} unread` }) : null))));
  }

  /** @param {import("./chat-protocol.js").Room} room */
  _stranger(room) {
    const people = room.members === 1 ? "1 member" : `${room.members ?? 0} members`;
    return h("li", {}, h("button", {
      type: "button", class: "room-item", data: { room: room.room }, onclick: () => this._chat.enter(room.room),
    },
      h("span", { class: "glyph" }, icon("plus")),
      h("span", { class: "lines" },
        h("span", { class: "line" }, h("span", { class: "title", text: room.name || room.room })),
        h("span", { class: "line" }, h("span", { class: "preview", text: room.topic ? `${people} · ${room.topic}` : people })))));
  }

  /** @param {KeyboardEvent} event */
  _arrows(event) {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (!step || event.altKey) return;
    event.preventDefault();
    const items = /** @type {HTMLElement[]} */ ([...this._root.querySelectorAll(".room-item")]);
    const index = items.indexOf(/** @type {HTMLElement} */ (document.activeElement)) + step;
    if (index < 0) this._filter.focus();
    else items[Math.min(index, items.length - 1)]?.focus();
  }

  _tellUnread() {
    const chat = this._chat;
    const others = [...chat.client.rooms.values()].filter((log) => log.room !== chat.current && log.unread);
    const unread = others.reduce((sum, log) => sum + log.unread, 0) + (document.hidden ? (chat.log?.unread ?? 0) : 0);
    byId("others-unread").hidden = !others.length;
    document.title = `${unread ? `(${unread}) ` : ""}${chat.log?.info ? chat.titleOf(chat.log) : "Chat"}`;
  }
}

/**
 * @param {string} title
 * @param {Node[]} items
 */
function group(title, items) {
  const id = `group-${title.replaceAll(" ", "-")}`;
  return [h("h2", { class: "group-title", id, text: title }), h("ul", { "aria-labelledby": id }, ...items)];
}
