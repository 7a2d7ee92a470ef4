"""An ASGI application of another framework below a path of an app of ours."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from framework.asgi.calls import Exchange, TaskCall
from framework.asgi.exchange import HTTPExchange
from framework.asgi.handshakes import Handshakes, asks_for_websocket
from framework.asgi.lifespan import Lifespan
from framework.asgi.loading import describe, looks_like_asgi
from framework.asgi.scope import mounted_scope, socket_scope
from framework.asgi.types import ASGIApp, Scope
from framework.errors import SetupError
from framework.http.request import Request
from framework.http.response import Response
from framework.net.websocket.settings import WebSocketSettings

__all__ = ["METHODS", "REST", "Mounted"]

METHODS: Final = (
    *("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"),
    *("PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH"),
)
"""The methods that reach a mounted application; a route names its methods."""

REST: Final = "{asgi_path:path}"
"""The end of the pattern: what is below the mount."""


class Mounted:
    """The handler and the lifespan of a mounted application.

    Its ``root_path`` is where it is mounted, as the request's path has it; its ``path`` is the whole canonical path.
    What it sends goes through the app's layers, as any response does; its WebSockets are those of this server.

    Args:
        app: an ASGI 3 application.
        websocket: how its WebSockets behave, asked for at each start.

    Raises:
        SetupError: it is no ASGI application.
    """

    def __init__(self, app: object, websocket: Callable[[], WebSocketSettings]) -> None:
        if not looks_like_asgi(app):
            raise SetupError(f"{describe(app)} is mounted, neither an App nor an ASGI application")
        asgi: ASGIApp = app  # type: ignore[assignment]  # that is what has been looked at
        self.name = describe(app)
        self._websocket = websocket
        self._lifespan = Lifespan(asgi, f"the mounted application ({self.name})")
        self._handshakes: Handshakes | None = None
        self._call = TaskCall(asgi, self._begin)

    def lifespan(self, _: Any) -> Any:
        """The application's lifespan, for that of the app. Raises SetupError when its start fails."""
        return self._running()

    @asynccontextmanager
    async def _running(self) -> AsyncGenerator[None]:
        self._handshakes = Handshakes(self._websocket())
        async with self._lifespan:
            yield

    def handler(self) -> Callable[..., Any]:
        """The handler of the routes that lead to it."""
        call = self._call

        async def mounted(request: Request) -> Response:
            return await call(request)

        mounted.__doc__ = f"The mounted application: {self.name}."
        return mounted

    def _begin(self, request: Request) -> tuple[Scope, Exchange]:
        state = self._lifespan.state
        scope = mounted_scope(request, state, _root_of(request))
        if request.upgrade and asks_for_websocket(request):
            if self._handshakes is None:
                raise RuntimeError("the app is not running")
            exchange = self._handshakes.judge(request)
            return socket_scope(scope, exchange.offered), exchange
        return scope, HTTPExchange(request)


def _root_of(request: Request) -> str:
    """The part of the path that the pattern has before ``REST``: as many segments, whatever stands in them."""
    pattern: str = request.endpoint.pattern
    if not pattern.endswith(REST):
        return request.path
    segments = request.path.split("/")
    return "/".join(segments[: pattern.count("/")])
