"""Streams whose clients read slowly or leave, and those without an end of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from framework.http.request import Request
from framework.http.response import Response, StreamingResponse
from tests.support.harness import App, harness, request_bytes
from tests.support.streams import Source, serving


def test_a_slow_reader_slows_the_source_down() -> None:
    source = Source(*[b"x" * 10_000] * 1000)
    with harness(serving(source)) as server:
        client = server.connect()
        client.transport.room = 0
        client.send(request_bytes())
        assert source.made < 10, "no more than the high watermark, and a piece"
        for _ in range(20):
            made = source.made
            client.take(100_000)
            assert made < source.made < made + 20
        assert client.transport.get_write_buffer_size() < 80_000
        client.take(None)
        assert len(client.reply().body) == 10_000_000


def test_a_reader_that_stops_is_cut_and_the_source_closed() -> None:
    source = Source(*[b"x" * 10_000] * 1000)
    with harness(serving(source), write_timeout=30.0) as server:
        client = server.connect()
        client.transport.room = 100_000
        client.send(request_bytes())
        server.advance(31)
        assert client.transport.aborted
        assert source.ended
        assert not server.core.connections


@pytest.mark.parametrize("how", ["reset", "eof"])
@pytest.mark.parametrize("wait", [0.0, 1.0])
def test_a_client_that_leaves_ends_the_source(how: str, wait: float) -> None:
    """The generator is closed where it waits, and its ``finally`` runs."""
    source = Source(*[b"x" * 10_000] * 1000, wait=wait)
    with harness(serving(source)) as server:
        client = server.connect()
        client.transport.room = 50_000
        client.send(request_bytes())
        server.advance(2.5)
        client.reset() if how == "reset" else client.send_eof()
        server.advance(wait or 31)
        assert source.ended
        assert source.made < 20
        assert not server.core.connections
        assert client.transport.late == []


def test_a_client_that_leaves_before_the_first_step_ends_the_source_too() -> None:
    source = Source(b"never")
    closed: list[str] = []

    class Content:
        def __aiter__(self) -> AsyncIterator[bytes | str]:
            return source()

        async def aclose(self) -> None:
            closed.append("closed")

    async def handler(request: Request) -> Response:
        return StreamingResponse(Content())

    with harness(handler) as server:
        client = server.connect()
        client.send(request_bytes(), then=client.transport.reset)
        assert source.made == 0
        assert set(closed) == {"closed"}
        assert not server.core.connections


def test_a_source_may_clean_up_slowly() -> None:
    seen: list[str] = []

    async def pieces() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x"
                await asyncio.sleep(1)
        finally:
            await asyncio.sleep(3)
            seen.append("cleaned up")

    async def handler(request: Request) -> Response:
        return StreamingResponse(pieces())

    with harness(handler) as server:
        client = server.connect()
        client.send(request_bytes())
        server.advance(5)
        client.reset()
        server.advance(3)
        assert seen == ["cleaned up"]
        assert not server.core.connections


def test_a_source_that_never_waits_lets_others_have_their_turn() -> None:
    source = Source(*[b"x"] * 10_000)
    seen: list[int] = []

    async def other(request: Request) -> Response:
        seen.append(source.made)
        return Response()

    with harness(serving(source)) as server:
        server.app.add("/other", other)
        first, second = server.connect(), server.connect()

        def at_once() -> None:
            first.transport.feed(request_bytes())
            server.loop.call_soon(
                server.loop.call_soon, second.transport.feed, request_bytes("GET", "/other")
            )

        server.call(at_once)
        assert 0 < seen[0] < 200
        assert len(first.reply().body) == 10_000


def test_a_shutdown_answers_503_until_the_head_is_sent_and_cuts_later() -> None:
    with harness(serving(Source(b"one", b"two", wait=10.0))) as server:
        late = server.connect()
        late.send(request_bytes())
        server.advance(11)
        early = server.connect()
        early.send(request_bytes())
        for client in (early, late):
            server.call(client.connection.cancel)
        assert early.reply().status == 503
        reply = late.reply()
        assert (reply.body, reply.complete) == (b"one", False)
        assert late.transport.aborted


def test_a_shutdown_ahead_of_the_first_step_is_no_empty_answer() -> None:
    with harness(serving(Source(b"one"))) as server:
        client = server.connect()
        client.send(request_bytes(), then=client.connection.cancel)
        assert client.reply().status == 503


# -- streams without an end -------------------------------------------------------------------------------------------


def test_the_head_of_an_event_stream_goes_out_at_once() -> None:
    """Browsers tell a page that the connection is open when the head is there."""
    for suspends in (False, True):

        async def handler(request: Request, suspends: bool = suspends) -> Response:
            if suspends:
                await asyncio.sleep(0)
            return StreamingResponse(Source(b"event", wait=10.0)(), media_type="text/event-stream")

        with harness(handler) as server:
            client = server.connect()
            client.send(request_bytes())
            assert client.raw().endswith(b"\r\n\r\n")
            server.advance(10)
            assert client.raw() == b"5\r\nevent\r\n0\r\n\r\n"


def endless(told: list[str]) -> App:
    """Streams until it is told that the server goes away."""

    async def handler(request: Request) -> Response:
        stop = asyncio.Event()

        def on_drain() -> None:
            told.append("told")
            stop.set()
            if request.query_string:
                raise ValueError("on_drain")

        async def pieces() -> AsyncIterator[bytes]:
            yield b"begun "
            await stop.wait()
            yield b"ended"

        response = StreamingResponse(pieces())
        response.on_drain = on_drain
        return response

    return App(handler)


def test_a_stream_is_told_when_the_server_begins_to_shut_down() -> None:
    told: list[str] = []
    with harness(endless(told)) as server:
        client = server.connect()
        client.send(request_bytes())
        assert told == []
        server.core.draining = True
        server.call(client.connection.shut_down)
        server.call(client.connection.shut_down)
        reply = client.reply()
        assert (reply.body, reply.complete) == (b"begun ended", True)
        assert client.transport.lost
        assert told == ["told"]


def test_a_stream_that_begins_in_a_shutdown_is_told_at_once() -> None:
    told: list[str] = []
    with harness(endless(told)) as server:
        client = server.connect()
        client.send(request_bytes()[:10])
        server.core.draining = True
        server.call(client.connection.shut_down)
        client.send(request_bytes()[10:])
        assert client.reply().body == b"begun ended"
        assert told == ["told"]


def test_a_stream_that_fails_when_it_is_told_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with harness(endless([])) as server:
        client = server.connect()
        client.send(request_bytes("GET", "/?fails"))
        server.call(client.connection.shut_down)
        assert client.reply().complete
    assert "could not be told" in caplog.text


def test_a_stream_that_is_over_is_not_told() -> None:
    told: list[str] = []

    async def handler(request: Request) -> Response:
        response = StreamingResponse(Source(b"over")())
        response.on_drain = lambda: told.append("told")
        return response

    with harness(handler) as server:
        client = server.connect()
        client.get()
        server.call(client.connection.shut_down)
        assert client.transport.lost
    assert told == []
