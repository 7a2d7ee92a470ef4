// Rooms kept whole: resume, gaps, doubles, changes that cross pages of history, read markers, typing, presence.
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { RoomLog } from "../../../../apps/chat/static/chat-log.js";
import { FakeSocket, begin, end, make, message, posted, room, settle, texts, tick, welcome } from "./fake.mjs";

beforeEach(begin);
afterEach(end);

async function joined(offset = 2, more = {}, options = {}) {
  const made = make(options);
  made.client.connect();
  const socket = await welcome([room(offset)]);
  const messages = Array.from({ length: offset }, (_, index) => message(index + 1));
  await socket.reply("join", { t: "joined", room: room(offset), messages, ...more });
  return { ...made, socket };
}

test("the user's rooms are followed; events come once and in order", async () => {
  const { client, socket, seen } = await joined();
  assert.deepEqual(texts(client), ["m1", "m2"]);
  socket.say({ t: "events", room: "tea", entries: [posted(3), posted(4)] });
  socket.say({ t: "events", room: "tea", entries: [posted(4), posted(5)] });
  assert.deepEqual(texts(client), ["m1", "m2", "m3", "m4", "m5"]);
  assert.deepEqual(seen.filter(([type]) => type === "entry").map(([, { entry }]) => entry.offset), [3, 4, 5]);
  client.dispose();
});

test("a gap is filled by joining again with the position", async () => {
  const { client, socket } = await joined();
  socket.say({ t: "events", room: "tea", entries: [posted(4)] });
  socket.say({ t: "events", room: "tea", entries: [posted(5)] });
  assert.deepEqual(texts(client), ["m1", "m2"]);
  const asked = await socket.reply("join", {
    t: "joined", room: room(5), complete: true, entries: [posted(3), posted(4), posted(5)],
  });
  assert.deepEqual([asked.epoch, asked.offset], ["e1", 2]);
  assert.equal(socket.asked("join").length, 0, "one join for both");
  assert.deepEqual(texts(client), ["m1", "m2", "m3", "m4", "m5"]);
  client.dispose();
});

test("after a reconnect rooms resume from their position, without a gap or a double", async () => {
  const { client, socket } = await joined();
  socket.closes(1006);
  await tick(500);
  const next = await welcome([room(4)]);
  assert.equal(next.asked("join").length, 1);
  const asked = await next.reply("join", { t: "joined", room: room(4), complete: true, entries: [posted(3), posted(4)] });
  assert.deepEqual([asked.epoch, asked.offset], ["e1", 2]);
  next.say({ t: "events", room: "tea", entries: [posted(4), posted(5)] });
  assert.deepEqual(texts(client), ["m1", "m2", "m3", "m4", "m5"]);
  client.dispose();
});

test("a resume that is not complete begins anew, and says so", async () => {
  const { client, socket, seen } = await joined();
  socket.closes(1012);
  await tick(500);
  const next = await welcome([room(1000)]);
  await next.reply("join", { t: "joined", room: room(1000), messages: [message(999), message(1000)] });
  assert.deepEqual(texts(client), ["m999", "m1000"]);
  assert.equal(client.rooms.get("tea").more, true);
  assert.ok(seen.some(([type, detail]) => type === "room" && detail.what === "reset"));
  client.dispose();
});

test("another epoch begins anew, whatever the reply claims", async () => {
  const { client, socket } = await joined();
  socket.say({ t: "resync", room: "tea" });
  await socket.reply("join", { t: "joined", room: room(1, { epoch: "e2" }), complete: true, messages: [message(1, "other")] });
  assert.deepEqual(texts(client), ["other"]);
  assert.equal(client.rooms.get("tea").epoch, "e2");
  client.dispose();
});

test("trap: events in one message with the reply to join come behind it", async () => {
  const { client, socket } = await joined();
  socket.say({ t: "resync", room: "tea" });
  const { id } = socket.asked("join")[0];
  socket.say(
    { t: "joined", id, room: room(3), complete: true, entries: [posted(3)] },
    { t: "events", room: "tea", entries: [posted(4)] },
  );
  await settle();
  assert.deepEqual(texts(client), ["m1", "m2", "m3", "m4"]);
  client.dispose();
});

test("resync: asked again from the position there is", async () => {
  const { client, socket } = await joined();
  socket.say({ t: "resync", room: "tea" });
  const asked = await socket.reply("join", { t: "joined", room: room(3), complete: true, entries: [posted(3)] });
  assert.equal(asked.offset, 2);
  assert.deepEqual(texts(client), ["m1", "m2", "m3"]);
  client.dispose();
});

