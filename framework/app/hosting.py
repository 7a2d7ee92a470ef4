"""Serves ASGI applications of others: their settings, and how each worker makes one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from framework.app.record import AppRecord
from framework.app.settings import Settings, load
from framework.asgi.host import ASGIHost
from framework.asgi.loading import as_application
from framework.asgi.types import ASGIApp
from framework.errors import SetupError
from framework.net.settings import ServerSettings
from framework.net.websocket.settings import WebSocketSettings

__all__ = ["ASGI_ENTRY", "host", "load_asgi", "server_settings"]

ASGI_ENTRY = "framework.app.hosting:load_asgi"
"""For ``serve_many``: what makes the host of a worker."""


def server_settings(
    *,
    files: Sequence[Path] = (),
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Settings:
    """The settings of a server without an app of ours: ``[server]`` and ``[websocket]``. Raises ConfigError."""
    sections: dict[str, type[msgspec.Struct]] = {"server": ServerSettings, "websocket": WebSocketSettings}
    return load(sections, files=files, environ=environ, flags=flags, overrides=overrides or {})


def host(app: ASGIApp, settings: Settings, name: str) -> ASGIHost:
    """What a server runs for an application. Raises SetupError for settings that cannot be met."""
    server, websocket = settings.section(ServerSettings), settings.section(WebSocketSettings)
    return ASGIHost(app, server, name, websocket=websocket)


def load_asgi(
    *,
    target: str,
    files: Sequence[str],
    environ: Mapping[str, str] | None,
    flags: Mapping[str, str],
    overrides: Mapping[str, object],
    debug: bool,
) -> ASGIHost:
    """The host of a worker.

    Raises:
        SetupError: nothing of that name, or no ASGI application.
    """
    module, _, path = target.partition(":")
    found: Any = import_module(module)
    for name in path.split("."):
        if not hasattr(found, name):
            raise SetupError(f"no {name} in {module}, looked for as {target}")
        found = getattr(found, name)
    if isinstance(found, AppRecord):
        raise SetupError(f"{target} is an App of this framework, which is served without --asgi")
    settings = server_settings(
        files=[Path(file) for file in files], environ=environ, flags=flags, overrides=overrides
    )
    return host(as_application(found, target), settings, target)
