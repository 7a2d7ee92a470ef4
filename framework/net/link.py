"""The socket's side of a connection: flow control both ways, deadlines, and ways to end. It knows no message."""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

from framework.http.request import Address
from framework.net.core import Core
from framework.net.wheel import NEVER

__all__ = ["Link"]

MAX_LINGERED: Final = 1_048_576


class Link(asyncio.Protocol):
    """A transport with deadlines.

    Three deadlines run beside each other, each NEVER while it does not apply: ``_read_by`` (the client owes bytes),
    ``_handle_by`` (the handler owes a response), ``_write_by`` (the client must take what was written).
    """

    __slots__ = (
        "_buffered",
        "_closing",
        "_core",
        "_handle_by",
        "_lingered",
        "_read_by",
        "_reading",
        "_writable",
        "_write_by",
        "due",
        "transport",
    )

    def __init__(self, core: Core) -> None:
        self._core = core
        self.transport: asyncio.Transport | None = None
        self._closing = False
        self._reading = True
        self._writable: asyncio.Future[None] | None = None
        self._buffered = 0
        self._lingered = -1
        self._read_by = self._handle_by = self._write_by = NEVER
        self.due = NEVER

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._core.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._core.leave(self)
        self._core.wheel.forget(self)
        self._read_by = self._handle_by = self._write_by = NEVER
        self.transport = None
        self._closing = True
        self._release_writers()

    # -- deadlines --------------------------------------------------------------------------------------------------

    def _expect_bytes(self, timeout: float) -> None:
        """The client owes bytes within ``timeout`` seconds."""
        wheel = self._core.wheel
        self._read_by = due = wheel.now + timeout
        if due < self.due:
            wheel.watch(self, due)

    def on_due(self, now: float) -> float:
        if now >= self._write_by:
            self._written_late()
        if now >= self._handle_by:
            self._handle_by = NEVER
            self._handled_late()
        if now >= self._read_by:
            self._read_by = NEVER
            self._read_late()
        return min(self._read_by, self._handle_by, self._write_by)

    def _read_late(self) -> None:
        raise NotImplementedError

    def _handled_late(self) -> None:
        raise NotImplementedError

    def _written_late(self) -> None:
        """A client that took some of it gets another ``write_timeout``; one that took nothing is cut off."""
        transport = self.transport
        self._write_by = NEVER
        if transport is None:
            return
        left = transport.get_write_buffer_size()
        if left < self._buffered:
            self._buffered = left
            self._write_by = self._core.wheel.now + self._core.settings.write_timeout
        else:
            self._core.log.info("cut off a client that does not read: %d bytes were waiting for it", left)
            transport.abort()

    # -- flow control -----------------------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        core = self._core
        if self._writable is None:
            self._writable = core.loop.create_future()
        self._buffered = self.transport.get_write_buffer_size() if self.transport is not None else 0
        self._write_by = core.wheel.now + core.settings.write_timeout
        core.wheel.watch(self, self._write_by)

    def resume_writing(self) -> None:
        self._write_by = NEVER
        self._release_writers()

    def _release_writers(self) -> None:
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)

    def write(self, data: bytes) -> None:
        """Writes to the transport; dropped when the client is gone."""
        if self.transport is not None:
            self.transport.write(data)

    async def drained(self) -> None:
        """Waits until the client has taken enough to write on; at once when it keeps up or is gone."""
        while self._writable is not None:
            await asyncio.shield(self._writable)

    def _pause_reading(self) -> None:
        if self._reading and self.transport is not None:
            self._reading = False
            self.transport.pause_reading()

    def _resume_reading(self) -> None:
        if not self._reading and self.transport is not None:
            self._reading = True
            self.transport.resume_reading()

    # -- endings ----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Closes once what was written has gone out."""
        self._closing = True
        if self.transport is not None:
            self.transport.close()

    def shut_down(self) -> None:
        """The server drains: go away as soon as nothing is under way."""
        raise NotImplementedError

    def cancel(self) -> None:
        """The server's patience is over: cancel what is under way."""
        raise NotImplementedError

    def abort(self) -> None:
        """Closes at once; what was written may be lost."""
        self._closing = True
        if self.transport is not None:
            self.transport.abort()

    def linger(self) -> None:
        """Closes our side and reads a while longer, so that a client still sending gets to see the answer
        instead of a reset (RFC 9112 section 9.6)."""
        transport = self.transport
        self._closing = True
        if transport is None or self._lingered >= 0:
            return
        if not transport.can_write_eof():
            transport.close()
            return
        self._lingered = 0
        self._resume_reading()
        transport.write_eof()
        self._expect_bytes(self._core.settings.linger_timeout)

    def _swallow(self, data: bytes) -> None:
        """What still comes while lingering: counted and dropped."""
        self._lingered += len(data)
        if self._lingered > MAX_LINGERED:
            self.close()

    # -- who is there -----------------------------------------------------------------------------------------------

    @property
    def peer(self) -> Address | None:
        """The other end of the socket; None on a unix socket."""
        name = self.transport.get_extra_info("peername") if self.transport is not None else None
        return Address(name[0], name[1]) if isinstance(name, tuple) else None

    def extra(self, name: str) -> Any:
        """What the transport tells by that name (``asyncio.BaseTransport.get_extra_info``), None when it does not."""
        return self.transport.get_extra_info(name) if self.transport is not None else None

    @property
    def scheme(self) -> str:
        secure = self.transport is not None and self.transport.get_extra_info("ssl_object") is not None
        return "https" if secure else "http"
