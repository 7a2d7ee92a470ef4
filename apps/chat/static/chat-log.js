// @ts-check
/** @import { Entry, Member, Message, Room } from "./chat-protocol.js" */

/**
 * What a client has of one room: a position, and the messages of an unbroken stretch of the log that ends there.
 * Nothing in here waits or sends.
 */
export class RoomLog {
  /** @param {string} room */
  constructor(room) {
    this.room = room;
    /** @type {Room | null} as the server told it last, kept current by the entries since. */
    this.info = null;
    this.epoch = "";
    /** Offset of the last entry that is in here. */
    this.offset = 0;
    /** @type {Map<number, Message>} by rising offset. */
    this.messages = new Map();
    /** Whether there are messages before the first of these. */
    this.more = true;
    this.read = 0;
    this.unread = 0;
    /** @type {Set<string>} */
    this.present = new Set();
    this.count = 0;
    /** @type {string[]} */
    this.typing = [];
    /** @type {Map<string, Member>} of those that were asked for. */
    this.members = new Map();
    /** Pages of history that are on their way. */
    this.paging = 0;
    /** @type {Entry[]} changes of messages that are not here but may be in such a page, which is older. */
    this._early = [];
    /** Raised by every change, for those who draw. */
    this.version = 0;
  }

  /** @returns {number} offset of the first message here; 0 without any. */
  get oldest() {
    for (const offset of this.messages.keys()) return offset;
    return 0;
  }

  /**
   * Begins anew with the latest messages.
   *
   * @param {Room} room
   * @param {Message[]} messages by rising offset
   * @param {string} me
   */
  reset(room, messages, me) {
    this.epoch = room.epoch;
    this.offset = room.offset;
    this.messages = new Map(messages.map((message) => [message.offset, message]));
    this.more = messages.length > 0 && messages[0].offset > (room.first ?? 1);
    this._early = [];
    this.read = 0;
    this.tell(room, me);
  }

  /**
   * What the server says of the room as it is at this position. A read marker of ours that it does not know stays.
   *
   * @param {Room} room
   * @param {string} me
   */
  tell(room, me) {
    const theirs = room.read ?? 0;
    this.info = room;
    this.unread = room.unread ?? 0;
    if (this.read > theirs) this._count(me);
    else this.read = theirs;
    this.version++;
  }

  /**
   * Takes the next entry.
   *
   * @param {Entry} entry
   * @param {string} me the user of this client
   * @returns {"applied" | "double" | "gap"}
   */
  apply(entry, me) {
    if (entry.offset <= this.offset) return "double";
    if (entry.offset !== this.offset + 1) return "gap";
    this.offset = entry.offset;
    this.version++;
    if (this.info) this.info = { ...this.info, offset: entry.offset };
    const body = entry.body;
    switch (body.e) {
      case "posted":
        this._post(entry, me);
        break;
      case "edited":
      case "deleted":
      case "reacted": {
        const message = this.messages.get(body.target ?? 0);
        if (message) this._change(message, entry, me);
        else if (this.paging) this._early.push(entry);
        break;
      }
      case "read":
        this._readBy(entry.user, body.offset ?? 0, me);
        break;
      case "room":
        if (this.info) this.info = { ...this.info, name: body.name ?? "", topic: body.topic ?? "" };
        break;
      default:
        this._people(entry, me);
    }
    return "applied";
  }

  /**
   * Puts older messages before those that are here.
   *
   * @param {Message[]} messages by rising offset
   * @param {number} asof offset up to which all changes are in them
   * @param {boolean} more
   */
  prepend(messages, asof, more) {
    const older = new Map();
    for (let message of messages) {
      if (this.messages.has(message.offset)) continue;
      for (const entry of this._early) {
        if (entry.offset > asof && entry.body.target === message.offset) message = changed(message, entry);
      }
      older.set(message.offset, message);
    }
    if (older.size) {
      const sorted = [...older, ...this.messages].sort((one, other) => one[0] - other[0]);
      this.messages = new Map(sorted);
    }
    this.more = more;
    this.version++;
  }

  /** A page came or will not: what was kept for it goes with the last one. */
  paged() {
    this.paging--;
    if (!this.paging) this._early = [];
  }

