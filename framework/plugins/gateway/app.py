"""The gateway as an app of its own: with health, logs, and metrics where they are installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from framework.app.application import App
from framework.app.runtime import Runtime
from framework.asgi.types import ASGIApp
from framework.errors import HTTPError
from framework.http.handler import Handler
from framework.http.request import Request
from framework.http.response import Response
from framework.plugins.gateway.config import is_loopback
from framework.plugins.gateway.plugin import GatewayPlugin
from framework.plugins.health import Health
from framework.plugins.logs import Logging
from framework.plugins.metrics import Metrics

__all__ = ["ENTRY", "create_app", "load_gateway"]

ENTRY = "framework.plugins.gateway.app:load_gateway"
"""For ``serve_many``: what makes the app of a worker."""


def create_app(
    files: Sequence[Path] = (),
    *,
    flags: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
    handlers: Mapping[str, Handler | ASGIApp] | None = None,
) -> App:
    """An app that is a gateway and nothing else, to be built with the same files.

    Besides the routes of ``[gateway]`` it has the health plugin's (``/healthz``, ``/readyz``), and its metrics at
    ``/metrics`` for who asks by the loopback interface: for scrapes from elsewhere there is the operators' listener.

    Args:
        files: TOML files; read again when they change.
        flags, overrides: as for ``App.build``.
        handlers: as for ``GatewayPlugin``.
    """
    app = App()
    app.install(GatewayPlugin(files=files, flags=flags, overrides=overrides, handlers=handlers))
    app.install(Logging())
    app.install(Health())
    if find_spec("prometheus_client") is not None:
        app.install(Metrics(route={"middleware": [_only_from_here]}))
    return app


def _only_from_here(handler: Handler) -> Handler:
    """For strangers there is nothing here."""

    async def guarded(request: Request) -> Response:
        if request.client is not None and not is_loopback(request.client.host):
            raise HTTPError(404)
        return await handler(request)

    return guarded


def load_gateway(
    *,
    target: str,
    files: Sequence[str],
    environ: Mapping[str, str] | None,
    flags: Mapping[str, str],
    overrides: Mapping[str, object],
    debug: bool,
) -> Runtime:
    """The built app of a worker; called as ``framework.app.workers.load_app`` is."""
    paths = [Path(file) for file in files]
    app = create_app(paths, flags=flags, overrides=overrides)
    app.debug = debug
    return app.build(files=paths, environ=environ, flags=flags, overrides=overrides)
