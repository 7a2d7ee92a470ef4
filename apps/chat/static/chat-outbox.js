// @ts-check
import { makeMid } from "./chat-protocol.js";

/** @import { Frame } from "./chat-protocol.js" */

/**
 * @typedef {object} Item Something the user did that the server has not acknowledged.
 * @property {string} mid
 * @property {string} room
 * @property {Frame} frame without its id
 * @property {number} at milliseconds
 * @property {number} turn its place among the others
 * @property {"waiting" | "sent" | "failed"} state
 * @property {string} [error] why it failed
 * @property {number} [tries]
 *
 * @typedef {object} Keeper where items outlive the page; `localStorage` fits.
 * @property {number} length
 * @property {(index: number) => string | null} key
 * @property {(key: string) => string | null} getItem
 * @property {(key: string, value: string) => void} setItem
 * @property {(key: string) => void} removeItem
 */

/**
 * What waits to be acknowledged, in the order it was done, room by room.
 *
 * Each item is kept under a key of its own: two windows of one user do not overwrite each other's. Both may send the
 * same item, which the server takes for one, by its mid.
 */
export class Outbox {
  /**
   * @param {Keeper | null} keeper
   * @param {string} owner the user, and whose server it is
   * @param {number} limit items, of which more are refused
   */
  constructor(keeper, owner, limit = 500) {
    this._keeper = keeper;
    this._prefix = `chat.outbox.${owner}.`;
    this._limit = limit;
    this._turn = 0;
    /** @type {Map<string, Item>} by mid */
    this.items = new Map();
    this._load();
  }

  _load() {
    const keeper = this._keeper;
    if (!keeper) return;
    /** @type {Item[]} */
    const found = [];
    for (let index = 0; index < keeper.length; index++) {
      const key = keeper.key(index);
      if (!key?.startsWith(this._prefix)) continue;
      try {
        const item = JSON.parse(keeper.getItem(key) ?? "");
        if (item?.mid && item.room && item.frame?.t) found.push(item);
      } catch {
        // Not ours, or cut off: it is left alone.
      }
    }
    found.sort((one, other) => one.at - other.at || one.turn - other.turn);
    for (const item of found.slice(0, this._limit)) {
      const state = item.state === "failed" ? "failed" : "waiting";
      this.items.set(item.mid, { ...item, state, turn: this._turn++ });
    }
  }

  /**
   * @param {string} room
   * @param {Frame} frame without id and mid
   * @param {number} at milliseconds
   * @returns {Item | null} null where too much waits already
   */
  add(room, frame, at) {
    if (this.items.size >= this._limit) return null;
    const mid = makeMid();
    /** @type {Item} */
    const item = { mid, room, frame: { ...frame, room, mid }, at, turn: this._turn++, state: "waiting" };
    this.items.set(mid, item);
    this._keep(item);
    return item;
  }

  /**
   * The item to send next in each room. Only one of a room is on its way at a time: what the server puts off
   * (`limit`) is not overtaken by what was written after it.
   *
   * @returns {Item[]}
   */
  due() {
    /** @type {Map<string, Item>} */
    const first = new Map();
    for (const item of this.items.values()) {
      if (item.state !== "failed" && !first.has(item.room)) first.set(item.room, item);
    }
    return [...first.values()].filter((item) => item.state === "waiting");
  }

  /**
   * @param {string} room
   * @returns {Item[]} in order
   */
  of(room) {
    return [...this.items.values()].filter((item) => item.room === room);
  }

  /** The connection went: whatever was on its way is to be sent again. */
  lost() {
    for (const item of this.items.values()) if (item.state === "sent") item.state = "waiting";
  }

  /**
   * @param {string} mid
   * @param {string} error
   */
  fail(mid, error) {
    const item = this.items.get(mid);
    if (!item) return;
    item.state = "failed";
    item.error = error;
    this._keep(item);
  }

  /**
   * Done, or given up.
   *
   * @param {string} mid
   * @returns {Item | undefined}
   */
  drop(mid) {
    const item = this.items.get(mid);
    this.items.delete(mid);
    if (item) this._keeper?.removeItem(this._prefix + mid);
    return item;
  }

  /**
   * A failed one is to be tried again, behind the others.
   *
   * @param {string} mid
   */
  retry(mid) {
    const item = this.items.get(mid);
    if (item?.state !== "failed") return;
    this.items.delete(mid);
    item.state = "waiting";
    item.turn = this._turn++;
    item.tries = 0;
    delete item.error;
    this.items.set(mid, item);
    this._keep(item);
  }

  /** @param {Item} item */
  _keep(item) {
    try {
      this._keeper?.setItem(this._prefix + item.mid, JSON.stringify(item));
    } catch {
      // No room left, or not allowed: it lives as long as the page.
    }
  }
}
