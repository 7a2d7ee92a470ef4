"""What every log line of a request carries: its id and its place in a trace, for as long as the request lasts."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar, Token
from sys import getrefcount
from typing import Final, cast

from framework.http.request import Request
from framework.http.response import STREAM, Response, StreamingResponse
from framework.middleware.hooks import Hooks
from framework.middleware.observed import ObservedBody
from framework.middleware.trace_context import trace_of

__all__ = ["LogScope", "current_fields", "fields_of"]


def fields_of(request: Request) -> Mapping[str, object]:
    """The fields that lead from a log line to its request and its trace."""
    trace = trace_of(request)
    return {"request_id": request.id, "trace_id": trace.trace_id, "span_id": trace.span_id}


class _Scope:
    """The fields of one request, made when the first line asks for them: most requests log nothing.

    ``token`` undoes its entering.
    """

    __slots__ = ("made", "request", "token")

    def __init__(self, request: Request | None) -> None:
        self.request = request
        self.token: Token[_Scope | None] | None = None
        self.made: Mapping[str, object] | None = None

    @property
    def fields(self) -> Mapping[str, object]:
        if self.made is None:
            self.made = {} if self.request is None else fields_of(self.request)
        return self.made

    def close(self) -> None:
        """The request is over. Tasks that outlive it keep its fields, but not itself, its body and its connection."""
        _ = self.fields
        self.request = None


_SCOPE: Final[ContextVar[_Scope | None]] = ContextVar("log_scope", default=None)
# Bound once: to bind them anew would be a fifth of what the hooks cost.
_enter, _leave, _current = _SCOPE.set, _SCOPE.reset, _SCOPE.get


def current_fields() -> Mapping[str, object]:
    """The fields of the request that the running code belongs to; nothing outside of requests."""
    scope = _current()
    return {} if scope is None else scope.fields


class LogScope(Hooks):
    """Whatever is logged between these hooks, in child tasks and streamed bodies too, carries the request's fields.

    For phase EDGE. Hooks run in the Context of the handler, so that no onion is needed.
    """

    def __init__(self) -> None:
        nobody = _Scope(None)
        self._unshared = getrefcount(nobody)

    def before(self, request: Request) -> None:
        """Enters the scope."""
        scope = _Scope(request)
        scope.token = _enter(scope)

    def after(self, request: Request, response: Response) -> None:
        """Leaves it. A stream enters it again for each of its pieces."""
        scope = _current()
        if scope is None or scope.request is not request or scope.token is None:
            return
        _leave(scope.token)
        # Somebody else has it: a Context that a task or a timer of this request runs in.
        shares = getrefcount(scope)
        if shares > self._unshared:
            scope.close()
        if type(response) is not Response and response.kind == STREAM:
            streamed = cast("StreamingResponse", response)
            streamed.content = _ScopedBody(streamed, request)


class _ScopedBody(ObservedBody):
    """A streamed body that is made within the scope of its request."""

    __slots__ = ("_scope",)

    def __init__(self, response: StreamingResponse, request: Request) -> None:
        super().__init__(response.content)
        self._scope = _Scope(request)

    def enter(self) -> Token[_Scope | None]:
        return _enter(self._scope)

    def leave(self, entered: Token[_Scope | None]) -> None:
        _leave(entered)

    def ended(self, error: BaseException | None) -> None:
        self._scope.close()
