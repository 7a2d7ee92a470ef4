"""The access log: one structured line for each request, when its response is ready."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from framework.http.request import Request, StateKey
from framework.http.response import Response
from framework.middleware.chain import Hooks

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

__all__ = ["AccessLog"]

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
