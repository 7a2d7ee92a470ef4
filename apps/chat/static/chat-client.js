// @ts-check
import { ChatError, jitter } from "./chat-protocol.js";
import { Outbox } from "./chat-outbox.js";
import { Following } from "./chat-following.js";

/** @import { Connection } from "./chat-connection.js" */
/** @import { Options } from "./chat-session.js" */

export { ChatError, socketURL } from "./chat-protocol.js";

/** @import { Frame } from "./chat-protocol.js" */
/** @import { Item, Keeper } from "./chat-outbox.js" */

/**
 * A chat's client: connects, stays connected, and keeps what it knows of each room whole.
 *
 * Events, each a CustomEvent with the detail named: `state` (`{state, why, retryAt}`), `welcome` (the frame), `rooms`
 * (null: the list changed), `listed` (null: all of the user's rooms are here), `room` (`{room, log, what}`: something of a room changed; `what` is `joined` `reset`
 * `entry` `history` `people` `typing` `outbox` `read`), `entry` (`{room, entry, message}`: one that is new), `removed`
 * (`{room, why}`), `notice` (`{text}`), `failed` (`{room, item}`: something was refused for good).
 *
 * `state` is `idle` (nobody asked), `connecting`, `online`, `waiting` (for the next try, at `retryAt`), `offline` (no
 * network; the next try is when there is one) or `stopped` (only `connect()` begins anew).
 */
export class ChatClient extends Following {
  /** @param {Options} options */
  constructor(options) {
    super(options);
    /** @type {Outbox | null} from the first welcome on */
    this.outbox = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this._flushing = undefined;
    /** @type {Map<string, {on: boolean, at: number, timer: ReturnType<typeof setTimeout> | undefined}>} */
    this._typing = new Map();
    /** @type {Map<string, ReturnType<typeof setTimeout>>} */
    this._marking = new Map();
  }

  /** @param {Frame} welcome */
  async _welcomed(welcome) {
    const storage = this._options.storage === undefined ? storageOfPage() : this._options.storage;
    if (this.user !== welcome.user || !this.outbox) this.outbox = new Outbox(storage, welcome.user);
    const welcomed = super._welcomed(welcome);
    this._flush();
    await welcomed;
  }

  _lost() {
    super._lost();
    this.outbox?.lost();
    clearTimeout(this._flushing);
    this._flushing = undefined;
    for (const typing of this._typing.values()) clearTimeout(typing.timer);
    this._typing.clear();
  }

  // -- what the user does -------------------------------------------------------------------------------------------

  /**
   * Sends it, now or as soon as that can be; it is in the outbox until it was acknowledged.
   *
   * @param {string} room
   * @param {string} text
   * @param {number} [replyTo]
   */
  post(room, text, replyTo) {
    this._stopTyping(room);
    return this._put(room, replyTo ? { t: "post", text, reply_to: replyTo } : { t: "post", text });
  }

  /**
   * @param {string} room
   * @param {number} target
   * @param {string} text
   */
  edit(room, target, text) {
    this._stopTyping(room);
    return this._put(room, { t: "edit", target, text });
  }

  /**
   * @param {string} room
   * @param {number} target
   */
  delete(room, target) {
    return this._put(room, { t: "delete", target });
  }

  /**
   * @param {string} room
   * @param {number} target
   * @param {string} emoji
   * @param {boolean} on
   */
  react(room, target, emoji, on) {
    return this._put(room, { t: "react", target, emoji, on });
  }

  /**
   * Tries something that failed again.
   *
   * @param {string} mid
   */
  resend(mid) {
    this.outbox?.retry(mid);
    const item = this.outbox?.items.get(mid);
    if (item) this._told(item.room);
    this._flush();
  }

  /**
   * Gives something up that was not acknowledged.
   *
   * @param {string} mid
   */
  discard(mid) {
    const item = this.outbox?.drop(mid);
    if (item) this._told(item.room);
    this._flush();
  }

