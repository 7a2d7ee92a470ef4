"""A deadline on every wait: for heads, bodies, handlers, readers, and for idle connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from framework.errors import DeadlineExceeded
from framework.http.request import Request
from framework.http.response import Response, StreamingResponse
from framework.middleware import Deadline, time_left
from framework.net.link import MAX_QUIET
from tests.support.harness import App, Client, harness, request_bytes

TICK = 0.25


async def hello(request: Request) -> Response:
    return Response("hello")


async def echo(request: Request) -> Response:
    return Response(await request.body())


def closed_after(client: Client, seconds: float) -> None:
    """The connection ends ``seconds`` from now, give or take a tick, and not earlier."""
    loop = client.loop
    loop.advance(seconds - TICK - 0.01)
    assert not client.closed
    loop.advance(2 * TICK + 0.02)
    assert client.closed


def test_a_connection_that_never_says_a_word_is_closed_silently() -> None:
    with harness(hello, header_timeout=10.0) as server:
        client = server.connect()
        closed_after(client, 10)
        assert client.raw() == b""


def test_an_idle_connection_is_closed_silently() -> None:
    with harness(hello, keep_alive_timeout=75.0) as server:
        client = server.connect()
        for _ in range(3):
            server.advance(9)
            client.get()
        closed_after(client, 75)
        assert client.raw() == b""


@pytest.mark.parametrize("asleep", [0.0, 3600.0])
def test_a_server_that_slept_gives_a_new_connection_its_time(asleep: float) -> None:
    """The wheel stops while there is no connection; its time is stale then, and must not be used."""
    with harness(hello, header_timeout=10.0) as server:
        server.connect().send_eof()
        server.advance(asleep)
        client = server.connect()
        server.advance(9.5)
        assert not client.closed
        assert client.get().status == 200
        closed_after(client, 75)


def test_a_handler_without_deadline_does_not_let_the_time_stand_still() -> None:
    """Nothing has a deadline meanwhile, but the wheel must turn: the response's Date and what follows depend on it."""

    async def long(request: Request) -> Response:
        await asyncio.sleep(1000)
        return Response("long")

    with harness(long, options={"timeout": None}) as server:
        client = server.connect()
        client.send(request_bytes())
        server.advance(MAX_QUIET * 3)
        assert server.core.wheel.now == pytest.approx(server.loop.time(), abs=TICK)
        server.advance(1000 - MAX_QUIET * 3)
        assert client.reply().body == b"long"
        closed_after(client, 75)


@pytest.mark.parametrize("byte", [b"a", b"\r\nx: y"])
@pytest.mark.parametrize("second", [False, True])
def test_slow_loris_a_head_by_a_byte_per_second_is_a_408(byte: bytes, second: bool) -> None:
    """Whole lines count as little as bytes, and a later request on the connection has no more time than the first."""
    with harness(hello, header_timeout=10.0) as server:
        client = server.connect()
        if second:
            client.get()
            server.advance(30)
        client.send(b"GET / HTTP/1.1\r\nhost: a\r\nx: y")
        for _ in range(9):
            server.advance(1)
            client.send(byte)
            assert not client.closed
        server.advance(1 + TICK)
        reply = client.reply()
        assert reply.status == 408
        assert reply["connection"] == "close"
        assert client.closed
        assert len(server.app.requests) == second


def test_slow_loris_empty_lines_do_not_count() -> None:
    with harness(hello, header_timeout=10.0) as server:
        client = server.connect()
        for _ in range(11):
            client.send(b"\r\n")
            server.advance(1)
        assert client.closed


def test_a_head_that_began_behind_another_request_has_its_time() -> None:
    async def slow(request: Request) -> Response:
        await asyncio.sleep(30)
        return Response()

    with harness(slow, header_timeout=10.0) as server:
        client = server.connect()
        client.send(request_bytes() + b"GET / HT")
        server.advance(30)
        assert client.reply().status == 200
        server.advance(9)
        assert not client.closed
        server.advance(1 + TICK)
        assert client.reply().status == 408


