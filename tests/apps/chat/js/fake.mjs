// A WebSocket that a test is the server of, time that stands still until it is told, and a page's storage.
import { mock } from "node:test";
import { ChatClient } from "../../../../apps/chat/static/chat-client.js";

export class FakeSocket {
  /** @type {FakeSocket[]} */
  static all = [];

  constructor(url, protocol) {
    this.url = url;
    this.protocol = protocol;
    this.readyState = 0;
    this.sent = [];
    this.closedByClient = false;
    FakeSocket.all.push(this);
  }

  static get last() {
    return FakeSocket.all.at(-1);
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close() {
    this.closedByClient = true;
    this.readyState = 3;
  }

  open() {
    this.readyState = 1;
    this.onopen?.();
  }

  say(...frames) {
    this.onmessage?.({ data: JSON.stringify(frames.length === 1 ? frames[0] : frames) });
  }

  closes(code, reason = "") {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }

  /** The requests of a type that were not answered by `reply` yet. */
  asked(type) {
    return this.sent.filter((frame) => frame.t === type && !frame.answered);
  }

  /** Answers the oldest open request of a type. */
  async reply(type, answer) {
    const request = this.asked(type)[0];
    if (!request) throw new Error(`no ${type} was asked; only ${this.sent.map((frame) => frame.t)}`);
    request.answered = true;
    this.say({ id: request.id, ...answer });
    await settle();
    return request;
  }
}

export class Storage {
  constructor() {
    this.kept = new Map();
  }
  get length() {
    return this.kept.size;
  }
  key(index) {
    return [...this.kept.keys()][index] ?? null;
  }
  getItem(key) {
    return this.kept.get(key) ?? null;
  }
  setItem(key, value) {
    this.kept.set(key, value);
  }
  removeItem(key) {
    this.kept.delete(key);
  }
}

/** Lets every promise that can go on do so. */
export async function settle() {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}

export async function tick(milliseconds) {
  mock.timers.tick(milliseconds);
  await settle();
}

export function begin() {
  FakeSocket.all = [];
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: 1_000_000 });
}

export function end() {
  mock.timers.reset();
}

/** @param {Partial<import("../../../../apps/chat/static/chat-session.js").Options>} [options] */
export function make(options = {}) {
  const tokens = [];
  const client = new ChatClient({
    url: "ws://chat.test/ws",
    token: async (fresh) => {
      tokens.push(fresh);
      return `token-${tokens.length}`;
    },
    storage: new Storage(),
    WebSocket: FakeSocket,
    random: () => 0.5,
    ...options,
  });
  const seen = [];
  for (const type of ["state", "rooms", "room", "entry", "removed", "notice", "failed"]) {
    client.addEventListener(type, (event) => seen.push([type, event.detail]));
  }
  return { client, tokens, seen, states: () => seen.filter(([type]) => type === "state").map(([, detail]) => detail.state) };
}

export const WELCOME = { t: "welcome", user: "ada", name: "Ada", session: "s1", ping_interval: 25, max_text: 4000 };

/** Opens the newest socket, and welcomes the client; its rooms are `rooms`. */
export async function welcome(rooms = []) {
  await settle();
  const socket = FakeSocket.last;
  socket.open();
  await settle();
  await socket.reply("hello", WELCOME);
  await socket.reply("rooms", { t: "rooms", rooms });
  return socket;
}

export function room(offset, more = {}) {
  return { room: "tea", kind: "public", name: "Tea", epoch: "e1", offset, role: "member", ...more };
}

export function message(offset, text = `m${offset}`, more = {}) {
  return { offset, changed: offset, at: offset, user: "bob", mid: `b${offset}`, text, ...more };
}

export function posted(offset, text = `m${offset}`, more = {}) {
  return { offset, at: offset, user: "bob", mid: `b${offset}`, body: { e: "posted", text }, ...more };
}

export const texts = (client, name = "tea") => [...client.rooms.get(name).messages.values()].map((each) => each.text);
