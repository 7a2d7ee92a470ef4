"""Recording routes: what App and RouteGroup have in common. Nothing is compiled here."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict, TypeVar, Unpack, cast

import msgspec

from framework.app.answers import Answer
from framework.app.schema import near_miss
from framework.app.websocket_options import SocketOptions, make_listener, split_options
from framework.errors import SetupError
from framework.http.handler import Middleware
from framework.middleware.chain import Hooks, Layer, Phase, layer
from framework.net.websocket.listener import WebSocketListener
from framework.routing import join

__all__ = ["RouteGroup", "RouteOptions", "RouteRecord", "Routes", "SocketRouteOptions"]

F = TypeVar("F", bound=Callable[..., Any])


class RouteOptions(TypedDict, total=False):
    """What a route may say of itself.

    ``status``: of the response made from the handler's result (200). ``middleware``: layers of this route alone.
    ``skip``: layers of the app or group that do not apply here; they cost nothing then. ``max_body``: bytes.
    ``timeout``: seconds until the response's head must be ready. ``threaded``: a plain function runs in a worker
    thread. ``strict_unknown``: unknown members of a JSON body are errors. ``name``: for ``App.url``.

    The rest only describes the route (see ``docs/openapi.md``). ``returns``: the type of a response's body where the
    handler itself returns a ``Response``. ``responses``: by status what else is answered, an ``Answer`` or only its
    description or its type. ``summary``, ``description``: instead of the handler's docstring. ``tags``: instead of
    the group's. ``security``: names of security schemes, any of which will do. ``operation_id``: instead of one made
    of the handler's name.
    """

    status: int
    middleware: Iterable[Middleware | Hooks]
    skip: Iterable[Middleware | Hooks]
    max_body: int
    timeout: float | None
    threaded: bool
    strict_unknown: bool
    name: str
    returns: Any
    responses: Mapping[int, Answer | str | type[Any]]
    summary: str
    description: str
    tags: Iterable[str]
    security: Iterable[str | Mapping[str, Sequence[str]]]
    operation_id: str
    deprecated: bool
    include_in_schema: bool


class SocketRouteOptions(RouteOptions, SocketOptions, total=False):
    """What a route of WebSockets may say of itself."""


class RouteRecord(msgspec.Struct, frozen=True, eq=False):
    """A route as it was declared. ``namespace`` holds the local names that its annotations may use; ``websocket`` is
    what a route of WebSockets says besides."""

    methods: tuple[str, ...]
    pattern: str
    handler: Callable[..., Any]
    options: RouteOptions
    owner: Routes
    namespace: Mapping[str, Any]
    websocket: SocketOptions | None = None

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The groups' layers, outermost first, then the route's own."""
        own = tuple(layer(one, Phase.HANDLER) for one in self.options.get("middleware", ()))
        return (*self.owner.layers(), *own)

    @property
    def where(self) -> str:
        """How errors name the route, before it is known where its app is mounted."""
        return f"{','.join(self.methods)} {self.pattern}"