  /**
   * Forgets the oldest messages; they can be asked for again.
   *
   * @param {number} keep
   */
  trim(keep) {
    let surplus = this.messages.size - keep;
    if (surplus <= 0) return;
    for (const offset of this.messages.keys()) {
      if (surplus-- <= 0) break;
      this.messages.delete(offset);
    }
    this.more = true;
    this.version++;
  }

  /**
   * This user has read up to `offset`.
   *
   * @param {number} offset
   * @param {string} me
   * @returns {boolean} whether that is news
   */
  markRead(offset, me) {
    if (offset <= this.read) return false;
    this.read = offset;
    this._count(me);
    this.version++;
    return true;
  }

  /**
   * @param {Message} message
   * @param {Entry} entry
   * @param {string} me
   */
  _change(message, entry, me) {
    const after = changed(message, entry);
    this.messages.set(message.offset, after);
    if (this.info?.last?.offset === message.offset) this.info = { ...this.info, last: after };
    const unread = message.user !== me && message.offset > this.read && !message.deleted;
    if (unread && after.deleted) this.unread = Math.max(0, this.unread - 1);
  }

  /** @param {string} me */
  _count(me) {
    let unread = 0;
    for (const message of this.messages.values()) {
      if (message.offset > this.read && message.user !== me && !message.deleted) unread++;
    }
    this.unread = Math.min(this.unread, unread);
  }

  /**
   * @param {Entry} entry
   * @param {string} me
   */
  _post(entry, me) {
    const { text = "", reply_to } = entry.body;
    const { offset, at, user, mid } = entry;
    const message = { offset, changed: offset, at, user, mid, text, reply_to, edited: 0, deleted: false, reactions: {} };
    this.messages.set(offset, message);
    if (this.info) this.info = { ...this.info, last: message };
    if (user !== me) this.unread++;
    else if (this.read === offset - 1) this.read = offset;
    this.typing = this.typing.filter((typist) => typist !== user);
  }

  /**
   * @param {string} user
   * @param {number} offset
   * @param {string} me
   */
  _readBy(user, offset, me) {
    if (user === me) this.markRead(offset, me);
    const member = this.members.get(user);
    if (member) this.members.set(user, { ...member, read: Math.max(member.read ?? 0, offset) });
  }

  /**
   * @param {Entry} entry
   * @param {string} me
   */
  _people({ body }, me) {
    const user = body.user ?? "";
    const member = this.members.get(user);
    const count = this.info?.members ?? 0;
    if (body.e === "entered") {
      if (!member) this.members.set(user, { user, name: user, role: body.role ?? "member", online: this.present.has(user) });
      if (this.info) this.info = { ...this.info, members: count + 1 };
    } else if (body.e === "quit" || (body.e === "banned" && body.until)) {
      this.members.delete(user);
      if (this.info && body.e === "quit") this.info = { ...this.info, members: Math.max(0, count - 1) };
    } else if (body.e === "role" && body.role) {
      if (member) this.members.set(user, { ...member, role: body.role });
      if (user === me && this.info) this.info = { ...this.info, role: body.role };
    } else if (body.e === "muted" && user === me && this.info) {
      this.info = { ...this.info, muted_until: body.until ?? 0 };
    }
  }
}

/**
 * A message after an edit, a deletion or a reaction; the same where that is in it already.
 *
 * @param {Message} message
 * @param {Entry} entry
 * @returns {Message}
 */
export function changed(message, entry) {
  if (entry.offset <= message.changed) return message;
  const { body, user, at, offset } = entry;
  if (body.e === "edited") return { ...message, changed: offset, text: body.text ?? "", edited: at };
  if (body.e === "deleted") return { ...message, changed: offset, text: "", deleted: true, reactions: {} };
  const emoji = body.emoji ?? "";
  const before = message.reactions?.[emoji] ?? [];
  const others = before.filter((each) => each !== user);
  const users = (body.on ?? true) ? (others.length < before.length ? before : [...before, user]) : others;
  const reactions = { ...message.reactions, [emoji]: users };
  if (!users.length) delete reactions[emoji];
  return { ...message, changed: offset, reactions };
}
