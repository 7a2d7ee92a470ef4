// The outbox: nothing that was written is lost or done twice, whatever the connection or the page does.
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Outbox } from "../../../../apps/chat/static/chat-outbox.js";
import { FakeSocket, Storage, begin, end, make, message, posted, room, settle, tick, welcome } from "./fake.mjs";

beforeEach(begin);
afterEach(end);

async function joined(options = {}) {
  const made = make(options);
  made.client.connect();
  const socket = await welcome([room(0)]);
  await socket.reply("join", { t: "joined", room: room(0) });
  return { ...made, socket };
}

const waiting = (client) => [...client.outbox.items.values()].map((item) => [item.frame.text, item.state]);

test("a post is pending until done", async () => {
  const { client, socket } = await joined();
  client.post("tea", "hello", 7);
  assert.deepEqual(waiting(client), [["hello", "sent"]]);
  const frame = await socket.reply("post", { t: "done", room: "tea", offset: 1 });
  assert.deepEqual([frame.room, frame.text, frame.reply_to], ["tea", "hello", 7]);
  assert.deepEqual(waiting(client), []);
  client.dispose();
});

test("offline posts are sent in order, each when the one before is done, with the mids they had", async () => {
  const { client, socket } = await joined();
  socket.closes(1006);
  const mids = ["one", "two", "three"].map((text) => client.post("tea", text).mid);
  assert.deepEqual(waiting(client).map(([, state]) => state), ["waiting", "waiting", "waiting"]);
  await tick(500);
  const next = await welcome([room(0)]);
  for (const [index, mid] of mids.entries()) {
    assert.equal(next.asked("post").length, 1);
    const frame = await next.reply("post", { t: "done", room: "tea", offset: index + 1 });
    assert.equal(frame.mid, mid);
  }
  assert.deepEqual(waiting(client), []);
  client.dispose();
});

test("what was sent and not acknowledged is sent again with the same mid", async () => {
  const { client, socket } = await joined();
  const { mid } = client.post("tea", "lost?");
  socket.closes(1006);
  await tick(500);
  const next = await welcome([room(1)]);
  assert.equal(next.asked("post")[0].mid, mid);
  await next.reply("post", { t: "done", room: "tea", offset: 1, again: true });
  assert.deepEqual(waiting(client), []);
  client.dispose();
});

test("the entry coming back is an acknowledgement too, by event, by resume or by the latest messages", async () => {
  const { client, socket } = await joined();
  const byEvent = client.post("tea", "one");
  socket.say({ t: "events", room: "tea", entries: [posted(1, "one", { user: "ada", mid: byEvent.mid })] });
  assert.deepEqual(waiting(client), []);
  const byResume = client.post("tea", "two");
  socket.closes(1006);
  await tick(500);
  const next = await welcome([room(2)]);
  await next.reply("join", { t: "joined", room: room(2), complete: true, entries: [posted(2, "two", { user: "ada", mid: byResume.mid })] });
  assert.deepEqual(waiting(client), []);
  const byReset = client.post("tea", "three");
  next.closes(1006);
  await tick(2000);
  const last = await welcome([room(3)]);
  await last.reply("join", { t: "joined", room: room(3), messages: [message(3, "three", { user: "ada", mid: byReset.mid })] });
  assert.deepEqual(waiting(client), []);
  client.dispose();
});

test("somebody else's mid acknowledges nothing", async () => {
  const { client, socket } = await joined();
  const { mid } = client.post("tea", "mine");
  socket.say({ t: "events", room: "tea", entries: [posted(1, "theirs", { mid })] });
  assert.equal(client.outbox.items.size, 1);
  client.dispose();
});