@dataclass(slots=True, eq=False)
class Routes:
    """Records routes below a prefix, on a host, inside layers. ``records`` is shared with the groups made from it."""

    records: list[RouteRecord] = field(default_factory=list[RouteRecord])
    prefix: str = ""
    host_pattern: str | None = None
    parent: Routes | None = None
    own_layers: list[Layer] = field(default_factory=list[Layer])
    tags: tuple[str, ...] = ()

    def route(
        self, pattern: str, methods: Iterable[str], **options: Unpack[RouteOptions]
    ) -> Callable[[F], F]:
        """Registers the decorated handler for ``methods`` on ``pattern``; the handler itself is returned."""
        if isinstance(methods, str):
            raise SetupError(f"{pattern}: methods is a list of names, not one text")
        return self._decorator(tuple(methods), pattern, options)

    def _decorator(
        self,
        methods: tuple[str, ...],
        pattern: str,
        options: RouteOptions,
        socket: SocketOptions | None = None,
    ) -> Callable[[F], F]:
        checked = _checked(f"{','.join(methods)} {pattern}", options)

        def register(handler: F) -> F:
            if not callable(handler):
                raise SetupError(f"{','.join(methods)} {pattern}: {handler!r} cannot be called")
            full = join(self.prefix, pattern)
            self.records.append(
                RouteRecord(methods, full, handler, checked, self, _locals_of_caller(), socket)
            )
            return handler

        return register

    def layers(self) -> tuple[Layer, ...]:
        """The layers around the routes registered here, those of outer groups first."""
        outer = self.parent.layers() if self.parent is not None else ()
        return (*outer, *self.own_layers)

    def get(self, pattern: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        """Registers the decorated handler for GET, and HEAD with it."""
        return self._decorator(("GET",), pattern, options)

    def post(self, pattern: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        """Registers the decorated handler for POST."""
        return self._decorator(("POST",), pattern, options)

    def put(self, pattern: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        """Registers the decorated handler for PUT."""
        return self._decorator(("PUT",), pattern, options)

    def patch(self, pattern: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        """Registers the decorated handler for PATCH."""
        return self._decorator(("PATCH",), pattern, options)

    def delete(self, pattern: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        """Registers the decorated handler for DELETE."""
        return self._decorator(("DELETE",), pattern, options)

    def websocket(
        self,
        pattern: str,
        *,
        listener: type[WebSocketListener] | WebSocketListener | None = None,
        **options: Unpack[SocketRouteOptions],
    ) -> Callable[[F], F]:
        """Registers the decorated handler for WebSockets; see ``docs/websockets.md``.

        A handler with a parameter of type ``WebSocket`` is async, and runs once the opening handshake is done. Any
        other runs ahead of it, and returns a ``WebSocketListener`` (or an ``Upgrade``), or else what denies the
        WebSocket.

        Args:
            listener: what hears of the WebSockets, in a handler's place, so that nothing is decorated: a class, made
                anew for each with its parameters injected, or an object that serves them all.
        """
        route, socket = split_options(f"GET {pattern}", cast("Mapping[str, Any]", options))
        decorate: Any = self._decorator(("GET",), pattern, cast("RouteOptions", route), socket)
        if listener is not None:
            decorate(make_listener(f"GET {pattern}", listener))
        return cast("Callable[[F], F]", decorate)

    def group(
        self,
        prefix: str = "",
        *,
        middleware: Iterable[Middleware | Hooks] = (),
        tags: Iterable[str] = (),
    ) -> RouteGroup:
        """Routes below ``prefix``, inside ``middleware``; descriptions list them under ``tags``."""
        return RouteGroup(
            self.records,
            join(self.prefix, prefix) if prefix else self.prefix,
            self.host_pattern,
            self,
            [layer(one) for one in middleware],
            (*self.tags, *tags),
        )

    def host(self, pattern: str) -> RouteGroup:
        """Routes of one host: ``api.example.com``, ``*.example.com`` or ``{tenant}.example.com``."""
        return RouteGroup(self.records, self.prefix, pattern, self, [], self.tags)


class RouteGroup(Routes):
    """A part of the app's routes with a prefix, a host or layers of its own."""

    __slots__ = ()

    def use(self, middleware: Middleware | Hooks, phase: Phase = Phase.POLICY) -> None:
        """Adds a layer around the routes of this group and of the groups within it."""
        self.own_layers.append(layer(middleware, phase))


def _checked(where: str, options: RouteOptions) -> RouteOptions:
    """The options, once they are found to make sense; what they hold of iterables can be read again and again.

    Raises:
        SetupError: with every option that is unknown or out of range.
    """
    known = RouteOptions.__optional_keys__
    problems = [
        f"there is no option {name!r}{near_miss(name, known)}" for name in options if name not in known
    ]
    status, max_body, timeout = options.get("status", 200), options.get("max_body", 0), options.get("timeout")
    if not 200 <= status <= 599:
        problems.append(f"status is 200 to 599, not {status}")
    if max_body < 0:
        problems.append(f"max_body is a number of bytes, not {max_body}")
    if timeout is not None and not timeout > 0:
        problems.append(f"timeout is more than 0 seconds, or None for ever, not {timeout}")
    checked = options.copy()
    if "middleware" in options:
        checked["middleware"] = tuple(options["middleware"])
    if "skip" in options:
        checked["skip"] = tuple(options["skip"])
    for one in checked.get("middleware", ()):
        try:
            layer(one)
        except SetupError as error:
            problems += error.problems
    if problems:
        raise SetupError([f"{where}: {problem}" for problem in problems])
    return checked


def _locals_of_caller() -> Mapping[str, Any]:
    """The local names of the function or class body in which a handler is decorated; none at a module's level."""
    register = inspect.currentframe()
    frame = register.f_back if register is not None else None
    frame = frame.f_back if frame is not None else None
    return {} if frame is None or frame.f_locals is frame.f_globals else dict(frame.f_locals)
