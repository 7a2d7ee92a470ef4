"""What a plugin records goes to one build of its app, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from framework import App, Handler, Hooks, Phase, Request, Response, Scope
from framework.app.record import Derived
from framework.app.setup import PluginSetup
from framework.errors import SetupError


class Service: ...


class Look(Hooks): ...


def render(request: Request, error: Exception) -> Response:
    return Response()


def setup_of(app: App) -> PluginSetup:
    return PluginSetup(app, "mail")


def test_everything_is_kept_apart_from_what_the_app_was_told() -> None:
    app = App()
    setup = setup_of(app)
    look = Look()
    told: list[Any] = []
    setup.routes("/mail", tags=["mail"]).get("/x")(render)
    setup.use(look, phase=Phase.EDGE)
    assert setup.lifespan(render) is render
    setup.on_error(LookupError, render)
    setup.command("send", len)
    setup.check("smtp", len)
    setup.on_built(told.append)
    derived = app.derived
    assert [record.pattern for record in derived.records] == ["/mail/x"]
    assert derived.records[0].owner.tags == ("mail",)
    assert [(layer.middleware, layer.phase) for layer in derived.layers] == [(look, Phase.EDGE)]
    assert derived.lifespans == [render]
    assert derived.renderers == {LookupError: render}
    assert (list(derived.commands), list(derived.checks)) == (["mail send"], ["mail.smtp"])
    assert derived.on_built == [told.append]
    assert not app.records
    assert not app.app_layers
    assert not app.lifespans
    assert not app.on_built
    assert [record.pattern for record in app.all_records()] == ["/mail/x"]


def test_routes_of_a_plugin_are_inside_no_group() -> None:
    app = App()
    group = setup_of(app).routes()
    group.get("/x")(render)
    assert (group.prefix, group.host_pattern, group.layers()) == ("", None, ())


def test_what_is_provided_goes_to_the_container() -> None:
    app = App()
    setup = setup_of(app)
    setup.provide(Service, scope=Scope.APP)
    setup.value(int, 3)
    assert app.container.provides(Service)
    assert app.container.provides(int)


def test_a_setup_that_is_kept_records_for_its_own_build_only() -> None:
    app = App()
    setup = setup_of(app)
    app.derived = Derived()
    setup.check("late", len)
    assert not app.checks


def test_names_are_taken_once() -> None:
    setup = setup_of(App())
    setup.command("send", len)
    setup.check("smtp", len)
    with pytest.raises(SetupError, match="two commands called 'mail send'"):
        setup.command("send", max)
    with pytest.raises(SetupError, match=r"two checks called 'mail\.smtp'"):
        setup.check("smtp", max)


def test_faults_are_told_where_they_are_written() -> None:
    setup = setup_of(App())

    async def waits(request: Request, error: Any) -> Response:
        return Response()

    async def middleware(handler: Handler) -> Handler:
        return handler

    with pytest.raises(SetupError, match="a renderer awaits nothing"):
        setup.on_error(LookupError, waits)  # type: ignore[arg-type]
    with pytest.raises(SetupError, match="is async; a middleware takes the handler below it"):
        setup.use(middleware)  # type: ignore[arg-type]
