"""What an application is made of, recorded. Nothing is checked or compiled here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, overload

import msgspec

from framework.app.events import EventBus
from framework.app.plugin import Plugin
from framework.app.routes import RouteRecord, Routes
from framework.asgi.mounted import METHODS, REST, Mounted
from framework.asgi.types import ASGIApp
from framework.channels import Channels
from framework.di import Container, Scope
from framework.errors import SetupError
from framework.http.handler import Middleware
from framework.http.request import Request
from framework.middleware.chain import Hooks, Layer, Phase, layer
from framework.middleware.failures import ErrorMap, Renderer
from framework.net.websocket.settings import WebSocketSettings
from framework.routing import Converter, join
from framework.routing.pattern import Pattern

__all__ = ["AppRecord", "Derived", "all_apps", "record_once"]

E = TypeVar("E", bound=BaseException)
L = TypeVar("L")
S = TypeVar("S", bound=msgspec.Struct)
Lifespan = Any
Function = Callable[..., Any]


@dataclass(slots=True)
class Derived:
    """What the plugins recorded in the last build; the next one begins with none of it.

    ``engines``: what holds state for the app. ``patterns``: those of the routes, by handler and by name.
    ``websocket``: the settings, which routes may override.
    """

    records: list[RouteRecord] = field(default_factory=list[RouteRecord])
    layers: list[Layer] = field(default_factory=list[Layer])
    lifespans: list[Lifespan] = field(default_factory=list[Lifespan])
    renderers: dict[type[BaseException], Renderer[Any]] = field(
        default_factory=dict[type[BaseException], Renderer[Any]]
    )
    commands: dict[str, Function] = field(default_factory=dict[str, Function])
    checks: dict[str, Function] = field(default_factory=dict[str, Function])
    on_built: list[Function] = field(default_factory=list[Function])
    engines: list[object] = field(default_factory=list[object])
    patterns: Mapping[object, tuple[Pattern, ...]] = field(default_factory=dict[object, tuple[Pattern, ...]])
    websocket: WebSocketSettings = field(default_factory=WebSocketSettings)


class AppRecord(Routes):
    """Everything an app was told, for ``build`` to read. ``App`` is its public face.

    Args:
        debug: development: errors show a page with the traceback.
        request_timeout: seconds until a response's head must be ready, for routes that say nothing else.
        max_body: bytes of request body, likewise.
    """

    def __init__(
        self, *, debug: bool = False, request_timeout: float | None = 60.0, max_body: int = 1_048_576
    ) -> None:
        super().__init__()
        self.debug = debug
        self.request_timeout = request_timeout
        self.max_body = max_body
        self.container = Container()
        self.events = EventBus()
        self.channels = Channels()
        self.errors = ErrorMap()
        self.converters: dict[str, Converter] = {}
        self.app_layers: list[Layer] = []
        self.lifespans: list[Lifespan] = []
        self.sections: dict[str, type[msgspec.Struct]] = {}
        self.plugins: list[Plugin[Any]] = []
        self.mounts: list[tuple[str, AppRecord]] = []
        self.on_built: list[Function] = []
        self.derived = Derived()
        self.unsubscribe: Callable[[], None] | None = None
        self._commands: dict[str, Function] = {}
        self._checks: dict[str, Function] = {}
        self.container.value(EventBus, self.events)
        self.container.value(Channels, self.channels)
        self.container.expect(Request)

    def use(self, middleware: Middleware | Hooks, phase: Phase = Phase.POLICY) -> None:
        """Adds a layer around every route, and around 404 and 405; see ``framework.middleware.chain``."""
        self.app_layers.append(layer(middleware, phase))

    def provide(
        self, factory: Callable[..., Any], *, scope: Scope = Scope.REQUEST, provides: Any = None
    ) -> None:
        """Registers a factory for injection; see ``Container.provide``."""
        self.container.provide(factory, scope=scope, provides=provides)

    def lifespan(self, manager: L) -> L:
        """Registers what is entered at start and left at the end, in reverse order: an async context manager, or an
        async generator function that takes the app. Usable as a decorator."""
        self.lifespans.append(manager)
        return manager

    @overload
    def on_error(self, kind: type[E]) -> Callable[[Renderer[E]], Renderer[E]]: ...
    @overload
    def on_error(self, kind: type[E], render: Renderer[E]) -> Renderer[E]: ...
    def on_error(
        self, kind: type[E], render: Renderer[E] | None = None
    ) -> Renderer[E] | Callable[[Renderer[E]], Renderer[E]]:
        """Answers errors of ``kind`` by ``render(request, error)``; the nearest class in the error's MRO decides.
        Usable as a decorator."""

        def add(render: Renderer[E]) -> Renderer[E]:
            self.errors.add(kind, render)
            return render

        return add if render is None else add(render)

    def command(self, name: str, function: Function) -> None:
        """Adds a command to the command line."""
        record_once(self._commands, "command", name, function)

    def check(self, name: str, probe: Function) -> None:
        """Adds a probe of the app's health, sync or async; it raises when something is wrong."""
        record_once(self._checks, "check", name, probe)

    def all_records(self) -> list[RouteRecord]:
        """The app's own routes, and after a build those of its plugins."""
        return [*self.records, *self.derived.records]

    @property
    def commands(self) -> Mapping[str, Function]:
        """The app's own commands, and after a build those of its plugins."""
        return self._commands | self.derived.commands

    @property
    def checks(self) -> Mapping[str, Function]:
        """The app's own checks, and after a build those of its plugins."""
        return self._checks | self.derived.checks

    def settings(self, section: str, kind: type[S]) -> None:
        """Declares a section of the settings; its value is injected by its type, read-only."""
        if section in self.sections:
            raise SetupError(f"settings section {section!r} is declared twice")
        self.sections[section] = kind

    def converter(self, converter: Converter) -> None:
        """Adds a kind of path parameter: ``{name:kind}``."""
        if self.converters.setdefault(converter.name, converter) is not converter:
            raise SetupError(f"path converter {converter.name!r} is declared twice, differently")

    def install(self, plugin: Plugin[Any]) -> None:
        """Adds a plugin; its ``setup`` runs at build, after those it requires."""
        if isinstance(plugin, type):
            raise SetupError(f"plugin {plugin.__qualname__} is a class; install an instance of it")
        lacking = [name for name in ("name", "requires", "config_type", "setup") if not hasattr(plugin, name)]
        if lacking:
            raise SetupError(
                f"{type(plugin).__qualname__} is no plugin: it has no {' and no '.join(lacking)}"
            )
        self.plugins.append(plugin)

    def mount(self, prefix: str, app: AppRecord | ASGIApp) -> None:
        """Serves all of ``app`` below ``prefix``, with its own layers (inside this app's), dependencies, error map and
        lifespan. It may be mounted at several places.

        An ASGI application of another framework (FastAPI's, Starlette's) is mounted too: inside this app's layers, with
        its lifespan in this app's, and with ``prefix`` as its ``root_path``. See ``framework.asgi.mounted``.

        Raises:
            SetupError: it is this app, or neither an App nor an ASGI application.
        """
        if app is self:
            raise SetupError(f"mount at {prefix}: an app cannot be mounted in itself")
        if isinstance(app, AppRecord):
            self.mounts.append((join(prefix, ""), app))
            return
        mounted = Mounted(app, lambda: self.derived.websocket)
        at, handler = join(prefix, ""), mounted.handler()
        for pattern in (f"/{REST}",) if at == "/" else (at, f"{at}/{REST}"):
            self.route(pattern, METHODS, include_in_schema=False)(handler)
        self.lifespan(mounted.lifespan)


def record_once(table: dict[str, Function], what: str, name: str, function: Function) -> None:
    """Puts ``function`` in a table of commands or checks. Raises SetupError when the name is taken."""
    if table.setdefault(name, function) is not function:
        raise SetupError(f"there are two {what}s called {name!r}")


def all_apps(app: AppRecord) -> Iterator[tuple[str, AppRecord]]:
    """The app and everything mounted in it, with the prefix each is below.

    Raises:
        SetupError: an app is mounted in itself, by way of others.
    """
    yield from _visit("", app, ())


def _visit(prefix: str, app: AppRecord, around: tuple[AppRecord, ...]) -> Iterator[tuple[str, AppRecord]]:
    if any(app is one for one in around):
        raise SetupError(f"mount at {prefix}: an app cannot be mounted in itself, by way of another")
    yield prefix, app
    for inner, mounted in app.mounts:
        yield from _visit(join(prefix, inner), mounted, (*around, app))
