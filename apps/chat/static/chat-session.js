// @ts-check
import { ChatError, SUBPROTOCOL, afterClose, jitter } from "./chat-protocol.js";
import { Connection } from "./chat-connection.js";

/** @import { Frame } from "./chat-protocol.js" */
/** @import { Keeper } from "./chat-outbox.js" */

/**
 * @typedef {object} Options
 * @property {string} url of the WebSocket
 * @property {(fresh: boolean) => Promise<string>} token the user's token; `fresh`: the last one was refused or expires.
 *   What it throws is tried again later, unless the error has a true `fatal`.
 * @property {Keeper | null} [storage] where the outbox outlives the page; `localStorage` unless it is null
 * @property {number} [maxFollowed] rooms of the user that are followed all the time
 * @property {number} [maxMessages] of a room that is not looked at
 * @property {typeof WebSocket} [WebSocket]
 * @property {() => number} [random]
 * @property {number} [backoffBase] milliseconds
 * @property {number} [backoffCap] milliseconds
 * @property {number} [replyTimeout] milliseconds
 */

/** @typedef {"idle" | "connecting" | "online" | "waiting" | "offline" | "stopped"} State */

/**
 * Staying connected: when to try, with which token, how long to wait. What is said over the connection is for the
 * class that extends it: `welcomed`, `pushed` and `lost` are its own to fill in.
 */
export class Session extends EventTarget {
  /** @param {Options} options */
  constructor(options) {
    super();
    this._options = {
      maxFollowed: 100, maxMessages: 400, random: Math.random,
      backoffBase: 500, backoffCap: 30_000, replyTimeout: 20_000, ...options,
    };
    /** @type {State} */
    this.state = "idle";
    this.why = "";
    this.retryAt = 0;
    /** @type {Connection | null} */
    this._connection = null;
    this._attempt = 0;
    this._within = 0;
    this._refusals = 0;
    this._welcomedAt = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this._retry = undefined;
    this._online = () => this._networkCame();
    this._offline = () => this._networkWent();
    globalThis.addEventListener?.("online", this._online);
    globalThis.addEventListener?.("offline", this._offline);
  }

  /** @param {Frame} _welcome */
  async _welcomed(_welcome) {}

  /** @param {Frame} _frame */
  _pushed(_frame) {}

  /** What came by the connection is gone with it. */
  _lost() {}

  // -- the connection -----------------------------------------------------------------------------------------------

  /** Connects, at once; does nothing where that is so or being done. */
  connect() {
    if (this.state === "online" || this.state === "connecting") return;
    clearTimeout(this._retry);
    if (globalThis.navigator?.onLine === false) {
      this._enter("offline", "there is no network");
      return;
    }
    this._enter("connecting", "");
    const fresh = this._refusals > 0;
    Promise.resolve().then(() => this._options.token(fresh)).then(
      (token) => this._open(token),
      (error) => {
        if (this.state !== "connecting") return;
        if (error?.fatal) this._enter("stopped", error.message);
        else this._again(error?.message ?? "no token", 0);
      },
    );
  }

  /** Ends it for good: nothing is sent or heard any more until `connect()`. */
  disconnect() {
    clearTimeout(this._retry);
    this._drop(1000);
    this._enter("idle", "");
  }

  /** Ends it, and takes its hands off the page. */
  dispose() {
    this.disconnect();
    globalThis.removeEventListener?.("online", this._online);
    globalThis.removeEventListener?.("offline", this._offline);
  }

  /** @param {string} token */
  _open(token) {
    if (this.state !== "connecting") return;
    const { url, replyTimeout } = this._options;
    const Socket = this._options.WebSocket ?? globalThis.WebSocket;
    const connection = new Connection(new Socket(url, SUBPROTOCOL), replyTimeout, {
      opened: () => this._hello(connection, token),
      pushed: (frame) => this._pushed(frame),
      closed: (code, reason) => this._closed(connection, code, reason),
    });
    this._connection = connection;
  }

  /**
   * @param {Connection} connection
   * @param {string} token
   */
  async _hello(connection, token) {
    try {
      const welcome = await connection.request({ t: "hello", token });
      connection.pingEvery((welcome.ping_interval ?? 25) * 1000);
      this._refusals = 0;
      this._welcomedAt = Date.now();
      await this._welcomed(welcome);
    } catch (error) {
      const code = error instanceof ChatError ? error.code : "";
      if (code === "token" || code === "unauthenticated") connection.end(4401, "the token was refused");
      else if (code !== "closed") connection.end(1006, `no welcome: ${String(error)}`);
    }
  }

  /**
   * @param {Connection} connection
   * @param {number} code
   * @param {string} reason
   */
  _closed(connection, code, reason) {
    if (connection !== this._connection) return;
    this._connection = null;
    this._lost();
    const { again, fresh, pause } = afterClose(code);
    if (fresh) this._refusals++;
    if (!again) this._enter("stopped", reason || `closed with code ${code}`);
    // A second refusal in a row is no matter of the token's age: the next try waits like any other.
    else this._again(reason, pause, fresh && this._refusals === 1 ? 1 : undefined);
  }

  /**
   * @param {string} why
   * @param {number} pause milliseconds at least
   * @param {number} [cap] milliseconds at most
   */
  _again(why, pause, cap) {
    const { random, backoffBase, backoffCap } = this._options;
    // One that held for a while was a good one; else a server that welcomes and closes would be asked without end.
    if (this._welcomedAt && Date.now() - this._welcomedAt > 5_000) this._attempt = 0;
    this._welcomedAt = 0;
    const spread = this._within ? random() * this._within : jitter(this._attempt, backoffBase, cap ?? backoffCap, random);
    this._within = 0;
    this._attempt++;
    const wait = pause + spread;
    this.retryAt = Date.now() + wait;
    if (globalThis.navigator?.onLine === false) {
      this._enter("offline", "there is no network");
      return;
    }
    this._enter("waiting", why);
    clearTimeout(this._retry);
    this._retry = setTimeout(() => this.connect(), wait);
  }

  _networkCame() {
    if (this.state !== "offline") return;
    this._attempt = 0;
    this._again("the network is back", 0);
  }

  _networkWent() {
    if (this.state === "idle" || this.state === "stopped") return;
    clearTimeout(this._retry);
    this._drop(1001);
    this._enter("offline", "there is no network");
  }

  /** @param {number} code */
  _drop(code) {
    const connection = this._connection;
    this._connection = null;
    connection?.end(code, "");
    this._lost();
  }

  /**
   * @param {State} state
   * @param {string} why
   */
  _enter(state, why) {
    this.state = state;
    this.why = why;
    this._tell("state", { state, why, retryAt: this.retryAt });
  }

  /**
   * A request of any kind.
   *
   * @param {Frame} frame without its id
   * @param {(reply: Frame) => void} [taken] is called with the reply before the frames behind it are looked at
   * @returns {Promise<Frame>} its reply; rejected by ChatError
   */
  request(frame, taken) {
    if (!this._connection || this.state !== "online") return Promise.reject(new ChatError("closed", "not connected"));
    return this._connection.request(frame, taken);
  }

  /**
   * @param {string} type
   * @param {unknown} detail
   */
  _tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
