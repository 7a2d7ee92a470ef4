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
    100 Continue before it sends (RFC 9110 section 10.1.1); ``_progress``: bytes since the deadline was set.
    """

    __slots__ = ("_body", "_expecting", "_progress")

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._body: BodyStream | None = None
        self._expecting = False
        self._progress = 0

    @property
    def _receiving(self) -> bool:
        return self._body is not None and self._body.arriving

    def _take_body(self, exchange: Exchange, request: Request, data: bytes, position: int) -> int:
        """Attaches the body that begins at ``position``; returns where the next request begins."""
        length = request.content_length
        if length >= 0 and position + length <= len(data):
            request.exchange = exchange
            request.received = data[position : position + length]
            return position + length
        core = self._core
        body = BodyStream(
            self,
            length if length >= 0 else None,
            limits=core.limits,
            high_water=core.settings.max_body_in_flight,
        )
        self._expecting = request.expect_continue and position == len(data)
        self._progress = 0
        if self._expecting:
            self._read_by = NEVER
        else:
            self._expect_bytes(core.settings.body_timeout)
        request.attach(exchange, None, body)
        rest = body.feed(data[position:])
        if rest is not None:
            return len(data) - len(rest)
        self._body = body
        return len(data)

    def _feed_body(self, data: bytes) -> bytes | None:
        """More of the body; returns what lies behind its end, None while it goes on or when it is broken."""
        body = self._body
        assert body is not None
        self._expecting = False
        try:
            rest = body.feed(data)
        except RemoteProtocolError as error:
            self._core.log.info("malformed body from %s: %s", self._client, error.reason)
            self._lose_body(error)
            return None
        if rest is not None:
            self._read_by = NEVER
            return rest
        self._progress += len(data)
        if self._progress >= MIN_PROGRESS and self._reading:
            self._progress = 0
            self._expect_bytes(self._core.settings.body_timeout)
        return None

    def _lose_body(self, error: RemoteProtocolError | PeerClosed) -> None:
        """The rest of the body cannot be had, so nothing else can come on this connection."""
        self._closing = True
        self._read_by = NEVER
        if self._body is not None:
            self._body.fail(error)

    @property
    def _client(self) -> str:
        return "a client" if self.peer is None else self.peer.host

    def _may_drop_rest(self) -> bool:
        """A rest nobody will read is thrown away if it is short and on its way; else the connection has to close."""
        body = self._body
        rest = None if body is None else body.remaining
        return not self._expecting and rest is not None and rest <= self._core.settings.max_drained_body

    def _drop_rest(self) -> None:
        if self._body is not None:
            self._body.discard()
            self.body_wanted()

    def body_wanted(self) -> None:
        """Somebody waits for the body: the client gets its 100 Continue and a deadline for the next bytes.

        Asking again sets no new deadline, so that a client cannot keep a reader for ever by a byte at a time.
        """
        if self._expecting:
            self._expecting = False
            self.write(CONTINUE)
        self._resume_reading()
        if self._read_by == NEVER:
            self._progress = 0
            self._expect_bytes(self._core.settings.body_timeout)

    def body_full(self) -> None:
        self._read_by = NEVER
        self._pause_reading()
