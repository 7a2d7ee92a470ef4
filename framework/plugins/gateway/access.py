"""The gateway's access log: a line for each request, with what became of it upstream."""

from __future__ import annotations

from time import perf_counter
from typing import Any, Final

from framework.http.request import Request, StateKey
from framework.http.response import Response
from framework.middleware.access_log import AccessLog
from framework.middleware.trace_context import trace_of
from framework.plugins.gateway.forward import TRACE

__all__ = ["GatewayLog"]

_STARTED: Final[StateKey[float]] = StateKey("gateway.started")


class GatewayLog(AccessLog):
    """Logs method, route, path without its query, status, milliseconds and client of each request; and of its way:
    cluster, endpoint, tries, milliseconds until the upstream's head, and what went wrong last.

    The logging plugin then writes no lines of its own.
    """

    def __init__(self) -> None:
        import structlog

        made: Any = structlog.get_logger("framework.gateway.access")
        super().__init__(made)
        self._lines: Any = made

    def before(self, request: Request) -> None:
        """Starts the clock."""
        request[_STARTED] = perf_counter()

    def after(self, request: Request, response: Response) -> None:
        """Writes the line."""
        started, trace, client = request.get(_STARTED), request.get(TRACE), request.client
        fields: dict[str, object] = {
            "method": request.method,
            "route": request.endpoint.pattern or None,
            "path": request.raw_path,
            "status": response.status,
            "ms": None if started is None else round((perf_counter() - started) * 1000, 2),
            "request_id": request.id,
            "trace_id": trace_of(request).trace_id,
            "client": None if client is None else client.host,
        }
        if trace is not None:
            fields |= {
                "cluster": trace.cluster,
                "endpoint": trace.endpoint or None,
                "tries": trace.tries,
                "upstream_ms": round(trace.seconds * 1000, 2) if trace.seconds else None,
            }
            if trace.outcome:
                fields["fault"] = trace.outcome
        self._lines.info("request", **fields)
