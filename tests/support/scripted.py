"""A server that does as it is told, right or wrong: sends any bytes, cuts, stalls. For tests of clients."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, cast

from framework.net.client.connection import ClientConnection, as_protocol
from framework.net.client.origin import Origin
from framework.testing.network import Conditions, Network

__all__ = ["NetworkConnector", "Peer", "Play", "listening", "played"]

PATIENCE = 1000.0


class Peer(asyncio.Protocol):
    """The server's end of one connection. ``number`` counts connections from 0."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.transport: asyncio.Transport | None = None
        self.buffer = b""
        self.eof = False
        self.lost = False
        self.made: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._news: asyncio.Future[None] | None = None
        self.task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.made.set_result(None)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self._tell()

    def eof_received(self) -> bool:
        self.eof = True
        self._tell()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.eof = self.lost = True
        self._tell()

    def _tell(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    async def _more(self) -> None:
        if self.eof:
            raise EOFError(f"the client has gone; it said {self.buffer!r}")
        self._news = asyncio.get_running_loop().create_future()
        async with asyncio.timeout(PATIENCE):
            await self._news

    async def head(self) -> bytes:
        """The next bytes up to and with an empty line."""
        while b"\r\n\r\n" not in self.buffer:
            await self._more()
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        return head + b"\r\n\r\n"

    async def take(self, size: int) -> bytes:
        """The next ``size`` bytes."""
        while len(self.buffer) < size:
            await self._more()
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    async def until(self, mark: bytes) -> bytes:
        """The next bytes up to and with ``mark``."""
        while mark not in self.buffer:
            await self._more()
        data, found, self.buffer = self.buffer.partition(mark)
        return data + found

    async def gone(self) -> bytes:
        """Waits for the client to close; what it sent till then."""
        while not self.eof:
            await self._more()
        return self.buffer

    def send(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)

    def close(self) -> None:
        """FIN, behind all that was sent."""
        assert self.transport is not None
        self.transport.close()

    def abort(self) -> None:
        """RST."""
        assert self.transport is not None
        sock: socket.socket | None = self.transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    async def flushed(self, most: int) -> None:
        """Waits until no more than ``most`` bytes wait for the client."""
        assert self.transport is not None
        while self.transport.get_write_buffer_size() > most:  # noqa: ASYNC110 - a transport tells nobody else
            await asyncio.sleep(0.1)

    def stop_reading(self) -> None:
        assert self.transport is not None
        self.transport.pause_reading()

    def read_on(self) -> None:
        assert self.transport is not None
        self.transport.resume_reading()


Play: TypeAlias = Callable[[Peer], Awaitable[None]]


class Stage:
    """Starts a play for every connection that comes in."""

    def __init__(self, play: Play) -> None:
        self._play = play
        self.peers: list[Peer] = []

    def enter(self) -> Peer:
        peer = Peer(len(self.peers))
        self.peers.append(peer)
        peer.task = asyncio.get_running_loop().create_task(self._perform(peer))
        return peer

    async def _perform(self, peer: Peer) -> None:
        await peer.made
        try:
            await self._play(peer)
        except EOFError:
            pass

    async def end(self) -> None:
        """Ends all plays. Raises what one of them raised."""
        for peer in self.peers:
            assert peer.task is not None
            peer.task.cancel()
            if peer.transport is not None:
                peer.transport.abort()
        results = await asyncio.gather(
            *(peer.task for peer in self.peers if peer.task is not None), return_exceptions=True
        )
        for result in results:
            if isinstance(result, Exception):
                raise result


class NetworkConnector:
    """Joins a pool's connections to a stage, over a simulated network.

    Attributes:
        calls: how often it was asked to connect.
        delay: seconds a connection takes.
        failures: what to raise instead of the next connections, first come first.
    """

    def __init__(self, stage: Stage, conditions: Conditions | None = None, *, seed: int = 0) -> None:
        self.network = Network(conditions, seed=seed)
        self._stage = stage
        self.calls = 0
        self.delay = 0.0
        self.failures: list[Exception] = []
        self.peers = stage.peers
        self.connections: list[ClientConnection] = []

    async def connect(self, origin: Origin, factory: Callable[[], ClientConnection]) -> ClientConnection:
        self.calls += 1
        await asyncio.sleep(self.delay)
        if self.failures:
            raise self.failures.pop(0)
        made: list[ClientConnection] = []

        def client() -> asyncio.Protocol:
            made.append(factory())
            return as_protocol(made[0])

        self.network.connect(client, self._stage.enter)
        self.connections.append(made[0])
        return made[0]


@asynccontextmanager
async def played(
    play: Play, conditions: Conditions | None = None, *, seed: int = 0
) -> AsyncGenerator[NetworkConnector]:
    """A server in a simulated network that performs ``play`` for each connection."""
    stage = Stage(play)
    try:
        yield NetworkConnector(stage, conditions, seed=seed)
    finally:
        await stage.end()


@asynccontextmanager
async def listening(play: Play, **options: Any) -> AsyncGenerator[tuple[str, list[Peer]]]:
    """The same on a real socket of the loopback interface; its address, and the connections it has got."""
    stage = Stage(play)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(stage.enter, "127.0.0.1", 0, **options)
    try:
        port = server.sockets[0].getsockname()[1]
        yield f"127.0.0.1:{port}", stage.peers
    finally:
        server.close()
        await stage.end()
        await server.wait_closed()
