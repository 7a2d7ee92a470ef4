// Staying connected: which close is answered by what, how long a try waits, tokens, and connections that only look alive.
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { afterClose, jitter, makeMid, socketURL } from "../../../../apps/chat/static/chat-protocol.js";
import { FakeSocket, WELCOME, begin, end, make, room, settle, tick, welcome } from "./fake.mjs";

beforeEach(begin);
afterEach(end);

test("hello is the first frame, and asks with the token by the subprotocol", async () => {
  const { client, states } = make();
  client.connect();
  const socket = await welcome();
  assert.equal(socket.protocol, "chat.v1.json");
  assert.deepEqual({ ...socket.sent[0], answered: undefined }, { t: "hello", token: "token-1", id: 1, answered: undefined });
  assert.deepEqual(states(), ["connecting", "online"]);
  assert.equal(client.user, "ada");
  client.dispose();
});

test("close codes: below 4500 not as it is, the others and the network's again", () => {
  for (const code of [1001, 1006, 1012, 1013, 4500, 4508, 4999]) assert.equal(afterClose(code).again, true, String(code));
  for (const code of [1000, 1002, 1008, 1009, 4400, 4403, 4499]) assert.equal(afterClose(code).again, false, String(code));
  assert.deepEqual(afterClose(4401), { again: true, fresh: true, pause: 0 });
  assert.deepEqual(afterClose(4429), { again: true, fresh: false, pause: 60_000 });
});

test("a forbidden user is not tried again", async () => {
  const { client } = make();
  client.connect();
  const socket = await welcome();
  socket.closes(4403, "not for you");
  await tick(3_600_000);
  assert.equal(client.state, "stopped");
  assert.equal(client.why, "not for you");
  assert.equal(FakeSocket.all.length, 1);
});

