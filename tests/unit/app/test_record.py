"""What an app is told: kept as told, refused where it can already be seen to be wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from msgspec import Struct

from framework import App, EventBus, Hooks, Phase, Request, Response
from framework.app.record import all_apps
from framework.errors import SetupError


class Section(Struct, frozen=True):
    size: int = 1


def test_two_apps_are_never_the_same() -> None:
    assert App() != App()
    assert len({App(), App()}) == 2


def test_decorators_return_what_they_decorate() -> None:
    app = App()

    @app.lifespan
    async def life(app: App) -> AsyncIterator[None]:
        yield

    @app.on_error(LookupError)
    def render(request: Request, error: LookupError) -> Response:
        return Response()

    assert app.lifespans == [life]
    assert app.on_error(KeyError, render) is render
    assert app.errors.joined({}, debug=False)._renderers[LookupError] is render


def test_layers_have_phases() -> None:
    app, look = App(), Hooks()
    app.use(look)
    app.use(look, Phase.EDGE)
    assert [layer.phase for layer in app.app_layers] == [Phase.POLICY, Phase.EDGE]


def test_the_bus_and_the_request_can_be_injected() -> None:
    app = App()
    assert app.container.provides(EventBus)
    assert app.container.provides(Request)


def test_all_apps_with_their_prefixes() -> None:
    app, middle, inner = App(), App(), App()
    app.mount("/a/", middle)
    middle.mount("/b", inner)
    app.mount("/", inner)
    assert list(all_apps(app)) == [("", app), ("/a", middle), ("/a/b", inner), ("/", inner)]


def test_a_circle_of_mounts_is_told() -> None:
    app, middle = App(), App()
    app.mount("/a", middle)
    middle.mount("/b", app)
    with pytest.raises(
        SetupError, match="mount at /a/b: an app cannot be mounted in itself, by way of another"
    ):
        list(all_apps(app))


def test_sections_have_one_type_each() -> None:
    app = App()
    app.settings("a", Section)
    app.settings("b", Section)
    with pytest.raises(SetupError, match="settings section 'a' is declared twice"):
        app.settings("a", Section)
