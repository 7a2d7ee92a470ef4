"""What a plugin's ``setup`` is given: it only records, and what it records belongs to the app it is in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from framework.app.record import AppRecord
from framework.app.routes import RouteGroup
from framework.di import Scope
from framework.http.handler import Middleware
from framework.middleware.chain import Hooks, Phase
from framework.middleware.failures import Renderer

__all__ = ["PluginSetup"]


class PluginSetup:
    """Records a plugin's parts in its app. ``name`` is the plugin's."""

    def __init__(self, app: AppRecord, name: str) -> None:
        self._app = app
        self.name = name

    def routes(self, prefix: str = "") -> RouteGroup:
        """A group below ``prefix`` to register routes on."""
        return self._app.group(prefix)

    def use(self, middleware: Middleware | Hooks, *, phase: Phase = Phase.POLICY) -> None:
        self._app.use(middleware, phase)

    def provide(
        self, factory: Callable[..., Any], *, scope: Scope = Scope.REQUEST, provides: Any = None
    ) -> None:
        self._app.container.provide(factory, scope=scope, provides=provides)

    def value(self, key: type[Any], instance: Any) -> None:
        self._app.container.value(key, instance)

    def lifespan(self, manager: Any) -> None:
        self._app.lifespan(manager)

    def on_error(self, kind: type[Any], render: Renderer[Any]) -> None:
        self._app.errors.add(kind, render)

    def command(self, name: str, function: Callable[..., Any]) -> None:
        """A command of the plugin's group on the command line."""
        self._app.commands[f"{self.name} {name}"] = function

    def check(self, name: str, probe: Callable[..., Any]) -> None:
        """A probe of the plugin's health, sync or async; it raises when something is wrong."""
        self._app.checks[f"{self.name}.{name}"] = probe
