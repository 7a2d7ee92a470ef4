"""What every log line of a request carries: its id and its place in a trace, for as long as the request lasts."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar, Token
from sys import getrefcount
from typing import Final, cast

from framework.http.handler import Handler
from framework.http.request import Request
from framework.http.response import STREAM, Response, StreamingResponse
from framework.middleware.observed import ObservedBody
from framework.middleware.trace_context import trace_of

__all__ = ["current_fields", "fields_of", "log_scope"]


def fields_of(request: Request) -> Mapping[str, object]:
    """The fields that lead from a log line to its request and its trace."""
    trace = trace_of(request)
    return {"request_id": request.id, "trace_id": trace.trace_id, "span_id": trace.span_id}


class _Scope:
    """The fields of one request, made when the first line asks for them: most requests log nothing."""

    __slots__ = ("_fields", "_request")

    def __init__(self, request: Request | None) -> None:
        self._request = request
        self._fields: Mapping[str, object] | None = None

    @property
    def fields(self) -> Mapping[str, object]:
        if self._fields is None:
            self._fields = {} if self._request is None else fields_of(self._request)
        return self._fields

    def close(self) -> None:
        """The request is over. Tasks that outlive it keep its fields, but not itself, its body and its connection."""
        _ = self.fields
        self._request = None


_SCOPE: Final[ContextVar[_Scope | None]] = ContextVar("log_scope", default=None)


def current_fields() -> Mapping[str, object]:
    """The fields of the request that the running code belongs to; nothing outside of requests."""
    scope = _SCOPE.get()
    return {} if scope is None else scope.fields


def _references(scope: _Scope) -> int:
    return getrefcount(scope)


def log_scope(handler: Handler) -> Handler:
    """A middleware: whatever is logged below it, in child tasks and streamed bodies too, carries the request's fields.

    For phase EDGE. Hooks run outside of it; they have the request at hand.
    """
    nobody = _Scope(None)
    unshared = _references(nobody)

    async def in_scope(request: Request) -> Response:
        scope = _Scope(request)
        token = _SCOPE.set(scope)
        try:
            response = await handler(request)
        finally:
            _SCOPE.reset(token)
            # Somebody else has it: a context that a task or a timer of this request runs in.
            if _references(scope) > unshared:
                scope.close()
        if response.kind == STREAM:
            streamed = cast("StreamingResponse", response)
            streamed.content = _ScopedBody(streamed, request)
        return response

    return in_scope


class _ScopedBody(ObservedBody):
    """A streamed body that is made within the scope of its request."""

    __slots__ = ("_scope",)

    def __init__(self, response: StreamingResponse, request: Request) -> None:
        super().__init__(response.content)
        self._scope = _Scope(request)

    def enter(self) -> Token[_Scope | None]:
        return _SCOPE.set(self._scope)

    def leave(self, entered: Token[_Scope | None]) -> None:
        _SCOPE.reset(entered)

    def ended(self, error: BaseException | None) -> None:
        self._scope.close()
