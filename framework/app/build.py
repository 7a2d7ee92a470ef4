"""From record to runtime: settings, plugins, dependencies, routes; every problem of a kind at once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec

from framework.app.compiler import (
    ReadRoute,
    Site,
    all_sites,
    compile_route,
    compile_special,
    listing,
    read_route,
)
from framework.app.plugin import Plugin, order_plugins
from framework.app.problems import Problems
from framework.app.record import AppRecord, Derived, all_apps
from framework.app.reversing import all_converters
from framework.app.runtime import Hosted, Runtime
from framework.app.settings import Settings, load
from framework.app.setup import PluginSetup
from framework.app.specials import bad_path, miss, not_allowed, options
from framework.di import Scope
from framework.errors import PluginError, SetupError
from framework.http.endpoint import Endpoint
from framework.middleware.chain import Chain
from framework.middleware.failures import ErrorMap
from framework.net.settings import ServerSettings
from framework.routing import Router, RouterBuilder

__all__ = ["build"]

Plugins = Mapping[AppRecord, Sequence[Plugin[Any]]]


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
    builder: RouterBuilder[Endpoint] = RouterBuilder(all_converters(app))
    routes = _read(sites, builder)
    refills = _compile(routes, builder, errors)
    chain = Chain.of(sites[0].layers)
    runtime = Runtime(
        _router(builder, chain, errors[app]),
        settings,
        [Hosted(each, each.container, each.events, _lifespans(each)) for each in apps],
        compile_special(bad_path, chain, errors[app]),
        listing(routes),
        [route.built() for route in routes],
        {
            f"{site.prefix}:{name}" if site.prefix else name: probe
            for site in sites
            for name, probe in site.app.checks.items()
        },
    )
    runtimes.append(runtime)
    for each in apps:
        each.unsubscribe = each.container.on_change(_all_of(refills.get(each, ())))
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
    sections: dict[str, type[msgspec.Struct]] = {"server": ServerSettings}
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
    app.derived = Derived()
    with app.container.derived():
        app.container.value(ServerSettings, settings.section(ServerSettings))
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


def _read(sites: Iterable[Site], builder: RouterBuilder[Endpoint]) -> list[ReadRoute]:
    """Reads every route and checks every dependency; raises all that is wrong with them."""
    problems = Problems()
    routes: list[ReadRoute] = []
    for site in sites:
        for record in site.app.all_records():
            route = read_route(site, record, builder, problems)
            if route is not None:
                routes.append(route)
    for app in dict.fromkeys(site.app for site in sites):
        with problems.collect():
            app.container.validate(route.need for route in routes if route.site.app is app)
    problems.raise_if_any()
    return routes


def _compile(
    routes: Iterable[ReadRoute], builder: RouterBuilder[Endpoint], errors: Mapping[AppRecord, ErrorMap]
) -> Mapping[AppRecord, list[Callable[[], None]]]:
    """Compiles every route into ``builder``; returns for each app what compiles its routes again."""
    problems = Problems()
    refills: dict[AppRecord, list[Callable[[], None]]] = {}
    for route in routes:
        record, app = route.record, route.site.app
        with problems.collect(route.where):
            endpoint, again = compile_route(route, errors[app])
            refills.setdefault(app, []).append(again)
            host = record.owner.host_pattern
            builder.add(
                route.pattern.text, record.methods, endpoint, host=host, name=record.options.get("name")
            )
    problems.raise_if_any()
    return refills


def _router(builder: RouterBuilder[Endpoint], chain: Chain, errors: ErrorMap) -> Router[Endpoint]:
    return builder.build(
        lambda allowed: compile_special(not_allowed(allowed), chain, errors),
        lambda allowed: compile_special(options(allowed), chain, errors),
        compile_special(miss, chain, errors),
        head=lambda endpoint: endpoint,
    )


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
