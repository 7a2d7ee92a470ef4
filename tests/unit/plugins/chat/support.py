"""A chat to test with: the real plugin over memory transports, on a real SQL engine that runs in the loop."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, TypeVar, cast

import msgspec

import framework.plugins.chat.store.sqlite as engine
from framework import App
from framework.errors import WebSocketClosed
from framework.plugins.chat import ChatPlugin, Hub, Tokens
from framework.plugins.chat.bus import Bus
from framework.plugins.chat.events import RoomKind
from framework.plugins.chat.store.sqlite import SQLiteChatStore
from framework.sqlite import Database
from framework.testing import Conditions, SocketClient, TestClient, Transport

__all__ = ["Chat", "Client", "Ether", "EtherBus", "InlineDatabase", "chat", "inline_store"]

T = TypeVar("T")
SECRET = "a secret that is used in tests only"


class InlineDatabase:
    """SQLite in memory, its work done in the loop: in virtual time, writes one after the other as in a file's lane.

    Attributes:
        delay: seconds that a read, and that a write takes, at random up to these.
        failing: raised instead of doing anything.
        after_commit: called with each write that was committed and is not acknowledged yet; what it raises is what the
            caller gets.
    """

    def __init__(self, random: Random | None = None, *, delay: float = 0.0) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        for file in sorted((Path(engine.__file__).parent / "migrations").glob("*.sql")):
            self.connection.executescript(file.read_text())
        self.connection.execute("PRAGMA foreign_keys = ON")
        self.delay = delay
        self.reads = 0
        self.failing: Exception | None = None
        self.after_commit: Callable[[], None] | None = None
        self._random = random or Random(0)
        self._turn = asyncio.Lock()

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        self.reads += 1
        if self.delay:
            await asyncio.sleep(self._random.uniform(0, self.delay))
        result = self._transact(work)
        if self.delay:
            await asyncio.sleep(self._random.uniform(0, self.delay))
        return result

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        async with self._turn:
            if self.delay:
                await asyncio.sleep(self._random.uniform(0, self.delay))
            result = self._transact(work)
            if self.after_commit is not None:
                self.after_commit()
        if self.delay:
            await asyncio.sleep(self._random.uniform(0, self.delay))
        return result

    def _transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self.failing is not None:
            raise self.failing
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(self.connection)
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")
        return result


def inline_store(database: InlineDatabase | None = None) -> SQLiteChatStore:
    """A store in memory."""
    return SQLiteChatStore(cast("Database", database or InlineDatabase()))


class Client:
    """One client: requests and their replies, and what is pushed meanwhile."""

    def __init__(self, ws: SocketClient) -> None:
        self.ws = ws
        self.pushes: list[dict[str, Any]] = []
        self._replies: dict[int | None, dict[str, Any]] = {}
        self._ids = count(1)
        self.msgpack = ws.subprotocol == "chat.v1.msgpack"

    async def send(self, *frames: dict[str, Any]) -> None:
        """Sends one frame, or several as a batch."""
        value = frames[0] if len(frames) == 1 else list(frames)
        if self.msgpack:
            await self.ws.send_bytes(msgspec.msgpack.encode(value))
        else:
            await self.ws.send_json(value)

    async def next(self) -> dict[str, Any]:
        """The next frame, whatever it is."""
        message = await self.ws.receive()
        frame: dict[str, Any] = (
            msgspec.msgpack.decode(message) if isinstance(message, bytes) else msgspec.json.decode(message)
        )
        return frame

    async def take(self) -> None:
        """Takes the next frame, and puts it where it belongs."""
        frame = await self.next()
        if "id" in frame:
            self._replies[frame["id"]] = frame
        else:
            self.pushes.append(frame)

    async def reply(self, number: int | None) -> dict[str, Any]:
        """The reply to request ``number``."""
        while number not in self._replies:
            await self.take()
        return self._replies.pop(number)

    async def ask(self, kind: str, /, **members: Any) -> dict[str, Any]:
        """Sends a request and waits for its reply."""
        number = next(self._ids)
        await self.send({"t": kind, "id": number, **members})
        return await self.reply(number)

    async def ok(self, kind: str, /, **members: Any) -> dict[str, Any]:
        """As ``ask``, of one that must not be refused."""
        reply = await self.ask(kind, **members)
        assert reply["t"] != "error", reply
        return reply

    async def refused(self, kind: str, /, **members: Any) -> str:
        """As ``ask``, of one that must be refused: with which code."""
        reply = await self.ask(kind, **members)
        assert reply["t"] == "error", reply
        return cast("str", reply["code"])

    async def push(self, kind: str) -> dict[str, Any]:
        """The next push of a kind; those before it are forgotten."""
        while True:
            while self.pushes:
                push = self.pushes.pop(0)
                if push["t"] == kind:
                    return push
            await self.take()

    async def entries(self, wanted: int) -> list[dict[str, Any]]:
        """The next so many entries."""
        found: list[dict[str, Any]] = []
        while len(found) < wanted:
            found += (await self.push("events"))["entries"]
        return found

    async def closed(self) -> int:
        """Takes what comes until the server closes; with which code."""
        try:
            while True:
                await self.take()
        except WebSocketClosed:
            return await self.ws.wait_closed()

    async def quiet(self, seconds: float = 3.0) -> list[dict[str, Any]]:
        """What is pushed within that time, beside presence and typing."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    await self.take()
        except TimeoutError:
            pass
        found, self.pushes = self.pushes, []
        return [push for push in found if push["t"] not in ("presence", "typing")]


