"""The socket's side of a client connection: flow control, deadlines, and the ways it ends. It parses nothing."""

from __future__ import annotations

import asyncio
from typing import Any, Final, Protocol, cast

from framework.errors import LocalProtocolError, PeerClosed
from framework.net.client.errors import ExchangeDeadline, Phase, StaleConnection
from framework.net.client.incoming import RawResponse, Tunnel
from framework.net.client.outgoing import OutgoingRequest
from framework.net.client.settings import PoolSettings, Timeouts
from framework.net.wheel import NEVER, TimerWheel
from framework.wire.chunked import ChunkedDecoder
from framework.wire.leaves import Limits

__all__ = ["UNTIL_CLOSE", "ClientLink", "Holder"]

UNTIL_CLOSE: Final = -1


class Holder(Protocol):
    """Who keeps the connections. What they share, and what they tell."""

    name: str
    loop: asyncio.AbstractEventLoop
    wheel: TimerWheel
    settings: PoolSettings
    limits: Limits

    def released(self, connection: ClientLink) -> None:
        """The exchange is over, and another one may follow."""
        ...

    def lost(self, connection: ClientLink) -> None:
        """The connection will not be used again; told once."""
        ...

    def closed(self, connection: ClientLink) -> None:
        """Its socket is gone, or somebody else's; told once, after ``lost``."""
        ...

    def sends(self, task: asyncio.Task[None]) -> None:
        """A Task was started that sends a body."""
        ...


