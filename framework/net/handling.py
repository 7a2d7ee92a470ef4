"""The handler under way: its deadline, why it was cancelled, and what its response is told of a shutdown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from framework.errors import DeadlineExceeded, PeerClosed, ResourceError
from framework.http.request import Request
from framework.http.response import Response, StreamingResponse
from framework.net.core import Core
from framework.net.encoder import asks_to_close
from framework.net.outgoing import Outgoing
from framework.net.runner import Runner
from framework.net.wheel import NEVER

__all__ = ["Handling", "overloaded", "run_whole"]


class Handling(Outgoing):
    """A link with at most one handler that was suspended.

    ``_runner``: where it is finished; ``_reason``: why it was cancelled, None when it was not, or by itself;
    ``_timeout``: its time in seconds, as it was set; ``_leaving``: the server goes away, and the connection is to end
    when it falls idle; ``_on_drain``: what the response on its way wants called then.
    """

    __slots__ = ("_leaving", "_on_drain", "_reason", "_runner", "_timeout")

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._runner: Runner | None = None
        self._reason: BaseException | None = None
        self._timeout = 0.0
        self._leaving = False
        self._on_drain: Callable[[], None] | None = None

    def failure(self, request: Request, error: BaseException) -> Response:
        """The response to what a handler raised. A cancellation is told by its reason: the client's leave, the
        deadline, the server's shutdown."""
        if isinstance(error, asyncio.CancelledError):
            if self._reason is not None:
                error = self._reason
            elif self.transport is None:
                error = PeerClosed("the client closed the connection")
        return self._core.failed(request, error)

    def begins(self, request: Request, response: StreamingResponse, *, framed: bool) -> bool:
        """As ``keeps_alive``, for a response whose body may still be made of the request's."""
        self._handle_by = NEVER
        request.deadline = None  # it was for the head
        self._on_drain = response.on_drain
        if self._leaving:
            self._tell_of_drain()
        keep = framed and request.keep_alive and not self._closing and not self._core.draining
        if not keep or self._expecting or asks_to_close(response):
            self._closing = True
        self._expecting = False
        return not self._closing

    def _tell_of_drain(self) -> None:
        on_drain, self._on_drain = self._on_drain, None
        if on_drain is not None:
            try:
                on_drain()
            except Exception:
                self._core.log.exception("a response could not be told that the server shuts down")

    def _handle_within(self, timeout: float) -> None:
        core = self._core
        self._timeout = timeout
        self._handle_by = due = core.loop.time() + timeout
        if due < self.due:
            core.wheel.watch(self, due)

    def _handled_late(self) -> None:
        """Cancels the handler; one that will not end even so loses its connection."""
        if self._runner is None:
            return
        if self._reason is not None:
            self._core.log.error("a handler ignores its cancellation; its connection was cut")
            self.abort()
        else:
            self._cancel(DeadlineExceeded("the handler", self._timeout))

    def _cancel(self, reason: BaseException) -> None:
        """Cancels the handler under way, which then has ``cancel_timeout`` to end."""
        if self._runner is None:
            return
        if self._reason is None:
            self._reason = reason
        self._handle_within(self._core.settings.cancel_timeout + 1.0)
        self._runner.task.cancel(str(reason))

    def _ended(self) -> None:
        """No handler is under way any more."""
        self._runner = None
        self._reason = None
        self._on_drain = None
        self._handle_by = NEVER


async def run_whole(request: Request) -> Any:
    """Hooks and handler of a request that came while some other Task was running."""
    endpoint = request.endpoint
    for hook in endpoint.before:
        response = hook(request)
        if response is not None:
            return response
    result = endpoint.call(request)
    if endpoint.is_async:
        result = await result
    return result if endpoint.respond is None else endpoint.respond(result)


def overloaded(_: Request) -> Response:
    """In a handler's place when too many are under way."""
    raise ResourceError("too many requests are under way", retry_after=1.0)