class Chat:
    """An app with nothing but the chat."""

    def __init__(self, client: TestClient, tokens: Tokens, hub: Hub) -> None:
        self.http = client
        self.tokens = tokens
        self.hub = hub

    @asynccontextmanager
    async def anonymous(self, subprotocol: str | None = "chat.v1.json") -> AsyncGenerator[Client]:
        """A client that has not said who it is."""
        names = () if subprotocol is None else (subprotocol,)
        async with self.http.websocket("/chat/ws", subprotocols=names) as ws:
            yield Client(ws)

    @asynccontextmanager
    async def client(
        self, user: str, *rooms: str, subprotocol: str | None = "chat.v1.json"
    ) -> AsyncGenerator[Client]:
        """A client of ``user``, who follows rooms."""
        async with self.anonymous(subprotocol) as client:
            await client.ok("hello", token=self.tokens.issue(user, user.title()))
            for room in rooms:
                await client.ok("join", room=room)
            yield client


@asynccontextmanager
async def chat(
    store: SQLiteChatStore | None = None,
    *,
    bus: Bus | None = None,
    room: str | None = "town",
    clock: Callable[[], float] | None = None,
    transport: Transport = "memory",
    conditions: Conditions | None = None,
    seed: int = 0,
    **settings: Any,
) -> AsyncGenerator[Chat]:
    """A chat that runs, with one public room that Ada owns, unless it is there already."""
    loop = asyncio.get_running_loop()
    store = store or inline_store()
    app = App()
    app.install(ChatPlugin(store=store, bus=bus, clock=clock or (lambda: 1_700_000_000.0 + loop.time())))
    options = {f"chat.{name}": value for name, value in {"secrets": [SECRET], **settings}.items()}
    async with TestClient(
        app, settings=options, transport=transport, conditions=conditions, seed=seed
    ) as client:
        opened: Any = app.container.opened
        hub: Hub = await opened.get(Hub)
        running = Chat(client, await opened.get(Tokens), hub)
        if room is not None and room not in await store.room_names():
            await store.meet("ada", "Ada")
            await store.create("ada", room, RoomKind.PUBLIC)
        yield running


class Ether:
    """Buses in one process, over a network that delays, loses, doubles and cuts, by one seed.

    Attributes:
        loss, doubled: parts of the messages, 0 to 1.
        delay: seconds, at random up to this; so they overtake each other.
        down: nothing is carried; ``mend`` tells every bus that it may have missed something.
    """

    def __init__(self, seed: int = 0, *, loss: float = 0.0, doubled: float = 0.0, delay: float = 0.0) -> None:
        self.loss = loss
        self.doubled = doubled
        self.delay = delay
        self.down = False
        self.lines: list[EtherBus] = []
        self.random = Random(seed)

    def bus(self, *, max_bytes: int = 1 << 20) -> EtherBus:
        """One process's end."""
        return EtherBus(self, max_bytes)

    def mend(self) -> None:
        """It carries again."""
        self.down = False
        for line in self.lines:
            line.lost()

    def carry(self, data: bytes) -> None:
        """Takes a message to every end, the sender's too."""
        loop = asyncio.get_running_loop()
        for line in self.lines:
            for _ in range(1 + (self.random.random() < self.doubled)):
                if not self.down and self.random.random() >= self.loss:
                    loop.call_later(self.random.uniform(0, self.delay), line.land, data)


class EtherBus:
    """See ``Ether``."""

    alone = False

    def __init__(self, ether: Ether, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._ether = ether
        self.hear: Callable[[bytes], None]
        self.lost: Callable[[], None]

    async def open(self, hear: Callable[[bytes], None], lost: Callable[[], None]) -> None:
        self.hear, self.lost = hear, lost
        self._ether.lines.append(self)

    def land(self, data: bytes) -> None:
        if self in self._ether.lines:
            self.hear(data)

    def publish(self, data: bytes) -> None:
        if self in self._ether.lines:
            self._ether.carry(data)

    async def close(self) -> None:
        self.die()

    def die(self) -> None:
        """As if its process were killed."""
        if self in self._ether.lines:
            self._ether.lines.remove(self)

    async def ping(self) -> None:
        if self._ether.down:
            raise ConnectionError
