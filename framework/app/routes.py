"""Recording routes: what App and RouteGroup have in common. Nothing is compiled here."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict, TypeVar, Unpack

from framework.errors import SetupError
from framework.http.handler import Middleware
from framework.middleware.chain import Hooks, Layer, Phase, layer
from framework.routing import join

__all__ = ["RouteGroup", "RouteOptions", "RouteRecord", "Routes"]

F = TypeVar("F", bound=Callable[..., Any])


class RouteOptions(TypedDict, total=False):
    """What a route may say of itself.

    ``status``: of the response made from the handler's result (200). ``middleware``: layers of this route alone.
    ``skip``: layers of the app or group that do not apply here; they cost nothing then. ``max_body``: bytes.
    ``timeout``: seconds until the response's head must be ready. ``threaded``: a plain function runs in a worker
    thread. ``strict_unknown``: unknown members of a JSON body are errors. ``name``: for ``App.url``.
    """

    status: int
    middleware: Iterable[Middleware | Hooks]
    skip: Iterable[Middleware | Hooks]
    max_body: int
    timeout: float | None
    threaded: bool
    strict_unknown: bool
    name: str


@dataclass(frozen=True, slots=True)
class RouteRecord:
    """A route as it was declared."""

    methods: tuple[str, ...]
    pattern: str
    handler: Callable[..., Any]
    options: RouteOptions
    owner: Routes
    namespace: Mapping[str, Any]

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The groups' layers, outermost first, then the route's own."""
        own = tuple(layer(one, Phase.HANDLER) for one in self.options.get("middleware", ()))
        return (*self.owner.layers(), *own)

    @property
    def where(self) -> str:
        return f"{','.join(self.methods)} {self.pattern}"


@dataclass(slots=True)
class Routes:
    """Records routes below a prefix, on a host, inside layers. ``records`` is shared with the groups made from it."""

    records: list[RouteRecord] = field(default_factory=list[RouteRecord])
    prefix: str = ""
    host_pattern: str | None = None
    parent: Routes | None = None
    own_layers: list[Layer] = field(default_factory=list[Layer])

    def route(
        self, pattern: str, methods: Iterable[str], **options: Unpack[RouteOptions]
    ) -> Callable[[F], F]:
        """Registers the decorated handler for ``methods`` on ``pattern``; the handler itself is returned."""
        taken = tuple(methods)
        if isinstance(methods, str):
            raise SetupError(f"{pattern}: methods is a list of names, not one text")

        def register(handler: F) -> F:
            self.add(pattern, taken, handler, sys._getframe(1).f_locals, options)
            return handler

        return register

    def add(
        self,
        pattern: str,
        methods: tuple[str, ...],
        handler: Callable[..., Any],
        namespace: Mapping[str, Any],
        options: RouteOptions,
    ) -> None:
        """Registers ``handler``. ``namespace`` holds local names that its annotations use."""
        self.records.append(
            RouteRecord(
                methods,
                join(self.prefix, pattern),
                handler,
                options,
                self,
                dict(namespace) if _has_text_annotations(handler) else {},
            )
        )

    def layers(self) -> tuple[Layer, ...]:
        """The layers around the routes registered here, those of outer groups first."""
        outer = self.parent.layers() if self.parent is not None else ()
        return (*outer, *self.own_layers)

    def get(self, pattern: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        """GET, and HEAD with it."""
        return self._verb("GET", pattern, options)

    def post(self, pattern: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        return self._verb("POST", pattern, options)

    def put(self, pattern: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        return self._verb("PUT", pattern, options)

    def patch(self, pattern: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        return self._verb("PATCH", pattern, options)

    def delete(self, pattern: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        return self._verb("DELETE", pattern, options)

    def _verb(self, method: str, pattern: str, options: RouteOptions) -> Callable[[F], F]:
        def register(handler: F) -> F:
            self.add(pattern, (method,), handler, sys._getframe(1).f_locals, options)
            return handler

        return register

    def group(self, prefix: str = "", *, middleware: Iterable[Middleware | Hooks] = ()) -> RouteGroup:
        """Routes below ``prefix``, inside ``middleware``."""
        return RouteGroup(
            self.records,
            join(self.prefix, prefix) if prefix else self.prefix,
            self.host_pattern,
            self,
            [layer(one) for one in middleware],
        )

    def host(self, pattern: str) -> RouteGroup:
        """Routes of one host: ``api.example.com``, ``*.example.com`` or ``{tenant}.example.com``."""
        return RouteGroup(self.records, self.prefix, pattern, self, [])


class RouteGroup(Routes):
    """A part of the app's routes with a prefix, a host or layers of its own."""

    __slots__ = ()

    def use(self, middleware: Middleware | Hooks, phase: Phase = Phase.POLICY) -> None:
        """Adds a layer around the routes of this group and of the groups within it."""
        self.own_layers.append(layer(middleware, phase))


def _has_text_annotations(handler: Callable[..., Any]) -> bool:
    annotations = getattr(handler, "__annotations__", {})
    return any(isinstance(annotation, str) for annotation in annotations.values())
