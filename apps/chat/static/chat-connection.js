// @ts-check
import { ChatError } from "./chat-protocol.js";

/** @import { Frame } from "./chat-protocol.js" */

/**
 * One WebSocket's life: frames out and in, replies matched to their requests, and a look now and then whether it still
 * lives. A browser does not show a WebSocket's own pings, and a connection that a phone has lost can look open for
 * minutes.
 */
export class Connection {
  /**
   * @param {WebSocket} socket
   * @param {number} replyTimeout milliseconds
   * @param {{opened: () => void, pushed: (frame: Frame) => void, closed: (code: number, reason: string) => void}} told
   */
  constructor(socket, replyTimeout, told) {
    this._socket = socket;
    this._replyTimeout = replyTimeout;
    this._told = told;
    this._id = 0;
    this._heardAt = Date.now();
    /** @type {Map<number, {resolve: (frame: Frame) => void, reject: (error: ChatError) => void, timer: any, taken?: (frame: Frame) => void}>} */
    this._waiting = new Map();
    /** @type {ReturnType<typeof setInterval> | undefined} */
    this._looking = undefined;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this._pinging = undefined;
    this._ended = false;
    this._opening = setTimeout(() => this.end(1006, "the server does not answer"), replyTimeout);
    socket.onopen = () => {
      clearTimeout(this._opening);
      told.opened();
    };
    socket.onmessage = (event) => this._heard(event.data);
    socket.onclose = (event) => this._finish(event.code, event.reason);
  }

  /**
   * @param {Frame} frame without its id
   * @param {(reply: Frame) => void} [taken] is called at once with a reply that is no error, before the frames behind
   *   it are looked at
   * @returns {Promise<Frame>} its reply; rejected by ChatError
   */
  request(frame, taken) {
    return new Promise((resolve, reject) => {
      const id = ++this._id;
      const timer = setTimeout(() => {
        this._waiting.delete(id);
        reject(new ChatError("timeout", "the server did not answer in time"));
        this._look(0);
      }, this._replyTimeout);
      this._waiting.set(id, { resolve, reject, timer, taken });
      if (!this.send({ ...frame, id })) {
        clearTimeout(timer);
        this._waiting.delete(id);
        reject(new ChatError("closed", "the connection was lost"));
      }
    });
  }

  /**
   * @param {Frame} frame
   * @returns {boolean} whether the socket took it
   */
  send(frame) {
    if (this._ended || this._socket.readyState !== 1) return false;
    this._socket.send(JSON.stringify(frame));
    return true;
  }

  /**
   * From now on, a silence as long as this is asked about.
   *
   * @param {number} interval milliseconds
   */
  pingEvery(interval) {
    clearInterval(this._looking);
    this._looking = setInterval(() => this._look(interval), Math.max(250, interval / 4));
  }

  /** @param {number} silence milliseconds that are nothing to worry about */
  _look(silence) {
    if (this._ended || this._pinging || Date.now() - this._heardAt < silence) return;
    const timer = setTimeout(() => this.end(1006, "the connection went silent"), Math.min(10_000, this._replyTimeout));
    this._pinging = timer;
    this.send({ t: "ping", id: ++this._id });
  }

  /**
   * Ends it without waiting for the other side.
   *
   * @param {number} code as if the server had closed with it
   * @param {string} reason
   */
  end(code, reason) {
    if (this._ended) return;
    this._finish(code, reason);
    this._socket.onopen = this._socket.onmessage = this._socket.onclose = null;
    this._socket.close();
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  _finish(code, reason) {
    if (this._ended) return;
    this._ended = true;
    clearTimeout(this._opening);
    clearTimeout(this._pinging);
    clearInterval(this._looking);
    for (const { reject, timer } of this._waiting.values()) {
      clearTimeout(timer);
      reject(new ChatError("closed", "the connection was lost"));
    }
    this._waiting.clear();
    this._told.closed(code, reason);
  }

  /** @param {string} data one frame, or an array of them */
  _heard(data) {
    this._heardAt = Date.now();
    clearTimeout(this._pinging);
    this._pinging = undefined;
    /** @type {Frame | Frame[]} */
    const message = JSON.parse(data);
    for (const frame of Array.isArray(message) ? message : [message]) {
      if (this._ended) return;
      if (typeof frame.id === "number") this._answer(frame.id, frame);
      else if (frame.t !== "error") this._told.pushed(frame);
    }
  }

  /**
   * @param {number} id
   * @param {Frame} frame
   */
  _answer(id, frame) {
    const waiting = this._waiting.get(id);
    if (!waiting) return; // A ping, or one that was given up.
    this._waiting.delete(id);
    clearTimeout(waiting.timer);
    if (frame.t === "error") waiting.reject(new ChatError(frame.code, frame.text, frame.retry_after ?? null));
    else {
      waiting.taken?.(frame);
      waiting.resolve(frame);
    }
  }
}
