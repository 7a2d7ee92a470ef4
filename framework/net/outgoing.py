"""The response's way out: hooks, framing, what becomes of the connection, and refusals that never were requests."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any, TypeAlias

from framework.errors import ResourceError
from framework.http.problem import PROBLEM_JSON, problem
from framework.http.request import Request
from framework.http.response import PLAIN, Response
from framework.net.core import Core
from framework.net.encoder import asks_to_close
from framework.net.incoming import Incoming

__all__ = ["Outgoing"]

AfterWork: TypeAlias = tuple[Callable[..., Any], tuple[Any, ...], Context]


class Outgoing(Incoming):
    """A link that answers requests, and so is their Exchange.

    ``_busy``: bytes that come do not begin a request, because one is under way or waits; ``_after``: what to run once
    the response is written.
    """

    __slots__ = ("_after", "_busy")

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._after: list[AfterWork] | None = None
        self._busy = False

    # -- what a request may ask -------------------------------------------------------------------------------------

    def after_response(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        if self._after is None:
            self._after = []
        self._after.append((function, args, copy_context()))

    def _run_after(self) -> None:
        work, self._after = self._after or [], None
        for function, args, context in work:
            try:
                self._core.background.spawn(function, *args, context=context)
            except ResourceError as error:
                self._core.log.error("background work was dropped: %s", error)

    # -- responses --------------------------------------------------------------------------------------------------

    def apply_hooks(self, request: Request, response: Response) -> Response:
        """Runs the after hooks; one that fails makes the request a failed one, which the others still see."""
        for hook in request.endpoint.after:
            try:
                changed = hook(request, response)
            except Exception as error:
                response = self._core.failed(request, error)
            else:
                response = response if changed is None else changed
        return response

    def encode(self, request: Request, response: Response) -> bytes:
        """The bytes of a plain response; of an error's where it cannot be sent as it is."""
        core = self._core
        encoder = core.encoder
        head = request.method == "HEAD"
        try:
            if (
                response.fields is None
                and request.keep_alive
                and self._body is None
                and not (self._busy or core.draining)
            ):
                if core.idle_by < self.due:
                    core.wheel.watch(self, core.idle_by)
                self._read_by = core.idle_by
                return encoder.whole(
                    response, head, encoder.keeping if request.minor else encoder.keeping_1_0
                )
            return encoder.whole(
                response, head, encoder.tail(self.keeps_alive(request, response), request.minor)
            )
        except Exception as error:
            return self._encode_failure(request, core.failed(request, error))

    def _encode_failure(self, request: Request, response: Response) -> bytes:
        encoder = self._core.encoder
        head = request.method == "HEAD"
        tail = encoder.tail(self.keeps_alive(request, response), request.minor)
        try:
            if response.kind == PLAIN:
                return encoder.whole(response, head, tail)
        except Exception:
            self._core.log.exception("the response to an error cannot be sent")
        return encoder.whole(self._core.bare_failure(), head, tail)

    def keeps_alive(self, request: Request, response: Response) -> bool:
        """Decides whether the connection outlives this response, and settles what is left of the request's body."""
        core = self._core
        keep = request.keep_alive and not self._closing and not core.draining
        if keep and asks_to_close(response):
            keep = False
        if self._body is not None and self._body.arriving:
            keep = keep and self._may_drop_rest()
            self._expecting = False
            if keep:
                self._busy = True
                self._drop_rest()
        if not keep:
            self._closing = True
        elif not self._busy:
            self._expect_bytes(core.settings.keep_alive_timeout)
        return keep

    def refuse(self, status: int, reason: str, fields: bytes = b"") -> None:
        """Answers what never became a request, and closes."""
        core = self._core
        core.refused[status] += 1
        core.log.info("refused %s: %d %s", self._client, status, reason)
        body = problem(status, detail=reason)
        head = core.encoder.prefix(status, PROBLEM_JSON) + b"content-length: %d\r\n" % len(body) + fields
        self.write(head + core.encoder.closing + body)
        self.linger()
