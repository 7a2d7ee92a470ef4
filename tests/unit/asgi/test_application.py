"""An app of ours as an ASGI application: called as other servers and frameworks call it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Annotated, Any

import msgspec
import pytest

from framework import App, Header, HTTPError, Request, Response, Scope, StreamingResponse
from framework.errors import PeerClosed
from framework.middleware import Hooks
from framework.testing import run_virtual
from tests.unit.asgi.outer import Exchange, ask, lifespan, scope_of


class Order(msgspec.Struct):
    name: str
    count: int


class Database:
    """Injected, and closed behind the request."""


def shop() -> App:
    app = App()

    @app.get("/hello/{name}")
    async def hello(
        name: str, times: int = 1, agent: Annotated[str, Header("user-agent")] = "-"
    ) -> dict[str, Any]:
        return {"name": name, "times": times, "agent": agent}

    @app.post("/orders", status=201)
    async def order(order: Order) -> Order:
        return order

    @app.post("/echo")
    async def echo(request: Request) -> StreamingResponse:
        return StreamingResponse(request.stream(), media_type="application/octet-stream")

    @app.get("/plain")
    def plain() -> str:
        return "plain"

    @app.get("/where")
    async def where(request: Request) -> list[Any]:
        return [request.path, request.client, request.scheme, request.origin.host, request.url]

    return app


def talk(app: Any, *args: Any, **options: Any) -> Exchange:
    """One request inside the app's lifespan."""

    async def run() -> Exchange:
        async with lifespan(app):
            return await ask(app, *args, **options)

    return run_virtual(run())


def test_a_request_is_bound_and_answered_as_on_our_own_server() -> None:
    answer = talk(shop(), "GET", "/hello/ada?times=3", headers={"user-agent": "curl"})
    assert answer.status == 200
    assert msgspec.json.decode(answer.body) == {"name": "ada", "times": 3, "agent": "curl"}
    assert answer.headers == {"content-type": "application/json", "content-length": str(len(answer.body))}


def test_a_response_whole_at_once_is_two_messages() -> None:
    assert [message["type"] for message in talk(shop(), "GET", "/plain").messages] == [
        "http.response.start",
        "http.response.body",
    ]


def test_a_body_in_pieces_is_decoded() -> None:
    pieces = [b'{"name": "tea",', b' "count"', b": 2}"]
    headers = {"content-type": "application/json", "content-length": str(sum(map(len, pieces)))}
    answer = talk(shop(), "POST", "/orders", pieces, headers=headers)
    assert (answer.status, answer.body) == (201, b'{"name":"tea","count":2}')


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("DELETE", "/plain", 405),
        ("GET", "/hello/x?times=no", 422),
        ("GET", "/..", 400),
    ],
)
def test_errors_are_problems(method: str, path: str, status: int) -> None:
    answer = talk(shop(), method, path)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_head_has_the_length_and_no_body() -> None:
    answer = talk(shop(), "HEAD", "/plain")
    assert (answer.headers["content-length"], answer.body) == ("5", b"")


def test_client_scheme_and_host_are_those_of_the_scope() -> None:
    answer = talk(shop(), "GET", "/where", scheme="https", headers={"host": "shop.example"})
    found = msgspec.json.decode(answer.body)
    assert found == ["/where", ["192.0.2.1", 5000], "https", "shop.example", "https://shop.example/where"]


@pytest.mark.parametrize(
    ("path", "raw"),
    [
        ("/sub/plain", b"/sub/plain"),
        ("/sub/plain", None),
        ("/plain", b"/plain"),
        ("/sub/plain", b"/%73ub/plain"),
    ],
)
def test_root_path_is_taken_off_the_path(path: str, raw: bytes | None) -> None:
    assert talk(shop(), "GET", path, root_path="/sub", raw_path=raw).body == b"plain"


def test_a_path_that_is_not_below_the_root_path_is_left_alone() -> None:
    assert talk(shop(), "GET", "/subplain", root_path="/sub").status == 404


