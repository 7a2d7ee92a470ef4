"""A TCP proxy between a client and a server, that drops, delays, cuts and swallows what passes through it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Literal

__all__ = ["Proxy", "proxied"]

Mode = Literal["pass", "hole", "refuse"]


class Proxy:
    """Forwards connections to a server.

    Attributes:
        port: its own, on 127.0.0.1.
        delay: seconds that each piece is held back, in each direction.
        accepted: connections so far; ``most_at_once`` of them at the same time.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self.port = 0
        self.delay = 0.0
        self.accepted = 0
        self.most_at_once = 0
        self._mode: Mode = "pass"
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._pairs: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listens."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Cuts all connections and listens no more."""
        assert self._server is not None
        self._server.close()
        self.cut()
        pairs = set(self._pairs)
        for pair in pairs:
            pair.cancel()
        if pairs:
            await asyncio.wait(pairs)

    @property
    def open(self) -> int:
        """Connections that pass through now."""
        return len(self._pairs)

    def cut(self) -> None:
        """Resets every connection there is; new ones are taken."""
        for writer in self._writers:
            writer.transport.abort()

    def black_hole(self) -> None:
        """Takes and keeps everything: nothing arrives, nothing is answered, and nobody is told."""
        self._mode = "hole"
        self._flowing.clear()

    def refuse(self) -> None:
        """New connections are reset at once."""
        self._mode = "refuse"

    def restore(self) -> None:
        """Passes on everything again, also what was kept."""
        self._mode = "pass"
        self._flowing.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if self._mode == "refuse":
            writer.transport.abort()
            return
        self.accepted += 1
        self._pairs.add(task)
        self.most_at_once = max(self.most_at_once, len(self._pairs))
        self._writers.add(writer)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # a task of start_server's that ends cancelled is logged as an error
        finally:
            self._writers.discard(writer)
            self._pairs.discard(task)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._flowing.wait()
        there_reader, there_writer = await asyncio.open_connection(*self._target)
        self._writers.add(there_writer)
        ways = {
            asyncio.create_task(self._pump(reader, there_writer)),
            asyncio.create_task(self._pump(there_reader, writer)),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            self._writers.discard(there_writer)
            there_writer.transport.abort()
            await asyncio.wait(ways)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                await self._flowing.wait()
                if self.delay:
                    await asyncio.sleep(self.delay)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass  # cut


@asynccontextmanager
async def proxied(host: str, port: int) -> AsyncGenerator[Proxy]:
    """A proxy that runs, and is stopped in the end."""
    proxy = Proxy(host, port)
    await proxy.start()
    try:
        yield proxy
    finally:
        proxy.restore()
        await proxy.stop()
