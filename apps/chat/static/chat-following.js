// @ts-check
import { ChatError, jitter } from "./chat-protocol.js";
import { RoomLog } from "./chat-log.js";
import { Session } from "./chat-session.js";

/** @import { Entry, Frame, Member, Room } from "./chat-protocol.js" */
/** @import { Options } from "./chat-session.js" */

/**
 * Following rooms: each one's log is kept whole, whatever the connection does. What becomes of acknowledged things and
 * of read markers is for the class that extends it.
 */
export class Following extends Session {
  /** @param {Options} options */
  constructor(options) {
    super(options);
    this.user = "";
    this.name = "";
    this.maxText = 4000;
    /** @type {Map<string, RoomLog>} the rooms that are followed */
    this.rooms = new Map();
    /** @type {Map<string, string>} names by user id */
    this.names = new Map();
    /** The room that somebody looks at. */
    this.viewed = "";
    /** @type {Map<string, Promise<void>>} joins on their way */
    this._joining = new Map();
  }

  /**
   * Something this user made has come back in the log.
   *
   * @param {string} _mid
   * @param {string} _room
   */
  _settle(_mid, _room) {}

  /** @param {string} _room whose read marker the server does not have yet */
  _markSoon(_room) {}

  /** @param {Frame} welcome */
  async _welcomed(welcome) {
    if (this.user && this.user !== welcome.user) this._forget();
    this.user = welcome.user;
    this.name = welcome.name;
    this.names.set(welcome.user, welcome.name);
    this.maxText = welcome.max_text ?? 4000;
    this._enter("online", "");
    this._tell("welcome", welcome);
    // What is looked at first; all of these have a position to resume from.
    const known = [...this.rooms.keys()].sort((one) => (one === this.viewed ? -1 : 0));
    for (const room of known) this._follow(room).catch(() => undefined);
    await this.refreshRooms().catch(() => undefined);
  }

  /** Another user than before: nothing of the first one's stays. */
  _forget() {
    this.rooms.clear();
    this.names.clear();
  }

  _lost() {
    this._joining.clear();
    for (const log of this.rooms.values()) {
      if (!log.typing.length) continue;
      log.typing = [];
      this._changed(log, "typing");
    }
  }

  // -- what the server says -----------------------------------------------------------------------------------------

  /** @param {Frame} frame */
  _pushed(frame) {
    const log = this.rooms.get(frame.room);
    switch (frame.t) {
      case "events":
        if (log) this._take(log, frame.entries);
        break;
      case "presence":
        if (log) this._present(log, frame);
        break;
      case "typing":
        if (log) {
          log.typing = frame.users.filter((/** @type {string} */ user) => user !== this.user);
          this._changed(log, "typing");
        }
        break;
      case "resync":
        if (log) this._follow(log.room).catch(() => undefined);
        break;
      case "added":
        if (!log) this._follow(frame.room).then(() => this._tell("rooms", null), () => undefined);
        break;
      case "removed":
        this._removed(frame.room, frame.why);
        break;
      case "expiring":
        this._refresh();
        break;
      case "draining":
        this._within = frame.within * 1000;
        break;
      case "notice":
        this._tell("notice", { text: frame.text });
        break;
      default: // A later server's: what is not known is not needed.
    }
  }

  /**
   * @param {RoomLog} log
   * @param {Entry[]} entries
   */
  _take(log, entries) {
    let applied = 0;
    for (const entry of entries) {
      const outcome = log.apply(entry, this.user);
      if (outcome === "gap") {
        // Whatever comes until the join is answered is in its answer.
        this._follow(log.room).catch(() => undefined);
        break;
      }
      if (outcome === "double") continue;
      applied++;
      if (entry.user === this.user) this._settle(entry.mid, log.room);
      const target = entry.body.e === "posted" ? entry.offset : (entry.body.target ?? 0);
      this._tell("entry", { room: log.room, entry, message: log.messages.get(target) });
    }
    if (!applied) return;
    if (log.room !== this.viewed && log.messages.size > 2 * this._options.maxMessages) {
      log.trim(this._options.maxMessages);
    }
    this._changed(log, "entry");
  }

  /**
   * @param {RoomLog} log
   * @param {Frame} frame
   */
  _present(log, frame) {
    for (const user of frame.joined ?? []) log.present.add(user);
    for (const user of frame.left ?? []) log.present.delete(user);
    log.count = frame.count;
    for (const [user, member] of log.members) {
      const online = log.present.has(user);
      if (Boolean(member.online) !== online) log.members.set(user, { ...member, online });
    }
    log.version++;
    this._changed(log, "people");
  }

  /**
   * @param {string} room
   * @param {string} why
   */
  _removed(room, why) {
    if (!this.rooms.delete(room)) return;
    this._tell("removed", { room, why });
    this._tell("rooms", null);
  }

  async _refresh() {
    const connection = this._connection;
    try {
      const token = await this._options.token(true);
      if (connection === this._connection) await connection?.request({ t: "auth", token });
    } catch {
      // The server closes with 4401 in time, and then it is tried again.
    }
  }

  // -- rooms --------------------------------------------------------------------------------------------------------

  /** Asks for the user's rooms, and follows them. */
  async refreshRooms() {
    const { rooms } = await this.request({ t: "rooms", limit: Math.min(200, this._options.maxFollowed) });
    /** @type {Promise<unknown>[]} */
    const joins = [];
    for (const info of /** @type {Room[]} */ (rooms)) {
      if (!this.rooms.has(info.room)) {
        const log = this._log(info.room);
        log.tell(info, this.user);
        joins.push(this._follow(info.room).catch(() => undefined));
      }
    }
    this._tell("rooms", null);
    await Promise.all(joins);
    this._tell("listed", null);
  }

