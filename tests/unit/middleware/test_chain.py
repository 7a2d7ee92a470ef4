"""Layers: their order, their composition, and what is refused before a request comes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from framework import App, Handler, Hooks, HTTPError, Phase, Request, Response, Runtime
from framework.errors import LocalProtocolError, SetupError
from framework.http.endpoint import Endpoint
from framework.middleware.chain import Chain, Core, Layer, compose, layer
from framework.testing import TestClient, fake_request
from tests.support.routing import onion

pytestmark = pytest.mark.anyio


def passing(handler: Handler) -> Handler:
    return handler


class Look(Hooks):
    """Notes what it sees; answers or raises where it is told to."""

    def __init__(self, log: list[str], name: str, *, before: Any = None, after: Any = None) -> None:
        self.log = log
        self.name = name
        self.plan = (before, after)

    def before(self, request: Request) -> Response | None:
        self.log.append(f"{self.name} before")
        return self._do(self.plan[0])

    def after(self, request: Request, response: Response) -> Response | None:
        self.log.append(f"{self.name} after {response.status}")
        return self._do(self.plan[1])

    @staticmethod
    def _do(what: Any) -> Response | None:
        if isinstance(what, Exception):
            raise what
        return what if isinstance(what, Response) else None


class OnlyBefore(Hooks):
    def before(self, request: Request) -> Response | None:
        return None


class OnlyAfter(Hooks):
    def after(self, request: Request, response: Response) -> Response | None:
        return None


def endpoint(runtime: Runtime, path: str = "/") -> Endpoint:
    return runtime.find(fake_request("GET", path))


def app_with(*layers: Any, handler: Callable[..., Any] | None = None) -> App:
    async def hello() -> str:
        return "hello"

    app = App()
    for one in layers:
        app.use(one)
    app.get("/")(handler or hello)
    return app


class TestOrder:
    def test_by_phase_and_within_a_phase_as_given(self) -> None:
        log: list[str] = []
        hooks = [Look(log, name) for name in "abc"]
        onions = [onion(log, name) for name in "abc"]
        chain = Chain.of(
            [
                Layer(Phase.HANDLER, hooks[0]),
                Layer(Phase.POLICY, onions[0]),
                Layer(Phase.EDGE, hooks[1]),
                Layer(Phase.POLICY, onions[1]),
                Layer(Phase.EDGE, hooks[2]),
                Layer(Phase.TRAFFIC, onions[2]),
            ]
        )
        assert chain.onions == (onions[2], onions[0], onions[1])
        assert chain.before == (hooks[1].before, hooks[2].before, hooks[0].before)
        assert chain.after == (hooks[0].after, hooks[2].after, hooks[1].after)

    def test_only_what_is_written_is_called(self) -> None:
        before, after = OnlyBefore(), OnlyAfter()
        chain = Chain.of([layer(before), layer(after), layer(Hooks())])
        assert (chain.before, chain.onions, chain.after) == ((before.before,), (), (after.after,))

    def test_a_hook_may_be_put_on_the_instance(self) -> None:
        hooks = Hooks()
        hooks.before = lambda request: Response("no", 403)  # type: ignore[method-assign]
        chain = Chain.of([layer(hooks)])
        assert (chain.before, chain.after) == ((hooks.before,), ())

    async def test_hooks_that_can_be_called_are_an_onion_too(self) -> None:
        log: list[str] = []

        class Both(Look):
            def __call__(self, handler: Handler) -> Handler:
                made: Handler = onion(log, "both")(handler)
                return made

        async with TestClient(app_with(Both(log, "hooks"))) as client:
            await client.get("/")
        assert log == ["hooks before", "both in", "both out", "hooks after 200"]


class TestAbsence:
    """What is not there costs nothing: it is not in what runs."""

    def test_a_route_without_layers_is_the_binder_alone(self) -> None:
        one = endpoint(app_with().build(environ={}))
        assert (one.before, one.after, one.call.__name__) == ((), (), "bound")

    def test_hooks_leave_the_call_alone(self) -> None:
        one = endpoint(app_with(OnlyBefore(), OnlyAfter()).build(environ={}))
        assert (len(one.before), len(one.after), one.call.__name__) == (1, 1, "bound")

    def test_a_plain_handler_stays_plain_under_hooks(self) -> None:
        def plain() -> str:
            return ""

        assert not endpoint(app_with(OnlyBefore(), handler=plain).build(environ={})).is_async

    def test_an_onion_is_the_call(self) -> None:
        one = endpoint(app_with(onion([], "a")).build(environ={}))
        assert one.call.__name__ == "around"
        assert one.is_async


class TestOnions:
    @pytest.mark.parametrize("is_async", [True, False])
    async def test_plain_and_async_handlers(self, is_async: bool) -> None:
        def plain() -> str:
            return "plain"

        async def waits() -> str:
            await asyncio.sleep(0)
            return "waits"

        handler: Callable[..., Any] = waits if is_async else plain
        async with TestClient(app_with(onion([], "a"), passing, handler=handler)) as client:
            assert (await client.get("/")).text == ("waits" if is_async else "plain")

    async def test_onions_that_are_plain_functions_returning_awaitables(self) -> None:
        def tail(handler: Handler) -> Handler:
            def around(request: Request) -> Awaitable[Response]:
                return handler(request)

            return around

        def future(handler: Handler) -> Handler:
            def around(request: Request) -> Awaitable[Response]:
                return asyncio.ensure_future(handler(request))

            return around

        class Object:
            def __call__(self, handler: Handler) -> Handler:
                class Around:
                    async def __call__(self, request: Request) -> Response:
                        return await handler(request)

                return Around()

        for onions in ((tail,), (future,), (tail, future, Object()), (passing,), (partial(passing),)):
            async with TestClient(app_with(*onions)) as client:
                assert (await client.get("/")).text == "hello"

    async def test_an_onion_that_forgets_its_return_is_a_500(self) -> None:
        def forgetful(handler: Handler) -> Handler:
            async def around(request: Request) -> Response:
                await handler(request)
                return None  # type: ignore[return-value]

            return around

        async with TestClient(app_with(forgetful)) as client:
            assert (await client.get("/")).status == 500

    def test_composition(self) -> None:
        async def handler(request: Request) -> Response:
            return Response()

        assert compose(handler, []) is handler
        made: object = compose(handler, [partial(_pair, "a"), partial(_pair, "b")])
        assert made == ("a", ("b", handler))

    @pytest.mark.parametrize("kind", ["NoneType", "coroutine"])
    def test_what_makes_no_handler_is_refused_at_build(self, kind: str) -> None:
        async def waits() -> None: ...

        def onion(handler: Handler) -> Handler:
            return None if kind == "NoneType" else waits()  # type: ignore[return-value]

        with pytest.raises(SetupError, match=rf"middleware .*onion returned a {kind}, not the handler"):
            app_with(onion).build(environ={})

    async def test_next_called_twice(self) -> None:
        """Row 7: the second call is refused, whether the first one succeeded or failed."""
        calls = 0

        async def handler(request: Request) -> Response:
            nonlocal calls
            calls += 1
            raise LookupError

        core = Core(handler)
        request = fake_request()
        with pytest.raises(LookupError):
            await core.call(request)
        with pytest.raises(LocalProtocolError, match="called the next handler twice"):
            await core.call(request)
        with pytest.raises(LookupError):
            await core.call(fake_request())
        assert calls == 2

    async def test_the_handler_inside_can_be_replaced(self) -> None:
        async def one(request: Request) -> Response:
            return Response("one")

        async def two(request: Request) -> Response:
            return Response("two")

        core = Core(one)
        composed = compose(core.call, [passing])
        assert (await composed(fake_request())).body == b"one"
        core.replace(two)
        assert (await composed(fake_request())).body == b"two"


def _pair(name: str, handler: Any) -> Any:
    class Pair(tuple):  # type: ignore[type-arg]
        __slots__ = ()

        def __call__(self) -> None: ...

    return Pair((name, handler))


class TestRefusals:
    async def wrong(self, handler: Handler) -> Handler:
        return handler

    class WrongObject:
        async def __call__(self, handler: Handler) -> Handler:
            return handler

    class WrongHooks(Hooks):
        async def after(self, request: Request, response: Response) -> None:  # type: ignore[override]
            return None

    @pytest.mark.parametrize(
        ("middleware", "text"),
        [
            (Hooks, "middleware Hooks is a class; install an instance of it"),
            (5, "middleware int is no middleware: neither Hooks nor a callable that takes a handler"),
            (wrong, "is async; a middleware takes the handler below it and returns a new one"),
            (WrongObject(), "is async; a middleware takes the handler below it and returns a new one"),
            (WrongHooks(), "has a hook after that is async; hooks await nothing, write an onion for that"),
            (
                lambda request, handler: None,
                r"takes \(request, handler\); a middleware takes the handler below it",
            ),
            (lambda: None, r"takes \(\); a middleware takes the handler below it and nothing else"),
        ],
    )
    def test_what_is_no_middleware(self, middleware: Any, text: str) -> None:
        for use in (layer, App().use, App().group().use):
            with pytest.raises(SetupError, match=text):
                use(middleware)

    def test_what_has_no_signature_is_given_a_chance(self) -> None:
        function: Any = max
        assert layer(function).middleware is function

    def test_names(self) -> None:
        assert layer(passing).name == "passing"
        assert layer(OnlyBefore()).name == "OnlyBefore"


class TestHooks:
    """All before hooks run until one answers; all after hooks run on whatever goes out."""

    async def answer(self, *layers: Any, path: str = "/") -> tuple[int, str]:
        async with TestClient(app_with(*layers)) as client:
            found = await client.get(path)
            return found.status, found.text

    async def test_a_before_hook_that_answers_ends_the_request_and_all_after_hooks_see_it(self) -> None:
        log: list[str] = []
        first = Look(log, "first", before=Response("closed", 503))
        assert await self.answer(first, onion(log, "onion"), Look(log, "last")) == (503, "closed")
        assert log == ["first before", "last after 503", "first after 503"]

    @pytest.mark.parametrize(("error", "status"), [(HTTPError(401), 401), (LookupError(), 500)])
    async def test_a_before_hook_that_raises(self, error: Exception, status: int) -> None:
        log: list[str] = []
        assert (await self.answer(Look(log, "a"), Look(log, "b", before=error), Look(log, "c")))[0] == status
        assert log == ["a before", "b before", f"c after {status}", f"b after {status}", f"a after {status}"]

    async def test_an_after_hook_may_replace_the_response(self) -> None:
        log: list[str] = []
        outer, inner = Look(log, "outer"), Look(log, "inner", after=Response("other", 202))
        assert await self.answer(outer, inner) == (202, "other")
        assert log[-1] == "outer after 202"

    @pytest.mark.parametrize(("error", "status"), [(HTTPError(409), 409), (LookupError(), 500)])
    async def test_an_after_hook_that_raises_is_a_failed_request(self, error: Exception, status: int) -> None:
        log: list[str] = []
        assert (await self.answer(Look(log, "outer"), Look(log, "inner", after=error)))[0] == status
        assert log[-2:] == ["inner after 200", f"outer after {status}"]

    async def test_hooks_see_404_and_405_and_bad_paths(self) -> None:
        log: list[str] = []
        async with TestClient(app_with(Look(log, "a"))) as client:
            for path in ("/nowhere", "/%00"):
                await client.get(path)
            await client.delete("/")
        assert [line for line in log if "after" in line] == ["a after 404", "a after 400", "a after 405"]

    async def test_hooks_see_what_the_error_became(self) -> None:
        log: list[str] = []

        async def fails() -> None:
            raise LookupError

        async with TestClient(app_with(Look(log, "a"), handler=fails)) as client:
            await client.get("/")
        assert log == ["a before", "a after 500"]


async def test_one_app_under_many_requests_at_once() -> None:
    """The mark of the core is the request's: requests that overlap do not meet."""

    async def waits() -> str:
        await asyncio.sleep(0)
        return "hello"

    async with TestClient(app_with(onion([], "a"), handler=waits)) as client:
        answers = await asyncio.gather(*(client.get("/") for _ in range(5)))
        assert [answer.status for answer in answers] == [200] * 5
        assert client.opened == 5
