"""An ASGI application in the place of a built app: what a server runs for ``framework run --asgi``."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import cast

from framework.asgi.calls import Exchange, InlineCall
from framework.asgi.exchange import HTTPExchange
from framework.asgi.handshakes import Handshakes, asks_for_websocket
from framework.asgi.lifespan import Lifespan
from framework.asgi.scope import http_scope, socket_scope
from framework.asgi.types import ASGIApp, Scope
from framework.http.endpoint import Endpoint
from framework.http.request import Request
from framework.http.response import Response
from framework.middleware.failures import ErrorMap
from framework.net.core import Core
from framework.net.numbers import Numbers
from framework.net.settings import ServerSettings
from framework.net.websocket.settings import WebSocketSettings

__all__ = ["ASGIHost"]


class ASGIHost:
    """Answers every request by one ASGI application. It satisfies the server's ``Runtime`` and the worker's ``Host``.

    Args:
        app: an ASGI 3 application.
        settings: of the server.
        name: what errors call the application.
        websocket: how its WebSockets behave. Origins are the application's to check, unless it names some.

    Attributes:
        core: what the connections of the server that runs it share; None while none does.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: ServerSettings,
        name: str = "the application",
        *,
        websocket: WebSocketSettings | None = None,
    ) -> None:
        self.server_settings = settings
        self.numbers = Numbers()
        self.core: Core | None = None
        self.ready = False
        self._app = app
        self._lifespan = Lifespan(app, name)
        self._proxied = False
        self._handshakes = Handshakes(websocket or WebSocketSettings())
        render = ErrorMap().render
        self._endpoint = Endpoint(_unstarted, render, timeout=None)
        self._socket_endpoint = Endpoint(_unstarted, render, timeout=None)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[ASGIHost]:
        """Runs the application's lifespan. Raises SetupError when its start fails."""
        async with self._lifespan:
            self.ready = True
            try:
                yield self
            finally:
                self.ready = False
                self.core = None

    def started(self, core: Core) -> None:
        """A server runs it now."""
        self.core = core
        self._proxied = core.proxies is not None
        self._endpoint.call = InlineCall(self._app, self._begin, core.runners).call
        self._socket_endpoint.call = InlineCall(self._app, self._begin_socket, core.runners).call

    def not_ready(self) -> None:
        """This process is about to go."""
        self.ready = False

    def find(self, request: Request) -> Endpoint:
        """One endpoint for requests, and one for those that ask for a WebSocket."""
        request.params = {}
        if request.upgrade and asks_for_websocket(request):
            return self._socket_endpoint
        return self._endpoint

    def failed(self, request: Request, error: BaseException) -> Response:
        """The response to what the application raised: 500, and its traceback in the log."""
        return cast("Response", self._endpoint.failed(request, error))

    def _begin(self, request: Request) -> tuple[Scope, Exchange]:
        return http_scope(request, self._lifespan.state, self._proxied), HTTPExchange(request)

    def _begin_socket(self, request: Request) -> tuple[Scope, Exchange]:
        exchange = self._handshakes.judge(request)
        scope = http_scope(request, self._lifespan.state, self._proxied)
        return socket_scope(scope, exchange.offered), exchange


async def _unstarted(request: Request) -> Response:
    raise RuntimeError("no server runs the application")
