"""The one map from error to response. Every error of a request ends here, and nothing of its inside leaves."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any, Final, TypeAlias, TypeVar, cast

from framework.errors import CodecError, DeadlineExceeded, HTTPError, PeerClosed, ProtocolError, ResourceError
from framework.http.problem import PROBLEM_JSON, problem
from framework.http.request import Request
from framework.http.response import Response

__all__ = ["ErrorMap", "Renderer"]

E = TypeVar("E", bound=BaseException)
_MEMBERS: Final = frozenset({"status", "title", "detail", "type", "instance"})
_LOG: Final = logging.getLogger("framework.error")
Renderer: TypeAlias = Callable[[Request, E], Response]


class ErrorMap:
    """Renders errors as problem+json (RFC 9457).

    The renderer of the nearest class in the error's MRO answers it: the app's own where there is one, else: an
    HTTPError as it says, a ProtocolError by its status, CodecError 400, DeadlineExceeded 504, ResourceError 503 with
    Retry-After, and all else 500 with the request's id, the traceback in the log only.

    Args:
        debug: an unexpected error shows its traceback to browsers. For development alone.
    """

    __slots__ = ("_renderers", "debug")

    def __init__(self, *, debug: bool = False) -> None:
        self.debug = debug
        self._renderers: dict[type[BaseException], Renderer[Any]] = {
            HTTPError: _http_error,
            ProtocolError: _protocol_error,
            CodecError: _codec_error,
            DeadlineExceeded: _deadline,
            ResourceError: _resource,
            PeerClosed: _peer_closed,
        }

    def add(self, kind: type[E], render: Renderer[E]) -> None:
        """Answers errors of ``kind`` and its subclasses by ``render``."""
        self._renderers[kind] = render

    def render(self, request: Request, error: BaseException) -> Response:
        """The response to ``error``; never raises. A renderer that fails is itself an unexpected error."""
        for kind in type(error).__mro__:
            renderer = self._renderers.get(cast("type[BaseException]", kind))
            if renderer is None:
                continue
            try:
                response = renderer(request, error)
            except Exception as failure:
                failure.__context__ = error
                return self._unexpected(request, failure)
            if response.status >= 500:
                _LOG.warning("%d for %s: %s (request %s)", response.status, _name(request), error, request.id)
            return response
        return self._unexpected(request, error)

    def _unexpected(self, request: Request, error: BaseException) -> Response:
        _LOG.error("failed: %s (request %s)", _name(request), request.id, exc_info=error)
        if self.debug and "text/html" in (request.field("accept") or ""):
            from framework.middleware.debug_page import debug_page

            return Response(debug_page(request, error), 500, media_type="text/html; charset=utf-8")
        return _problem(500, None, request_id=request.id)


def _name(request: Request) -> str:
    return f"{request.method} {request.endpoint.pattern or request.raw_path}"


def _problem(status: int, detail: str | None, **extensions: Any) -> Response:
    return Response(problem(status, detail=detail, **extensions), status, media_type=PROBLEM_JSON)


def _http_error(request: Request, error: HTTPError) -> Response:
    extensions = {name: value for name, value in error.extensions.items() if name not in _MEMBERS}
    if error.status >= 500:
        extensions.setdefault("request_id", request.id)
    body = problem(error.status, detail=error.detail, type=error.type, **extensions)
    return Response(body, error.status, headers=error.headers, media_type=PROBLEM_JSON)


def _protocol_error(request: Request, error: ProtocolError) -> Response:
    if error.status >= 500:  # ours: its text may tell of the inside
        _LOG.error("failed: %s", _name(request), exc_info=error)
        return _problem(error.status, None, request_id=request.id)
    return _problem(error.status, error.reason)


def _codec_error(request: Request, error: CodecError) -> Response:
    return _problem(400, str(error))


def _deadline(request: Request, error: DeadlineExceeded) -> Response:
    return _problem(504, "the request took too long", request_id=request.id)


def _resource(request: Request, error: ResourceError) -> Response:
    response = _problem(503, "the server is too busy for this request", request_id=request.id)
    response.headers.set("retry-after", str(math.ceil(error.retry_after or 1.0)))
    return response


def _peer_closed(request: Request, error: PeerClosed) -> Response:
    return Response(status=499)
