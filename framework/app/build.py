"""From record to runtime: settings, plugins, dependencies, routes; every problem of a kind at once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from framework.app.binding.binder import Bound, bind
from framework.app.plugin import order_plugins
from framework.app.record import AppRecord, all_apps
from framework.app.routes import RouteRecord
from framework.app.runtime import Hosted, Runtime
from framework.app.settings import Settings, load
from framework.app.setup import PluginSetup
from framework.errors import BindingError, CodecError, GraphError, HTTPError, SetupError
from framework.http.endpoint import Endpoint
from framework.http.path import canonical_path
from framework.http.request import Request
from framework.http.response import Response
from framework.middleware.chain import Chain, Layer, compose
from framework.net.settings import ServerSettings
from framework.routing import RouterBuilder, join, reverse
from framework.routing.pattern import parse_host

__all__ = ["build", "find_path"]


def build(
    app: AppRecord,
    *,
    files: Sequence[Path],
    environ: Mapping[str, str] | None,
    flags: Mapping[str, str] | None,
    overrides: Mapping[str, object],
) -> Runtime:
    """See ``App.build``."""
    apps = list(all_apps(app))
    ordered = {id(each): order_plugins(each.plugins) for _, each in apps}
    settings = load(_sections(apps, ordered), files=files, environ=environ, flags=flags, overrides=overrides)
    for _, each in apps:
        _configure(each, ordered[id(each)], settings)
    routes = _Compiler(app, apps)
    return routes.compile(settings)


def _sections(
    apps: Iterable[tuple[str, AppRecord]], ordered: Mapping[int, Sequence[Any]]
) -> dict[str, type[msgspec.Struct]]:
    """All sections of the settings. Two apps may share one if they mean the same type."""
    sections: dict[str, type[msgspec.Struct]] = {"server": ServerSettings}
    for _, app in apps:
        own = dict(app.sections) | {plugin.name: plugin.config_type for plugin in ordered[id(app)]}
        for name, kind in own.items():
            if sections.setdefault(name, kind) is not kind:
                raise SetupError(f"settings section {name!r} is declared as two different types")
    return sections


def _configure(app: AppRecord, plugins: Sequence[Any], settings: Settings) -> None:
    """Hands the settings to the container and runs the plugins' setups, in the order of their needs."""
    app.errors.debug = app.debug
    app.container.value(ServerSettings, settings.section(ServerSettings))
    for name, kind in app.sections.items():
        app.container.value(kind, settings.sections[name])
    for plugin in plugins:
        plugin.setup(PluginSetup(app, plugin.name), settings.sections[plugin.name])


class _Problems:
    """Collects the problems of one kind over all routes."""

    def __init__(self) -> None:
        self.binding: list[str] = []
        self.graph: list[str] = []

    @contextmanager
    def collect(self) -> Iterator[None]:
        try:
            yield
        except BindingError as error:
            self.binding += error.problems
        except GraphError as error:
            self.graph += error.problems

    def raise_if_any(self) -> None:
        kinds = [kind for kind, found in ((GraphError, self.graph), (BindingError, self.binding)) if found]
        if kinds:
            kind = kinds[0] if len(kinds) == 1 else SetupError
            raise kind(list(dict.fromkeys(self.graph + self.binding)))


