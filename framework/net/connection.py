"""One client connection: bytes to requests, requests to endpoints, responses to bytes, in order.

A request whose handler never suspends is answered inside ``data_received``; one that suspends is finished in a parked
Task (``runner.py``) while further bytes wait. At most one request is under way, so responses keep their order.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

from framework.errors import PeerClosed, RemoteProtocolError, ResourceError
from framework.http.request import Request
from framework.http.response import Response, StreamingResponse
from framework.http.upgrade import Upgrade
from framework.net.core import MAX_TURNED_AWAY, Core, not_a_response
from framework.net.finishing import Finishing
from framework.net.handling import overloaded, run_whole
from framework.net.step import NOT_STARTED, UNCLEAN, Suspended
from framework.net.wheel import NEVER
from framework.wire.leaves import parse_request

__all__ = ["Connection"]

MAX_HELD: Final = 65_536


class Connection(Finishing):
    """The protocol object of one accepted socket.

    ``_heading``: a head has begun but is not whole, so its deadline runs; ``_eof``: the client has closed its side and
    still gets answers.
    """

    __slots__ = ("_eof", "_heading")

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._heading = True
        self._eof = False

    # -- the transport's side ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        core = self._core
        if core.enter(self):
            self._expect_bytes(core.settings.header_timeout)
        elif len(core.turned_away) > MAX_TURNED_AWAY:
            self.abort()
        else:
            self.refuse(503, "the server has no room for another connection", b"retry-after: 1\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancels the handler; one that waits for its body learns of it there, by PeerClosed."""
        super().connection_lost(exc)
        self._pending = b""
        gone = PeerClosed("the client closed the connection")
        runner, body = self._runner, self._body
        reads = runner is not None and body is not None and body.reader is runner.task
        if body is not None:
            body.fail(gone)
        if runner is None:
            self._leave()
        elif not reads:
            self._cancel(gone)

    def data_received(self, data: bytes) -> None:
        if self._busy or self._closing:
            self._take_more(data)
            return
        if self._pending:
            pending = self._pending
            data = pending + data
            if data.find(b"\n", len(pending)) < 0 and len(data) <= self._core.settings.max_head:
                self._pending = data
                return
            self._pending = b""
        self._serve(data)

    def eof_received(self) -> bool | None:
        """With ``half_close`` the client still gets the answers to what it sent whole; else it has gone away."""
        if self._core.settings.half_close and self._busy and not self._closing and not self._receiving:
            self._eof = True
            self._closing = not self._pending
            return True
        if self._pending.strip(b"\r\n") and not self._busy and not self._closing:
            self.refuse(400, "the head of the request is incomplete")
        self.close()
        return None

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._pending:
            self._go_on_later()

    # -- requests ---------------------------------------------------------------------------------------------------

    def _serve(self, data: bytes) -> None:
        """Serves the requests in ``data`` until one suspends, the client reads too slowly, or the turn is up."""
        core = self._core
        position, size = 0, len(data)
        turns = core.turns
        output = b""
        more: list[bytes] | None = None
        held = 0
        while position < size:
            if turns == 0 or self._writable is not None:
                self._wait_turn(data[position:])
                break
            turns -= 1
            try:
                request = parse_request(data, position, core.limits, Request)
                if request is None:
                    self._await_head(data[position:])
                    break
                position = request.end
                if request.content_length > 0 or request.chunked:
                    position = self._take_body(self, request, data, position)
                else:
                    request.exchange = self
                    request.received = b""
            except RemoteProtocolError as error:
                self._flush(output, more)
                self.refuse(error.status, error.reason)
                return
            response = self._begin(request)
            if response is None:
                self._pending = data[position:]
                if self._upgrade is not None:
                    self._flush(output, more)
                    self._switch(request)
                    return
                break
            encoded = self.encode(request, response)
            if not output:
                output = encoded
            else:
                if more is None:
                    more = [output]
                more.append(encoded)
                held += len(encoded)
                if held > MAX_HELD:
                    self._flush(output, more)
                    output, more, held = b"", None, 0
            if self._after is not None:
                self._run_after()
            if self._busy or self._closing:
                self._pending = data[position:]
                break
        self._flush(output, more)
        if self._closing and self._runner is None:
            self._shut()

    def _flush(self, output: bytes, more: list[bytes] | None) -> None:
        if output and self.transport is not None:
            self.transport.write(output if more is None else b"".join(more))

    def _wait_turn(self, data: bytes) -> None:
        """Whole requests may be among the bytes, but others have their turn first, or the client has to read."""
        self._busy = True
        self._heading = False
        self._read_by = NEVER
        self._keep_waiting(data)
        if self._writable is None:
            self._go_on_later()

    def _keep_waiting(self, data: bytes) -> None:
        self._pending += data
        if len(self._pending) > self._core.settings.max_body_in_flight:
            self._pause_reading()

    def _go_on_later(self) -> None:
        self._core.loop.call_soon(self._continue, context=self._core.runners.context)

    def _continue(self) -> None:
        """Goes on with bytes that had to wait; not while a request is under way or the client has to read first."""
        if not self._busy or self._closing or self._receiving:
            return
        if self._runner is not None or self._writable is not None:
            return
        self._busy = False
        data, self._pending = self._pending, b""
        self._resume_reading()
        self._serve(data)
        if self._eof and not self._busy:
            self.eof_received()

    def _await_head(self, data: bytes) -> None:
        if data.startswith(b"\r\n"):  # empty lines ahead of a request mean nothing (RFC 9112 section 2.2)
            blank = len(data) - len(data.lstrip(b"\r\n"))
            data = data[blank - blank % 2 :]
        self._pending = data
        if not self._heading:
            self._heading = True
            self._expect_bytes(self._core.settings.header_timeout)

    def _begin(self, request: Request) -> Response | None:
        """Runs hooks and the handler's first step; None when the rest happens in a parked Task."""
        core = self._core
        runners = core.runners
        self._heading = False
        endpoint = request.endpoint = core.find(request)
        call = overloaded if runners.full else endpoint.call
        try:
            response = runners.spare.step(endpoint.before, call, request, endpoint.is_async, endpoint.respond)
            if response is UNCLEAN:
                step = runners.renew().step
                response = step(endpoint.before, call, request, endpoint.is_async, endpoint.respond)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            response = runners.spare.context.run(self.failure, request, error)
        if type(response) is not Response:
            response = self._sort_out(request, response)
            if response is None:
                return None
            if isinstance(response, Upgrade):
                return self._begin_upgrade(request, response)
        if endpoint.after:
            response = runners.spare.context.run(self.apply_hooks, request, response)
            if isinstance(response, StreamingResponse):
                self._hand_over(request, runners.take(), partial(self._stream, request, response, True))
                return None
        return response

    def _sort_out(self, request: Request, result: object) -> Response | None:
        """What a first step came to, other than a plain Response; None when it goes on in a parked Task."""
        runners = self._core.runners
        if result is NOT_STARTED:
            suspended = Suspended(run_whole(request), None)
            self._hand_over(request, runners.fresh(), partial(self._drive, request, suspended, None))
            return None
        if isinstance(result, Suspended):
            self._hand_over(
                request, runners.take(), partial(self._drive, request, result, request.endpoint.respond)
            )
            return None
        if not isinstance(result, Response):
            result = runners.spare.context.run(self.failure, request, not_a_response(result))
        if isinstance(result, StreamingResponse):
            self._hand_over(request, runners.take(), partial(self._stream, request, result, False))
            return None
        return result

    def _end(self) -> None:
        """The response is written: on to the next request, or to the end."""
        self._ended()
        if self._after is not None:
            self._run_after()
        if self.transport is None:
            self._leave()
            return
        if self._receiving and not self._closing:
            if self._may_drop_rest():
                self._drop_rest()
            else:
                self._closing = True
        if self._closing:
            self._shut()
        elif not self._receiving:
            self._ready()

    def _ready(self) -> None:
        """The next request may begin."""
        self._body = None
        if self._pending:
            self._read_by = NEVER
            self._heading = False
            if self._writable is None:
                self._go_on_later()
        elif self._eof or self._leaving:
            self.close()
        else:
            self._busy = False
            self._resume_reading()
            self._expect_bytes(self._core.settings.keep_alive_timeout)

    def _take_more(self, data: bytes) -> None:
        """Bytes that do not begin a request: more of a body, requests that wait, or what comes too late."""
        if self._lingered >= 0:
            self._swallow(data)
            return
        if self._receiving:
            rest = self._feed_body(data)
            if rest is None:
                return
            if self._runner is None and not self._closing:
                self._pending = rest
                self._ready()
                return
            data = rest
        if data and not self._closing:
            self._keep_waiting(data)

    # -- endings ----------------------------------------------------------------------------------------------------

    def _read_late(self) -> None:
        if self._lingered >= 0:
            self.close()
        elif self._receiving:
            self._lose_body(RemoteProtocolError("the body came too slowly", 408))
            if self._runner is None:
                self.close()
        elif self._pending:
            self.refuse(408, "the head of the request came too slowly")
        else:
            self.close()

    def refuse(self, status: int, reason: str, fields: bytes = b"") -> None:
        self._pending = b""
        super().refuse(status, reason, fields)

    def _shut(self) -> None:
        """Closes behind the last response; gently where the client may still be sending."""
        unread = self._body is not None and not self._body.complete
        if self._pending or unread:
            self._pending = b""
            self.linger()
        else:
            self.close()

    def shut_down(self) -> None:
        """The server drains: an idle connection goes now, a busy one after its response."""
        self._leaving = True
        self._tell_of_drain()
        if not self._busy and not self._pending and not self._closing:
            self.close()

    def cancel(self) -> None:
        if self._runner is not None:
            self._cancel(ResourceError("the server is shutting down", retry_after=1.0))
        else:
            self.close()