# -- bodies -----------------------------------------------------------------------------------------------------------


def test_a_body_that_stops_is_a_408() -> None:
    with harness(echo, body_timeout=30.0) as server:
        client = server.connect()
        server.advance(5)
        client.send(request_bytes("POST", content_length="10") + b"hello")
        server.advance(29)
        assert client.raw() == b""
        server.advance(1 + TICK)
        reply = client.reply()
        assert reply.status == 408
        assert reply["connection"] == "close"
        assert client.closed


def test_a_slow_body_is_a_408() -> None:
    """A byte now and then is no progress, however often the reader asks."""

    async def reads(request: Request) -> Response:
        async for _ in request.stream():
            pass
        return Response()

    with harness(reads, body_timeout=30.0) as server:
        client = server.connect()
        client.send(request_bytes("POST", content_length="1000"))
        for _ in range(29):
            server.advance(1)
            client.send(b"x")
        assert client.raw() == b""
        server.advance(1 + TICK)
        assert client.reply().status == 408


def test_a_long_body_that_keeps_coming_has_all_the_time_it_needs() -> None:
    with harness(echo, body_timeout=30.0, options={"timeout": None}) as server:
        client = server.connect()
        client.send(request_bytes("POST", content_length="20480"))
        for _ in range(20):
            server.advance(20)
            client.send(b"x" * 1024)
        assert len(client.reply().body) == 20_480


def test_the_bodys_deadline_is_not_the_heads() -> None:
    with harness(echo, header_timeout=10.0, body_timeout=30.0) as server:
        client = server.connect()
        server.advance(9)
        client.send(request_bytes("POST", content_length="5"))
        server.advance(25)
        client.send(b"hello")
        assert client.reply().body == b"hello"


def test_a_body_the_server_does_not_read_owes_nothing() -> None:
    """The handler lets it wait past its buffer, or has not asked for it yet: the client is not to blame."""

    async def late(request: Request) -> Response:
        await asyncio.sleep(50)
        return Response(str(len(await request.body())))

    with harness(late, body_timeout=30.0, options={"timeout": None}) as server:
        full, expecting = server.connect(), server.connect()
        full.send(request_bytes("POST", content_length="200000") + b"x" * 100_000)
        expecting.send(request_bytes("POST", content_length="5", expect="100-continue"))
        server.advance(50)
        full.send(b"x" * 100_000)
        assert full.reply().body == b"200000"
        assert expecting.raw().startswith(b"HTTP/1.1 100")
        server.advance(29)
        expecting.send(b"hello")
        assert expecting.reply().body == b"5"


def test_a_body_that_fails_while_nobody_reads_fails_its_reader_later() -> None:
    async def late(request: Request) -> Response:
        await asyncio.sleep(50)
        return Response(await request.body())

    with harness(late, body_timeout=30.0, options={"timeout": None}) as server:
        client = server.connect()
        client.send(request_bytes("POST", content_length="10") + b"hello")
        server.advance(50)
        assert client.reply().status == 408


# -- handlers ---------------------------------------------------------------------------------------------------------


def test_a_handler_past_its_timeout_is_cancelled_and_answered_504() -> None:
    seen: list[str] = []

    async def slow(request: Request) -> Response:
        try:
            await asyncio.sleep(100)
        finally:
            seen.append("cleaned up")
        return Response()

    with harness(slow, options={"timeout": 5.0}) as server:
        client = server.connect()
        client.send(request_bytes())
        server.advance(4.99)
        assert client.raw() == b""
        server.advance(0.02 + TICK)
        assert client.reply().status == 504
        assert seen == ["cleaned up"]
        (error,) = server.app.errors
        assert isinstance(error, DeadlineExceeded)
        assert (error.what, error.seconds) == ("the handler", 5.0)
        assert client.get("/missing").status == 404, "the connection lives on"


def test_a_timeout_counts_from_its_own_request() -> None:
    async def slow(request: Request) -> Response:
        await asyncio.sleep(4)
        return Response("in time")

    with harness(slow, options={"timeout": 5.0}) as server:
        client = server.connect()
        for _ in range(4):
            client.send(request_bytes())
            server.advance(4)
            assert client.reply().body == b"in time"


