"""One WebSocket on a transport, of either side: messages, the closing handshake, keep-alive, back-pressure both ways.

It knows neither HTTP nor who reads: a ``Receiver`` is told what happens, and messages are handed to its ``deliver``, or
wait here until ``receive`` takes them.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextvars import copy_context
from random import uniform
from typing import Any, Final, Literal, TypeAlias

from framework.net.core import Core
from framework.net.link import MAX_QUIET, as_protocol
from framework.net.upgrade import TakenLink
from framework.net.websocket.inflow import SLICE, Inflow, Receiver
from framework.net.websocket.outflow import BROKEN, Message
from framework.net.websocket.settings import WebSocketSettings
from framework.wire.websocket.compression import Compression
from framework.wire.websocket.events import Close, WebSocketError
from framework.wire.websocket.frames import Masks, encode_close, encode_ping

__all__ = ["Message", "Receiver", "Session", "Side"]

Side: TypeAlias = Literal["server", "client"]

RESTART: Final = 1012
# Bytes within a ping's deadline that show a peer to be alive whose pong is behind a long frame.
PROGRESS: Final = 1024
# The part of the drain's time over which closes are spread; the rest is for the peers to answer in.
SPREAD: Final = 0.7


class Session(Inflow):
    """A WebSocket, from the opening handshake to the end.

    Args:
        core: what the connections of a server (or of a client) share.
        settings: limits and deadlines.
        side: this one.
        compression: where permessage-deflate was agreed.

    ``_progress``: bytes that came since the last ping.
    """

    __slots__ = (
        "_ended",
        "_progress",
        "_server",
    )

    def __init__(
        self,
        core: Core,
        settings: WebSocketSettings,
        *,
        side: Side = "server",
        compression: Compression | None = None,
    ) -> None:
        super().__init__(core, settings, Masks() if side == "client" else None, compression)
        self._server = side == "server"
        self._progress = 0
        self._ended: asyncio.Future[None] | None = None

    # -- the transport's side ---------------------------------------------------------------------------------------

    def open(self, link: TakenLink) -> None:
        """Takes the transport over, behind the handshake. Bytes that came with that are read at once."""
        core, transport = self._core, link.transport
        self.transport = transport
        self.peer = link.peer
        self.scheme = link.scheme
        core.connections.add(self)
        core.websockets += 1
        core.wheel.wake()
        core.wheel.watch(self, core.wheel.now + MAX_QUIET)  # it turns, so that deadlines are counted from now
        transport.set_protocol(as_protocol(self))
        transport.set_write_buffer_limits(self._settings.write_limit)
        if self._settings.ping_interval is not None:
            self._expect_bytes(self._settings.ping_interval)
        if self.receiver is not None:
            self.receiver.opened()
        if link.leaving:
            self.shut_down()
        if link.received:
            self.data_received(link.received)

    def data_received(self, data: bytes) -> None:
        if self._lingered >= 0:
            self._swallow(data)
            return
        if self._closing:
            return
        self._progress += len(data)
        if self._rest:
            self._rest += data
        elif len(data) <= SLICE:
            self._feed(data)
        else:
            self._rest = data
            self._feed_rest()

    def eof_received(self) -> bool | None:
        """A peer that ends without a close has gone away."""
        if self._lingered < 0:
            self._flush()
            self._end(BROKEN, "")
        self.close()
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._core.websockets -= 1
        self._rest = b""
        self._out = None
        self._end(BROKEN, "")
        self._call_drained()
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)
        if self.receiver is None:
            self.leave()
            return
        self.expect_end()
        if self.deliver is not None and (self._busy or self._queue is not None):
            self._go_on_later()
        else:
            self.receiver.lost()

    def expect_end(self, timeout: float | None = None) -> None:
        """What is still under way has so many seconds to end, ``close_timeout`` unless given; it is overdue then."""
        self._handle_within(self._settings.close_timeout if timeout is None else timeout)

    def leave(self) -> None:
        """The connection is gone, and nothing is under way any more."""
        if self.transport is None:
            self.receiver = None
            self.deliver = None
            self._leave()

    # -- back-pressure ------------------------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        """A listener gets no more to answer until its answers are taken."""
        super().pause_writing()
        if self.deliver is not None and not self.over:
            self._holding = True
            self._pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._pong is not None:
            self._answer_ping()
        self._call_drained()
        if self._holding:
            self._go_on_later()

    # -- endings ----------------------------------------------------------------------------------------------------

    def _end(self, code: int, reason: str) -> None:
        super()._end(code, reason)
        waiter = self.waiter
        if waiter is not None and not waiter.done():
            self._wake()

    def start_closing(self, code: int = 1000, reason: str = "") -> None:
        """Sends a close; the peer has ``close_timeout`` to answer it. Nothing happens where one side has closed before.

        Raises:
            LocalProtocolError: a code that must not be sent, or a reason of more than 123 bytes.
        """
        if self.over:
            return
        frame = encode_close(code, reason, self._mask())
        self.write_frames(frame)
        self._flush()
        self._deaf = True
        self._queue = None
        self._end(code, reason)
        if self.transport is not None and not self._closing:
            self._expect_bytes(self._settings.close_timeout)
            if not self._reading:
                self._go_on_later()  # what comes now is only looked through for the answer

    def _ponged(self) -> None:
        if self._settings.ping_interval is not None and not self.over:
            self._expect_bytes(self._settings.ping_interval)

    def _peer_closes(self, close: Close) -> None:
        if not self.over:
            if self._pong is not None:
                self._answer_ping()
            self.write_frames(encode_close(close.code, "", self._mask()))
            self._flush()
            self._end(close.code, close.reason)
        if self._server:
            self.close()
        else:
            # The server is the first to close the connection (RFC 6455 section 7.1.1).
            self._expect_bytes(self._settings.close_timeout)

    def _fail(self, error: WebSocketError) -> None:
        """The peer broke the protocol: it is told, and nothing is read any more."""
        self._core.log.info("closed %s with %d: %s", self.name, error.code, error.reason)
        self._rest = b""
        if not self.over:
            self.write_frames(encode_close(error.code, error.reason, self._mask()))
            self._flush()
            self._end(error.code, error.reason)
        self.linger()

    async def wait_closed(self) -> None:
        """Waits for the end of the connection. After ``start_closing`` that has a deadline."""
        while self.transport is not None:
            if self._ended is None:
                self._ended = self._core.loop.create_future()
            await asyncio.shield(self._ended)

    def after_response(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """As a request's exchange: the response was written long ago."""
        self._core.background.spawn(function, *args, context=copy_context())

    def abort(self) -> None:
        self._end(BROKEN, "")
        super().abort()

    def shut_down(self) -> None:
        """The server drains: close with 1012 within its time, not with all the others at once."""
        if not self.over:
            self._handle_within(uniform(0.0, self._core.settings.drain_timeout * SPREAD))

    def cancel(self) -> None:
        self.start_closing(RESTART, "the server is restarting")
        if self.receiver is not None:
            self.receiver.cancel()
        self.close()

    # -- deadlines --------------------------------------------------------------------------------------------------

    def _handle_within(self, timeout: float) -> None:
        core = self._core
        self._handle_by = due = core.loop.time() + timeout
        if due < self.due:
            core.wheel.watch(self, due)

    def _handled_late(self) -> None:
        if not self.over:
            self.start_closing(RESTART, "the server is restarting")
        elif self.receiver is not None:
            self.receiver.overdue()

    def _read_late(self) -> None:
        if self._lingered >= 0:
            self.close()
        elif self.over:
            self._core.log.info("cut off %s: it did not answer the close", self.name)
            self.abort()
        else:
            self._keep_alive()

    def _keep_alive(self) -> None:
        """A ping, or the verdict on the last one. While reading pauses, a pong cannot come either."""
        settings = self._settings
        if self._reading and self._ping:
            if self._progress < PROGRESS:
                self._core.log.info(
                    "cut off %s: no answer to a ping within %g s", self.name, settings.ping_timeout
                )
                self.abort()
                return
        elif self._writable is None:
            self._ping = os.urandom(4)
            self.write_frames(encode_ping(self._ping, self._mask()))
        self._progress = 0
        self._expect_bytes(settings.ping_timeout)
