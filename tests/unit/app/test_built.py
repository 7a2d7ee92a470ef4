"""What those who describe an app are told at the end of its build."""

from __future__ import annotations

from collections.abc import Sequence

from framework import App
from framework.app.built import BuiltRoute
from framework.app.plugin import NoConfig, Setup


class Listener:
    """Keeps what it is told."""

    name = "listener"
    requires: frozenset[str] = frozenset()
    config_type = NoConfig

    def __init__(self) -> None:
        self.told: list[str] = []

    def setup(self, setup: Setup, config: NoConfig) -> None:
        setup.on_built(self.listen)

    def listen(self, routes: Sequence[BuiltRoute]) -> None:
        self.told += [route.pattern.text for route in routes]


async def handler(id: int) -> str:
    return str(id)


def test_a_built_route_tells_how_its_handler_is_called() -> None:
    app, mounted = App(), App()
    mounted.group("/users", tags=["Users"]).host("a.example.com").get("/{id:int}", returns=str)(handler)
    app.mount("/api", mounted)
    (route,) = app.build(environ={}).routes
    assert (route.app, route.prefix, route.pattern.text) == (mounted, "/api", "/api/users/{id:int}")
    assert route.host is not None
    assert route.host.text == "a.example.com"
    assert [(one.name, one.source, one.type) for one in route.parameters] == [("id", "path", int)]
    assert route.returns is str
    assert route.record.owner.tags == ("Users",)
    assert route.record.options.get("returns") is str


def test_a_plugin_is_told_the_routes_of_its_app_and_of_those_mounted_in_it() -> None:
    outer, inner = App(), App()
    outside, inside = Listener(), Listener()
    outer.get("/{id:int}")(handler)
    inner.get("/{id:int}")(handler)
    outer.mount("/in", inner)
    outer.install(outside)
    inner.install(inside)
    outer.build(environ={})
    assert outside.told == ["/{id:int}", "/in/{id:int}"]
    assert inside.told == ["/in/{id:int}"]
