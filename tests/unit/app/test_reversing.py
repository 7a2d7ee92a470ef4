"""From handlers and names back to paths."""

from __future__ import annotations

from functools import partial

import pytest

from framework import App
from framework.app.plugin import NoConfig, Setup
from framework.app.reversing import all_converters
from framework.errors import CodecError, SetupError
from framework.routing import RouterBuilder
from tests.support.routing import Slug


async def show(name: str = "") -> None: ...


class Part:
    name = "part"
    requires: frozenset[str] = frozenset()
    config_type = NoConfig

    def setup(self, setup: Setup, config: NoConfig) -> None:
        setup.routes("/part").get("/{name}")(show)


def nested() -> App:
    app, inner = App(), App()
    app.converter(Slug())
    inner.get("/all")(show)
    inner.get("/one/{name:slug}", name="one")(show)
    app.mount("/in", inner)
    return app


def test_the_first_route_of_a_handler_that_the_parameters_fit() -> None:
    app = nested()
    assert app.url(show) == "/in/all"
    assert app.url(show, name="a-b") == "/in/one/a-b"
    assert app.url("one", name="a-b") == "/in/one/a-b"


def test_parameters_that_fit_no_route_are_told_of_the_first() -> None:
    app = nested()
    with pytest.raises(CodecError, match=r"/in/all takes the parameters: none; given: other"):
        app.url(show, other=1)
    with pytest.raises(CodecError, match=r"/in/one/{name:slug}: name: 'A' has no text"):
        app.url("one", name="A")


def test_what_leads_nowhere_is_named() -> None:
    app = nested()
    with pytest.raises(CodecError, match="no route leads to nobody"):
        app.url("nobody")
    with pytest.raises(CodecError, match=r"no route leads to Part\.setup"):
        app.url(partial(Part().setup))


def test_bound_methods_are_the_same_each_time_they_are_asked_for() -> None:
    class Controller:
        async def show(self) -> None: ...

    app, one, other = App(), Controller(), Controller()
    app.get("/one")(one.show)
    app.get("/other")(other.show)
    assert (app.url(one.show), app.url(other.show)) == ("/one", "/other")


def test_routes_of_plugins_are_known_after_a_build() -> None:
    app = App()
    app.install(Part())
    with pytest.raises(CodecError):
        app.url(show, name="x")
    app.build(environ={})
    assert app.url(show, name="x") == "/part/x"


def test_a_built_app_parses_no_pattern_again(monkeypatch: pytest.MonkeyPatch) -> None:
    app, inner = App(), App()
    app.converter(Slug())
    inner.get("/all")(show)
    inner.get("/one/{name:slug}", name="one")(show)
    app.mount("/in", inner)
    app.build(environ={})
    parsed: list[str] = []
    monkeypatch.setattr(RouterBuilder, "parse", lambda builder, pattern: parsed.append(pattern))
    assert app.url(show) == "/in/all"
    assert app.url(show, name="a-b") == app.url("one", name="a-b") == "/in/one/a-b"
    assert inner.url("one", name="a-b") == "/one/a-b"
    assert parsed == []


def test_routes_that_came_after_the_build_are_found_too() -> None:
    app = nested()
    app.build(environ={})
    app.get("/late/{name}/{other}")(show)
    app.get("/later", name="later")(show)
    assert app.url(show, name="x", other="y") == "/late/x/y"
    assert app.url("later") == "/later"


def test_a_handler_without_a_hash_is_found() -> None:
    class Handler:
        __hash__ = None  # type: ignore[assignment]

        async def __call__(self) -> None: ...

    app, handler = App(), Handler()
    app.get("/here", name="here")(handler)
    for _ in range(2):
        assert app.url(handler) == app.url("here") == "/here"
        app.build(environ={})


def test_converters_of_all_apps_are_one_set() -> None:
    app = nested()
    assert list(all_converters(app)) == ["slug"]
    app.mounts[0][1].converter(Slug())
    with pytest.raises(SetupError, match="'slug' is declared twice, differently"):
        all_converters(app)
