"""Recording routes: prefixes, groups, hosts, layers, options; nothing is compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import Struct

from framework import Handler, Hooks
from framework.app.routes import RouteRecord, Routes
from framework.errors import SetupError
from framework.middleware import Phase


def onion(handler: Handler) -> Handler:
    return handler


class Look(Hooks): ...


async def handler() -> None: ...


def only(routes: Routes) -> RouteRecord:
    (record,) = routes.records
    return record


@pytest.mark.parametrize("verb", ["get", "post", "put", "patch", "delete"])
def test_a_decorator_for_each_method_returns_the_handler(verb: str) -> None:
    routes = Routes()
    assert getattr(routes, verb)("/a", status=202)(handler) is handler
    record = only(routes)
    assert (record.methods, record.pattern, record.handler) == ((verb.upper(),), "/a", handler)
    assert record.options == {"status": 202}
    assert record.where == f"{verb.upper()} /a"


def test_several_methods() -> None:
    routes = Routes()
    assert routes.route("/a", ["GET", "PURGE"])(handler) is handler
    assert only(routes).methods == ("GET", "PURGE")
    with pytest.raises(SetupError, match="methods is a list of names, not one text"):
        routes.route("/a", "GET")


def test_a_handler_on_several_routes() -> None:
    routes = Routes()
    routes.get("/a")(routes.get("/b")(handler))
    assert [record.pattern for record in routes.records] == ["/b", "/a"]


def test_groups_have_prefixes_hosts_tags_and_layers_of_their_own() -> None:
    routes = Routes()
    outer = routes.group("/api", middleware=[onion], tags=["api"])
    inner = outer.host("{tenant}.example.com").group("/v1", tags=["v1"])
    look = Look()
    inner.get("/x", middleware=[look])(handler)
    inner.use(look, Phase.EDGE)
    outer.get("/")(handler)
    routes.group().get("/y")(handler)
    first, second, third = routes.records
    assert (first.pattern, first.owner.host_pattern, first.owner.tags) == (
        "/api/v1/x",
        "{tenant}.example.com",
        ("api", "v1"),
    )
    assert [(layer.middleware, layer.phase) for layer in first.layers] == [
        (onion, Phase.POLICY),
        (look, Phase.EDGE),
        (look, Phase.HANDLER),
    ]
    assert (second.pattern, second.owner.host_pattern, len(second.layers)) == ("/api/", None, 1)
    assert (third.pattern, third.layers) == ("/y", ())


def test_what_an_option_holds_can_be_read_again_and_again() -> None:
    routes = Routes()
    routes.get("/a", middleware=(one for one in [onion]), skip=(one for one in [onion]))(handler)
    record = only(routes)
    for _ in range(2):
        assert [layer.middleware for layer in record.layers] == [onion]
        assert list(record.options["skip"]) == [onion]


def test_options_that_make_no_sense_are_all_told_where_they_are_written() -> None:
    wrong: dict[str, Any] = {
        "statuss": 1,
        "status": 700,
        "max_body": -1,
        "timeout": 0.0,
        "middleware": [Look],
    }
    with pytest.raises(SetupError) as caught:
        Routes().post("/a", **wrong)
    assert caught.value.problems == (
        "POST /a: there is no option 'statuss'; did you mean status?",
        "POST /a: status is 200 to 599, not 700",
        "POST /a: max_body is a number of bytes, not -1",
        "POST /a: timeout is more than 0 seconds, or None for ever, not 0.0",
        "POST /a: middleware Look is a class; install an instance of it",
    )


def test_a_timeout_may_be_none() -> None:
    routes = Routes()
    routes.get("/a", timeout=None)(handler)
    assert only(routes).options == {"timeout": None}


def test_what_cannot_be_called_is_no_handler() -> None:
    with pytest.raises(SetupError, match="GET /a: 5 cannot be called"):
        Routes().get("/a")(5)  # type: ignore[type-var]


def test_a_prefix_starts_with_a_slash() -> None:
    with pytest.raises(SetupError, match="'api': it must start with '/'"):
        Routes().group("api")


class TestLocalNames:
    """What annotations may use besides the globals of their module."""

    def test_of_the_function_in_which_a_handler_is_decorated(self) -> None:
        class Local(Struct): ...

        routes = Routes()

        @routes.get("/a")
        async def one(item: Local) -> None: ...

        @routes.route("/b", ["GET"])
        async def two(item: Local) -> None: ...

        assert [record.namespace["Local"] for record in routes.records] == [Local, Local]

    def test_of_a_class_body(self) -> None:
        routes = Routes()

        class Controller:
            Item = int

            @routes.get("/a")
            async def one(self, item: Item) -> None: ...  # type: ignore[valid-type]

        assert only(routes).namespace["Item"] is int

    def test_none_of_a_module(self) -> None:
        routes = Routes()
        space: dict[str, Any] = {"routes": routes}
        exec("@routes.get('/a')\nasync def handler(): ...\nhandler_defined_later = 1", space)
        assert only(routes).namespace == {}

    def test_those_at_the_time(self) -> None:
        routes = Routes()

        def register(value: type[Any]) -> Callable[..., Any]:
            Item = value  # noqa: N806

            @routes.get("/a")
            async def one(item: Item) -> None: ...  # type: ignore[valid-type]

            return one

        register(int)
        register(str)
        assert [record.namespace["Item"] for record in routes.records] == [int, str]


def test_two_recorders_are_never_equal() -> None:
    assert Routes() != Routes()
    assert len({Routes(), Routes()}) == 2