class ClientLink:
    """A transport with the exchange that is under way on it.

    ``_waiter`` is there while the head of a response is due, ``_response`` while its body is; ``_request`` as long as
    either. Three deadlines run beside each other, NEVER where they do not apply: ``_by`` (of the whole exchange),
    ``_read_by`` (the peer owes bytes; of an idle connection: when it is closed), ``_write_by`` (the peer has to take
    some of what was written).

    Attributes:
        exchanges: begun on it so far.
        born: loop time.
        transport: None once the connection is lost or handed over.
    """

    __slots__ = (
        "_adopted",
        "_began",
        "_buffered",
        "_by",
        "_decoder",
        "_going",
        "_gone",
        "_heard",
        "_held",
        "_holder",
        "_idle_timeout",
        "_left",
        "_loop",
        "_max_age",
        "_paused",
        "_read_by",
        "_request",
        "_response",
        "_sender",
        "_timeouts",
        "_waiter",
        "_wheel",
        "_writable",
        "_write_by",
        "born",
        "due",
        "exchanges",
        "transport",
    )

    def __init__(self, holder: Holder) -> None:
        self._holder = holder
        self._loop = holder.loop
        self._wheel = holder.wheel
        self._idle_timeout = holder.settings.idle_timeout
        self._max_age = holder.settings.max_age
        self.transport: asyncio.Transport | None = None
        self.born = holder.loop.time()
        self.exchanges = 0
        self.due = NEVER
        self._gone = True
        self._adopted = False
        self._clear()
        self._writable: asyncio.Future[None] | None = None
        self._buffered = 0
        self._paused = False
        self._began = 0.0

    def _clear(self) -> None:
        """As between two exchanges."""
        self._request: OutgoingRequest | None = None
        self._waiter: asyncio.Future[RawResponse] | None = None
        self._response: RawResponse | None = None
        self._decoder: ChunkedDecoder | None = None
        self._sender: asyncio.Task[None] | None = None
        self._going: asyncio.Future[None] | None = None
        self._timeouts: Timeouts | None = None
        self._held: bytes = b""
        self._left = 0
        self._heard = 0
        self._by = self._read_by = self._write_by = NEVER

    @property
    def usable(self) -> bool:
        """Whether an exchange may begin."""
        transport = self.transport
        return (
            self._request is None and not self._gone and transport is not None and not transport.is_closing()
        )

    # -- flow control -------------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Writes, as the sender of a body does; dropped when the connection is gone."""
        if self.transport is not None:
            if self._writable is not None:
                self._buffered += len(data)
            self.transport.write(data)

    async def drained(self) -> None:
        """Waits until the peer has taken enough to write on."""
        while self._writable is not None:
            await asyncio.shield(self._writable)

    def _stop_sending(self) -> None:
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.cancel()

    def pause_writing(self) -> None:
        """The transport's buffer is past its high watermark."""
        if self._writable is None:
            self._writable = self._loop.create_future()
        if self.transport is not None and self._timeouts is not None:
            self._expect_taken(self.transport.get_write_buffer_size(), self._timeouts)

    def _await_head(self) -> None:
        """The request is sent, as soon as the peer takes what waits: the response is due."""
        if self._writable is None and self._waiter is not None and self._timeouts is not None:
            self._read_by = due = self._loop.time() + self._timeouts.head
            if due < self.due:
                self._wheel.watch(self, due)

    def resume_writing(self) -> None:
        """The transport's buffer has room again."""
        self._release_writer()
        if self._sender is None:
            self._await_head()

    def _release_writer(self) -> None:
        self._write_by = NEVER
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)

    def _expect_taken(self, waiting: int, timeouts: Timeouts) -> None:
        self._buffered = waiting
        self._write_by = self._loop.time() + timeouts.send
        self._watch(self._write_by)

    def body_wanted(self) -> None:
        """Somebody waits for the response's next bytes."""
        if self._timeouts is not None:
            self._read_by = self._loop.time() + self._timeouts.body_idle
            self._watch(self._read_by)

    def body_taken(self) -> None:
        """The response's bytes were taken: there is room for more."""
        if self._paused:
            self._paused = False
            if self.transport is not None and not self.transport.is_closing():
                self.transport.resume_reading()

    # -- deadlines ----------------------------------------------------------------------------------------------------

    def _watch(self, due: float) -> None:
        if due < self.due:
            self._wheel.watch(self, due)

    def on_due(self, now: float) -> float:
        """The wheel's call: acts on what is late; returns when to look again."""
        if now >= self._by:
            self._late("total", f"the whole exchange with {self._holder.name}", self._by - self._began)
        elif now >= self._read_by:
            timeouts = self._timeouts
            if timeouts is None:
                self.close()
            elif self._waiter is not None:
                self._late("head", f"the response from {self._holder.name}", timeouts.head)
            else:
                self._late(
                    "body_idle", f"the next bytes of a response from {self._holder.name}", timeouts.body_idle
                )
        elif now >= self._write_by:
            self._written_late()
        return min(self._by, self._read_by, self._write_by)

    def _late(self, phase: Phase, what: str, seconds: float) -> None:
        self._fail(ExchangeDeadline(phase, what, seconds))

    def _written_late(self) -> None:
        """A peer that took some of it gets as long again; one that took nothing is cut off."""
        timeouts, transport = self._timeouts, self.transport
        if timeouts is None or transport is None:
            self._write_by = NEVER
            return
        left = transport.get_write_buffer_size()
        if left < self._buffered:
            self._expect_taken(left, timeouts)
        else:
            self._late("send", f"{self._holder.name} to take more of a request", timeouts.send)

    # -- endings ------------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport's first call."""
        self.transport = cast("asyncio.Transport", transport)

    def _fail(self, error: BaseException) -> None:
        """The exchange cannot go on, and so neither can the connection."""
        waiter, response = self._waiter, self._response
        self.drop()
        if response is not None:
            response.fail(error)
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)

    def drop(self) -> None:
        """Closes at once; what was written may be lost."""
        self._stop_sending()
        self._clear()
        self._leave()
        if self.transport is not None:
            self.transport.abort()

    def cut(self) -> None:
        """The client is closed: an exchange under way fails, an idle connection says good-bye."""
        if self._request is None:
            self.close()
        else:
            self._fail(LocalProtocolError("the client was closed"))

    def close(self) -> None:
        """Closes after an exchange, or an idle connection. What still waits to be sent then is not wanted any more, and
        might wait for ever."""
        self._stop_sending()
        self._clear()
        self._leave()
        transport = self.transport
        if transport is not None and not transport.is_closing():
            if transport.get_write_buffer_size():
                transport.abort()
            else:
                transport.close()

    def adopt(self) -> bool:
        """The holder counts it from now on, and is told of its end; False where that has come already."""
        if self.transport is None or self.transport.is_closing():
            return False
        self._adopted = True
        self._gone = False
        return True

    def _leave(self) -> None:
        if not self._gone:
            self._gone = True
            self._holder.lost(self)

    def eof_received(self) -> bool | None:
        """The peer closed its side: the end of a body that ends so, else of everything."""
        self._ended(None)
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport's last call."""
        self.transport = None
        self._ended(exc)
        self._release_writer()
        self._wheel.forget(self)
        if self._adopted:
            self._holder.closed(self)

    def _ended(self, exc: Exception | None) -> None:
        response = self._response
        name = self._holder.name
        if response is not None:
            if self._left == UNTIL_CLOSE and self._decoder is None and exc is None and not response.is_tunnel:
                response.finish()
                self.close()
                return
            self._fail(
                _caused(PeerClosed(f"{name} closed the connection before its response was whole"), exc)
            )
        elif self._waiter is not None:
            stale = self.exchanges > 1 and not self._heard
            kind = StaleConnection if stale else PeerClosed
            self._fail(_caused(kind(f"{name} closed the connection instead of answering"), exc))
        else:
            self.close()

    def detach(self) -> Tunnel:
        """Gives the transport away. Raises PeerClosed where it is gone."""
        transport, received = self.transport, self._held
        self._stop_sending()
        self._clear()
        self._leave()
        self._wheel.forget(self)
        if transport is None:
            raise PeerClosed(f"{self._holder.name} closed the connection")
        self.transport = None
        self._holder.closed(self)
        return Tunnel(transport, received)

    def extra(self, name: str) -> Any:
        """What the transport tells by that name, None when it does not."""
        return self.transport.get_extra_info(name) if self.transport is not None else None


def _caused(error: PeerClosed, cause: Exception | None) -> PeerClosed:
    error.__cause__ = cause
    return error