  /**
   * Enters a room and follows it.
   *
   * @param {string} room
   * @returns {Promise<RoomLog>}
   */
  async join(room) {
    const known = this.rooms.has(room);
    try {
      await this._follow(room);
    } catch (error) {
      if (!known) this.rooms.delete(room);
      throw error;
    }
    this._tell("rooms", null);
    return this._log(room);
  }

  /**
   * Makes a room, or opens the direct one with `user`.
   *
   * @param {{kind: string, room?: string, name?: string, topic?: string, user?: string}} wanted
   * @returns {Promise<RoomLog>}
   */
  async create(wanted) {
    const reply = await this.request({ t: "create", ...wanted }, (joined) => this._joined(this._log(joined.room.room), joined));
    this._tell("rooms", null);
    return this._log(reply.room.room);
  }

  /**
   * Is its member no more.
   *
   * @param {string} room
   */
  async quit(room) {
    await this.act("quit", room, {});
    this._removed(room, "quit");
  }

  /**
   * Requests that change a room or its people: `quit` `invite` `kick` `ban` `mute` `role` `room`.
   *
   * @param {string} type
   * @param {string} room
   * @param {Record<string, unknown>} fields
   */
  act(type, room, fields) {
    return this.request({ t: type, room, mid: crypto.randomUUID(), ...fields });
  }

  /** @param {string} room */
  _log(room) {
    let log = this.rooms.get(room);
    if (!log) {
      log = new RoomLog(room);
      this.rooms.set(room, log);
    }
    return log;
  }

  /**
   * Joins from the position there is; one at a time for each room.
   *
   * @param {string} room
   * @returns {Promise<void>}
   */
  _follow(room) {
    const under = this._joining.get(room);
    if (under) return under;
    const join = this._join(room).finally(() => {
      if (this._joining.get(room) === join) this._joining.delete(room);
    });
    this._joining.set(room, join);
    return join;
  }

  /** @param {string} room */
  async _join(room) {
    const connection = this._connection;
    const log = this._log(room);
    for (let attempt = 0; ; attempt++) {
      try {
        const resume = log.epoch ? { epoch: log.epoch, offset: log.offset } : {};
        await this.request({ t: "join", room, ...resume }, (joined) => this._joined(log, joined));
        return;
      } catch (error) {
        if (!(error instanceof ChatError) || error.code === "closed" || connection !== this._connection) throw error;
        if (["no_room", "forbidden", "banned"].includes(error.code)) {
          if (log.epoch) this._removed(room, error.code === "no_room" ? "deleted" : error.code);
          throw error;
        }
        if (!error.passing || attempt > 8) throw error;
        const pause = (error.retryAfter ?? 0) * 1000 + jitter(attempt, 500, 10_000, this._options.random);
        await new Promise((resolve) => setTimeout(resolve, pause));
        if (connection !== this._connection) throw error;
      }
    }
  }

  /**
   * @param {RoomLog} log
   * @param {Frame} joined
   */
  _joined(log, joined) {
    const resumed = joined.complete && log.epoch === joined.room.epoch;
    if (resumed) this._take(log, joined.entries ?? []);
    if (!resumed || log.offset < joined.room.offset) {
      log.reset(joined.room, joined.messages ?? [], this.user);
      for (const message of log.messages.values()) {
        if (message.user === this.user) this._settle(message.mid, log.room);
      }
    } else {
      log.tell({ ...joined.room, offset: log.offset }, this.user);
    }
    log.present = new Set(joined.present ?? []);
    log.count = joined.count ?? 0;
    if (log.read > (joined.room.read ?? 0)) this._markSoon(log.room);
    this._changed(log, resumed ? "joined" : "reset");
  }

  /**
   * All members by name, at most `limit`; their names are known from then on.
   *
   * @param {string} room
   * @param {number} [limit]
   */
  async loadMembers(room, limit = 1000) {
    const log = this._log(room);
    /** @type {Map<string, Member>} */
    const members = new Map();
    for (let after = ""; ; ) {
      const page = await this.request({ t: "members", room, after, limit: 200 });
      for (const member of /** @type {Member[]} */ (page.members)) {
        members.set(member.user, member);
        this.names.set(member.user, member.name || member.user);
        after = member.user;
      }
      if (!page.more || !page.members.length || members.size >= limit) break;
    }
    log.members = members;
    this._changed(log, "people");
  }

  /**
   * The messages before those that are here.
   *
   * @param {string} room
   * @param {number} [limit]
   * @returns {Promise<boolean>} whether there are more
   */
  async loadOlder(room, limit = 50) {
    const log = this._log(room);
    if (!log.more || !log.oldest) return false;
    const { epoch } = log;
    log.paging++;
    try {
      const page = await this.request({ t: "history", room, before: log.oldest, limit });
      if (log.epoch === epoch) log.prepend(page.messages, page.asof, Boolean(page.more));
    } finally {
      log.paged();
    }
    this._changed(log, "history");
    return log.more;
  }

  /**
   * @param {string} text
   * @param {{room?: string, before?: number, limit?: number}} [within]
   */
  search(text, within = {}) {
    return this.request({ t: "search", text, ...within });
  }

  /**
   * @param {RoomLog} log
   * @param {string} what
   */
  _changed(log, what) {
    this._tell("room", { room: log.room, log, what });
  }
}
