"""The chat put together: the plugin with guests let in, its page, probes, logs, and metrics where there are any."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

from framework import App, Phase, Request, Response
from framework.http.static import StaticFiles
from framework.middleware import AccessLog, RequestId
from framework.middleware.security_headers import SecurityHeaders
from framework.plugins.chat.plugin import ChatPlugin
from framework.plugins.chat.settings import ChatSettings
from framework.plugins.health import Health

__all__ = ["CSP", "ChatApp", "ChatAppSettings", "create_app"]

STATIC: Final = Path(__file__).with_name("static")
CSP: Final = (
    "default-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'; object-src 'none'"
)
"""The page loads what is its own, and nothing else; no script or style is in it."""


class ChatAppSettings(ChatSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section ``[chat]``, as the plugin's; this app has no accounts, so guests are let in."""

    guests: bool = True


class ChatApp(ChatPlugin):
    """The plugin with this app's defaults."""

    config_type: type[ChatSettings] = ChatAppSettings


def create_app() -> App:
    """The chat as ``python -m apps.chat`` serves it. Two of them share nothing but what their settings name."""
    app = App()
    if find_spec("structlog") is not None:
        from framework.plugins.logs import Logging

        app.install(Logging())
    else:
        app.use(AccessLog(), Phase.EDGE)
    app.use(RequestId(), Phase.EDGE)
    app.use(SecurityHeaders(content_security_policy=CSP), Phase.EDGE)
    app.install(Health())
    if find_spec("prometheus_client") is not None:
        from framework.plugins.metrics import Metrics

        app.install(Metrics())
    app.install(ChatApp())
    # Names stay the same from release to release, so a browser asks each time; the answer is mostly a 304.
    files = StaticFiles(STATIC, cache_control="no-cache", precompressed=False)
    app.get("/static/{path:path}", include_in_schema=False)(files.serve)

    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> Response:
        return await files.serve(request, "index.html")

    return app
