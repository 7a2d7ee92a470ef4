// @ts-check
import { ChatClient, socketURL } from "./chat-client.js";
import { Composer } from "./composer.js";
import { createDialog, keysDialog, said, sure } from "./dialogs.js";
import { avatar, byId, clock, counted, h, pickEmoji, showMenu, toast } from "./dom.js";
import { MessagesView } from "./messages-view.js";
import { RoomsView } from "./rooms-view.js";
import { Identity } from "./session.js";
import { SideView } from "./side-view.js";

/** @import { Entry, Message } from "./chat-protocol.js" */
/** @import { RoomLog } from "./chat-log.js" */

const PATH = document.querySelector("meta[name=chat-path]")?.getAttribute("content") ?? "chat";
const LOBBY = document.querySelector("meta[name=chat-lobby]")?.getAttribute("content");

/** The page: one client, its views, and what they share. */
export class Chat {
  /** @param {Identity} identity */
  constructor(identity) {
    this.identity = identity;
    this.current = "";
    this.client = new ChatClient({
      url: socketURL(`${PATH}/ws`, document.baseURI),
      token: (fresh) => identity.token(fresh),
    });
    this.rooms = new RoomsView(this);
    this.messages = new MessagesView(this);
    this.composer = new Composer(this);
    this.side = new SideView(this);
    this._drawing = 0;
    this._settling = false;
    /** @type {Set<string>} */
    this._stale = new Set();
    /** @type {ReturnType<typeof setInterval> | undefined} */
    this._counting = undefined;
    /** @type {Map<string, Promise<unknown>>} */
    this._naming = new Map();
    this._listen();
    this._shortcuts();
  }

  begin() {
    byId("login").hidden = true;
    byId("chat").hidden = false;
    this.drawState();
    this.client.connect();
  }

  /** @returns {RoomLog | undefined} the room that is shown */
  get log() {
    return this.client.rooms.get(this.current);
  }

  // -- names --------------------------------------------------------------------------------------------------------

  /** @param {string} user */
  nameOf(user) {
    return this.client.names.get(user) ?? user;
  }

  /** @param {RoomLog} log */
  titleOf(log) {
    const { name, with_user } = log.info ?? {};
    if (with_user) return this.client.names.get(with_user) ?? (name || with_user);
    return name || log.room;
  }

  /** @param {RoomLog} log */
  typists(log) {
    const names = log.typing.slice(0, 3).map((user) => this.nameOf(user));
    if (log.typing.length > 3) return "Several people are typing";
    return names.length === 1 ? `${names[0]} is typing` : `${names.slice(0, -1).join(", ")} and ${names.at(-1)} are typing`;
  }

  /**
   * @param {Message} message
   * @param {boolean} alone
   */
  previewOf(message, alone) {
    const text = message.deleted ? "Message deleted" : message.text.replace(/\s+/gu, " ").slice(0, 120);
    if (message.user === this.client.user) return `You: ${text}`;
    return alone ? text : `${this.nameOf(message.user)}: ${text}`;
  }

  /**
   * Asks for the names of a room's members where one is not known.
   *
   * @param {RoomLog} log
   */
  learnNames(log) {
    const users = new Set([...log.messages.values()].map((message) => message.user));
    for (const user of log.typing) users.add(user);
    if (log.info?.with_user) users.add(log.info.with_user);
    if (log.info?.last) users.add(log.info.last.user);
    const unknown = [...users].some((user) => !this.client.names.has(user));
    const wanted = unknown || (log.room === this.current && !log.members.size);
    if (!wanted || this._naming.has(log.room) || this.client.state !== "online") return;
    const asking = this.client.loadMembers(log.room).catch(() => undefined).then(() => {
      // Who is not there any more keeps the id for a name, and is not asked for again.
      for (const user of users) if (!this.client.names.has(user)) this.client.names.set(user, user.replace(/-[0-9a-f]{8}$/u, ""));
      this._naming.delete(log.room);
      this._soon("messages", "rooms");
    });
    this._naming.set(log.room, asking);
  }

  /**
   * What this user may do with a message.
   *
   * @param {Message} message
   */
  may(message) {
    const info = this.log?.info;
    const role = info?.role;
    const writes = Boolean(role && role !== "reader") && (info?.muted_until ?? 0) < Date.now();
    const there = message.offset > 0 && !message.deleted;
    const own = message.user === this.client.user;
    return {
      react: there && writes, reply: there && writes, edit: there && writes && own,
      delete: there && (own || role === "moderator" || role === "owner"),
    };
  }

  /** @returns {Message | undefined} the last message of this user that can be edited */
  lastOwn() {
    return [...(this.log?.messages.values() ?? [])].reverse().find((message) => this.may(message).edit);
  }

  // -- what the user does -------------------------------------------------------------------------------------------

