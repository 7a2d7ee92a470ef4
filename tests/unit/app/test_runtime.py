"""The built app: finds endpoints, runs its parts in order, and says when it is ready."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import pytest

from framework import App, Request, Response, Runtime, Scope
from framework.errors import HTTPError
from framework.testing import fake_request

pytestmark = pytest.mark.anyio


def built(app: App) -> Runtime:
    return app.build(environ={})


def show() -> str:
    return "x"


class TestFinding:
    @pytest.fixture
    def runtime(self) -> Runtime:
        app = App()
        app.get("/users/{id:int}")(show)
        app.get("/files/{rest:path}")(show)
        app.host("{tenant}.example.com").get("/t")(show)
        return built(app)

    @pytest.mark.parametrize(
        ("method", "target", "pattern", "params"),
        [
            ("GET", "/users/7", "/users/{id:int}", {"id": 7}),
            ("HEAD", "/users/7", "/users/{id:int}", {"id": 7}),
            ("GET", "/a/../users//7", "/users/{id:int}", {"id": 7}),
            ("GET", "/files/a/b", "/files/{rest:path}", {"rest": "a/b"}),
            ("POST", "/users/7", "", {"id": 7}),
            ("OPTIONS", "/users/7", "", {"id": 7}),
            ("GET", "/nowhere", "", {}),
            ("GET", "/%00", "", {}),
            ("GET", "/../x", "", {}),
            ("OPTIONS", "*", "", {}),
        ],
    )
    def test_endpoints(
        self, runtime: Runtime, method: str, target: str, pattern: str, params: dict[str, Any]
    ) -> None:
        request = fake_request(method, target)
        endpoint = runtime.find(request)
        assert endpoint.pattern == pattern
        if pattern:
            assert request.params == params

    def test_hosts(self, runtime: Runtime) -> None:
        request = fake_request("GET", "/t", {"host": "acme.example.com"})
        assert runtime.find(request).pattern == "/t"
        assert request.params == {"tenant": "acme"}
        assert runtime.find(fake_request("GET", "/t")).pattern == ""

    @pytest.mark.parametrize(
        ("method", "target", "status"),
        [
            ("GET", "/nowhere", 404),
            ("POST", "/users/7", 405),
            ("GET", "/%zz", 400),
            ("CONNECT", "example.com:443", 501),
        ],
    )
    def test_what_is_no_route_is_told(self, runtime: Runtime, method: str, target: str, status: int) -> None:
        request = fake_request(method, target)
        request.endpoint = runtime.find(request)
        assert not request.endpoint.is_async
        with pytest.raises(HTTPError) as caught:
            request.endpoint.call(request)
        assert caught.value.status == status
        assert runtime.failed(request, caught.value).status == status

    def test_options_tell_the_methods(self, runtime: Runtime) -> None:
        request = fake_request("OPTIONS", "/users/7")
        answer = runtime.find(request).call(request)
        assert (answer.status, answer.headers["allow"]) == (204, "GET, HEAD, OPTIONS")


class TestRunning:
    async def test_parts_begin_in_order_and_end_in_reverse(self) -> None:
        log: list[str] = []

        def part(name: str) -> App:
            class Thing: ...

            async def thing() -> AsyncGenerator[Any]:
                log.append(f"{name} thing")
                yield Thing()
                log.append(f"{name} thing closed")

            async def life(app: App) -> AsyncIterator[None]:
                log.append(f"{name} up")
                yield
                log.append(f"{name} down")

            app = App()
            app.provide(thing, scope=Scope.APP, provides=Thing)
            app.lifespan(life)
            return app

        outer = part("outer")
        outer.mount("/in", part("inner"))
        runtime = built(outer)
        assert not runtime.ready
        async with runtime.running() as running:
            assert running is runtime
            assert runtime.ready
            runtime.not_ready()
            assert not runtime.ready
        assert log == [
            "outer up",
            "outer thing",
            "inner up",
            "inner thing",
            "inner down",
            "inner thing closed",
            "outer down",
            "outer thing closed",
        ]

    async def test_a_start_that_fails_in_a_mounted_app_ends_the_outer_one(self) -> None:
        log: list[str] = []

        async def life(app: App) -> AsyncIterator[None]:
            log.append("up")
            try:
                yield
            finally:
                log.append("down")

        def broken() -> int:
            raise LookupError("no database")

        outer, inner = App(), App()
        outer.lifespan(life)
        inner.provide(broken, scope=Scope.APP)
        outer.mount("/in", inner)
        runtime = built(outer)
        for _ in range(2):
            with pytest.raises(LookupError, match="no database"):
                async with runtime.running():
                    raise AssertionError
        assert log == ["up", "down"] * 2
        assert not runtime.ready

    async def test_it_is_not_ready_any_more_when_its_time_ends_by_an_error(self) -> None:
        runtime = built(App())
        with pytest.raises(LookupError):
            async with runtime.running():
                raise LookupError
        assert not runtime.ready


def test_errors_are_answered_by_the_map_of_the_app_whose_route_it_was() -> None:
    def render(request: Request, error: LookupError) -> Response:
        return Response("inner", 409)

    outer, inner = App(), App()
    outer.get("/x")(show)
    inner.get("/x")(show)
    inner.on_error(LookupError, render)
    outer.mount("/in", inner)
    runtime = built(outer)
    statuses: list[int] = []
    for target in ("/x", "/in/x"):
        request = fake_request("GET", target)
        request.endpoint = runtime.find(request)
        statuses.append(runtime.failed(request, LookupError()).status)
    assert statuses == [500, 409]
