"""The body's way in: attached whole where it came with its head, else streamed, waited for, or thrown away."""

from __future__ import annotations

from typing import Final

from framework.errors import PeerClosed, RemoteProtocolError
from framework.http.request import Exchange, Request
from framework.net.body import BodyStream
from framework.net.core import Core
from framework.net.link import Link
from framework.net.wheel import NEVER

__all__ = ["Incoming"]

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
MIN_PROGRESS: Final = 1024


class Incoming(Link):
    """A link that may have a request body on its way.

    ``_body`` is that body, None when the last one came with its head; ``_expecting``: the client waits for
    100 Continue before it sends (RFC 9110 section 10.1.1).
    """

    __slots__ = ("_body", "_expecting", "_progress")

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._body: BodyStream | None = None
        self._expecting = False
        self._progress = 0

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._body is not None:
            self._body.fail(PeerClosed("the client closed the connection"))

    @property
    def _receiving(self) -> bool:
        return self._body is not None and not self._body.complete

    def _take_body(self, exchange: Exchange, request: Request, data: bytes, position: int) -> int:
        """Attaches the body that begins at ``position``; returns where the next request begins."""
        length = request.content_length
        if length >= 0 and position + length <= len(data):
            request.attach(exchange, data[position : position + length], None)
            return position + length
        body = BodyStream(
            self, length if length >= 0 else None, high_water=self._core.settings.max_body_in_flight
        )
        request.attach(exchange, None, body)
        rest = body.feed(data[position:])
        if rest is not None:
            return len(data) - len(rest)
        self._body = body
        self._expecting = request.expect_continue and position == len(data)
        return len(data)

    def _feed_body(self, data: bytes) -> bytes | None:
        """More of the body; returns what lies behind its end, None while it goes on or when it is broken."""
        body = self._body
        assert body is not None
        try:
            rest = body.feed(data)
        except RemoteProtocolError as error:
            self._core.log.info("malformed body: %s", error.reason)
            self._closing = True
            self._read_by = NEVER
            self._pause_reading()
            body.fail(error)
            return None
        if rest is None:
            self._progress += len(data)
            if self._progress >= MIN_PROGRESS and self._reading:
                self.body_wanted()
        else:
            self._read_by = NEVER
        return rest

    def _drops_rest(self) -> bool:
        """A rest nobody will read is thrown away if it is short and on its way; else the connection has to close."""
        body = self._body
        assert body is not None
        rest = body.remaining
        if self._expecting or rest is None or rest > self._core.settings.max_drained_body:
            return False
        body.discard()
        self.body_wanted()
        return True

    def body_wanted(self) -> None:
        """Somebody waits for the body: the client gets its 100 Continue and a deadline for the next bytes."""
        if self._expecting:
            self._expecting = False
            self.write(CONTINUE)
        self._progress = 0
        self._resume_reading()
        self._expect_bytes(self._core.settings.body_timeout)

    def body_full(self) -> None:
        self._read_by = NEVER
        self._pause_reading()
