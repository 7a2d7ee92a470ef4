"""ASGI applications as targets of routes: in this process, behind the same policies as a cluster."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from framework.asgi.calls import Exchange, TaskCall
from framework.asgi.exchange import HTTPExchange
from framework.asgi.handshakes import Handshakes, asks_for_websocket
from framework.asgi.lifespan import Lifespan
from framework.asgi.loading import describe
from framework.asgi.scope import mounted_scope, socket_scope
from framework.asgi.types import ASGIApp, Scope
from framework.http.request import Request
from framework.http.response import Response
from framework.net.websocket.settings import WebSocketSettings
from framework.plugins.auth import FORWARDED_FIELDS
from framework.plugins.gateway.forward import FOUND

__all__ = ["HostedApp"]


class HostedApp:
    """The handler of an ASGI application. ``strip`` of its route is its ``root_path``.

    What a deciding service says of a request is among its fields, and what clients say in that name is not.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.name = describe(app)
        self._lifespan = Lifespan(app, f"the gateway's handler ({self.name})")
        self._handshakes: Handshakes | None = None
        self._call = TaskCall(app, self._begin)

    def lifespan(self, _: Any) -> Any:
        """The application's lifespan, for that of the app. Raises SetupError when its start fails."""
        return self._running()

    @asynccontextmanager
    async def _running(self) -> AsyncGenerator[None]:
        self._handshakes = Handshakes(WebSocketSettings())
        async with self._lifespan:
            yield

    async def __call__(self, request: Request) -> Response:
        """Its answer."""
        return await self._call(request)

    def _begin(self, request: Request) -> tuple[Scope, Exchange]:
        route: Any = request[FOUND].value
        strip = (route.config.strip or "").rstrip("/")
        path = request.path
        root = strip if path == strip or path.startswith(f"{strip}/") else ""
        scope = mounted_scope(request, self._lifespan.state, root)
        drops = route.policies.drops
        if drops is not None:
            scope["headers"] = [
                (name, value) for name, value in scope["headers"] if not drops(name.decode("latin-1"))
            ] + [
                (name.encode("latin-1"), value.encode("latin-1"))
                for name, value in request.get(FORWARDED_FIELDS) or ()
            ]
        if request.upgrade and asks_for_websocket(request):
            if self._handshakes is None:
                raise RuntimeError("the app is not running")
            exchange = self._handshakes.judge(request)
            return socket_scope(scope, exchange.offered), exchange
        return scope, HTTPExchange(request)