def test_a_path_that_only_is_known_decoded_is_quoted_again() -> None:
    answer = talk(shop(), "GET", "/hello/é x%", raw_path=None)
    assert msgspec.json.decode(answer.body)["name"] == "é x%"


def test_a_request_without_a_host_has_the_servers() -> None:
    async def run() -> Exchange:
        app = shop()
        exchange = Exchange()
        scope = scope_of("GET", "/where", headers={}, http_version="2")
        scope["headers"] = []
        async with lifespan(app):
            await app(scope, exchange.receive, exchange.send)
        return exchange

    assert msgspec.json.decode(run_virtual(run()).body)[3] == "127.0.0.1:8000"


def test_a_body_of_http_2_needs_no_length() -> None:
    answer = talk(shop(), "POST", "/echo", [b"ab", b"cd"], http_version="2")
    assert answer.body == b"abcd"


@pytest.mark.parametrize(
    "headers", [{"host": "a b"}, {"x": "a\r\nb: c"}, {"content-length": "1, 2"}, {"x y": "z"}]
)
def test_a_scope_that_makes_no_request_is_refused(headers: dict[str, str]) -> None:
    answer = talk(shop(), "GET", "/plain", headers=headers)
    assert answer.status == 400


@pytest.mark.parametrize(
    "more",
    [
        {"method": "GET / HTTP/1.1\r\nx: y\r\n\r\nPOST"},
        {"raw_path": b"/plain HTTP/1.1\r\nx: y"},
        {"query_string": b"a b"},
    ],
)
def test_a_scope_cannot_smuggle_fields_into_its_request(more: dict[str, Any]) -> None:
    async def run() -> Exchange:
        app = shop()
        exchange = Exchange()
        async with lifespan(app):
            await app(scope_of("GET", "/plain") | more, exchange.receive, exchange.send)
        return exchange

    assert run_virtual(run()).status == 400


def test_streams_go_both_ways_as_fast_as_they_are_taken() -> None:
    async def run() -> None:
        app = shop()
        async with lifespan(app):
            exchange = Exchange([b"%d" % number for number in range(10)])
            scope = scope_of("POST", "/echo", headers={"transfer-encoding": "chunked"})
            exchange.room.clear()
            task = asyncio.create_task(app(scope, exchange.receive, exchange.send))
            await asyncio.sleep(1)
            assert exchange.taken < 3
            exchange.room.set()
            await task
            assert exchange.body == b"0123456789"

    run_virtual(run())


def test_an_event_stream_begins_at_once() -> None:
    app = App()
    go = asyncio.Event()

    @app.get("/events")
    async def events() -> StreamingResponse:
        async def later() -> AsyncIterator[str]:
            await go.wait()
            yield "data: x\n\n"

        return StreamingResponse(later(), media_type="text/event-stream")

    async def run() -> None:
        async with lifespan(app):
            exchange = Exchange()
            task = asyncio.create_task(app(scope_of("GET", "/events"), exchange.receive, exchange.send))
            await asyncio.sleep(1)
            assert [message["type"] for message in exchange.messages] == [
                "http.response.start",
                "http.response.body",
            ]
            go.set()
            await task
            assert exchange.body == b"data: x\n\n"

    run_virtual(run())


def test_a_stream_that_fails_ahead_of_its_first_piece_is_an_error_response() -> None:
    app = App()

    @app.get("/")
    async def broken() -> StreamingResponse:
        async def content() -> AsyncIterator[str]:
            raise HTTPError(409, "not now")
            yield ""

        return StreamingResponse(content())

    assert talk(app).status == 409


