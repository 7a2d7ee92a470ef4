"""What an application is made of, recorded. Nothing is checked or compiled here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import msgspec

from framework.app.events import EventBus
from framework.app.plugin import Plugin
from framework.app.routes import Routes
from framework.di import Container, Scope
from framework.errors import SetupError
from framework.http.handler import Middleware
from framework.http.request import Request
from framework.middleware.chain import Hooks, Layer, Phase, layer
from framework.middleware.failures import ErrorMap, Renderer
from framework.routing import Converter, join

__all__ = ["AppRecord", "all_apps"]

E = TypeVar("E", bound=BaseException)
S = TypeVar("S", bound=msgspec.Struct)
Lifespan = Any


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
        self.errors = ErrorMap()
        self.converters: dict[str, Converter] = {}
        self.app_layers: list[Layer] = []
        self.lifespans: list[Lifespan] = []
        self.sections: dict[str, type[msgspec.Struct]] = {}
        self.plugins: list[Plugin[Any]] = []
        self.mounts: list[tuple[str, AppRecord]] = []
        self.commands: dict[str, Callable[..., Any]] = {}
        self.checks: dict[str, Callable[..., Any]] = {}
        self.container.value(EventBus, self.events)
        self.container.expect(Request)

    def use(self, middleware: Middleware | Hooks, phase: Phase = Phase.POLICY) -> None:
        """Adds a layer around every route, and around 404 and 405; see ``framework.middleware.chain``."""
        self.app_layers.append(layer(middleware, phase))

    def provide(
        self, factory: Callable[..., Any], *, scope: Scope = Scope.REQUEST, provides: Any = None
    ) -> None:
        """Registers a factory for injection; see ``Container.provide``."""
        self.container.provide(factory, scope=scope, provides=provides)

    def lifespan(self, manager: Lifespan) -> Lifespan:
        """Registers what is entered at start and left at the end, in reverse order: an async context manager, or an
        async generator function that takes the app. Usable as a decorator."""
        self.lifespans.append(manager)
        return manager

    def on_error(self, kind: type[E], render: Renderer[E] | None = None) -> Any:
        """Answers errors of ``kind`` by ``render(request, error)``; the nearest class in the error's MRO decides.
        Usable as a decorator."""
        if render is None:
            return lambda function: self.on_error(kind, function)
        self.errors.add(kind, render)
        return render

    def settings(self, section: str, kind: type[S]) -> None:
        """Declares a section of the settings; its value is injected by its type, read-only."""
        if section in self.sections:
            raise SetupError(f"settings section {section!r} is declared twice")
        self.sections[section] = kind

    def converter(self, converter: Converter) -> None:
        """Adds a kind of path parameter: ``{name:kind}``."""
        self.converters[converter.name] = converter

    def install(self, plugin: Plugin[Any]) -> None:
        """Adds a plugin; its ``setup`` runs at build, after those it requires."""
        self.plugins.append(plugin)

    def mount(self, prefix: str, app: AppRecord) -> None:
        """Serves all of ``app`` below ``prefix``, with its own layers, dependencies, error map and lifespan."""
        if app is self:
            raise SetupError(f"mount at {prefix}: an app cannot be mounted in itself")
        self.mounts.append((join(prefix, ""), app))


def all_apps(app: AppRecord) -> Iterable[tuple[str, AppRecord]]:
    """The app and everything mounted in it, with the prefix each is below."""
    yield "", app
    for prefix, mounted in app.mounts:
        for inner, each in all_apps(mounted):
            yield prefix + inner, each
