"""From routes as declared to endpoints: read, checked together, then compiled."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from framework.app.binding import Bound, Signature, bind, read_signature
from framework.app.binding.callee import address_of
from framework.app.built import BuiltRoute
from framework.app.problems import Problems
from framework.app.record import AppRecord
from framework.app.routes import RouteRecord
from framework.app.websocket import bind_websocket
from framework.di import Need
from framework.errors import SetupError
from framework.http.endpoint import Endpoint
from framework.http.handler import Handler
from framework.http.request import Request
from framework.http.response import Response
from framework.middleware.chain import Chain, Core, Layer, Phase, compose
from framework.middleware.failures import ErrorMap
from framework.routing import RouterBuilder, join
from framework.routing.pattern import Host, Pattern, parse_host

__all__ = [
    "ReadRoute",
    "Site",
    "all_sites",
    "common_layers",
    "compile_route",
    "compile_special",
    "listing",
    "read_route",
]

_BODILESS = frozenset({"GET", "HEAD"})


class Site(msgspec.Struct, frozen=True):
    """An app at the place where it is mounted. ``layers`` are those around all its routes: the outer apps' first."""

    prefix: str
    app: AppRecord
    layers: tuple[Layer, ...]


def all_sites(app: AppRecord, prefix: str = "", outer: tuple[Layer, ...] = ()) -> Iterator[Site]:
    """The app and everything mounted in it."""
    layers = (*outer, *app.app_layers, *app.derived.layers)
    yield Site(prefix, app, layers)
    for inner, mounted in app.mounts:
        yield from all_sites(mounted, join(prefix, inner), layers)


class ReadRoute(msgspec.Struct, frozen=True, eq=False):
    """A route that was read at its site. ``layers`` are in order, the outermost first."""

    site: Site
    record: RouteRecord
    pattern: Pattern
    host: Host | None
    layers: tuple[Layer, ...]
    signature: Signature

    @property
    def where(self) -> str:
        """How errors and tracebacks name the route."""
        return _where(self.record, self.pattern.text)

    @property
    def need(self) -> Need:
        """What the handler takes from the container."""
        has_connection = self.record.websocket is not None
        return Need(self.where, self.signature.wanted, given=frozenset({Request}), outer=has_connection)

    def built(self) -> BuiltRoute:
        """The route for those who describe the app."""
        return BuiltRoute(
            self.site.app,
            self.site.prefix,
            self.record,
            self.pattern,
            self.host,
            self.signature.parameters,
            self.signature.returns,
            self.layers,
        )


def _where(record: RouteRecord, pattern: str) -> str:
    return f"{','.join(record.methods)} {pattern}"


def read_route(
    site: Site, record: RouteRecord, builder: RouterBuilder[Endpoint], problems: Problems
) -> ReadRoute | None:
    """Reads a route as far as it goes; None, and the problems noted, where it cannot be compiled."""
    text = join(site.prefix, record.pattern)
    where = _where(record, text)
    layers: tuple[Layer, ...] = ()
    with problems.collect(where):
        layers = _layers(site, record)
    with problems.collect(where):
        pattern = builder.parse(text)
        host = None if record.owner.host_pattern is None else parse_host(record.owner.host_pattern)
        path_types: dict[str, Any] = {param.name: param.converter.type for param in pattern.params}
        if host is not None and host.name is not None:
            path_types[host.name] = str
        signature = _signature(record, where, path_types, site.app)
        return ReadRoute(site, record, pattern, host, layers, signature)
    return None


def _signature(record: RouteRecord, where: str, path_types: dict[str, Any], app: AppRecord) -> Signature:
    return read_signature(
        record.handler,
        where=where,
        path_types=path_types,
        provides=app.container.provides,
        namespace=record.namespace,
        bodiless=_BODILESS.issuperset(record.methods),
    )


def _layers(site: Site, record: RouteRecord) -> tuple[Layer, ...]:
    """The layers around a route, sorted, without those it skips. A skip of what is not there is a mistake."""
    layers = (*site.layers, *record.layers)
    skipped = list(record.options.get("skip", ()))
    strangers = [one for one in skipped if not any(one == each.middleware for each in layers)]
    if strangers:
        names = ", ".join(Layer(Phase.HANDLER, one).name for one in strangers)
        raise SetupError(f"it skips {names}, which is none of its layers")
    kept = [each for each in layers if each.middleware not in skipped]
    return tuple(sorted(kept, key=lambda each: each.phase))