test("waits grow with full jitter up to the cap, and begin anew after one that held", async () => {
  const { client } = make({ random: () => 1 });
  client.connect();
  const waits = [];
  for (let attempt = 0; attempt < 9; attempt++) {
    await settle();
    FakeSocket.last.closes(1006);
    waits.push(client.retryAt - Date.now());
    await tick(waits.at(-1));
  }
  assert.deepEqual(waits, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
  const socket = await welcome();
  await tick(6_000);
  socket.closes(1006);
  assert.equal(client.retryAt - Date.now(), 500);
  client.dispose();
});

test("a server that welcomes and closes at once is not asked without end", async () => {
  const { client } = make({ random: () => 1 });
  client.connect();
  const waits = [];
  for (let attempt = 0; attempt < 4; attempt++) {
    (await welcome()).closes(1006);
    waits.push(client.retryAt - Date.now());
    await tick(waits.at(-1));
  }
  assert.deepEqual(waits, [500, 1000, 2000, 4000]);
  client.dispose();
});

test("full jitter spreads over the whole bound", () => {
  assert.equal(jitter(3, 500, 30_000, () => 0), 0);
  assert.equal(jitter(3, 500, 30_000, () => 0.25), 1000);
  assert.equal(jitter(4000, 500, 30_000, () => 1), 30_000);
});

test("a drained server is left for a random part of the time it gave", async () => {
  const { client } = make({ random: () => 0.5 });
  client.connect();
  const socket = await welcome();
  socket.say({ t: "draining", within: 8 });
  socket.closes(1012);
  assert.equal(client.retryAt - Date.now(), 4000);
  client.dispose();
});

test("a flood is followed by a minute of silence", async () => {
  const { client } = make();
  client.connect();
  (await welcome()).closes(4429);
  assert.ok(client.retryAt - Date.now() >= 60_000);
  client.dispose();
});

test("a refused token: once at once with a fresh one, then by waits", async () => {
  const { client, tokens } = make();
  client.connect();
  await settle();
  FakeSocket.last.open();
  await FakeSocket.last.reply("hello", { t: "error", code: "token", text: "expired" });
  assert.ok(client.retryAt - Date.now() <= 1);
  await tick(1);
  assert.deepEqual(tokens, [false, true]);
  FakeSocket.last.closes(4401);
  assert.ok(client.retryAt - Date.now() > 100);
  await tick(1000);
  (await welcome()).closes(1006);
  await tick(1000);
  assert.deepEqual(tokens, [false, true, true, false]);
  client.dispose();
});

test("an expiring token is renewed without dropping the socket", async () => {
  const { client, tokens } = make();
  client.connect();
  const socket = await welcome();
  socket.say({ t: "expiring", seconds: 60 });
  await settle();
  const auth = await socket.reply("auth", { t: "done" });
  assert.equal(auth.token, "token-2");
  assert.deepEqual(tokens, [false, true]);
  assert.equal(client.state, "online");
  client.dispose();
});

test("no token for now is tried again, none for good is not", async () => {
  const passing = make({ token: () => Promise.reject(new Error("503")) });
  passing.client.connect();
  await settle();
  assert.equal(passing.client.state, "waiting");
  passing.client.dispose();
  const fatal = make({ token: () => Promise.reject(Object.assign(new Error("signed out"), { fatal: true })) });
  fatal.client.connect();
  await settle();
  assert.equal(fatal.client.state, "stopped");
  assert.equal(FakeSocket.all.length, 0);
});

test("silence is asked about, and a socket that does not answer is given up", async () => {
  const { client } = make();
  client.connect();
  const socket = await welcome();
  await tick(32_000);
  const ping = socket.asked("ping");
  assert.equal(ping.length, 1);
  socket.say({ t: "pong", id: ping[0].id, at: 1 });
  await tick(32_000);
  assert.equal(client.state, "online");
  assert.equal(socket.asked("ping").length, 2);
  await tick(10_000);
  assert.equal(client.state, "waiting");
  assert.ok(socket.closedByClient);
  client.dispose();
});

test("a server that takes the connection and says nothing is given up", async () => {
  const { client } = make();
  client.connect();
  await settle();
  await tick(20_000);
  assert.equal(client.state, "waiting");
  await tick(1_000);
  FakeSocket.last.open();
  await tick(20_000);
  await tick(1_000);
  assert.equal(FakeSocket.all.length, 3, "no welcome: the next try");
  client.dispose();
});

test("the network's going and coming is followed", async () => {
  const { client } = make();
  client.connect();
  const socket = await welcome();
  client._offline();
  assert.equal(client.state, "offline");
  assert.ok(socket.closedByClient);
  await tick(600_000);
  assert.equal(FakeSocket.all.length, 1);
  client._online();
  assert.equal(client.state, "waiting");
  await tick(500);
  assert.equal(FakeSocket.all.length, 2);
  client.dispose();
});

test("a late close of an old socket does nothing to the new one", async () => {
  const { client } = make();
  client.connect();
  const first = await welcome();
  const onclose = first.onclose;
  client._offline();
  client._online();
  await tick(500);
  await welcome();
  onclose?.({ code: 4403, reason: "" });
  assert.equal(client.state, "online");
  client.dispose();
});

test("requests end with the connection", async () => {
  const { client } = make();
  client.connect();
  const socket = await welcome();
  const search = client.search("tea");
  socket.closes(1006);
  await assert.rejects(search, { code: "closed" });
  await assert.rejects(client.search("tea"), { code: "closed" });
  client.dispose();
});

test("another user than before finds nothing of the first one's", async () => {
  const { client } = make();
  client.connect();
  const socket = await welcome([room(0)]);
  await socket.reply("join", { t: "joined", room: room(0) });
  socket.closes(1006);
  await tick(500);
  FakeSocket.last.open();
  await FakeSocket.last.reply("hello", { ...WELCOME, user: "eve" });
  assert.equal(client.rooms.size, 0);
  client.dispose();
});

test("ids are long and of visible ASCII; socket URLs keep the prefix and the security", () => {
  const mids = new Set(Array.from({ length: 1000 }, makeMid));
  assert.equal(mids.size, 1000);
  for (const mid of mids) assert.match(mid, /^[A-Za-z0-9_-]{22}$/);
  assert.equal(socketURL("chat/ws", "https://h.test/deep/er/"), "wss://h.test/deep/er/chat/ws");
  assert.equal(socketURL("chat/ws", "http://h.test:8000/"), "ws://h.test:8000/chat/ws");
});