test("a refusal is kept and shown; it can be tried again or given up, and does not hold up the next", async () => {
  const { client, socket, seen } = await joined();
  const { mid } = client.post("tea", "bad");
  client.post("tea", "good");
  await socket.reply("post", { t: "error", code: "muted", text: "you are muted" });
  assert.deepEqual(waiting(client), [["bad", "failed"], ["good", "sent"]]);
  assert.equal(client.outbox.items.get(mid).error, "you are muted");
  assert.ok(seen.some(([type]) => type === "failed"));
  await socket.reply("post", { t: "done", room: "tea", offset: 1 });
  client.resend(mid);
  assert.equal(socket.asked("post")[0].mid, mid);
  await socket.reply("post", { t: "error", code: "muted", text: "still" });
  client.discard(mid);
  assert.deepEqual(waiting(client), []);
  client.dispose();
});

test("a limit puts everything off for the time it names, and the order stays", async () => {
  const { client, socket } = await joined();
  client.post("tea", "one");
  client.post("tea", "two");
  await socket.reply("post", { t: "error", code: "limit", text: "slowly", retry_after: 2 });
  await tick(1_900);
  assert.equal(socket.asked("post").length, 0);
  await tick(200);
  assert.equal((await socket.reply("post", { t: "done" })).text, "one");
  assert.equal((await socket.reply("post", { t: "done" })).text, "two");
  client.dispose();
});

test("an internal error is tried three times more, then failed", async () => {
  const { client, socket } = await joined();
  client.post("tea", "one");
  for (let time = 0; time < 4; time++) {
    await socket.reply("post", { t: "error", code: "internal", text: "oops" });
    await tick(10_000);
  }
  assert.deepEqual(waiting(client), [["one", "failed"]]);
  client.dispose();
});

test("rooms do not wait for each other", async () => {
  const { client, socket } = await joined();
  client.post("tea", "one");
  client.post("milk", "two");
  assert.equal(socket.asked("post").length, 2);
  client.dispose();
});

test("the outbox outlives the page, and belongs to its user", async () => {
  const storage = new Storage();
  const first = await joined({ storage });
  first.socket.closes(1006);
  const { mid } = first.client.post("tea", "kept");
  first.client.dispose();
  const stranger = new Outbox(storage, "eve");
  assert.equal(stranger.items.size, 0);
  const second = make({ storage });
  second.client.connect();
  const socket = await welcome([room(0)]);
  assert.equal(socket.asked("post")[0].mid, mid);
  await socket.reply("post", { t: "done", room: "tea", offset: 1 });
  assert.equal(storage.length, 0);
  second.client.dispose();
});

test("trap: two windows of one user do not overwrite each other's outbox", () => {
  const storage = new Storage();
  const one = new Outbox(storage, "ada");
  const other = new Outbox(storage, "ada");
  one.add("tea", { t: "post", text: "from one" }, 1);
  const second = other.add("tea", { t: "post", text: "from the other" }, 2);
  other.drop(second.mid);
  assert.deepEqual([...new Outbox(storage, "ada").items.values()].map((item) => item.frame.text), ["from one"]);
});

test("storage that is full, broken or forbidden costs only the keeping", () => {
  const storage = new Storage();
  storage.setItem("chat.outbox.ada.x", "{broken");
  storage.setItem("chat.outbox.ada.y", '{"mid": 3}');
  storage.setItem = () => {
    throw new Error("QuotaExceededError");
  };
  const outbox = new Outbox(storage, "ada");
  assert.equal(outbox.items.size, 0);
  assert.ok(outbox.add("tea", { t: "post", text: "one" }, 1));
  assert.equal(new Outbox(null, "ada").items.size, 0);
});

test("the outbox is bounded, and says so", async () => {
  const outbox = new Outbox(null, "ada", 2);
  assert.ok(outbox.add("tea", { t: "post", text: "1" }, 1));
  assert.ok(outbox.add("tea", { t: "post", text: "2" }, 1));
  assert.equal(outbox.add("tea", { t: "post", text: "3" }, 1), null);
  const { client } = make();
  assert.throws(() => client.post("tea", "too early"), { code: "unauthenticated" });
  assert.equal(FakeSocket.all.length, 0);
  await settle();
});
