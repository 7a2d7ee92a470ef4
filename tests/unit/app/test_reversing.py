"""From handlers and names back to paths."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from framework import App
from framework.app.plugin import NoConfig, Setup
from framework.app.reversing import all_converters
from framework.errors import CodecError, SetupError


class Slug:
    """A converter of an app's own."""

    name = "slug"
    regex = "[a-z-]+"
    type = str

    def to_python(self, text: str) -> str:
        return text

    def to_text(self, value: Any) -> str:
        return str(value)


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


def test_converters_of_all_apps_are_one_set() -> None:
    app = nested()
    assert list(all_converters(app)) == ["slug"]
    app.mounts[0][1].converter(Slug())
    with pytest.raises(SetupError, match="'slug' is declared twice, differently"):
        all_converters(app)
