"""From record to runtime: settings, plugins, dependencies, routes; every problem of a kind at once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec

from framework.app.compiler import (
    ReadRoute,
    Site,
    all_sites,
    common_layers,
    compile_route,
    compile_special,
    listing,
    read_route,
)
from framework.app.injection import Probe
from framework.app.plugin import Plugin, order_plugins
from framework.app.problems import Problems
from framework.app.processes import refuse_per_process
from framework.app.record import AppRecord, Derived, all_apps
from framework.app.reversing import all_converters, patterns_of
from framework.app.runtime import Hosted, Runtime
from framework.app.settings import Settings, load
from framework.app.setup import PluginSetup
from framework.app.specials import bad_path, miss, not_allowed, options
from framework.channels import ChannelSettings
from framework.di import Scope
from framework.errors import GraphError, PluginError, SetupError
from framework.http.endpoint import Endpoint
from framework.middleware.chain import Chain
from framework.middleware.failures import ErrorMap
from framework.net.settings import ServerSettings
from framework.net.websocket.settings import WebSocketSettings
from framework.routing import Router, RouterBuilder, join

__all__ = ["build"]

Plugins = Mapping[AppRecord, Sequence[Plugin[Any]]]
Refills = Mapping[AppRecord, Sequence[Callable[[], None]]]


def build(
    app: AppRecord,
    *,
    files: Sequence[Path],
    environ: Mapping[str, str] | None,
    flags: Mapping[str, str] | None,
    overrides: Mapping[str, object],
) -> Runtime:
    """See ``App.build``."""
    apps = list(dict.fromkeys(each for _, each in all_apps(app)))
    plugins = _ordered(apps)
    settings = load(_sections(plugins), files=files, environ=environ, flags=flags, overrides=overrides)
    runtimes: list[Runtime] = []  # the one of this build, once it is made; injected into what the start makes
    for each in apps:
        _derive(each, plugins[each], settings, lambda: runtimes[0])
    sites = list(all_sites(app))
    errors = {each: each.errors.joined(each.derived.renderers, debug=each.debug) for each in apps}
    router, routes, refills = _routed(app, sites, settings, errors)
    runtime = Runtime(
        router,
        settings,
        [Hosted(each, each.container, each.events, each.channels, _lifespans(each)) for each in apps],
        compile_special(bad_path, Chain.of(sites[0].layers), errors[app]),
        listing(routes),
        [route.built() for route in routes],
        _probes(sites),
    )
    runtimes.append(runtime)
    for each in apps:
        each.unsubscribe = each.container.on_change(_all_of(refills.get(each, ())))
        each.derived.patterns = patterns_of(each, all_converters(app))
    _tell(apps, runtime)
    return runtime


def _ordered(apps: Iterable[AppRecord]) -> Plugins:
    problems = Problems()
    plugins: dict[AppRecord, Sequence[Plugin[Any]]] = {}
    for app in apps:
        with problems.collect():
            plugins[app] = order_plugins(app.plugins)
    problems.raise_if_any()
    return plugins


def _sections(plugins: Plugins) -> dict[str, type[msgspec.Struct]]:
    """All sections of the settings. Two apps may share one if they mean the same type."""
    sections: dict[str, type[msgspec.Struct]] = {
        "server": ServerSettings,
        "websocket": WebSocketSettings,
        "channels": ChannelSettings,
    }
    problems: dict[str, None] = {}
    for app, own in plugins.items():
        declared = [*app.sections.items(), *((plugin.name, plugin.config_type) for plugin in own)]
        for name, kind in declared:
            if sections.setdefault(name, kind) is not kind:
                problems[f"settings section {name!r} is declared as two different types"] = None
    if problems:
        raise SetupError(list(problems))
    return sections


def _derive(
    app: AppRecord, plugins: Sequence[Plugin[Any]], settings: Settings, runtime: Callable[[], Runtime]
) -> None:
    """Hands the settings to the container and runs the plugins' setups, in the order of their needs.

    What comes of it takes the place of what the last build made: an app can be built again and again.
    """
    if app.unsubscribe is not None:
        app.unsubscribe()
        app.unsubscribe = None
    app.channels.configure(settings.section(ChannelSettings))
    app.derived = Derived(websocket=settings.section(WebSocketSettings))
    with app.container.derived():
        app.container.value(ServerSettings, settings.section(ServerSettings))
        app.container.value(WebSocketSettings, settings.section(WebSocketSettings))
        app.container.provide(runtime, scope=Scope.APP, provides=Runtime)
        kinds = list(app.sections.values())
        for name, kind in app.sections.items():
            # Several sections of one type are told apart by their names.
            key: Any = kind if kinds.count(kind) == 1 else Annotated[kind, name]
            app.container.value(key, settings.sections[name])
        for plugin in plugins:
            setup: Callable[..., object] = plugin.setup
            result = setup(
                PluginSetup(app, plugin.name, worker_count=settings.section(ServerSettings).workers),
                settings.sections[plugin.name],
            )
            if inspect.iscoroutine(result):
                result.close()
                raise PluginError(
                    f"plugin {plugin.name}: setup only records, and awaits nothing; write it without async"
                )


def _routed(
    app: AppRecord, sites: Sequence[Site], settings: Settings, errors: Mapping[AppRecord, ErrorMap]
) -> tuple[Router[Endpoint], list[ReadRoute], Refills]:
    """Reads and compiles every route; raises all that is wrong with routes, dependencies and layers together."""
    problems = Problems()
    builder: RouterBuilder[Endpoint] = RouterBuilder(all_converters(app))
    _check_claims(sites, RouterBuilder(all_converters(app)), problems)
    routes = _read(sites, builder, problems)
    compiled, refills = _compile(routes, errors, _invalid(routes, sites, problems), problems)
    with problems.collect():
        refuse_per_process(settings.section(ServerSettings).workers, sites, routes)
    problems.raise_if_any()
    for route, endpoint in compiled:
        record = route.record
        host, name = record.owner.host_pattern, record.options.get("name")
        builder.add(route.pattern.text, record.methods, endpoint, host=host, name=name)
    by_endpoint = {endpoint: route for route, endpoint in compiled}
    return _router(builder, by_endpoint, Chain.of(sites[0].layers), errors[app], errors), routes, refills


def _check_claims(sites: Iterable[Site], builder: RouterBuilder[None], problems: Problems) -> None:
    """Looks for routes that claim the same requests, also among those whose handlers cannot be compiled."""
    for site in sites:
        for record in site.app.all_records():
            pattern = join(site.prefix, record.pattern)
            host, name = record.owner.host_pattern, record.options.get("name")
            with problems.collect(f"{','.join(record.methods)} {pattern}"):
                builder.add(pattern, record.methods, None, host=host, name=name)
    with problems.collect():
        builder.check()


def _read(sites: Iterable[Site], builder: RouterBuilder[Endpoint], problems: Problems) -> list[ReadRoute]:
    found = (
        read_route(site, record, builder, problems) for site in sites for record in site.app.all_records()
    )
    return [route for route in found if route is not None]


def _invalid(routes: Sequence[ReadRoute], sites: Iterable[Site], problems: Problems) -> set[AppRecord]:
    """Checks every dependency; returns the apps where one cannot be made."""
    broken: set[AppRecord] = set()
    for app in dict.fromkeys(site.app for site in sites):
        with problems.collect():
            try:
                app.container.validate(route.need for route in routes if route.site.app is app)
            except GraphError:
                broken.add(app)
                raise
    return broken


def _compile(
    routes: Iterable[ReadRoute],
    errors: Mapping[AppRecord, ErrorMap],
    broken: set[AppRecord],
    problems: Problems,
) -> tuple[list[tuple[ReadRoute, Endpoint]], Refills]:
    """Compiles every route; returns for each app what compiles its routes again.

    ``broken``: apps of which it is told already that a dependency cannot be made.
    """
    compiled: list[tuple[ReadRoute, Endpoint]] = []
    refills: dict[AppRecord, list[Callable[[], None]]] = {}
    for route in routes:
        app = route.site.app
        with problems.collect(route.where):
            try:
                endpoint, again = compile_route(route, errors[app])
            except GraphError:
                if app not in broken:
                    raise
            else:
                compiled.append((route, endpoint))
                refills.setdefault(app, []).append(again)
    return compiled, refills


def _router(
    builder: RouterBuilder[Endpoint],
    routes: Mapping[Endpoint, ReadRoute],
    chain: Chain,
    errors: ErrorMap,
    errors_of: Mapping[AppRecord, ErrorMap],
) -> Router[Endpoint]:
    def beside(special: Endpoint, endpoints: Sequence[Endpoint]) -> Endpoint:
        """What answers in a path's name is inside the layers that all routes of the path have in common."""
        same = [routes[endpoint] for endpoint in endpoints]
        apps = {route.site.app for route in same}
        own = errors_of[apps.pop()] if len(apps) == 1 else errors
        return compile_special(special.call, Chain.of(common_layers(same)), own)

    return builder.build(
        lambda allowed: Endpoint(not_allowed(allowed), errors.render),
        lambda allowed: Endpoint(options(allowed), errors.render),
        compile_special(miss, chain, errors),
        head=lambda endpoint: endpoint,
        beside=beside,
    )


def _probes(sites: Sequence[Site]) -> Iterator[Probe]:
    """The probes of every app, once each: an app that is mounted twice is well or ill as a whole."""
    prefixes: dict[AppRecord, str] = {}
    for site in sites:
        prefixes.setdefault(site.app, site.prefix)
    for app, prefix in prefixes.items():
        for name, function in app.checks.items():
            yield Probe(f"{prefix}:{name}" if prefix else name, function, app.container)


def _lifespans(app: AppRecord) -> list[Any]:
    """The plugins' lifespans, then the app's own, which may count on what the plugins have opened."""
    return [*app.derived.lifespans, *app.lifespans]


def _all_of(functions: Iterable[Callable[[], None]]) -> Callable[[], None]:
    every = tuple(functions)

    def run() -> None:
        for function in every:
            function()

    return run


def _tell(apps: Iterable[AppRecord], runtime: Runtime) -> None:
    """Calls back those who want to know the routes of an app and of what is mounted in it."""
    for app in apps:
        inside = {each for _, each in all_apps(app)}
        for callback in (*app.on_built, *app.derived.on_built):
            callback([route for route in runtime.routes if route.app in inside])
