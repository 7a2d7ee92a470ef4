"""One connection to an origin: an exchange at a time, bytes out, a response in.

What breaks the framing, and what comes unasked, ends the connection: a response is never guessed at, and never given
to another exchange than its own. An exchange that is cancelled takes its connection with it.
"""

from __future__ import annotations

import asyncio
from typing import Final, cast

from framework.errors import LocalProtocolError, RemoteProtocolError
from framework.net.client.errors import StaleConnection
from framework.net.client.incoming import RawResponse
from framework.net.client.link import UNTIL_CLOSE, ClientLink
from framework.net.client.outgoing import OutgoingRequest
from framework.net.client.sending import send_body
from framework.net.client.settings import Timeouts
from framework.net.wheel import NEVER
from framework.wire.chunked import ChunkedDecoder
from framework.wire.http1 import Framing, response_body_framing
from framework.wire.leaves import ResponseHead, parse_response

__all__ = ["ClientConnection", "as_protocol"]

# A body up to this is sent in one piece with its head: a copy is cheaper than a second write.
JOINED: Final = 65_536
MAX_INFORMATIONAL: Final = 32
STOPPING_PATIENCE: Final = 1.0


class ClientConnection(ClientLink):
    """The protocol object of one socket."""

    __slots__ = ()

    # -- sending ------------------------------------------------------------------------------------------------------

    async def exchange(
        self, request: OutgoingRequest, timeouts: Timeouts, by: float = NEVER, began: float = 0.0
    ) -> RawResponse:
        """Sends ``request``; returns when the head of its response is there.

        A body that is no bytes goes on being sent while the response comes, unless that is an error or closes the
        connection: then sending stops, as it does when the response is complete.

        Args:
            by: loop time; ends the exchange wherever it is, the response's body included.
            began: loop time; what the error of ``by`` counts from.

        Raises:
            PeerClosed: the connection ended too early; StaleConnection where it was a kept one and nothing came.
            RemoteProtocolError: what came is no response.
            ExchangeDeadline: ``send``, ``head`` or ``total``.
            Exception: what the body's source raised.
        """
        waiter = self.begin(request, timeouts, by, began)
        sender = self._sender
        try:
            return await waiter
        except BaseException:
            await self.abandon(waiter, sender)
            raise

    def begin(
        self, request: OutgoingRequest, timeouts: Timeouts, by: float, began: float
    ) -> asyncio.Future[RawResponse]:
        """The first half of ``exchange``, for whoever does without a coroutine more: the future has the response.

        Where waiting for it ends otherwise, ``abandon`` has to be called.
        """
        transport = self.transport
        if not self.usable or transport is None:
            raise StaleConnection(f"{self._holder.name} has closed the connection")
        self._request = request
        self._timeouts = timeouts
        self._began = began
        self._read_by = NEVER
        self.exchanges += 1
        waiter: asyncio.Future[RawResponse] = self._loop.create_future()
        self._waiter = waiter
        if by < NEVER:
            self._by = by
            self._watch(by)
        body = request.body
        if isinstance(body, bytes) and not request.expect_continue:
            if len(body) <= JOINED:
                transport.write(request.head + body if body else request.head)
            else:
                transport.write(request.head)
                transport.write(body)
            self._await_head()
        else:
            sender = self._sender = self._loop.create_task(self._send(request))
            self._holder.sends(sender)
        return waiter

    @property
    def sender(self) -> asyncio.Task[None] | None:
        """The task that sends the body of the exchange that was begun last."""
        return self._sender

    async def abandon(self, waiter: asyncio.Future[RawResponse], sender: asyncio.Task[None] | None) -> None:
        """The exchange's task was cancelled, or is told of its failure. The connection may be another's by now."""
        if self._waiter is waiter:
            waiter.cancel()
            self._fail(LocalProtocolError("the exchange was cancelled"))
        elif not waiter.cancelled() and waiter.exception() is None:
            waiter.result().close()
        if sender is not None:
            await asyncio.wait((sender,), timeout=STOPPING_PATIENCE)

    async def _send(self, request: OutgoingRequest) -> None:
        """Sends head and body; runs in a Task of its own."""
        try:
            self.write(request.head)
            if request.expect_continue:
                self._going = self._loop.create_future()
                await asyncio.wait((self._going,), timeout=request.continue_timeout)
                self._going = None
            await send_body(self, request)
        except asyncio.CancelledError:
            if self._request is request and self._sender is not None:
                self._sender = None
                self._fail(LocalProtocolError("the task that sends the body was cancelled"))
            raise
        except Exception as error:
            if self._request is request:
                self._sender = None
                self._fail(error)
        else:
            if self._request is request:
                self._sender = None
                self._await_head()

    # -- receiving ----------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Bytes of the response; any others end the connection."""
        response = self._response
        try:
            if response is not None:
                self._read_body(response, data)
            elif self._waiter is not None:
                self._read_head(data)
            else:
                self.drop()
        except RemoteProtocolError as error:
            self._fail(RemoteProtocolError(error.reason, 502))

    def _read_head(self, data: bytes) -> None:
        held = self._held
        if held:
            data = held + data
            if data.find(b"\n", len(held)) < 0 and len(data) <= self._holder.settings.max_head:
                self._held = data
                return
        at = 0
        limits = self._holder.limits
        while True:
            head = parse_response(data, at, limits)
            if head is None:
                self._held = data[at:] if at else data
                self._heard = self._heard or 1
                return
            at = head.end
            if head.status >= 200 or head.status == 101:
                break
            if not self._inform(head):
                return
        self._held = b""
        self._begin_body(head, data, at)

    def _inform(self, head: ResponseHead) -> bool:
        """A 1xx response; returns whether the exchange goes on."""
        request = self._request
        assert request is not None
        self._heard += 1
        if self._heard > MAX_INFORMATIONAL:
            raise RemoteProtocolError("too many 1xx responses")
        if head.status == 100 and self._going is not None and not self._going.done():
            self._going.set_result(None)
        if request.on_informational is not None:
            try:
                request.on_informational(head)
            except Exception as error:
                self._fail(error)
        return self._waiter is not None

    def _begin_body(self, head: ResponseHead, data: bytes, at: int) -> None:
        request, waiter = self._request, self._waiter
        assert request is not None
        assert waiter is not None
        if self._sender is not None:
            self._answered_early(head)
        method, status, length = request.method, head.status, head.content_length
        if length > 0 and 200 <= status < 300 and status != 204 and method != "HEAD" and method != "CONNECT":
            framing = Framing.LENGTH  # nearly always; and the way to all others
        else:
            framing = response_body_framing(method, head)
        tunnel = framing is Framing.NONE and self._is_tunnel(request, head)
        self._waiter = None
        self._read_by = NEVER
        if framing is Framing.LENGTH:
            end = at + length
            self._left = end - len(data)
            if self._left <= 0:
                response = RawResponse(head, None, data[at:end])
                self._finish(head, self._left < 0)
            else:
                response = self._response = RawResponse(head, self, data[at:])
        elif framing is Framing.NONE and not tunnel:
            response = RawResponse(head, None, b"")
            self._finish(head, at < len(data))
        else:
            response = self._response = RawResponse(head, self, b"")
            if tunnel:
                self._open_tunnel(response, data[at:])
            else:
                self._left = UNTIL_CLOSE
                self._decoder = ChunkedDecoder(self._holder.limits) if framing is Framing.CHUNKED else None
                if at < len(data):
                    self._deliver(waiter, response)
                    if self._response is response:
                        self._read_body(response, data[at:])
                    return
        self._deliver(waiter, response)

    def _deliver(self, waiter: asyncio.Future[RawResponse], response: RawResponse) -> None:
        if not waiter.done():
            waiter.set_result(response)
        else:  # cancelled, and the task has not run yet
            response.close()

    def _read_body(self, response: RawResponse, data: bytes) -> None:
        self._read_by = NEVER
        if response.is_tunnel:
            self._held += data
            return
        decoder = self._decoder
        size = 0
        if decoder is not None:
            for piece in decoder.feed(data):
                size = response.feed(piece)
            if decoder.complete:
                response.finish(decoder.trailers)
                self._finish(response.head, bool(decoder.leftover))
                return
        elif self._left == UNTIL_CLOSE:
            size = response.feed(data)
        else:
            left = self._left = self._left - len(data)
            if left <= 0:
                response.feed(data if left == 0 else data[:left])
                response.finish()
                self._finish(response.head, left < 0)
                return
            size = response.feed(data)
        if size > self._holder.settings.high_water and not self._paused and self.transport is not None:
            self._paused = True
            self.transport.pause_reading()
        elif response.is_wanted:
            self.body_wanted()

    def _answered_early(self, head: ResponseHead) -> None:
        """The response comes while we still send. An error, or an end, says that nobody wants the rest; a server that
        means to go on may as well answer while it reads (RFC 9112 section 9.3)."""
        if head.status >= 300 or not head.keep_alive or (self._going is not None and not self._going.done()):
            self._stop_sending()
            head.keep_alive = False

    def _finish(self, head: ResponseHead, excess: bool) -> None:
        """The response is complete. ``excess``: more came behind its end than an idle connection may say."""
        reusable = head.keep_alive and not excess and self._sender is None and self._writable is None
        if self.exchanges == 1:
            self._heed_keep_alive(head)
        self._stop_sending()
        self._clear()
        transport = self.transport
        if self._gone or transport is None:
            return
        now = self._loop.time()
        if not reusable or now - self.born > self._max_age:
            self.close()
            return
        self.body_taken()
        self._read_by = due = now + self._idle_timeout
        if due < self.due:
            self._wheel.watch(self, due)
        self._holder.released(self)

    def _heed_keep_alive(self, head: ResponseHead) -> None:
        """``Keep-Alive: timeout=n``: leaves before the server does, so that no request meets a closing connection."""
        hint = head.field("keep-alive")
        if hint is None:
            return
        for part in hint.split(","):
            name, _, value = part.partition("=")
            value = value.strip(" \t")
            if name.strip(" \t").lower() == "timeout" and value.isascii() and value.isdigit():
                seconds = float(value[:9])
                self._idle_timeout = min(self._idle_timeout, max(seconds - 1.0, seconds / 2))

    def _is_tunnel(self, request: OutgoingRequest, head: ResponseHead) -> bool:
        if head.status == 101:
            if not request.upgrade:
                raise RemoteProtocolError("101 for a request that asked for no upgrade")
            return True
        return request.method == "CONNECT" and head.status < 300

    def _open_tunnel(self, response: RawResponse, received: bytes) -> None:
        """Holds what came behind the head, and all else back, until somebody takes the transport."""
        response.is_tunnel = True
        self._held = received
        self._paused = True
        if self.transport is not None:
            self.transport.pause_reading()


def as_protocol(connection: ClientLink) -> asyncio.Protocol:
    """A connection as loops want it: it has all of a Protocol's methods, but not the class for a base."""
    return cast("asyncio.Protocol", connection)
