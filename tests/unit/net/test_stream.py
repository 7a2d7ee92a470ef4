"""Streamed responses: framed, paced, and closed in any case."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, cast

import pytest

from framework.errors import LocalProtocolError
from framework.http.request import Request
from framework.http.response import Response, StreamingResponse
from tests.support.harness import App, harness, request_bytes


class Source:
    """Makes pieces, one each second where ``wait`` is set, and knows how it ended."""

    def __init__(self, *pieces: bytes | str | BaseException, wait: float = 0.0) -> None:
        self._pieces = pieces
        self._wait = wait
        self.made = 0
        self.ended = False

    async def __call__(self) -> AsyncIterator[bytes | str]:
        try:
            for piece in self._pieces:
                if self._wait:
                    await asyncio.sleep(self._wait)
                if isinstance(piece, BaseException):
                    raise piece
                self.made += 1
                yield piece
        finally:
            self.ended = True


def serving(source: Source, **options: Any) -> App:
    async def handler(request: Request) -> Response:
        return StreamingResponse(source(), **options)

    return App(handler, timeout=None)


PIECES = (b"one ", "zwö ", b"", b"three")
BODY = "one zwö three".encode()


def test_a_stream_is_chunked() -> None:
    source = Source(*PIECES)
    with harness(serving(source, media_type="text/plain", headers={"x": "y"})) as server:
        client = server.connect()
        reply = client.get()
        assert reply.body == BODY
        assert reply["transfer-encoding"] == "chunked"
        assert reply["x"] == "y"
        assert "connection" not in reply
        assert source.ended
        assert client.get("/missing").status == 404


def test_the_first_piece_goes_out_with_the_head() -> None:
    with harness(serving(Source(*PIECES))) as server:
        client = server.connect()
        client.get()
        assert client.transport.writes[0].endswith(b"one \r\n")


def test_an_empty_first_piece_sends_the_head_ahead_of_a_body_that_takes_its_time() -> None:
    with harness(serving(Source(b"", b"event", wait=10.0))) as server:
        client = server.connect()
        client.send(request_bytes())
        server.advance(10)
        assert client.raw().endswith(b"\r\n\r\n")
        server.advance(10)
        assert client.raw() == b"5\r\nevent\r\n0\r\n\r\n"


def test_a_stream_of_known_length_is_framed_by_it() -> None:
    with harness(serving(Source(*PIECES), length=len(BODY))) as server:
        client = server.connect()
        reply = client.get()
        assert reply.body == BODY
        assert reply["content-length"] == str(len(BODY))
        assert "transfer-encoding" not in reply
        assert not client.closed


def test_a_stream_of_nothing() -> None:
    for options in ({}, {"length": 0}):
        with harness(serving(Source(), **options)) as server:
            client = server.connect()
            assert client.get().body == b""
            assert client.get().body == b""


def test_to_http_1_0_the_close_ends_the_body() -> None:
    with harness(serving(Source(*PIECES))) as server:
        client = server.connect()
        client.send(request_bytes(minor=0, connection="keep-alive"))
        reply = client.reply()
        assert (reply.body, reply.complete) == (BODY, True)
        assert reply["connection"] == "close"
        assert client.transport.lost
        assert not client.transport.aborted


def test_to_http_1_0_a_known_length_keeps_the_connection() -> None:
    with harness(serving(Source(*PIECES), length=len(BODY))) as server:
        client = server.connect()
        client.send(request_bytes(minor=0, connection="keep-alive"))
        assert client.reply()["connection"] == "keep-alive"
        assert not client.closed


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_without_a_body_nothing_is_made_and_the_source_is_closed(method: str, status: int) -> None:
    closed: list[str] = []

    class Content:
        def __aiter__(self) -> AsyncIterator[bytes]:
            raise AssertionError("nobody wants a piece")

        async def aclose(self) -> None:
            closed.append("closed")

    async def handler(request: Request) -> Response:
        return StreamingResponse(Content(), status)

    with harness(handler) as server:
        client = server.connect()
        client.send(request_bytes(method))
        reply = client.reply(method)
        assert reply.status == status
        assert ("transfer-encoding" in reply) is (method == "HEAD")
        assert set(closed) == {"closed"}
        client.send(request_bytes(method))
        assert client.reply(method).status == status


def test_a_handler_may_suspend_before_it_streams() -> None:
    async def handler(request: Request) -> Response:
        await asyncio.sleep(1)
        return StreamingResponse(Source(*PIECES)())

    with harness(handler) as server:
        client = server.connect()
        client.send(request_bytes() * 2)
        server.advance(2)
        assert [reply.body for reply in client.replies()] == [BODY] * 2


def test_any_async_iterable_will_do() -> None:
    class Three:
        def __init__(self) -> None:
            self.left = 3

        def __aiter__(self) -> Three:
            return self

        async def __anext__(self) -> bytes:
            if self.left == 0:
                raise StopAsyncIteration
            self.left -= 1
            return b"x"

    async def handler(request: Request) -> Response:
        return StreamingResponse(Three())

    with harness(handler) as server:
        assert server.connect().get().body == b"xxx"


# -- failures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wait", [0.0, 1.0])
def test_a_failure_before_the_first_piece_is_a_500(wait: float) -> None:
    source = Source(ValueError("early"), wait=wait)
    with harness(serving(source)) as server:
        client = server.connect()
        client.send(request_bytes())
        server.advance(1)
        assert client.reply().status == 500
        assert isinstance(server.app.errors[0], ValueError)
        assert client.get("/missing").status == 404, "nothing is broken"


@pytest.mark.parametrize("wait", [0.0, 1.0])
def test_a_failure_later_cuts_the_connection(wait: float) -> None:
    """No client may take a torn body for a whole one."""
    source = Source(b"torn", ValueError("late"), wait=wait)
    for options in ({}, {"length": 8}):
        with harness(serving(source, **options)) as server:
            client = server.connect()
            client.send(request_bytes() * 2)
            server.advance(2)
            reply = client.reply()
            assert (reply.body, reply.complete) == (b"torn", False)
            assert client.transport.aborted
            assert len(server.app.requests) == 1
            assert isinstance(server.app.errors[0], ValueError), "it is logged as any other"


def test_what_is_not_iterable_is_a_500() -> None:
    async def handler(request: Request) -> Response:
        return StreamingResponse([b"a", b"b"])  # type: ignore[arg-type]

    with harness(handler) as server:
        assert server.connect().get().status == 500


def test_pieces_of_another_type_are_a_failure() -> None:
    with harness(serving(Source(12))) as server:  # type: ignore[arg-type]
        assert server.connect().get().status == 500
    with harness(serving(Source(b"torn", 12))) as server:  # type: ignore[arg-type]
        client = server.connect()
        assert not client.get().complete
        assert client.transport.aborted


def test_a_stream_longer_than_its_length_is_cut_before_the_excess() -> None:
    source = Source(b"12345", b"6789")
    with harness(serving(source, length=7)) as server:
        client = server.connect()
        reply = client.get()
        assert (reply.body, reply.complete) == (b"12345", False)
        assert client.transport.aborted
        assert isinstance(server.app.errors[0], LocalProtocolError)
        assert source.ended


def test_a_stream_shorter_than_its_length_is_cut() -> None:
    with harness(serving(Source(b"12345"), length=7)) as server:
        client = server.connect()
        assert not client.get().complete
        assert client.transport.aborted
        assert "2 bytes shorter" in str(server.app.errors[0])


@pytest.mark.parametrize(("pieces", "length"), [((), 5), ((b"123456",), 5)])
def test_a_wrong_length_that_shows_before_the_first_byte_is_a_500(
    pieces: tuple[bytes, ...], length: int
) -> None:
    with harness(serving(Source(*pieces), length=length)) as server:
        client = server.connect()
        assert client.get().status == 500
        assert not client.closed


def test_a_head_that_cannot_be_sent_is_a_500() -> None:
    source = Source(b"never")
    with harness(serving(source, headers={"transfer-encoding": "gzip"})) as server:
        client = server.connect()
        assert client.get().status == 500
        assert source.ended
        assert not client.closed


def test_a_source_that_fails_to_close_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        try:
            yield b"one"
            yield b"two"
        finally:
            raise RuntimeError("cannot close")

    async def handler(request: Request) -> Response:
        return StreamingResponse(pieces(), length=3)

    with harness(handler) as server:
        client = server.connect()
        client.get()
        assert client.closed, "the excess, too, was a fault"
    assert "could not be closed" in caplog.text
    assert "cannot close" in caplog.text


# -- slow readers, and those who leave --------------------------------------------------------------------------------


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

        def at_once() -> None:
            client.transport.feed(request_bytes())
            client.transport.reset()

        server.call(at_once)
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

        def at_once() -> None:
            client.transport.feed(request_bytes())
            client.connection.cancel()

        server.call(at_once)
        assert client.reply().status == 503


# -- streams of the request's body ------------------------------------------------------------------------------------


def test_a_body_may_be_streamed_back_as_it_comes() -> None:
    async def handler(request: Request) -> Response:
        return StreamingResponse(request.stream())

    with harness(handler) as server:
        client = server.connect()
        client.send(request_bytes("POST", content_length="100000") + b"x" * 1000)
        assert client.raw().count(b"x") == 1000
        for _ in range(99):
            client.send(b"x" * 1000)
        raw = client.raw()
        assert raw.count(b"x") == 99_000
        assert raw.endswith(b"0\r\n\r\n")
        assert not client.closed
        client.send(request_bytes("POST", body=b"again"))
        assert client.reply().body == b"again"


@pytest.mark.parametrize(("left", "lives"), [(100, True), (10**6, False)])
def test_what_a_stream_leaves_of_the_body_is_drained_or_ends_the_connection(left: int, lives: bool) -> None:
    async def first_piece(request: Request) -> AsyncIterator[bytes]:
        stream = request.stream()
        yield await anext(stream)
        await cast("AsyncGenerator[bytes, None]", stream).aclose()

    async def handler(request: Request) -> Response:
        return StreamingResponse(first_piece(request))

    with harness(handler) as server:
        client = server.connect()
        client.send(request_bytes("POST", content_length=str(5 + left)) + b"hello")
        assert client.reply().body == b"hello"
        assert client.closed is not lives
        if lives:
            client.send(b"x" * left + request_bytes("GET", "/missing"))
            assert client.reply().status == 404


def test_a_client_that_leaves_in_mid_body_cuts_the_stream_made_of_it() -> None:
    async def handler(request: Request) -> Response:
        return StreamingResponse(request.stream())

    with harness(handler) as server:
        client = server.connect()
        client.send(request_bytes("POST", content_length="100") + b"hello")
        client.reset()
        assert not client.reply().complete
        assert not server.core.connections


# -- hooks ------------------------------------------------------------------------------------------------------------


def test_after_hooks_run_once_ahead_of_the_first_piece_and_their_fields_outlive_a_failure() -> None:
    """A browser that may not read the error (CORS) would see a failed connection in its place."""
    seen: list[int] = []

    def after(request: Request, response: Response) -> None:
        seen.append(response.status)
        response.headers.set("access-control-allow-origin", "*")
        response.headers.add("vary", "origin")
        response.headers.add("vary", "accept")
        response.headers.set("etag", '"of the stream"')
        response.headers.set("x-own", "overwritten")

    async def handler(request: Request) -> Response:
        pieces = Source(ValueError()) if request.query_string == "fails" else Source(b"fine")
        return StreamingResponse(pieces(), headers={"x-own": "the stream's", "content-disposition": "inline"})

    with harness(handler, options={"after": (after,)}) as server:
        client = server.connect()
        assert client.get()["access-control-allow-origin"] == "*"
        client.send(request_bytes("GET", "/?fails"))
        reply = client.reply()
        assert (reply.status, reply["access-control-allow-origin"]) == (500, "*")
        assert reply.all("vary") == ["origin", "accept"]
        assert "etag" not in reply
        assert "content-disposition" not in reply
    assert seen == [200, 200]


def test_a_hook_may_wrap_the_content_where_it_is_and_sees_its_first_piece_and_its_end() -> None:
    """As metrics and traces do, for every end there is."""
    seen: list[str] = []

    class Observed:
        def __init__(self, content: Any) -> None:
            self._content = content

        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for piece in self._content:
                seen.append(repr(piece))
                yield piece

        async def aclose(self) -> None:
            seen.append("closed")

    def after(request: Request, response: Response) -> Response | None:
        if isinstance(response, StreamingResponse):
            response.content = Observed(response.content)
        return Response("other") if request.query_string == "replaced" else None

    async def handler(request: Request) -> Response:
        return StreamingResponse(Source(b"one", b"two")())

    with harness(handler, options={"after": (after,)}) as server:
        for method, target, expected in (
            ("GET", "/", ["b'one'", "b'two'", "closed"]),
            ("HEAD", "/", ["closed"]),
            ("GET", "/?replaced", ["closed"]),
        ):
            client = server.connect()
            client.send(request_bytes(method, target))
            assert client.reply(method).status == 200
            assert seen == expected
            seen.clear()
        client = server.connect()

        def at_once() -> None:
            client.transport.feed(request_bytes())
            client.transport.reset()

        server.call(at_once)
        assert seen in ([], ["closed"])


def test_a_hook_may_put_another_response_in_its_place() -> None:
    source = Source(b"never", b"seen")

    def after(request: Request, response: Response) -> Response | None:
        return Response("instead") if request.query_string == "plain" else None

    async def handler(request: Request) -> Response:
        return StreamingResponse(source())

    with harness(handler, options={"after": (after,)}) as server:
        client = server.connect()
        client.send(request_bytes("GET", "/?plain"))
        assert client.reply().body == b"instead"
        assert source.made == 0, "it was not begun"
        assert not client.closed


def test_a_hook_may_wrap_the_content_and_sees_all_of_it() -> None:
    source = Source(b"one", b"two")

    async def upper(content: Any) -> AsyncIterator[bytes]:
        async for piece in content:
            yield piece.upper()

    def after(request: Request, response: Response) -> Response:
        assert isinstance(response, StreamingResponse)
        return StreamingResponse(upper(response.content), headers=response.headers.items())

    async def handler(request: Request) -> Response:
        return StreamingResponse(source())

    with harness(handler, options={"after": (after,)}) as server:
        client = server.connect()
        assert client.get().body == b"ONETWO"
        assert source.ended


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