  /**
   * Shows a room.
   *
   * @param {string} room
   */
  async open(room) {
    const log = this.client.rooms.get(room);
    if (!log) return;
    byId("chat").classList.remove("with-rooms");
    byId("open-sidebar").setAttribute("aria-expanded", "false");
    this.current = room;
    this.client.viewed = room;
    try {
      localStorage.setItem(`chat.room.${this.client.user}`, room);
    } catch {
      // Only a convenience.
    }
    byId("filter", HTMLInputElement).value = "";
    this.messages.show();
    this.composer.show();
    this.side.show();
    this._drawHead();
    this.rooms.draw();
    this._drawTyping();
    this.learnNames(log);
    this.seen();
    if (matchMedia("(pointer: fine)").matches) byId("composer-text").focus();
    else byId("room-name").focus();
  }

  /**
   * Becomes a member of a public room, and shows it.
   *
   * @param {string} room
   */
  async enter(room) {
    try {
      await this.client.join(room);
      await this.open(room);
    } catch (failure) {
      toast(said(failure));
    }
  }

  /**
   * @param {number} offset
   * @param {string} [room]
   */
  async goTo(offset, room = this.current) {
    if (room !== this.current) await this.open(room);
    try {
      return await this.messages.goTo(offset);
    } catch {
      return false;
    }
  }

  /**
   * @param {string} text
   * @param {number} [replyTo]
   */
  post(text, replyTo) {
    if (!this._try(() => this.client.post(this.current, text, replyTo))) return false;
    this.messages.answered();
    this.messages.toEnd();
    return true;
  }

  /**
   * @param {Message} message
   * @param {string} text
   */
  edit(message, text) {
    this._try(() => this.client.edit(this.current, message.offset, text));
  }

  /**
   * @param {Message} message
   * @param {string} emoji
   * @param {boolean} on
   */
  react(message, emoji, on) {
    this._try(() => this.client.react(this.current, message.offset, emoji, on));
  }

  /**
   * @param {HTMLElement} anchor
   * @param {Message} message
   */
  pickReaction(anchor, message) {
    pickEmoji(anchor, (emoji) => this.react(message, emoji, !message.reactions?.[emoji]?.includes(this.client.user)));
  }

  /** @param {Message} message */
  askDelete(message) {
    const room = this.current;
    sure("Delete this message?", message.text.slice(0, 200), "Delete", () => { this.client.delete(room, message.offset); });
  }

  /** @param {() => unknown} run */
  _try(run) {
    try {
      run();
      return true;
    } catch (failure) {
      toast(said(failure));
      return false;
    }
  }

  /** What is in sight was read. */
  seen() {
    const log = this.log;
    if (!log || document.hidden || !document.hasFocus() || !this.messages.atEnd) return;
    const last = [...log.messages.keys()].at(-1);
    if (last) this.client.read(log.room, last);
  }

  // -- what the client says -----------------------------------------------------------------------------------------

  _listen() {
    const { client } = this;
    const on = (/** @type {string} */ type, /** @type {(detail: any) => void} */ run) => {
      client.addEventListener(type, (event) => run(/** @type {CustomEvent} */ (event).detail));
    };
    on("state", () => this.drawState());
    on("welcome", () => {
      this._drawMe();
      this.rooms.discover();
    });
    on("listed", () => this._settleIn());
    on("rooms", () => {
      this._soon("rooms");
      if (!this.log) this._openFirst();
    });
    on("room", ({ log, what }) => this._roomChanged(log, what));
    on("entry", ({ room, entry, message }) => this._entered(room, entry, message));
    on("removed", ({ room, why }) => this._removed(room, why));
    on("notice", ({ text }) => toast(text));
    document.addEventListener("visibilitychange", () => this.seen());
    window.addEventListener("focus", () => this.seen());
    byId("create").addEventListener("click", () => createDialog(this));
    byId("me").addEventListener("click", (event) => this._menu(/** @type {HTMLElement} */ (event.currentTarget)));
    byId("open-sidebar").addEventListener("click", () => this._drawer(true));
    byId("scrim").addEventListener("click", () => {
      this._drawer(false);
      if (this.side.shown) this.side.close();
    });
    byId("sidebar").addEventListener("keydown", (event) => {
      if (event.key === "Escape" && byId("chat").classList.contains("with-rooms")) this._drawer(false);
    });
  }

  /** @param {boolean} shown */
  _drawer(shown) {
    if (shown === byId("chat").classList.contains("with-rooms")) return;
    byId("chat").classList.toggle("with-rooms", shown);
    byId("scrim").hidden = false;
    byId("open-sidebar").setAttribute("aria-expanded", String(shown));
    if (shown) /** @type {HTMLElement} */ (byId("rooms").querySelector("[aria-current], .room-item") ?? byId("create")).focus();
    else byId("open-sidebar").focus();
  }