def test_a_stream_that_fails_later_is_raised_so_that_the_server_cuts_it() -> None:
    app = App()
    closed: list[bool] = []

    @app.get("/")
    async def broken() -> StreamingResponse:
        async def content() -> AsyncIterator[str]:
            try:
                yield "part"
                raise LookupError("gone")
            finally:
                closed.append(True)

        return StreamingResponse(content())

    async def run() -> None:
        async with lifespan(app):
            exchange = Exchange()
            with pytest.raises(LookupError):
                await app(scope_of(), exchange.receive, exchange.send)
            assert not exchange.whole
            assert closed == [True]

    run_virtual(run())


def test_layers_and_dependencies_apply() -> None:
    app = App()
    closed: list[str] = []

    async def database() -> AsyncIterator[Database]:
        yield Database()
        closed.append("database")

    class Stamp(Hooks):
        def after(self, request: Request, response: Response) -> Response | None:
            response.headers.set("x-stamp", "1")
            return None

    def onion(handler: Any) -> Any:
        async def around(request: Request) -> Response:
            response: Response = await handler(request)
            response.headers.set("x-onion", "1")
            return response

        return around

    app.use(Stamp())
    app.use(onion)
    app.provide(database, scope=Scope.REQUEST)

    @app.get("/")
    async def handler(database: Database) -> str:
        return type(database).__name__

    answer = talk(app)
    assert answer.body == b"Database"
    assert (answer.headers["x-stamp"], answer.headers["x-onion"]) == ("1", "1")
    assert closed == ["database"]
    assert talk(app, "GET", "/missing").headers["x-stamp"] == "1"


def test_a_client_that_leaves_cancels_the_handler() -> None:
    app = App()
    seen: list[Any] = []

    @app.on_error(PeerClosed)
    def left(request: Request, error: PeerClosed) -> Response:
        seen.append("left")
        return Response(status=499)

    @app.get("/")
    async def slow() -> str:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        return ""

    async def run() -> None:
        async with lifespan(app):
            exchange = Exchange()
            task = asyncio.create_task(app(scope_of(), exchange.receive, exchange.send))
            await asyncio.sleep(1)
            exchange.gone.set()
            await task
            assert not task.cancelled()
            assert seen == ["cancelled", "left"]
            assert not [task for task in asyncio.all_tasks() if "_look_out" in repr(task)]

    run_virtual(run())


def test_a_client_that_leaves_ends_a_stream() -> None:
    app = App()
    closed: list[bool] = []

    @app.get("/")
    async def ticks() -> StreamingResponse:
        async def content() -> AsyncIterator[str]:
            try:
                while True:
                    yield "tick"
                    await asyncio.sleep(1)
            finally:
                closed.append(True)

        return StreamingResponse(content())

    async def run() -> None:
        async with lifespan(app):
            exchange = Exchange()
            task = asyncio.create_task(app(scope_of(), exchange.receive, exchange.send))
            await asyncio.sleep(5)
            exchange.gone.set()
            await task
            assert closed == [True]

    run_virtual(run())


