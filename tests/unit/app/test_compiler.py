"""Routes at their sites: what is around them, what they need, and what runs in the end."""

from __future__ import annotations

from typing import Any

import pytest

from framework import App, Handler, Hooks, Phase, Request, Response
from framework.app.compiler import (
    ReadRoute,
    all_sites,
    compile_route,
    compile_special,
    listing,
    read_route,
)
from framework.app.problems import Problems
from framework.app.reversing import all_converters
from framework.errors import SetupError
from framework.middleware import Chain, ErrorMap
from framework.routing import RouterBuilder
from framework.testing import fake_request

pytestmark = pytest.mark.anyio


class Service: ...


def onion(handler: Handler) -> Handler:
    return handler


def other(handler: Handler) -> Handler:
    return handler


def plain(id: int, service: Service) -> str:
    return f"{id}"


def read(app: App) -> list[ReadRoute]:
    builder: RouterBuilder[Any] = RouterBuilder(all_converters(app))
    problems = Problems()
    routes = [
        read_route(site, record, builder, problems)
        for site in all_sites(app)
        for record in site.app.all_records()
    ]
    problems.raise_if_any()
    return [route for route in routes if route is not None]


def service_app() -> App:
    app = App(max_body=7, request_timeout=3)
    app.provide(Service)
    return app


def test_a_route_knows_all_that_is_around_it() -> None:
    outer, inner = App(), service_app()
    hooks = Hooks()
    outer.use(onion, Phase.CONTENT)
    inner.use(hooks, Phase.EDGE)
    outer.mount("/in", inner)
    inner.host("{tenant}.example.com").get("/x/{id:int}", middleware=[other])(plain)
    (route,) = read(outer)
    assert route.where == "GET /in/x/{id:int}"
    assert [one.middleware for one in route.layers] == [hooks, onion, other]
    assert route.signature.path_types == {"id": int, "tenant": str}
    assert (route.need.label, route.need.keys) == ("GET /in/x/{id:int}", (Service,))
    built = route.built()
    assert (built.app, built.prefix, built.pattern.text) == (inner, "/in", "/in/x/{id:int}")
    assert built.host is not None
    assert built.host.name == "tenant"
    assert [parameter.source for parameter in built.parameters] == ["path", "inject"]
    assert built.returns is str
    assert listing([route]) == [
        {
            "methods": ("GET",),
            "pattern": "/in/x/{id:int}",
            "host": "{tenant}.example.com",
            "handler": f"{__name__}.plain",
            "layers": ["Hooks", "onion", "other"],
        }
    ]


def test_a_route_skips_layers_of_any_level_and_nothing_else() -> None:
    app = service_app()
    app.use(onion)
    group = app.group(middleware=[other])
    group.get("/a/{id:int}", skip=[onion, other])(plain)
    (route,) = read(app)
    assert route.layers == ()
    app.get("/b/{id:int}", skip=[other])(plain)
    with pytest.raises(SetupError, match=r"GET /b/{id:int}: it skips other, which is none of its layers"):
        read(app)


async def test_an_endpoint_has_the_limits_of_its_app_unless_the_route_says_otherwise() -> None:
    app = service_app()
    app.get("/a/{id:int}")(plain)
    app.get("/b/{id:int}", max_body=1, timeout=None, status=202)(plain)
    first, second = (compile_route(route, ErrorMap())[0] for route in read(app))
    assert (first.max_body, first.timeout, first.pattern) == (7, 3, "/a/{id:int}")
    assert (second.max_body, second.timeout, second.pattern) == (1, None, "/b/{id:int}")
    request = fake_request()
    request.params = {"id": 5}
    assert not second.is_async
    answer = second.call(request)
    assert (answer.status, answer.body) == (202, b"5")


async def test_an_endpoint_is_compiled_again_in_place() -> None:
    app = service_app()
    app.get("/a/{id:int}", middleware=[onion])(plain)
    app.get("/b/{id:int}")(plain)
    for route in read(app):
        endpoint, again = compile_route(route, ErrorMap())
        call = endpoint.call
        again()
        assert (endpoint.call is call) == bool(route.layers)
        request = fake_request()
        request.params = {"id": 5}
        result = endpoint.call(request)
        assert (await result if endpoint.is_async else result).body == b"5"


async def test_answers_of_nobody_are_inside_the_apps_layers() -> None:
    def answer(request: Request) -> Response:
        return Response("nobody's", 418)

    alone = compile_special(answer, Chain.of([]), ErrorMap())
    assert alone.call is answer
    assert not alone.is_async
    app = App()
    app.use(onion)
    inside = compile_special(answer, Chain.of(app.app_layers), ErrorMap())
    assert inside.is_async
    assert (await inside.call(fake_request())).status == 418