  /**
   * Everything up to there was read; told to the server a moment later.
   *
   * @param {string} room
   * @param {number} offset
   */
  read(room, offset) {
    const log = this.rooms.get(room);
    if (!log?.markRead(offset, this.user)) return;
    this._changed(log, "read");
    this._markSoon(room);
  }

  /** @param {string} room */
  _markSoon(room) {
    if (this._marking.has(room)) return;
    const timer = setTimeout(() => {
      this._marking.delete(room);
      const log = this.rooms.get(room);
      if (!log || this.state !== "online") return;
      this.request({ t: "read", room, offset: log.read }).catch(() => undefined);
    }, 400);
    this._marking.set(room, timer);
  }

  /**
   * The user typed something in a room, or took it all back. Call it for every key.
   *
   * @param {string} room
   * @param {boolean} [on]
   */
  typing(room, on = true) {
    if (!on) {
      this._stopTyping(room);
      return;
    }
    if (this.state !== "online") return;
    const typing = this._typing.get(room) ?? { on: false, at: 0, timer: undefined };
    this._typing.set(room, typing);
    if (!typing.on || Date.now() - typing.at > 3_000) {
      typing.on = true;
      typing.at = Date.now();
      this._connection?.send({ t: "typing", room, on: true });
    }
    clearTimeout(typing.timer);
    typing.timer = setTimeout(() => this._stopTyping(room), 5_000);
  }

  /** @param {string} room */
  _stopTyping(room) {
    const typing = this._typing.get(room);
    if (!typing) return;
    clearTimeout(typing.timer);
    this._typing.delete(room);
    if (this.state === "online") this._connection?.send({ t: "typing", room, on: false });
  }

  // -- the outbox ---------------------------------------------------------------------------------------------------

  /**
   * @param {string} room
   * @param {Frame} frame
   * @returns {Item}
   */
  _put(room, frame) {
    if (!this.outbox) throw new ChatError("unauthenticated", "nobody has ever been connected");
    const item = this.outbox.add(room, frame, Date.now());
    if (!item) throw new ChatError("limit", "too much waits to be sent already");
    this._told(room);
    this._flush();
    return item;
  }

  _flush() {
    const connection = this._connection;
    if (!this.outbox || !connection || this.state !== "online" || this._flushing) return;
    for (const item of this.outbox.due()) {
      item.state = "sent";
      connection.request(item.frame).then(
        () => this._settle(item.mid, item.room),
        (error) => this._refused(connection, item, error),
      );
    }
  }

  /**
   * @param {string} mid
   * @param {string} room
   */
  _settle(mid, room) {
    if (!this.outbox?.drop(mid)) return;
    this._told(room);
    this._flush();
  }

  /**
   * @param {Connection} connection
   * @param {Item} item
   * @param {ChatError} error
   */
  _refused(connection, item, error) {
    if (connection !== this._connection || !this.outbox?.items.has(item.mid)) return;
    item.tries = (item.tries ?? 0) + 1;
    if (!error.passing || (error.code === "internal" && item.tries > 3)) {
      this.outbox.fail(item.mid, error.message);
      this._tell("failed", { room: item.room, item });
      this._told(item.room);
      this._flush();
      return;
    }
    item.state = "waiting";
    const pause = error.retryAfter === null ? jitter(item.tries, 500, 10_000, this._options.random) : error.retryAfter * 1000;
    clearTimeout(this._flushing);
    this._flushing = setTimeout(() => {
      this._flushing = undefined;
      this._flush();
    }, pause);
  }

  /** @param {string} room */
  _told(room) {
    const log = this.rooms.get(room);
    if (log) this._changed(log, "outbox");
  }
}

/** @returns {Keeper | null} */
function storageOfPage() {
  try {
    return globalThis.localStorage ?? null;
  } catch {
    return null; // The user does not allow it.
  }
}
