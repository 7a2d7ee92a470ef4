"""The chat against everything at once, decided by one seed.

Two processes over one store and a bus that loses, doubles and reorders; clients on a network with latency and small
pieces, cut off in the middle of anything; a process that falls silent, a store that takes its time or is away, a commit
whose acknowledgement is lost, a room deleted and made again, clients that read slowly. What must hold:

- an acknowledged message is in the log exactly once, at the offset that the acknowledgement told;
- whoever stays gets every entry exactly once and in order, across reconnects: a client that follows sees offsets that
  rise by one; what it is not sent it is told of (``complete`` false, ``resync``, ``removed``);
- when all has calmed down, everybody has the whole log.

``CHAT_SEEDS=5000`` runs that many.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from random import Random
from typing import Any, Final

import msgspec
import pytest

from framework.errors import PeerClosed, WebSocketClosed
from framework.plugins.chat.errors import ChatError
from framework.plugins.chat.events import Entry, Posted, RoomKind
from framework.testing import Conditions, SocketClient, WebSocketDenied, run_virtual
from tests.unit.plugins.chat.support import Chat, Ether, EtherBus, InlineDatabase, chat, inline_store

SEEDS: Final = int(os.environ.get("CHAT_SEEDS", "200"))
BATCH: Final = 10
ROOM: Final = "town"
GONE: Final = (WebSocketClosed, PeerClosed, WebSocketDenied, ConnectionError, TimeoutError)


class Node:
    """One process of the chat."""

    def __init__(self, running: Chat, bus: EtherBus) -> None:
        self.chat = running
        self.bus = bus
        self.up = True

    def cut(self, random: Random) -> None:
        """Breaks some of its connections."""
        for link in list(self.chat.http.network.links):
            if random.random() < 0.5:
                link.reset()

    def die(self) -> None:
        """Nobody hears of it any more, and it hears of nobody."""
        self.up = False
        self.bus.die()
        for link in list(self.chat.http.network.links):
            link.reset()


class Member:
    """One client, with an outbox, that keeps what it has got and how it was told."""

    def __init__(self, user: str, nodes: list[Node], random: Random) -> None:
        self.user = user
        self.nodes = nodes
        self.random = random
        self.epoch: str | None = None
        self.last = 0
        self.log: dict[tuple[str, int], str] = {}
        self.outbox: dict[str, str] = {}
        self.acknowledged: dict[str, list[int]] = {}
        self.following = False
        self.told = 0
        self.stopping = False
        self._ids = 0
        self._asked: dict[int, str] = {}
        self._join = 0

    async def live(self) -> None:
        """Connects, and connects again."""
        while True:
            node = self.random.choice([node for node in self.nodes if node.up])
            try:
                async with asyncio.timeout(600), node.chat.http.websocket("/chat/ws") as ws:
                    await self._talk(node, ws)
            except GONE:
                pass
            self.following = False
            await asyncio.sleep(self.random.uniform(0.01, 0.5))

    async def _talk(self, node: Node, ws: SocketClient) -> None:
        self._asked.clear()
        self._join = 0
        await self._send(ws, t="hello", token=node.chat.tokens.issue(self.user))
        await self._rejoin(ws)
        for mid in list(self.outbox):
            await self._post(ws, mid)
        writing = asyncio.create_task(self._write(ws))
        try:
            async for message in ws:
                await self._take(ws, msgspec.json.decode(message))
        finally:
            writing.cancel()
            await asyncio.wait({writing})
            if not writing.cancelled():
                assert isinstance(writing.exception(), (*GONE, type(None))), writing.exception()

    async def _write(self, ws: SocketClient) -> None:
        while True:
            await asyncio.sleep(self.random.uniform(0.05, 1.0))
            if self.stopping:
                # what was refused is tried again
                for mid in list(self.outbox):
                    if mid not in self._asked.values():
                        await self._post(ws, mid)
                if not self.following and not self._join:
                    await self._rejoin(ws)
                continue
            mid = f"{self.user}-{len(self.acknowledged) + len(self.outbox)}-{self.random.getrandbits(32):08x}"
            self.outbox[mid] = "text " * self.random.choice([1, 1, 1, 60])
            await self._post(ws, mid)
            if self.random.random() < 0.1:
                await self._post(ws, mid)  # an impatient one

    async def _send(self, ws: SocketClient, **frame: Any) -> int:
        self._ids += 1
        await ws.send_json({"id": self._ids, **frame})
        return self._ids

    async def _post(self, ws: SocketClient, mid: str) -> None:
        self._asked[self._ids + 1] = mid
        await self._send(ws, t="post", room=ROOM, mid=mid, text=self.outbox[mid])

    async def _rejoin(self, ws: SocketClient) -> None:
        self._join = self._ids + 1
        position = {} if self.epoch is None else {"epoch": self.epoch, "offset": self.last}
        await self._send(ws, t="join", room=ROOM, **position)

    async def _take(self, ws: SocketClient, frame: dict[str, Any]) -> None:
        kind = frame["t"]
        if kind == "done":
            mid = self._asked.pop(frame["id"], None)
            if mid is not None:
                self.outbox.pop(mid, None)
                self.acknowledged.setdefault(mid, []).append(frame["offset"])
        elif kind == "error" and frame["code"] == "unauthenticated":
            raise ConnectionError  # hello met a store that was away: once more, from the beginning
        elif kind == "error":
            if frame["id"] == self._join:
                self._join = -1  # one at a time: two answers to one position would have the same entries
                assert frame["code"] in ("no_room", "unavailable"), frame
                await asyncio.sleep(0.3)
                await self._rejoin(ws)
            else:
                assert frame["code"] in ("no_room", "forbidden", "unavailable", "limit"), frame
                self._asked.pop(frame["id"], None)
        elif kind == "joined":
            self._joined(frame)
        elif kind == "events":
            assert self.following, "events of a room that is not followed"
            for entry in frame["entries"]:
                self._got(entry)
        elif kind in ("resync", "removed"):
            self.following = False
            self.told += 1
            if kind == "resync":
                await self._rejoin(ws)
            else:
                self._join = -1
                await asyncio.sleep(0.2)
                await self._rejoin(ws)

    def _joined(self, frame: dict[str, Any]) -> None:
        self._join = 0
        self.following = True
        room = frame["room"]
        if frame.get("complete"):
            assert room["epoch"] == self.epoch
            for entry in frame.get("entries", ()):
                self._got(entry)
            assert self.last == room["offset"]
        else:
            self.told += 1
            self.epoch, self.last = room["epoch"], room["offset"]

    def _got(self, entry: dict[str, Any]) -> None:
        assert entry["offset"] == self.last + 1, f"{self.user} has {self.last} and gets {entry['offset']}"
        self.last = entry["offset"]
        assert self.epoch is not None
        self.log[self.epoch, self.last] = entry["mid"]


async def trouble(
    random: Random, nodes: list[Node], ether: Ether, database: InlineDatabase, store: Any
) -> None:
    """What goes wrong, for half a minute."""
    for _ in range(random.randrange(4, 12)):
        await asyncio.sleep(random.uniform(0.2, 4))
        match random.randrange(8):
            case 0 | 1:
                random.choice(nodes).cut(random)
            case 2:
                ether.down = True
            case 3:
                ether.mend()
            case 4 if all(node.up for node in nodes):
                random.choice(nodes).die()
            case 5 if random.random() < 0.3:
                await store.remove("ada", ROOM)
                # unheard of by any process: as if the one that did it had died
                await asyncio.sleep(random.uniform(0, 1))
                await store.create("ada", ROOM, RoomKind.PUBLIC)
            case 6:
                database.after_commit = forgetful(database, random)
            case _:
                database.failing = ChatError("unavailable", "the database is away", 0.2)
                await asyncio.sleep(random.uniform(0, 1))
                database.failing = None


def forgetful(database: InlineDatabase, random: Random) -> Any:
    """One commit whose acknowledgement gets lost."""

    def lose() -> None:
        database.after_commit = None
        raise ChatError("unavailable", "the connection was lost", 0.2)

    return lose


async def scenario(seed: int) -> int:
    random = Random(seed)
    ether = Ether(
        seed,
        loss=random.choice([0, 0, 0.1, 0.5]),
        doubled=random.choice([0, 0.2]),
        delay=random.choice([0, 0.1, 1.0]),
    )
    database = InlineDatabase(Random(seed), delay=random.choice([0, 0.01, 0.2]))
    store = inline_store(database)
    bad = Conditions(
        latency=(0.0, random.choice([0.01, 0.2])),
        max_piece=random.choice([None, 40]),
        bandwidth=random.choice([None, None, 10_000]),
        window=8192,
    )
    async with AsyncExitStack() as stack:
        nodes: list[Node] = []
        for number in range(2):
            bus = ether.bus(max_bytes=random.choice([400, 1 << 20]))
            running = await stack.enter_async_context(
                chat(
                    store,
                    bus=bus,
                    transport="network",
                    conditions=bad,
                    seed=seed + number,
                    max_resume=random.choice([20, 1000]),
                    high_watermark=random.choice([4000, 262_144]),
                )
            )
            nodes.append(Node(running, bus))
        members = [Member(f"u{number}", nodes, random) for number in range(random.randrange(2, 6))]
        lives = [asyncio.create_task(member.live()) for member in members]
        await trouble(random, nodes, ether, database, store)
        ether.mend()
        ether.loss = 0.0
        database.after_commit = database.failing = None
        for member in members:
            member.stopping = True
        try:
            await everybody_has_everything(members, lives, store)
        finally:
            for life in lives:
                life.cancel()
            await asyncio.wait(lives)
        for life in lives:
            if not life.cancelled():
                life.result()
        final = nodes[0 if nodes[0].up else 1]
        await settle(members, final)
        entries = await whole_log(store)
        epoch = (await store.positions([ROOM]))[ROOM][0]
        judge(members, epoch, entries)
        return sum(len(member.acknowledged) for member in members)


async def everybody_has_everything(
    members: list[Member], lives: list[asyncio.Task[None]], store: Any
) -> None:
    """Who follows gets what it lacks by itself, also where nothing new comes: nobody asks for it."""
    async with asyncio.timeout(300):
        while True:
            await asyncio.sleep(0.5)
            for life in lives:
                if life.done():
                    life.result()
            position = (await store.positions([ROOM])).get(ROOM)
            if all(
                not each.outbox and each.following and (each.epoch, each.last) == position for each in members
            ):
                return


async def settle(members: list[Member], node: Node) -> None:
    """Everybody comes back once more, and stays until nothing more comes."""
    for member in members:
        async with node.chat.http.websocket("/chat/ws") as ws:
            await member._send(ws, t="hello", token=node.chat.tokens.issue(member.user))
            await member._rejoin(ws)
            try:
                async with asyncio.timeout(20):
                    async for message in ws:
                        await member._take(ws, msgspec.json.decode(message))
            except TimeoutError:
                pass
            member.following = False


async def whole_log(store: Any) -> list[Entry]:
    entries: list[Entry] = []
    while page := await store.read(ROOM, after=len(entries), limit=500):
        entries += page
    return entries


def judge(members: list[Member], epoch: str, entries: list[Entry]) -> None:
    assert [entry.offset for entry in entries] == list(range(1, len(entries) + 1))
    log = {entry.offset: entry.mid for entry in entries}
    posted = [entry.mid for entry in entries if isinstance(entry.body, Posted)]
    assert len(posted) == len(set(posted)), "a message is there twice"
    for member in members:
        assert not member.outbox
        assert (member.epoch, member.last) == (epoch, len(entries))
        for (of, offset), mid in member.log.items():
            if of == epoch:
                assert log[offset] == mid
        for mid, offsets in member.acknowledged.items():
            if mid in posted:
                # under another epoch it was acknowledged with the place that it had there
                assert log[offsets[-1]] == mid or len(set(offsets)) > 1


@pytest.mark.parametrize("first", range(0, SEEDS, BATCH))
def test_acknowledged_messages_are_delivered_once_and_in_order(first: int) -> None:
    acknowledged = 0
    for seed in range(first, first + BATCH):
        try:
            acknowledged += run_virtual(scenario(seed))
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
    assert acknowledged > BATCH * 5
