// @ts-check
/**
 * The words of the chat's protocol, version 1, as its JSON has them, and the decisions that need nothing else.
 * See the package `framework.plugins.chat.protocol` for what each frame means.
 *
 * @typedef {"reader" | "member" | "moderator" | "owner"} Role
 * @typedef {"public" | "private" | "direct"} RoomKind
 *
 * @typedef {object} Message A message as it is after all that happened to it up to offset `changed`.
 * @property {number} offset
 * @property {number} changed
 * @property {number} at milliseconds
 * @property {string} user
 * @property {string} mid
 * @property {string} text
 * @property {number} [reply_to]
 * @property {number} [edited]
 * @property {boolean} [deleted]
 * @property {Record<string, string[]>} [reactions]
 *
 * @typedef {object} Body What was done. `e`: posted edited deleted reacted read entered quit role muted banned room.
 * @property {string} e
 * @property {string} [text]
 * @property {number} [reply_to]
 * @property {number} [target]
 * @property {string} [emoji]
 * @property {boolean} [on]
 * @property {number} [offset]
 * @property {string} [user]
 * @property {Role} [role]
 * @property {number} [until]
 * @property {string} [name]
 * @property {string} [topic]
 *
 * @typedef {{offset: number, at: number, user: string, mid: string, body: Body}} Entry
 *
 * @typedef {object} Room A room as one user sees it.
 * @property {string} room
 * @property {RoomKind} kind
 * @property {string} name
 * @property {string} epoch
 * @property {number} offset
 * @property {string} [topic]
 * @property {number} [first]
 * @property {number} [members]
 * @property {Role | null} [role]
 * @property {number} [read]
 * @property {number} [unread]
 * @property {Message | null} [last]
 * @property {string | null} [with_user]
 * @property {number} [muted_until]
 *
 * @typedef {{user: string, name: string, role: Role, online?: boolean, read?: number}} Member
 *
 * @typedef {Record<string, any> & {t: string, id?: number | null}} Frame
 */

export const SUBPROTOCOL = "chat.v1.json";

/** Close codes of this protocol, besides RFC 6455's own. */
export const CLOSE = Object.freeze({
  PROTOCOL: 4400, TOKEN: 4401, FORBIDDEN: 4403, FLOOD: 4429, REPLACED: 4500, SLOW: 4508,
});

const RETRIED = new Set([1001, 1006, 1012, 1013]);
const PASSING = new Set(["limit", "unavailable", "internal", "closed", "timeout", "token", "unauthenticated"]);
const FLOOD_PAUSE = 60_000;

/** Why a request was not done: the server's code, or `closed` (the connection went) or `timeout`. */
export class ChatError extends Error {
  /**
   * @param {string} code
   * @param {string} text
   * @param {number | null} [retryAfter] seconds
   */
  constructor(code, text, retryAfter = null) {
    super(text);
    this.name = "ChatError";
    this.code = code;
    this.retryAfter = retryAfter;
  }

  /** Whether the same request may do later. */
  get passing() {
    return PASSING.has(this.code);
  }
}

/**
 * What a close means for the client.
 *
 * @param {number} code
 * @returns {{again: boolean, fresh: boolean, pause: number}} whether to connect again, whether that needs a new token,
 *   and the shortest wait in milliseconds.
 */
export function afterClose(code) {
  if (code === CLOSE.TOKEN) return { again: true, fresh: true, pause: 0 };
  if (code === CLOSE.FLOOD) return { again: true, fresh: false, pause: FLOOD_PAUSE };
  return { again: RETRIED.has(code) || code >= 4500, fresh: false, pause: 0 };
}

/**
 * Full jitter: anything between nothing and the exponential bound, so that a thousand clients do not come at once.
 *
 * @param {number} attempt from 0
 * @param {number} base milliseconds
 * @param {number} cap milliseconds
 * @param {() => number} random
 */
export function jitter(attempt, base, cap, random) {
  return random() * Math.min(cap, base * 2 ** Math.min(attempt, 30));
}

/** An id for something the client makes: 22 characters, 128 random bits. */
export function makeMid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/**
 * The WebSocket URL of a path that is relative to a page, however deep a gateway has put it.
 *
 * @param {string} path
 * @param {string} base such as `document.baseURI`
 */
export function socketURL(path, base) {
  const url = new URL(path, base);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}
