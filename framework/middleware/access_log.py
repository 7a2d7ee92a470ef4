"""The access log: one structured line for each request, when its response is ready; and a request's log context."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from framework.http.handler import Handler
from framework.http.request import Request, StateKey
from framework.http.response import Response
from framework.middleware.chain import Hooks

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

__all__ = ["AccessLog", "log_context"]

_STARTED: Final[StateKey[float]] = StateKey("access_log.started")


class AccessLog(Hooks):
    """Logs method, route pattern, path, status, milliseconds and request id through structlog.

    The query string is left out: it may hold secrets. Put it in phase EDGE, so that it sees every request. The time is
    that until the response's head is ready; None where a hook further out answered.

    Args:
        logger: a structlog logger; ``structlog.get_logger("framework.access")`` when not given.
    """

    def __init__(self, logger: FilteringBoundLogger | None = None) -> None:
        if logger is None:
            import structlog

            made: Any = structlog.get_logger("framework.access")
            logger = made
        self._log: Any = logger

    def before(self, request: Request) -> None:
        """Starts the clock."""
        request[_STARTED] = perf_counter()

    def after(self, request: Request, response: Response) -> None:
        """Writes the line."""
        started = request.get(_STARTED)
        client = request.client
        self._log.info(
            "request",
            method=request.method,
            route=request.endpoint.pattern or None,
            path=request.raw_path,
            status=response.status,
            ms=None if started is None else round((perf_counter() - started) * 1000, 2),
            request_id=request.id,
            client=None if client is None else client.host,
        )


def log_context(handler: Handler) -> Handler:
    """A middleware: whatever is logged through structlog below it carries ``request_id`` and ``route``.

    structlog adds them where ``structlog.contextvars.merge_contextvars`` is among its processors, as by default.
    """
    from structlog.contextvars import bound_contextvars

    async def with_context(request: Request) -> Response:
        with bound_contextvars(request_id=request.id, route=request.endpoint.pattern or None):
            return await handler(request)

    return with_context
