"""A bus between the processes of one machine, without a server: each listens on a unix socket in one folder, and
connects to all others that it finds there.

Bytes on a connection are neither lost nor reordered. What may be lost is what was said before two had found each other,
or while one of them does not read: then ``lost`` is called where it was missed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from framework.errors import SetupError

__all__ = ["WorkersBus"]

log = logging.getLogger("framework.chat")

MAX_BUFFERED: Final = 8 * 1024 * 1024
SCAN_INTERVAL: Final = 0.5
_LENGTH: Final = 4


class WorkersBus:
    """``workers://`` (the workers of one supervisor) or ``workers:///folder`` (all who name that folder).

    Args:
        folder: made for this user alone if it is not there. Who can write into it can speak on the bus.
    """

    alone = False
    max_bytes = 1 << 20

    def __init__(self, folder: Path, *, scan_interval: float = SCAN_INTERVAL) -> None:
        self._folder = folder
        self._path = folder / f"{uuid4().hex[:16]}.sock"
        self._scan_interval = scan_interval
        self._hear: Callable[[bytes], None] = _nobody
        self._lost: Callable[[], None] = _nothing
        self._server: asyncio.Server | None = None
        self._scanning: asyncio.Task[None] | None = None
        self._outgoing: dict[str, _Outgoing] = {}
        self._incoming: set[_Incoming] = set()

    @property
    def peers(self) -> int:
        """How many others hear what is published."""
        return len(self._outgoing)

    async def open(self, hear: Callable[[bytes], None], lost: Callable[[], None]) -> None:
        """Listens, and connects to those who are there. Raises SetupError where the folder cannot be used."""
        self._hear, self._lost = hear, lost
        _prepare(self._folder)
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_unix_server(lambda: _Incoming(self), self._path)
        except OSError as error:
            raise SetupError(f"chat.bus: cannot listen at {self._path}: {error.strerror or error}") from error
        await self._scan()
        self._scanning = asyncio.create_task(self._go_on(), name="chat bus")

    def publish(self, data: bytes) -> None:
        """Sends to all others. One that does not read is cut off, and told so by that."""
        framed = len(data).to_bytes(_LENGTH, "big") + data
        for peer in list(self._outgoing.values()):
            peer.send(framed)

    async def close(self) -> None:
        """Leaves the folder."""
        task, self._scanning = self._scanning, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        for peer in list(self._outgoing.values()):
            peer.close()
        for speaker in list(self._incoming):
            speaker.close()
        self._outgoing.clear()
        server, self._server = self._server, None
        if server is not None:
            server.close()
            await server.wait_closed()
        with suppress(OSError):
            self._path.unlink()
        with suppress(OSError):
            self._folder.rmdir()

    async def ping(self) -> None:
        """Raises where it does not listen."""
        if self._server is None or not self._server.is_serving():
            raise ConnectionError("the bus does not listen")

    # -- finding each other -------------------------------------------------------------------------------------------

    async def _go_on(self) -> None:
        while True:
            await asyncio.sleep(self._scan_interval)
            try:
                await self._scan()
            except OSError as error:
                log.warning("the bus cannot look into %s: %s", self._folder, error)

    async def _scan(self) -> None:
        for name in os.listdir(self._folder):
            if name.endswith(".sock") and name != self._path.name and name not in self._outgoing:
                await self._connect(name)

    async def _connect(self, name: str) -> None:
        path = self._folder / name
        try:
            async with asyncio.timeout(1.0):
                _, peer = await asyncio.get_running_loop().create_unix_connection(
                    lambda: _Outgoing(self, name), str(path)
                )
        except (ConnectionRefusedError, FileNotFoundError):
            with suppress(OSError):  # somebody was killed and could not tidy up
                path.unlink()
        except (OSError, TimeoutError) as error:
            log.warning("the bus cannot reach %s: %s", path, error)
        else:
            self._outgoing[name] = peer

    # -- what the connections tell ------------------------------------------------------------------------------------

    def came(self, incoming: _Incoming) -> None:
        """Another speaks to us from now on; what it said before was not heard."""
        self._incoming.add(incoming)
        self._lost()

    def went(self, incoming: _Incoming) -> None:
        """Another does not speak to us any more."""
        self._incoming.discard(incoming)
        if self._server is not None:
            self._lost()

    def heard(self, data: bytes) -> None:
        """A message."""
        self._hear(data)

    def ended(self, name: str, peer: _Outgoing) -> None:
        """Another does not hear us any more."""
        if self._outgoing.get(name) is peer:
            del self._outgoing[name]


class _Outgoing(asyncio.Protocol):
    """To one other; nothing comes back."""

    def __init__(self, bus: WorkersBus, name: str) -> None:
        self._bus = bus
        self._name = name
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._bus.ended(self._name, self)

    def send(self, framed: bytes) -> None:
        transport = self._transport
        if transport is None:
            return
        if transport.get_write_buffer_size() > MAX_BUFFERED:
            log.warning("a process of the chat does not read its bus and was cut off")
            transport.abort()
            return
        transport.write(framed)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class _Incoming(asyncio.Protocol):
    """From one other."""

    def __init__(self, bus: WorkersBus) -> None:
        self._bus = bus
        self._rest = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._bus.came(self)

    def data_received(self, data: bytes) -> None:
        data = self._rest + data if self._rest else data
        at = 0
        while len(data) - at >= _LENGTH:
            length = int.from_bytes(data[at : at + _LENGTH], "big")
            if length > WorkersBus.max_bytes:
                log.error("what came over the bus is no message")
                self._transport.abort()
                return
            if len(data) - at - _LENGTH < length:
                break
            self._bus.heard(data[at + _LENGTH : at + _LENGTH + length])
            at += _LENGTH + length
        self._rest = data[at:]

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._bus.went(self)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _prepare(folder: Path) -> None:
    """A folder that is this user's alone."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise SetupError(
            f"chat.bus: the folder {folder} cannot be made: {error.strerror or error}"
        ) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise SetupError(f"chat.bus: {folder} must be a folder of this user alone (mode 700)")


def _nobody(data: bytes) -> None:
    pass


def _nothing() -> None:
    pass
