"""The socket's side of a connection: flow control both ways, deadlines, and ways to end. It knows no message."""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

from framework.http.request import Address, Origin, Request
from framework.net.core import Core
from framework.net.wheel import NEVER

__all__ = ["MAX_QUIET", "Link", "as_protocol"]

MAX_LINGERED: Final = 1_048_576
MAX_QUIET: Final = 60.0


class Link:
    """A transport with deadlines.

    Three deadlines run beside each other, each NEVER while it does not apply: ``_read_by`` (the client owes bytes),
    ``_handle_by`` (the handler owes a response), ``_write_by`` (the client must take what was written).

    ``peer`` is the other end of the socket, None on a unix socket; like ``scheme`` it outlives the transport, which
    is None once the connection is lost.
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
        "peer",
        "scheme",
        "transport",
    )

    def __init__(self, core: Core) -> None:
        self._core = core
        self.transport: asyncio.Transport | None = None
        self.peer: Address | None = None
        self.scheme = "http"
        self._closing = False
        self._reading = True
        self._writable: asyncio.Future[None] | None = None
        self._buffered = 0
        self._lingered = -1
        self._read_by = self._handle_by = self._write_by = NEVER
        self.due = NEVER

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        name = transport.get_extra_info("peername")
        if isinstance(name, tuple):
            host, port = cast("tuple[str, int]", name[:2])
            self.peer = Address(host, port)
        if transport.get_extra_info("ssl_object") is not None:
            self.scheme = "https"

    def connection_lost(self, exc: Exception | None) -> None:
        self._read_by = self._write_by = NEVER
        self.transport = None
        self._closing = True
        self._release_writers()

    def _let_go(self) -> None:
        """The transport is another protocol's."""
        self.transport = None

    def _leave(self) -> None:
        """Nothing is left of the connection."""
        self._core.leave(self)
        self._core.wheel.forget(self)

    # -- deadlines --------------------------------------------------------------------------------------------------

    def _expect_bytes(self, timeout: float) -> None:
        """The client owes bytes within ``timeout`` seconds, give or take a tick."""
        wheel = self._core.wheel
        self._read_by = due = wheel.now + timeout
        if due < self.due:
            wheel.watch(self, due)

    def on_due(self, now: float) -> float:
        if now >= self._write_by:
            self._write_by = NEVER
            self._written_late()
        if now >= self._handle_by:
            self._handle_by = NEVER
            self._handled_late()
        if now >= self._read_by:
            self._read_by = NEVER
            self._read_late()
        # While there are connections the wheel turns, so that its time and the Date field stay true.
        return min(self._read_by, self._handle_by, self._write_by, now + MAX_QUIET)

    def _read_late(self) -> None:
        raise NotImplementedError

    def _handled_late(self) -> None:
        raise NotImplementedError

    def _written_late(self) -> None:
        """A client that took some of it gets another ``write_timeout``; one that took nothing is cut off."""
        transport = self.transport
        if transport is None:
            return
        left = transport.get_write_buffer_size()
        if left < self._buffered:
            self._expect_taken(left)
        else:
            self._core.log.info("cut off a client that does not read: %d bytes were waiting for it", left)
            self.abort()

    def _expect_taken(self, waiting: int) -> None:
        """The client has ``write_timeout`` to take some of the ``waiting`` bytes."""
        self._buffered = waiting
        self._write_by = due = self._core.wheel.now + self._core.settings.write_timeout
        self._core.wheel.watch(self, due)

    # -- flow control -----------------------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        if self._writable is None:
            self._writable = self._core.loop.create_future()
        if self.transport is not None:
            self._expect_taken(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self._write_by = NEVER
        self._release_writers()

    def _release_writers(self) -> None:
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)

    def write(self, data: bytes) -> None:
        """Writes to the transport; dropped when the client is gone, or our side closed."""
        if self.transport is not None and self._lingered < 0:
            if self._writable is not None:
                self._buffered += len(data)
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
            # In a Context without the request's: a transport keeps the one it resumes in.
            self._core.runners.context.copy().run(self.transport.resume_reading)

    # -- endings ----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Closes once the client has taken what was written; it has ``write_timeout`` to go on taking it."""
        self._closing = True
        self._read_by = NEVER
        transport = self.transport
        if transport is not None and not transport.is_closing():
            transport.close()
            self._expect_taken(transport.get_write_buffer_size())

    def shut_down(self) -> None:
        """The server drains: go away as soon as nothing is under way."""
        raise NotImplementedError

    def cancel(self) -> None:
        """The server's patience is over: cancel what is under way."""
        raise NotImplementedError

    def abort(self) -> None:
        """Closes at once; what was written may be lost."""
        self._closing = True
        self._read_by = self._write_by = NEVER
        if self.transport is not None:
            self.transport.abort()

    def linger(self) -> None:
        """Closes our side and reads a while longer, so that a client still sending gets to see the answer
        instead of a reset (RFC 9112 section 9.6)."""
        transport = self.transport
        self._closing = True
        if transport is None or transport.is_closing() or self._lingered >= 0:
            return
        self._lingered = 0
        try:
            if not transport.can_write_eof():
                self.close()
                return
            transport.write_eof()
        except OSError:  # the client is gone, and the transport has not noticed
            self.abort()
            return
        self._resume_reading()
        self._expect_bytes(self._core.settings.linger_timeout)

    def _swallow(self, data: bytes) -> None:
        """What still comes while lingering: counted and dropped."""
        self._lingered += len(data)
        if self._lingered > MAX_LINGERED:
            self.close()

    # -- what a request may ask -------------------------------------------------------------------------------------

    def resolve(self, request: Request) -> Origin:
        """Who asks, seen through the trusted proxies."""
        peer, proxies = self.peer, self._core.proxies
        host = request.host or self._own_host()
        if proxies is None:
            return Origin(peer, self.scheme, host)
        seen = proxies.resolve(None if peer is None else peer.host, request.headers)
        client = peer if seen.client is None else Address(seen.client, 0)
        return Origin(client, seen.scheme or self.scheme, seen.host or host)

    def _own_host(self) -> str:
        """What a request without a host asked for: the address it came to (RFC 9112 section 3.3)."""
        name = self.transport.get_extra_info("sockname") if self.transport is not None else None
        if not isinstance(name, tuple):
            return "localhost"
        host, port = str(name[0]), int(name[1])  # pyright: ignore[reportUnknownArgumentType]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def extra(self, name: str) -> Any:
        """What the transport tells by that name (``asyncio.BaseTransport.get_extra_info``), None when it does not."""
        return self.transport.get_extra_info(name) if self.transport is not None else None


def as_protocol(link: Link) -> asyncio.Protocol:
    """A link as loops want it. It has all of a Protocol's methods; the compiled one cannot have it for a base."""
    return cast("asyncio.Protocol", link)
