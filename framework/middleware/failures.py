"""The one map from error to response. Every error of a request ends here, and nothing of its inside leaves."""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias, TypeVar, cast

from framework.errors import (
    DeadlineExceeded,
    HTTPError,
    PeerClosed,
    ProtocolError,
    ResourceError,
    SetupError,
)
from framework.http.problem import PROBLEM_JSON, problem
from framework.http.request import Request, StateKey
from framework.http.response import Response

__all__ = ["FAILURE", "ErrorMap", "Renderer", "check_renderer"]

E = TypeVar("E", bound=BaseException)
_LOG: Final = logging.getLogger("framework.error")
_PAGE_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
Renderer: TypeAlias = Callable[[Request, E], Response]

FAILURE: Final[StateKey[BaseException]] = StateKey("failure")
"""The error that the response answers, for after hooks: ``request.get(FAILURE)``."""


def check_renderer(kind: Any, render: Any) -> None:
    """Raises SetupError for what is no class of errors, or no plain function that could answer one."""
    if not (isinstance(kind, type) and issubclass(kind, BaseException)):
        raise SetupError(f"on_error({kind!r}): errors are answered by their class")
    if not callable(render):
        raise SetupError(f"on_error({kind.__qualname__}): {render!r} cannot be called")
    if inspect.iscoroutinefunction(render) or inspect.iscoroutinefunction(type(render).__call__):
        raise SetupError(f"on_error({kind.__qualname__}): a renderer awaits nothing; write it without async")


class ErrorMap:
    """Renders errors as problem+json (RFC 9457).

    The renderer of the nearest class in the error's MRO answers it: the app's own where there is one, else: an
    HTTPError as it says, a ProtocolError by its status, DeadlineExceeded 504, ResourceError 503 with Retry-After, and
    all else 500 with the request's id, the traceback in the log only: a CodecError too, for what decodes the client's
    bytes says 400 itself. An ExceptionGroup of one error (a TaskGroup's, say) is answered as that error.

    Args:
        renderers: of classes that are to be answered otherwise.
        debug: an unexpected error shows its traceback to browsers. For development alone.
    """

    __slots__ = ("_own", "_renderers", "debug")

    def __init__(
        self, renderers: Mapping[type[BaseException], Renderer[Any]] | None = None, *, debug: bool = False
    ) -> None:
        self.debug = debug
        self._own: dict[type[BaseException], Renderer[Any]] = dict(renderers or {})
        self._renderers = _DEFAULTS | self._own

    def add(self, kind: type[E], render: Renderer[E]) -> None:
        """Answers errors of ``kind`` and its subclasses by ``render``.

        A renderer may raise an HTTPError instead of making a response.

        Raises:
            SetupError: ``kind`` is no class of errors, or ``render`` is async.
        """
        check_renderer(kind, render)
        self._own[kind] = self._renderers[kind] = render

    def joined(self, weaker: Mapping[type[BaseException], Renderer[Any]], *, debug: bool) -> ErrorMap:
        """A map of its own with these renderers and, for the classes they leave out, the ``weaker`` ones."""
        return ErrorMap({**weaker, **self._own}, debug=debug)

    def render(self, request: Request, error: BaseException) -> Response:
        """The response to ``error``; never raises. A renderer that fails is itself an unexpected error."""
        request[FAILURE] = error
        renderer = self._renderer_of(error)
        if renderer is None:
            only = _only_one(error)
            if only is not None and self._renderer_of(only) is not None:
                return self.render(request, only)
            return self._unexpected(request, error)
        try:
            response = cast("object", renderer(request, error))
            if not isinstance(response, Response):
                raise TypeError(
                    f"the renderer of {type(error).__qualname__} returned {response!r}, no Response"
                )
        except Exception as failure:
            if isinstance(failure, HTTPError) and not isinstance(error, HTTPError):
                return self.render(request, failure)
            if failure is not error and failure.__context__ is None:
                failure.__context__ = error
            return self._unexpected(request, failure)
        if response.status >= 500 and renderer is not _protocol_error:  # which has logged it
            what = response.status, _name(request), error, request.id
            _LOG.warning("%d for %s: %s (request %s)", *what, extra={"request": request})
        return response

    def _renderer_of(self, error: BaseException) -> Renderer[Any] | None:
        for kind in type(error).__mro__:
            renderer = self._renderers.get(cast("type[BaseException]", kind))
            if renderer is not None:
                return renderer
        return None

    def _unexpected(self, request: Request, error: BaseException) -> Response:
        what = _name(request), request.id
        _LOG.error("failed: %s (request %s)", *what, exc_info=error, extra={"request": request})
        if self.debug and "text/html" in (request.field("accept") or ""):
            try:
                return _page(request, error)
            except Exception:
                _LOG.exception("the debug page failed")
        return _problem(500, None, request_id=request.id)


def _only_one(error: BaseException) -> BaseException | None:
    """The single error of a group, however deep; None for no group, or one of several."""
    while isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        if len(group.exceptions) != 1:
            return None
        error = group.exceptions[0]
        if not isinstance(error, BaseExceptionGroup):
            return error
    return None


def _page(request: Request, error: BaseException) -> Response:
    from framework.middleware.debug_page import debug_page

    headers = {"content-security-policy": _PAGE_POLICY, "cache-control": "no-store"}
    return Response(debug_page(request, error), 500, headers=headers, media_type="text/html; charset=utf-8")


def _name(request: Request) -> str:
    return f"{request.method} {request.endpoint.pattern or request.raw_path}"


def _problem(status: int, detail: str | None, **extensions: Any) -> Response:
    return Response(problem(status, detail=detail, **extensions), status, media_type=PROBLEM_JSON)


def _http_error(request: Request, error: HTTPError) -> Response:
    extensions = dict(error.extensions)
    if error.status >= 500:
        extensions.setdefault("request_id", request.id)
    # What the error says in its own attributes stands; title and instance it can only say here (RFC 9457 section 3.1).
    extensions |= {"status": error.status, "detail": error.detail, "type": error.type}
    body = problem(**extensions)
    return Response(body, error.status, headers=error.headers, media_type=PROBLEM_JSON)


def _protocol_error(request: Request, error: ProtocolError) -> Response:
    if error.status >= 500:  # ours: its text may tell of the inside
        _LOG.error("failed: %s", _name(request), exc_info=error, extra={"request": request})
        return _problem(error.status, None, request_id=request.id)
    return _problem(error.status, error.reason)


def _deadline(request: Request, error: DeadlineExceeded) -> Response:
    return _problem(504, "the request took too long", request_id=request.id)


def _resource(request: Request, error: ResourceError) -> Response:
    response = _problem(503, "the server is too busy for this request", request_id=request.id)
    wait = error.retry_after if error.retry_after is not None and math.isfinite(error.retry_after) else 1.0
    response.headers.set("retry-after", str(max(1, math.ceil(wait))))
    return response


def _peer_closed(request: Request, error: PeerClosed) -> Response:
    return Response(status=499)


_DEFAULTS: Final[dict[type[BaseException], Renderer[Any]]] = {
    HTTPError: _http_error,
    ProtocolError: _protocol_error,
    DeadlineExceeded: _deadline,
    ResourceError: _resource,
    PeerClosed: _peer_closed,
}