  /** Who is in no room yet comes into the lobby; the very first one makes it. */
  async _settleIn() {
    if (this.client.rooms.size || !LOBBY || this._settling) return;
    this._settling = true;
    try {
      await this.client.join(LOBBY).catch(() => this.client.create({ kind: "public", room: LOBBY, name: "Lobby", topic: "Where everybody comes in" }))
        .catch(() => this.client.join(LOBBY));
    } catch {
      // Then it begins with an empty list.
    } finally {
      this._settling = false;
    }
  }

  _openFirst() {
    const rooms = this.rooms.shown;
    let last = null;
    try {
      last = localStorage.getItem(`chat.room.${this.client.user}`);
    } catch {
      // Then the newest.
    }
    const first = rooms.find((log) => log.room === last) ?? rooms[0];
    if (first) this.open(first.room);
    else this._drawNothing();
  }

  /**
   * @param {RoomLog} log
   * @param {string} what
   */
  _roomChanged(log, what) {
    this._soon("rooms");
    this.learnNames(log);
    if (log.room !== this.current) return;
    if (what === "reset") this.messages.show();
    if (what !== "typing" && what !== "history") this._soon("messages", "composer", "head");
    if (what === "people" || what === "entry") this._soon("side");
    this._drawTyping();
    if (what === "entry" || what === "joined" || what === "reset") this._soon("seen");
  }

  /**
   * @param {string} room
   * @param {Entry} entry
   * @param {Message | undefined} message
   */
  _entered(room, entry, message) {
    const { body, user } = entry;
    const me = this.client.user;
    const log = this.client.rooms.get(room);
    if (body.e === "posted" && user !== me && message) {
      if (room === this.current) {
        this.messages.missed();
        const announcer = byId("announcer");
        announcer.append(h("p", { text: `${this.nameOf(user)}: ${message.text}` }));
        while (announcer.childElementCount > 20) announcer.firstElementChild?.remove();
      }
    } else if (body.user === me && user !== me && log) {
      const title = this.titleOf(log);
      if (body.e === "role") toast(`You are ${body.role} in ${title} now.`);
      else if (body.e === "muted") toast(body.until ? `You are muted in ${title} until ${clock(body.until)}.` : `You may write in ${title} again.`);
    }
  }

  /**
   * @param {string} room
   * @param {string} why
   */
  _removed(room, why) {
    const said = { deleted: "This room was deleted.", kicked: "You were removed from a room.", banned: "You were banned from a room.", forbidden: "You may not see a room any more." }[why];
    if (said) toast(said);
    this._soon("rooms");
    this.rooms.discover();
    if (room !== this.current) return;
    this.current = this.client.viewed = "";
    this._openFirst();
  }

  // -- drawing ------------------------------------------------------------------------------------------------------

  /** @param {...string} parts to draw anew, once before the next picture */
  _soon(...parts) {
    for (const part of parts) this._stale.add(part);
    if (this._drawing) return;
    const draw = () => {
      const stale = this._stale;
      this._stale = new Set();
      this._drawing = 0;
      if (stale.has("head")) this._drawHead();
      if (stale.has("messages")) this.messages.draw();
      if (stale.has("composer")) this.composer.draw();
      if (stale.has("side")) this.side.draw();
      if (stale.has("seen")) this.seen();
      if (stale.has("rooms")) this.rooms.draw();
    };
    // A page that is not in sight gets no frames, but its title still counts.
    this._drawing = document.hidden ? window.setTimeout(draw, 100) : requestAnimationFrame(draw);
  }

  _drawMe() {
    byId("me").replaceChildren(avatar(this.client.user, this.client.name), h("span", { text: this.client.name }));
    byId("me").setAttribute("aria-label", `${this.client.name}: your menu`);
  }

  _drawHead() {
    const { log } = this;
    if (!log?.info) return;
    byId("room-name").textContent = this.titleOf(log);
    const { kind, topic, with_user } = log.info;
    const people = counted(log.info.members ?? 0, "member");
    byId("room-topic").textContent = kind === "direct" && with_user ? (log.present.has(with_user) ? "Here now" : "Away") : topic || people;
    byId("count").textContent = kind === "direct" ? "" : String(log.count || "");
    byId("open-members").setAttribute("aria-label", kind === "direct" ? "Members" : `Members, ${log.count} here now`);
  }

  _drawTyping() {
    const line = byId("typing");
    const text = this.log?.typing.length ? this.typists(this.log) : "";
    if (line.dataset.said === text) return;
    line.dataset.said = text;
    line.replaceChildren(...(text ? [h("span", { class: "dots", "aria-hidden": "true" }, h("i"), h("i"), h("i")), h("span", { text })] : []));
  }