class _Compiler:
    """Compiles the routes of an app and of all that is mounted in it into one router."""

    def __init__(self, root: AppRecord, apps: Sequence[tuple[str, AppRecord]]) -> None:
        self._root = root
        self._apps = apps
        self._problems = _Problems()
        self._listing: list[Mapping[str, object]] = []

    def compile(self, settings: Settings) -> Runtime:
        builder: RouterBuilder[Endpoint] = RouterBuilder(self._converters())
        layers = _outer_layers(self._root)
        for prefix, app in self._apps:
            refills: list[Callable[[], None]] = []
            for record in app.records:
                with self._problems.collect():
                    self._add(builder, prefix, app, layers[id(app)], record, refills)
            app.container.on_change(lambda refills=refills: _run_all(refills))  # type: ignore[misc]
            with self._problems.collect():
                app.container.validate()
        self._problems.raise_if_any()
        chain = Chain.of(layers[id(self._root)])
        router = builder.build(
            lambda allowed: self._special(chain, _not_allowed(allowed)),
            lambda allowed: self._special(chain, _options(allowed)),
            self._special(chain, _miss),
            head=lambda endpoint: endpoint,
        )
        return Runtime(
            router,
            settings,
            [Hosted(app, app.container, app.events, app.lifespans) for _, app in self._apps],
            self._special(chain, _bad_path),
            self._listing,
        )

    def _converters(self) -> dict[str, Any]:
        converters: dict[str, Any] = {}
        for _, app in self._apps:
            for name, converter in app.converters.items():
                if converters.setdefault(name, converter) is not converter:
                    raise SetupError(f"path converter {name!r} is declared twice, differently")
        return converters

    def _add(
        self,
        builder: RouterBuilder[Endpoint],
        prefix: str,
        app: AppRecord,
        outer: Sequence[Layer],
        record: RouteRecord,
        refills: list[Callable[[], None]],
    ) -> None:
        pattern = join(prefix, record.pattern) if prefix else record.pattern
        host = record.owner.host_pattern
        path_types = {param.name: param.converter.type for param in builder.parse(pattern).params}
        host_parameter = parse_host(host).name if host is not None else None
        if host_parameter is not None:
            path_types[host_parameter] = str
        options = record.options
        skipped = {id(one) for one in options.get("skip", ())}
        layers = [one for one in (*outer, *record.layers) if id(one.middleware) not in skipped]
        chain = Chain.of(layers)

        def compiled() -> Bound:
            return bind(
                record.handler,
                where=f"{','.join(record.methods)} {pattern}",
                path_types=path_types,
                container=app.container,
                status=options.get("status", 200),
                threaded=options.get("threaded", False),
                strict_unknown=options.get("strict_unknown", False),
                namespace=record.namespace,
            )

        bound = compiled()
        endpoint = Endpoint(
            bound.call,
            app.errors.render,
            before=chain.before,
            after=chain.after,
            pattern=pattern,
            max_body=options.get("max_body", app.max_body),
            timeout=options.get("timeout", app.request_timeout),
        )

        _fill(endpoint, bound, chain)
        refills.append(lambda: _fill(endpoint, compiled(), chain))
        builder.add(
            pattern,
            record.methods,
            endpoint,
            host=host,
            name=options.get("name"),
        )
        self._listing.append(
            {
                "methods": record.methods,
                "pattern": pattern,
                "host": host,
                "handler": f"{record.handler.__module__}.{record.handler.__qualname__}",
                "layers": [one.name for one in sorted(layers, key=lambda one: one.phase)],
            }
        )

    def _special(self, chain: Chain, call: Callable[[Request], Response]) -> Endpoint:
        """An endpoint of the app's own: 404, 405, OPTIONS and the like, inside the app's layers."""
        endpoint = Endpoint(
            call, self._root.errors.render, before=chain.before, after=chain.after, is_async=False
        )
        if chain.onions:
            endpoint.call = _composed(call, is_async=False, chain=chain)
            endpoint.is_async = True
        return endpoint


def _run_all(functions: Iterable[Callable[[], None]]) -> None:
    for function in functions:
        function()


def _outer_layers(root: AppRecord) -> dict[int, tuple[Layer, ...]]:
    """For each app, the layers of the apps it is mounted in, then its own."""
    found: dict[int, tuple[Layer, ...]] = {}

    def visit(app: AppRecord, outer: tuple[Layer, ...]) -> None:
        found[id(app)] = own = (*outer, *app.app_layers)
        for _, mounted in app.mounts:
            visit(mounted, own)

    visit(root, ())
    return found


def _fill(endpoint: Endpoint, bound: Bound, chain: Chain) -> None:
    if chain.onions:
        endpoint.call = _composed(bound.call, is_async=bound.is_async, chain=chain)
        endpoint.is_async = True
    else:
        endpoint.call = bound.call
        endpoint.is_async = bound.is_async


def _composed(call: Callable[[Request], Any], *, is_async: bool, chain: Chain) -> Callable[[Request], Any]:
    async def from_sync(request: Request) -> Response:
        result: Response = call(request)
        return result

    composed = compose(call if is_async else from_sync, chain.onions)
    if inspect.iscoroutinefunction(composed):
        return composed

    async def awaited(request: Request) -> Response:
        return await composed(request)

    return awaited


def _not_allowed(allowed: tuple[str, ...]) -> Callable[[Request], Response]:
    allow = ", ".join(allowed)

    def not_allowed(request: Request) -> Response:
        raise HTTPError(405, f"{request.method} is not allowed here", headers={"allow": allow})

    return not_allowed


def _options(allowed: tuple[str, ...]) -> Callable[[Request], Response]:
    allow = ", ".join(allowed)

    def options(request: Request) -> Response:
        return Response(status=204, headers={"allow": allow})

    return options


def _miss(request: Request) -> Response:
    if request.method == "OPTIONS" and request.raw_path == "*":
        return Response(status=204)
    if request.method == "CONNECT":
        raise HTTPError(501, "this server is no proxy")
    raise HTTPError(404, f"nothing is at {request.raw_path[:200]}")


def _bad_path(request: Request) -> Response:
    if request.method == "CONNECT":
        raise HTTPError(501, "this server is no proxy")
    canonical_path(request.raw_path)
    raise HTTPError(400, "the path is malformed")


def find_path(app: AppRecord, handler: Callable[..., Any] | str, params: Mapping[str, object]) -> str:
    """See ``App.url``."""
    for prefix, each in all_apps(app):
        for record in each.records:
            if record.handler is handler or (
                isinstance(handler, str) and record.options.get("name") == handler
            ):
                pattern = RouterBuilder[Any](each.converters).parse(join(prefix, record.pattern))
                return reverse(pattern, params)
    raise CodecError(f"no route leads to {handler if isinstance(handler, str) else handler.__qualname__}")