def test_a_server_that_cancels_is_not_taken_for_a_client_that_leaves() -> None:
    app = App()

    @app.get("/")
    async def slow() -> str:
        await asyncio.sleep(1000)
        return ""

    async def run() -> None:
        async with lifespan(app):
            exchange = Exchange()
            task = asyncio.create_task(app(scope_of(), exchange.receive, exchange.send))
            await asyncio.sleep(1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    run_virtual(run())


def test_a_handler_that_takes_too_long_is_a_504() -> None:
    app = App()
    deadlines: list[float | None] = []

    @app.get("/", timeout=5.0)
    async def slow(request: Request) -> str:
        await asyncio.sleep(0)
        deadlines.append(request.deadline)
        await asyncio.sleep(1000)
        return ""

    assert talk(app).status == 504
    assert deadlines[0] is not None


def test_background_work_runs_behind_the_response_and_the_stop_waits_for_it() -> None:
    app = App()
    done: list[str] = []
    variable: ContextVar[str] = ContextVar("variable")

    @app.get("/")
    async def handler(request: Request) -> str:
        async def work(name: str) -> None:
            await asyncio.sleep(3)
            done.append(f"{name} {variable.get()}")

        variable.set("kept")
        request.background(work, "later")
        return "now"

    async def run() -> None:
        async with lifespan(app):
            exchange = await ask(app)
            assert (exchange.body, done) == (b"now", [])
        assert done == ["later kept"]

    run_virtual(run())


def test_the_lifespan_runs_the_apps_own() -> None:
    app = App()
    seen: list[str] = []

    @app.lifespan
    async def pool(_: App) -> AsyncIterator[None]:
        seen.append("open")
        yield
        seen.append("closed")

    @app.get("/")
    async def handler() -> str:
        return ",".join(seen)

    async def run() -> None:
        async with lifespan(app) as sent:
            assert sent == [{"type": "lifespan.startup.complete"}]
            assert (await ask(app)).body == b"open"
        assert sent[-1] == {"type": "lifespan.shutdown.complete"}
        assert seen == ["open", "closed"]

    run_virtual(run())


def test_a_start_that_fails_is_told(caplog: pytest.LogCaptureFixture) -> None:
    app = App()

    @app.lifespan
    async def pool(_: App) -> AsyncIterator[None]:
        raise LookupError("no database")
        yield

    async def run() -> None:
        async with lifespan(app) as sent:
            (message,) = sent
            assert message["type"] == "lifespan.startup.failed"
            assert "no database" in message["message"]

    with caplog.at_level(logging.ERROR):
        run_virtual(run())


def test_an_app_that_cannot_be_built_is_told_at_the_start() -> None:
    app = App()

    @app.get("/")
    async def handler(unknown: Order, other: Order) -> str:
        return ""

    async def run() -> None:
        async with lifespan(app) as sent:
            assert sent[0]["type"] == "lifespan.startup.failed"

    run_virtual(run())


def test_an_app_without_a_lifespan_around_it_is_started_by_its_first_request() -> None:
    """Starlette's Mount passes no lifespan on."""
    app = App()
    seen: list[str] = []

    @app.lifespan
    async def pool(_: App) -> AsyncIterator[None]:
        seen.append("open")
        yield
        seen.append("closed")

    @app.get("/")
    async def handler() -> str:
        return "ok"

    async def run() -> None:
        answers = await asyncio.gather(*(ask(app) for _ in range(5)))
        assert [answer.body for answer in answers] == [b"ok"] * 5
        assert seen == ["open"]

    run_virtual(run())
    assert seen == ["open", "closed"]  # when the loop ended


def test_a_runtime_that_is_run_by_hand_is_not_started_again() -> None:
    app = shop()
    runtime = app.build(environ={})

    async def run() -> None:
        async with runtime.running():
            assert (await ask(runtime, "GET", "/plain")).body == b"plain"

    run_virtual(run())


def test_a_scope_of_another_kind_is_an_error() -> None:
    async def run() -> None:
        exchange = Exchange()
        with pytest.raises(RuntimeError, match="telepathy"):
            await shop()({"type": "telepathy"}, exchange.receive, exchange.send)

    run_virtual(run())


@pytest.mark.parametrize("known", [False, True])
def test_trailers_go_to_a_server_that_knows_them(known: bool) -> None:
    app = App()

    async def content() -> AsyncIterator[bytes]:
        yield b"abc"

    @app.get("/")
    async def stream() -> StreamingResponse:
        return StreamingResponse(content(), trailers=lambda: {"x-digest": "1"})

    extensions: dict[str, Any] = {"http.response.trailers": {}} if known else {}
    answer = talk(app, "GET", "/", headers={"te": "trailers"}, extensions=extensions)
    begun, *pieces = answer.messages
    assert begun.get("trailers", False) is known
    assert b"".join(one["body"] for one in pieces if one["type"] == "http.response.body") == b"abc"
    found = [one for one in pieces if one["type"] == "http.response.trailers"]
    assert found == ([{"type": "http.response.trailers", "headers": [(b"x-digest", b"1")]}] if known else [])