test("a join that is put off is asked again after that time", async () => {
  const made = make();
  made.client.connect();
  const socket = await welcome([room(1)]);
  await socket.reply("join", { t: "error", code: "limit", text: "slowly", retry_after: 3 });
  await tick(2_900);
  assert.equal(socket.asked("join").length, 0);
  await tick(600);
  await socket.reply("join", { t: "joined", room: room(1), messages: [message(1)] });
  assert.deepEqual(texts(made.client), ["m1"]);
  made.client.dispose();
});

test("a room that went away while nobody listened is gone, and said to be", async () => {
  const { client, socket, seen } = await joined();
  socket.closes(1006);
  await tick(500);
  const next = await welcome([]);
  await next.reply("join", { t: "error", code: "no_room", text: "gone" });
  assert.equal(client.rooms.size, 0);
  assert.deepEqual(seen.filter(([type]) => type === "removed").map(([, detail]) => detail), [{ room: "tea", why: "deleted" }]);
  client.dispose();
});

test("edits, reactions and deletions change the message that they are about, once", async () => {
  const { client, socket } = await joined();
  const change = (offset, user, body) => ({ offset, at: offset, user, mid: `x${offset}`, body });
  socket.say({ t: "events", room: "tea", entries: [
    change(3, "bob", { e: "edited", target: 1, text: "better" }),
    change(4, "ada", { e: "reacted", target: 1, emoji: "👍" }),
    change(5, "eve", { e: "reacted", target: 1, emoji: "👍" }),
    change(6, "ada", { e: "reacted", target: 1, emoji: "👍", on: false }),
    change(7, "bob", { e: "deleted", target: 2 }),
  ] });
  const [first, second] = client.rooms.get("tea").messages.values();
  assert.deepEqual([first.text, first.edited, first.reactions], ["better", 3, { "👍": ["eve"] }]);
  assert.deepEqual([second.text, second.deleted], ["", true]);
  client.dispose();
});

test("history goes before what is here, and pages do not repeat", async () => {
  const { client, socket } = await joined(6, { room: room(6), messages: [message(5), message(6)] });
  const more = client.loadOlder("tea", 2);
  const asked = await socket.reply("history", { t: "page", room: "tea", messages: [message(3), message(4)], asof: 6, more: true });
  assert.deepEqual([asked.before, asked.limit], [5, 2]);
  assert.equal(await more, true);
  assert.deepEqual(texts(client), ["m3", "m4", "m5", "m6"]);
  const last = client.loadOlder("tea", 2);
  await socket.reply("history", { t: "page", room: "tea", messages: [message(1), message(2), message(3)], asof: 6 });
  assert.equal(await last, false);
  assert.deepEqual(texts(client), ["m1", "m2", "m3", "m4", "m5", "m6"]);
  client.dispose();
});

test("trap: an edit that overtakes the page with its message is not lost", async () => {
  const { client, socket } = await joined(2, { room: room(2), messages: [message(2)] });
  const more = client.loadOlder("tea");
  const edit = { offset: 3, at: 3, user: "bob", mid: "x3", body: { e: "edited", target: 1, text: "newer" } };
  socket.say({ t: "events", room: "tea", entries: [edit] });
  await socket.reply("history", { t: "page", room: "tea", messages: [message(1)], asof: 2 });
  await more;
  assert.deepEqual(texts(client), ["newer", "m2"]);
  client.dispose();
});

test("trap: a page that is newer than the log is not changed by what it has already", async () => {
  const { client, socket } = await joined(2, { room: room(2), messages: [message(2)] });
  const more = client.loadOlder("tea");
  const reactions = { "👍": ["eve"] };
  await socket.reply("history", { t: "page", room: "tea", messages: [message(1, "m1", { changed: 4, reactions })], asof: 4 });
  await more;
  socket.say({ t: "events", room: "tea", entries: [
    { offset: 3, at: 3, user: "eve", mid: "x3", body: { e: "reacted", target: 1, emoji: "👍", on: false } },
    { offset: 4, at: 4, user: "eve", mid: "x4", body: { e: "reacted", target: 1, emoji: "👍" } },
  ] });
  assert.deepEqual(client.rooms.get("tea").messages.get(1).reactions, reactions);
  client.dispose();
});

test("unread counts what others wrote; reading is told once, a moment later, and again after a lost connection", async () => {
  const { client, socket } = await joined();
  socket.say({ t: "events", room: "tea", entries: [posted(3), posted(4), posted(5, "mine", { user: "ada" })] });
  const log = client.rooms.get("tea");
  assert.equal(log.unread, 2);
  client.read("tea", 4);
  client.read("tea", 5);
  client.read("tea", 3);
  assert.equal(log.unread, 0);
  await tick(400);
  assert.deepEqual(socket.asked("read").map((frame) => frame.offset), [5]);
  socket.closes(1006);
  await tick(500);
  const next = await welcome([room(5, { read: 0, unread: 2 })]);
  await next.reply("join", { t: "joined", room: room(5, { read: 0, unread: 2 }), complete: true });
  assert.equal(log.unread, 0);
  await tick(400);
  assert.deepEqual(next.asked("read").map((frame) => frame.offset), [5]);
  client.dispose();
});