def common_layers(routes: Sequence[ReadRoute]) -> tuple[Layer, ...]:
    """The layers that every one of ``routes`` has, sorted as those of the first."""
    first, *others = routes
    return tuple(one for one in first.layers if all(one in other.layers for other in others))


def compile_route(route: ReadRoute, errors: ErrorMap) -> tuple[Endpoint, Callable[[], None]]:
    """Compiles a route. Returns its endpoint, and what compiles it again when its dependencies are made otherwise.

    Raises:
        BindingError: the handler's result makes no response, or a thread is asked for what cannot run in one.
        SetupError: a middleware that makes no handler.
    """
    app, options = route.site.app, route.record.options
    chain = Chain.of(route.layers)

    def compiled(signature: Signature) -> Bound:
        if route.record.websocket is not None:
            return bind_websocket(
                signature,
                route.record.websocket,
                app.derived.websocket,
                where=route.where,
                container=app.container,
                strict_unknown=options.get("strict_unknown", False),
            )
        return bind(
            signature,
            where=route.where,
            container=app.container,
            status=options.get("status", 200),
            threaded=options.get("threaded", False),
            strict_unknown=options.get("strict_unknown", False),
        )

    bound = compiled(route.signature)
    endpoint = Endpoint(
        bound.call,
        errors.render,
        before=chain.before,
        after=chain.after,
        pattern=route.pattern.text,
        max_body=options.get("max_body", app.max_body),
        timeout=options.get("timeout", app.request_timeout),
    )
    put = _place(endpoint, chain)
    put(bound)

    def again() -> None:
        path_types = dict(route.signature.path_types)
        put(compiled(_signature(route.record, route.where, path_types, app)))

    return endpoint, again


def compile_special(call: Callable[[Request], Response], chain: Chain, errors: ErrorMap) -> Endpoint:
    """An endpoint of nobody's handler, such as 404 or 405, inside the layers that hold there too."""
    endpoint = Endpoint(call, errors.render, before=chain.before, after=chain.after)
    _place(endpoint, chain)(Bound(call, False, ""))
    return endpoint


def _place(endpoint: Endpoint, chain: Chain) -> Callable[[Bound], None]:
    """What puts a handler into an endpoint, inside its onions. They are composed here and never again."""

    def alone(bound: Bound) -> None:
        endpoint.call, endpoint.is_async, endpoint.respond = bound.call, bound.is_async, bound.respond

    if not chain.onions:
        return alone
    core = Core(_unplaced)
    endpoint.call = _as_coroutine_function(compose(core.call, chain.onions))
    endpoint.is_async = True

    def inside(bound: Bound) -> None:
        core.replace(_as_handler(bound))

    return inside


async def _unplaced(request: Request) -> Response:
    raise RuntimeError("a middleware called its handler while the app was being built")


def _as_handler(bound: Bound) -> Handler:
    """What onions go around: a coroutine function that returns the response."""
    call, respond = bound.call, bound.respond
    if respond is not None:
        make = respond

        async def responding(request: Request) -> Response:
            return make(await call(request))

        return responding
    if bound.is_async:
        return call

    async def from_sync(request: Request) -> Response:
        response: Response = call(request)
        return response

    return from_sync


def _as_coroutine_function(handler: Handler) -> Handler:
    """The server steps through coroutines; an onion may be a plain function that returns any awaitable."""
    if inspect.iscoroutinefunction(handler):
        return handler

    async def awaited(request: Request) -> Response:
        return await handler(request)

    return awaited


def listing(routes: Sequence[ReadRoute]) -> list[dict[str, object]]:
    """One line for each route, for people."""
    return [
        {
            "methods": route.record.methods,
            "pattern": route.pattern.text,
            "host": route.record.owner.host_pattern,
            "handler": address_of(route.record.handler),
            "layers": [one.name for one in route.layers],
        }
        for route in routes
    ]
