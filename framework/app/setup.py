"""What a plugin's ``setup`` is given: it only records, and what it records belongs to the app it is in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from framework.app.built import BuiltRoute
from framework.app.record import AppRecord, record_once
from framework.app.routes import RouteGroup
from framework.di import Scope
from framework.http.handler import Middleware
from framework.middleware.chain import Hooks, Phase, layer
from framework.middleware.failures import Renderer, check_renderer

__all__ = ["PluginSetup"]


class PluginSetup:
    """Records a plugin's parts for one build of its app. ``name`` is the plugin's."""

    def __init__(self, app: AppRecord, name: str, *, worker_count: int = 1) -> None:
        self._app = app
        self.worker_count = worker_count
        self._derived = app.derived
        self.name = name

    def routes(self, prefix: str = "", *, tags: Iterable[str] = ()) -> RouteGroup:
        """A group below ``prefix`` to register routes on."""
        app = self._app
        return RouteGroup(self._derived.records, prefix, None, app, [], (*app.tags, *tags))

    def use(self, middleware: Middleware | Hooks, *, phase: Phase = Phase.POLICY) -> None:
        """Adds a layer around every route of the app, inside the app's own layers of that phase."""
        self._derived.layers.append(layer(middleware, phase))

    def provide(
        self, factory: Callable[..., Any], *, scope: Scope = Scope.REQUEST, provides: Any = None
    ) -> None:
        """Adds a factory to the app's container; see ``Container.provide``."""
        self._app.container.provide(factory, scope=scope, provides=provides)

    def value(self, key: type[Any], instance: Any) -> None:
        """Adds an object that exists to the app's container; whoever made it closes it."""
        self._app.container.value(key, instance)

    def lifespan(self, manager: Any) -> Any:
        """Adds what is entered when the app starts, ahead of the app's own lifespans. Usable as a decorator."""
        self._derived.lifespans.append(manager)
        return manager

    def on_error(self, kind: type[Any], render: Renderer[Any]) -> None:
        """Answers errors of ``kind``, unless the app itself has an answer for that very class."""
        check_renderer(kind, render)
        self._derived.renderers[kind] = render

    def command(self, name: str, function: Callable[..., Any]) -> None:
        """A command of the plugin's group on the command line."""
        record_once(self._derived.commands, "command", f"{self.name} {name}", function)

    def check(self, name: str, probe: Callable[..., Any]) -> None:
        """A probe of the plugin's health, sync or async; it raises when something is wrong."""
        record_once(self._derived.checks, "check", f"{self.name}.{name}", probe)

    def engine(self, engine: object) -> None:
        """Names what holds the plugin's state. One that is ``PerProcess`` is refused where several workers serve."""
        self._derived.engines.append(engine)

    def on_built(self, callback: Callable[[Sequence[BuiltRoute]], None]) -> None:
        """Called at the end of the build with every route of the app and of what is mounted in it."""
        self._derived.on_built.append(callback)
