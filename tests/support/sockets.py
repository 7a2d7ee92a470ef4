"""A server on real sockets, and clients that speak bytes to it."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

from framework.net.server import Server
from framework.net.settings import ServerSettings
from tests.support.harness import App
from tests.support.replies import Reply, read_reply

__all__ = ["Wire", "connected", "serving_app"]

PATIENCE = 20.0


class Wire:
    """One end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._received = b""

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def drain(self) -> None:
        """Waits until the server has taken enough to write on."""
        async with asyncio.timeout(PATIENCE):
            await self._writer.drain()

    def send_eof(self) -> None:
        self._writer.write_eof()

    async def reply(self, method: str = "GET") -> Reply:
        """The next whole response."""
        async with asyncio.timeout(PATIENCE):
            while True:
                if b"\r\n\r\n" in self._received:
                    reply, rest = read_reply(self._received, method)
                    if reply.complete:
                        self._received = rest
                        return reply
                data = await self._reader.read(65_536)
                if not data:
                    raise EOFError(f"the server closed after {self._received!r}")
                self._received += data

    async def rest(self) -> bytes:
        """All that comes until the server closes."""
        async with asyncio.timeout(PATIENCE):
            return self._received + await self._reader.read()

    async def some(self, size: int) -> None:
        """Reads ``size`` bytes and forgets them."""
        async with asyncio.timeout(PATIENCE):
            await self._reader.readexactly(size)

    def stop_reading(self) -> None:
        cast("asyncio.Transport", self._writer.transport).pause_reading()

    def reset(self) -> None:
        """Leaves without a good-bye: the server's next read fails."""
        sock: socket.socket = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self._writer.transport.abort()

    async def close(self) -> None:
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except OSError:
            pass


@asynccontextmanager
async def connected(server: Server, **options: Any) -> AsyncGenerator[Wire]:
    """A connection to the server's first socket."""
    path = server.settings.unix_socket
    if path is not None:
        reader, writer = await asyncio.open_unix_connection(path, **options)
    else:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, **options)
    wire = Wire(reader, writer)
    try:
        yield wire
    finally:
        await wire.close()


@asynccontextmanager
async def serving_app(app: App, **settings: Any) -> AsyncGenerator[Server]:
    """Serves until the block ends, then shuts down unless that was done; nothing may be left behind."""
    before = asyncio.all_tasks()
    defaults = {"port": 0, "idle_grace": 0.0, "drain_timeout": 10.0, "cancel_timeout": 2.0}
    server = Server(app, ServerSettings(**{**defaults, **settings}))
    await server.start()
    try:
        yield server
    finally:
        if not server.core.draining:
            server.stop()
            await server.shutdown()
    left = asyncio.all_tasks() - before
    assert not left, f"tasks left behind: {left}"
    assert not server.core.connections
    assert not server.core.wheel.turning
    gc.collect()