  _drawNothing() {
    byId("room-name").textContent = "Chat";
    byId("room-topic").textContent = "";
    byId("messages").replaceChildren();
    const empty = byId("empty");
    empty.hidden = false;
    empty.replaceChildren(h("strong", { text: `Hello, ${this.client.name}` }),
      h("span", { text: "Enter one of the rooms at the side, or start something of your own." }),
      h("button", { type: "button", class: "button primary", text: "Start something", onclick: () => createDialog(this) }));
    this.composer.show();
  }

  /** Says how the connection is, in the sidebar and, where it matters, above the conversation. */
  drawState() {
    clearInterval(this._counting);
    const { state, why } = this.client;
    const status = byId("status");
    const banner = byId("banner");
    status.className = `status ${state}`;
    const again = () => h("button", { type: "button", class: "link", text: "Try now", onclick: () => this.client.connect() });
    const said = {
      idle: "Not connected", connecting: "Connecting…", online: "Connected", offline: "No network",
      waiting: "Reconnecting", stopped: "Disconnected",
    }[state];
    status.replaceChildren(said);
    banner.hidden = state === "online" || state === "idle" || (state === "connecting" && banner.hidden);
    banner.classList.toggle("bad", state === "stopped");
    if (state === "offline") banner.replaceChildren("You are offline. What you write is kept, and sent when the network is back.");
    else if (state === "stopped") banner.replaceChildren(`The connection ended: ${why}`, again());
    else if (state === "waiting") {
      const text = h("span");
      const count = () => {
        const seconds = Math.max(0, Math.ceil((this.client.retryAt - Date.now()) / 1000));
        text.textContent = seconds > 1 ? `The connection was lost. Next try in ${seconds} s; what you write is kept.` : "The connection was lost. Trying again; what you write is kept.";
      };
      count();
      this._counting = setInterval(count, 1000);
      banner.replaceChildren(text, again());
    } else if (state === "connecting") banner.replaceChildren("Connecting again…");
    this._soon("messages");
  }

  // -- the keyboard, the menu ---------------------------------------------------------------------------------------

  _shortcuts() {
    document.addEventListener("keydown", (event) => {
      if (byId("chat").hidden || byId("dialog", HTMLDialogElement).open) return;
      const command = event.ctrlKey || event.metaKey;
      const key = event.key.toLowerCase();
      if (command && !event.shiftKey && key === "k") {
        this._drawer(true);
        byId("filter").focus();
      } else if (command && event.shiftKey && key === "f") this.side.open("search");
      else if (event.altKey && !command && (key === "arrowup" || key === "arrowdown")) this._step(key === "arrowup" ? -1 : 1);
      else if (key === "?" && !(event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement)) keysDialog();
      else return;
      event.preventDefault();
    });
  }

  /** @param {number} step */
  _step(step) {
    const shown = /** @type {HTMLElement[]} */ ([...byId("rooms").querySelectorAll(".room-item")]).map((item) => item.dataset.room ?? "");
    const rooms = shown.filter((room) => this.client.rooms.has(room));
    const next = rooms[rooms.indexOf(this.current) + step];
    if (next) this.open(next);
  }

  /** @param {HTMLElement} anchor */
  _menu(anchor) {
    showMenu(anchor, [
      { text: `Copy your id (${this.client.user})`, icon: "people", run: () => { navigator.clipboard?.writeText(this.client.user).then(() => toast("Copied."), () => toast(this.client.user)); } },
      { text: "Keyboard", icon: "keys", run: keysDialog },
      { text: "Sign out", icon: "exit", run: () => sure("Sign out?", "This guest's name and rooms cannot be taken up again.", "Sign out", () => { this.identity.forget(); location.reload(); }) },
    ]);
  }
}

function start() {
  const identity = new Identity(new URL(PATH, document.baseURI).href);
  if (identity.person) {
    new Chat(identity).begin();
    return;
  }
  const form = byId("login-form", HTMLFormElement);
  const name = byId("name", HTMLInputElement);
  const enter = byId("enter", HTMLButtonElement);
  const error = byId("login-error");
  const { known } = identity;
  byId("login").hidden = false;
  if (known) {
    const again = byId("continue", HTMLButtonElement);
    again.hidden = byId("or").hidden = false;
    again.textContent = `Continue as ${known.name}`;
    enter.classList.remove("primary");
    again.addEventListener("click", () => { identity.take(known); new Chat(identity).begin(); });
    again.focus();
  } else name.focus();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    error.textContent = "";
    enter.disabled = true;
    try {
      await identity.guest(name.value.trim());
      new Chat(identity).begin();
    } catch (failure) {
      error.textContent = said(failure);
      name.focus();
    } finally {
      enter.disabled = false;
    }
  });
}

start();