def test_no_timeout_means_none() -> None:
    async def slow(request: Request) -> Response:
        assert request.deadline is None
        await asyncio.sleep(10_000)
        return Response("at last")

    with harness(slow, options={"timeout": None}) as server:
        client = server.connect()
        client.send(request_bytes())
        server.advance(10_000)
        assert client.reply().body == b"at last"


def test_a_handler_that_ignores_its_cancellation_loses_its_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def stubborn(request: Request) -> Response:
        for _ in range(5):
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                pass
        return Response()

    with harness(stubborn, cancel_timeout=5.0, options={"timeout": 5.0}) as server:
        client = server.connect()
        client.send(request_bytes())
        server.advance(5 + 6 + 2 * TICK)
        assert client.transport.aborted
        assert "ignores its cancellation" in caplog.text
        assert len(server.core.connections) == 1
        server.advance(300)
        assert not server.core.connections


def test_an_orphan_that_ignores_its_cancellation_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    async def stubborn(request: Request) -> Response:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            await asyncio.sleep(60)
        return Response()

    with harness(stubborn, options={"timeout": None}) as server:
        client = server.connect()
        client.send(request_bytes())
        client.reset()
        server.advance(10)
        assert "ignores its cancellation" in caplog.text
        server.advance(60)
        assert not server.core.connections


def test_the_timeout_holds_for_a_stream_until_its_head_is_sent() -> None:
    async def pieces(wait: float) -> object:
        await asyncio.sleep(wait)
        yield b"first"
        await asyncio.sleep(100)
        yield b"second"

    async def handler(request: Request) -> Response:
        return StreamingResponse(pieces(float(request.query_string)))  # type: ignore[arg-type]

    with harness(handler, options={"timeout": 5.0}) as server:
        client = server.connect()
        client.send(request_bytes("GET", "/?6"))
        server.advance(6)
        assert client.reply().status == 504
        client.send(request_bytes("GET", "/?4"))
        server.advance(104)
        assert client.reply().body == b"firstsecond"


def test_the_budget_is_known_in_the_first_step_and_only_ever_shortened() -> None:
    """One budget: what a middleware shortened in the first step stays short when the server sets its own."""
    seen: list[float] = []

    async def handler(request: Request) -> Response:
        seen.append(time_left(request))
        await asyncio.sleep(1)
        seen.append(time_left(request))
        return Response()

    app = App(handler, timeout=60.0)
    app.add("/short", Deadline(5.0)(handler), timeout=60.0)
    app.add("/long", Deadline(500.0)(handler), timeout=60.0)
    with harness(app) as server:
        client = server.connect()
        for path in ("/", "/short", "/long"):
            client.send(request_bytes("GET", path))
            server.advance(1)
            assert client.reply().status == 200
    assert seen == [60.0, 59.0, 5.0, 4.0, 60.0, 59.0]


def test_a_budget_that_a_middleware_shortened_ends_in_a_504() -> None:
    async def handler(request: Request) -> Response:
        await asyncio.sleep(20)
        return Response()

    with harness(App(Deadline(5.0)(handler), timeout=60.0)) as server:
        client = server.connect()
        client.send(request_bytes())
        server.advance(5)
        assert client.reply().status == 504


def test_the_budget_is_the_heads_and_not_that_of_a_stream() -> None:
    """An acquire in the middle of a long download must not find its time used up by what was sent before."""
    seen: list[float] = []

    async def handler(request: Request) -> Response:
        await asyncio.sleep(1)

        async def content() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield b"piece"
                await asyncio.sleep(100)
                seen.append(time_left(request))

        return StreamingResponse(content())

    with harness(App(handler, timeout=60.0)) as server:
        client = server.connect()
        client.send(request_bytes("GET", "/"))
        for _ in range(310):
            server.advance(1)
        assert client.reply().body == b"piece" * 3
    assert seen == [60.0, 60.0, 60.0]