test("typing is said at once, again after three seconds, and taken back after five of silence or by sending", async () => {
  const { client, socket } = await joined();
  for (let key = 0; key < 8; key++) {
    client.typing("tea");
    await tick(500);
  }
  assert.deepEqual(socket.asked("typing").map((frame) => frame.on), [true, true]);
  await tick(5_000);
  assert.deepEqual(socket.asked("typing").map((frame) => frame.on), [true, true, false]);
  client.typing("tea");
  client.post("tea", "done");
  assert.deepEqual(socket.asked("typing").map((frame) => frame.on), [true, true, false, true, false]);
  client.dispose();
});

test("who types and who is there; nobody types on a lost connection", async () => {
  const { client, socket } = await joined(2, { present: ["ada", "bob"], count: 2 });
  const log = client.rooms.get("tea");
  socket.say({ t: "typing", room: "tea", users: ["bob", "ada"] }, { t: "presence", room: "tea", count: 2, joined: ["eve"], left: ["bob"] });
  assert.deepEqual(log.typing, ["bob"], "not oneself");
  assert.deepEqual([...log.present], ["ada", "eve"]);
  socket.say({ t: "events", room: "tea", entries: [posted(3)] });
  assert.deepEqual(log.typing, [], "who has sent does not type");
  socket.say({ t: "typing", room: "tea", users: ["eve"] });
  socket.closes(1006);
  assert.deepEqual(log.typing, []);
  client.dispose();
});

test("roles, mutes and names of the room follow the log", async () => {
  const { client, socket } = await joined();
  const change = (offset, body) => ({ offset, at: offset, user: "bob", mid: `x${offset}`, body });
  socket.say({ t: "events", room: "tea", entries: [
    change(3, { e: "role", user: "ada", role: "moderator" }),
    change(4, { e: "muted", user: "ada", until: 99 }),
    change(5, { e: "room", name: "Teatime", topic: "now" }),
    change(6, { e: "entered", user: "eve", role: "member" }),
  ] });
  const { info, members } = client.rooms.get("tea");
  assert.deepEqual([info.role, info.muted_until, info.name, info.topic], ["moderator", 99, "Teatime", "now"]);
  assert.equal(members.get("eve").role, "member");
  client.dispose();
});

test("a room that nobody looks at keeps a bounded number of messages", async () => {
  const { client, socket } = await joined(0, {}, { maxMessages: 10 });
  const log = client.rooms.get("tea");
  socket.say({ t: "events", room: "tea", entries: Array.from({ length: 21 }, (_, index) => posted(index + 1)) });
  assert.equal(log.messages.size, 10);
  assert.equal(log.oldest, 12);
  assert.ok(log.more);
  client.dispose();
});

test("a room that somebody else put the user into is followed from then on", async () => {
  const { client, socket, seen } = await joined();
  const before = seen.filter(([type]) => type === "rooms").length;
  socket.say({ t: "added", room: "milk" });
  await socket.reply("join", { t: "joined", room: room(1, { room: "milk" }), messages: [message(1)] });
  assert.deepEqual(texts(client, "milk"), ["m1"]);
  assert.ok(seen.filter(([type]) => type === "rooms").length > before);
  client.dispose();
});

test("frames of types that are not known yet, and of rooms that are not followed, do no harm", async () => {
  const { client, socket } = await joined();
  socket.say({ t: "sparkles" }, { t: "events", room: "other", entries: [posted(1)] }, { t: "error", id: null, code: "malformed", text: "" });
  assert.equal(client.state, "online");
  assert.deepEqual(texts(client), ["m1", "m2"]);
  client.dispose();
});

test("any order, repetition and loss of events leaves the log whole (300 seeds)", async () => {
  for (let seed = 1; seed <= 300; seed++) {
    let state = seed;
    const random = () => (state = (state * 48271) % 2147483647) / 2147483647;
    const log = new RoomLog("tea");
    log.reset(room(0), [], "ada");
    const entries = Array.from({ length: 30 }, (_, index) => posted(index + 1));
    for (let step = 0; step < 200 && log.offset < 30; step++) {
      if (random() < 0.05) entries.slice(log.offset).forEach((entry) => log.apply(entry, "ada"));
      else log.apply(entries[Math.floor(random() * 30)], "ada");
      assert.deepEqual([...log.messages.keys()], Array.from({ length: log.offset }, (_, index) => index + 1));
    }
  }
  assert.equal(FakeSocket.all.length, 0);
  await settle();
});
