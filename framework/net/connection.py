"""One client connection: bytes to requests, requests to endpoints, responses to bytes, in order.

A request whose handler never suspends is answered inside ``data_received``; one that suspends is finished in a parked
Task (``runner.py``) while further bytes wait. At most one request is under way, so responses keep their order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, cast

from framework.errors import DeadlineExceeded, RemoteProtocolError, ResourceError
from framework.http.problem import PROBLEM_JSON, problem
from framework.http.request import Address, Origin, Request
from framework.http.response import PLAIN, STREAM, Response, StreamingResponse
from framework.net.core import Core
from framework.net.encoder import asks_to_close
from framework.net.incoming import Incoming
from framework.net.runner import Resumed, Runner
from framework.net.step import DONE, REFUSED, SUSPENDED
from framework.net.stream import send_stream
from framework.net.wheel import NEVER
from framework.wire.leaves import parse_request

__all__ = ["Connection"]

Job = Callable[[asyncio.CancelledError | None], Coroutine[Any, Any, None]]


class Connection(Incoming):
    """The protocol object of one accepted socket.

    ``_busy``: bytes that come do not begin a request (a handler is suspended, or a body goes on);
    ``_heading``: a head has begun but is not whole, so its deadline runs.
    """

    __slots__ = (
        "_after",
        "_busy",
        "_heading",
        "_pending",
        "_runner",
        "_timed_out",
    )

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._runner: Runner | None = None
        self._pending = b""
        self._after: list[tuple[Callable[..., Any], tuple[Any, ...]]] | None = None
        self._busy = self._timed_out = False
        self._heading = True

    # -- the transport's side ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        core = self._core
        if len(core.connections) > core.settings.max_connections:
            self._refuse(503, "the server has no room for another connection", b"retry-after: 1\r\n")
        else:
            self._expect_bytes(core.settings.header_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._pending = b""
        if self._runner is not None:
            self._runner.task.cancel()

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
        if self._closing or not self._busy:
            if self._closing or not self._pending.strip(b"\r\n"):
                return None
            self._refuse(400, "the head of the request is incomplete")
            return True
        if self._receiving:
            return None
        self._closing = True
        return self._core.settings.half_close

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._pending and not self._busy:
            self._core.loop.call_soon(self._continue)

    # -- requests ---------------------------------------------------------------------------------------------------

    def _serve(self, data: bytes) -> None:
        """Serves the requests in ``data`` until one suspends, the client reads too slowly, or the turn is up."""
        core = self._core
        position, size = 0, len(data)
        turns = core.turns
        output = b""
        more: list[bytes] | None = None
        while position < size:
            if turns == 0 or self._writable is not None:
                self._pending = data[position:]
                core.loop.call_soon(self._continue)
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
                    request.attach(self, b"", None)
            except RemoteProtocolError as error:
                self.write(output if more is None else b"".join(more))
                self._refuse(error.status, error.reason)
                return
            response = self._begin(request)
            if response is None:
                self._pending = data[position:]
                break
            encoded = self._encode(request, response)
            if not output:
                output = encoded
            elif more is None:
                more = [output, encoded]
            else:
                more.append(encoded)
            if self._after is not None:
                self._run_after()
            if self._busy or self._closing:
                self._pending = data[position:]
                break
        if output and self.transport is not None:
            self.transport.write(output if more is None else b"".join(more))
        if self._closing and self._runner is None:
            self._shut()

    def _continue(self) -> None:
        """Goes on with bytes that had to wait."""
        if self._pending and not self._busy and not self._closing and self._writable is None:
            data, self._pending = self._pending, b""
            self._serve(data)

    def _await_head(self, data: bytes) -> None:
        self._pending = data
        if not self._heading:
            self._heading = True
            self._expect_bytes(self._core.settings.header_timeout)

    def _begin(self, request: Request) -> Response | None:
        """Runs hooks and the handler's first step; None when the rest happens in a parked Task."""
        core = self._core
        runners = core.runners
        runner = runners.spare
        self._heading = False
        endpoint = request.endpoint = core.find(request)
        try:
            for hook in endpoint.before:
                response = hook(request)
                if response is not None:
                    break
            else:
                if runners.full:
                    raise ResourceError("too many requests are under way", retry_after=1.0)
                if endpoint.is_async:
                    coro = endpoint.call(request)
                    state, response = runner.step(coro)
                    if state != DONE:
                        if state in (SUSPENDED, REFUSED):
                            self._suspend(request, coro, response, started=state == SUSPENDED)
                            return None
                        runners.renew()
                    if endpoint.respond is not None:
                        response = endpoint.respond(response)
                else:
                    response = runner.context.run(endpoint.call, request)
                    if not runner.clean:
                        runners.renew()
            kind = response.kind
        except (Exception, asyncio.CancelledError) as error:
            response = core.failed(request, error)
            kind = response.kind
            if not runner.clean:
                runners.renew()
        if kind != PLAIN:
            self._hand_over(runners.take(), partial(self._deliver, request, response))
            return None
        return response

    def _suspend(self, request: Request, coro: Coroutine[Any, Any, Response], yielded: Any, *, started: bool) -> None:
        """Hands a handler that awaits something (or that could not be started here) to a parked Task."""
        runners = self._core.runners
        runner = runners.take() if started else runners.fresh()
        self._hand_over(runner, partial(self._drive, request, coro, yielded, started))
        timeout = request.endpoint.timeout
        if timeout is not None:
            wheel = self._core.wheel
            self._handle_by = request.deadline = wheel.now + timeout
            wheel.watch(self, self._handle_by)

    def _hand_over(self, runner: Runner, job: Job) -> None:
        self._busy = True
        self._runner = runner
        if self._body is None:
            self._read_by = NEVER
        runner.hand_over(job)

    async def _drive(
        self,
        request: Request,
        coro: Coroutine[Any, Any, Response],
        yielded: Any,
        started: bool,
        interrupt: asyncio.CancelledError | None,
    ) -> None:
        """Finishes a handler that suspended; runs in a parked Task."""
        try:
            response = await Resumed(coro, yielded, interrupt, started=started)
            if request.endpoint.respond is not None:
                response = request.endpoint.respond(response)
        except asyncio.CancelledError as error:
            response = self._interrupted(request, error)
        except Exception as error:
            response = self._core.failed(request, error)
        await self._deliver(request, response, None)

    def _interrupted(self, request: Request, error: asyncio.CancelledError) -> Response:
        """Why a handler was cancelled: its client's leave, its deadline, the server's shutdown, or itself."""
        reason: BaseException = error
        if self.transport is None:
            return Response(status=499)
        if self._timed_out:
            reason = DeadlineExceeded("the handler", request.endpoint.timeout or 0.0)
        elif self._core.draining:
            reason = ResourceError("the server is shutting down", retry_after=1.0)
        return self._core.failed(request, reason)

    async def _deliver(
        self, request: Request, response: Response, interrupt: asyncio.CancelledError | None
    ) -> None:
        self._handle_by = NEVER
        try:
            if response.kind == STREAM and interrupt is None:
                await send_stream(self, self._core, request, cast("StreamingResponse", response))
            else:
                output = self._encode(request, response)
                if self.transport is not None:
                    self.transport.write(output)
        finally:
            self._end()

    def _end(self) -> None:
        """The response is written: on to the next request, or to the end."""
        self._runner = None
        self._timed_out = False
        if self._after is not None:
            self._run_after()
        if self._closing:
            self._shut()
        elif not self._receiving:
            self._ready()

    def _ready(self) -> None:
        self._body = None
        self._busy = False
        self._expect_bytes(self._core.settings.keep_alive_timeout)
        self._resume_reading()
        if self._pending:
            self._core.loop.call_soon(self._continue)

    # -- responses --------------------------------------------------------------------------------------------------

    def _encode(self, request: Request, response: Response) -> bytes:
        core = self._core
        encoder = core.encoder
        if request.endpoint.after:
            response = self.apply_hooks(request, response)
        if response.fields is None and request.keep_alive and self._body is None and not (self._busy or core.draining):
            if core.idle_by < self.due:
                core.wheel.watch(self, core.idle_by)
            self._read_by = core.idle_by
            tail = encoder.keeping if request.minor else encoder.keeping_1_0
        else:
            tail = encoder.tail(self.keeps_alive(request, response), request.minor)
        head = request.method == "HEAD"
        try:
            return encoder.whole(response, head, tail)
        except Exception as error:
            return encoder.whole(core.failed(request, error), head, tail)

    def apply_hooks(self, request: Request, response: Response) -> Response:
        """Runs all after hooks; the failure of one is a failed request like any other, which the others see."""
        for hook in request.endpoint.after:
            try:
                response = hook(request, response) or response
            except Exception as error:
                response = self._core.failed(request, error)
        return response

    def keeps_alive(self, request: Request, response: Response) -> bool:
        """Decides whether the connection outlives this response, and settles what is left of the request's body."""
        core = self._core
        keep = request.keep_alive and not self._closing and not core.draining
        if keep and self._receiving:
            keep = self._busy = self._drops_rest()
        if keep and asks_to_close(response):
            keep = False
        if not keep:
            self._closing = True
        elif not self._busy:
            self._expect_bytes(core.settings.keep_alive_timeout)
        return keep

    def ends_by_close(self) -> bool:
        """The response has no other end than the connection's; returns False as ``keeps_alive`` would."""
        self._closing = True
        return False

    def after_response(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        if self._after is None:
            self._after = []
        self._after.append((function, args))

    def _run_after(self) -> None:
        work, self._after = self._after or [], None
        for function, args in work:
            try:
                self._core.background.spawn(function, *args)
            except ResourceError as error:
                self._core.log.error("background work was dropped: %s", error)

    def _take_more(self, data: bytes) -> None:
        """Bytes that do not begin a request: more of a body, pipelined requests that wait, or what comes too late."""
        if self._lingered >= 0:
            self._swallow(data)
            return
        if self._receiving:
            rest = self._feed_body(data)
            if rest is None:
                return
            data = rest
            if self._runner is None and not self._closing:
                self._pending = data
                self._ready()
                return
        if data and not self._closing:
            self._pending += data
            if len(self._pending) > self._core.settings.max_body_in_flight:
                self._pause_reading()

    # -- endings ----------------------------------------------------------------------------------------------------

    def _read_late(self) -> None:
        if self._lingered >= 0:
            self.close()
        elif self._body is not None and not self._body.complete:
            self._closing = True
            self._body.fail(RemoteProtocolError("the body came too slowly", 408))
            if self._runner is None:
                self.abort()
        elif self._pending:
            self._refuse(408, "the head of the request came too slowly")
        else:
            self.close()

    def _handled_late(self) -> None:
        """Cancels the handler; one that will not end even so loses its connection."""
        if self._runner is None:
            return
        if self._timed_out:
            self._core.log.error("a handler ignores its cancellation; its connection was cut")
            self.abort()
            return
        self._timed_out = True
        self._handle_by = self._core.wheel.now + self._core.settings.cancel_timeout + 1.0
        self._runner.task.cancel()

    def _refuse(self, status: int, reason: str, fields: bytes = b"") -> None:
        """Answers what never became a request, and closes."""
        core = self._core
        core.refused[status] += 1
        peer = self.peer
        core.log.info("refused %s: %d %s", peer.host if peer else "a client", status, reason)
        body = problem(status, detail=reason)
        head = core.encoder.prefix(status, PROBLEM_JSON) + b"content-length: %d\r\n" % len(body) + fields
        if self.transport is not None:
            self.transport.write(head + core.encoder.closing + body)
        self._pending = b""
        self.linger()

    def _shut(self) -> None:
        """Closes behind the last response; gently where the client may still be sending."""
        if self._pending or self._receiving:
            self._pending = b""
            self.linger()
        else:
            self.close()

    def shut_down(self) -> None:
        """The server drains: an idle connection goes now, a busy one after its response."""
        if not self._busy and not self._closing:
            self.close()

    def cancel(self) -> None:
        if self._runner is not None:
            self._runner.task.cancel()
        else:
            self.close()

    def resolve(self, request: Request) -> Origin:
        peer, proxies = self.peer, self._core.proxies
        if proxies is None:
            return Origin(peer, self.scheme, request.host)
        seen = proxies.resolve(None if peer is None else peer.host, request.headers)
        client = peer if seen.client is None else Address(seen.client, 0)
        return Origin(client, seen.scheme or self.scheme, seen.host or request.host)
