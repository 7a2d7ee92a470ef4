"""Request bodies: how they come in, what they may cost, and what becomes of those nobody reads."""

from __future__ import annotations

import asyncio

import pytest

from framework.http.request import Request
from framework.http.response import Response, StreamingResponse
from tests.support.bodies import chunked, echo, ignore, slowly
from tests.support.harness import harness, request_bytes


@pytest.mark.parametrize("data", [request_bytes("POST", body=b"hello"), chunked(b"hel", b"lo")])
def test_a_body_comes_in_any_pieces(data: bytes) -> None:
    with harness(echo) as server:
        client = server.connect()
        for cut in range(len(data)):
            client.send(data[:cut])
            client.send(data[cut:])
            assert client.reply().body == b"hello"
        for byte in data:
            client.send(bytes([byte]))
        assert client.reply().body == b"hello"


def test_what_lies_behind_a_body_is_the_next_request() -> None:
    with harness(echo) as server:
        client = server.connect()
        data = request_bytes("POST", body=b"one") + chunked(b"two") + request_bytes("GET")
        client.send(data[:-70])
        client.send(data[-70:])
        assert [reply.body for reply in client.replies()] == [b"one", b"two", b""]


@pytest.mark.parametrize("size", [65_535, 65_536, 200_000])
def test_a_large_chunked_body_in_one_read_leaves_the_connection_readable(size: int) -> None:
    with harness(echo) as server:
        client = server.connect()
        for _ in range(2):
            client.send(chunked(b"x" * size))
            assert len(client.reply().body) == size
            assert client.transport.reading


# -- watermarks -------------------------------------------------------------------------------------------------------


def test_a_body_nobody_reads_stops_the_reading_of_the_socket() -> None:
    with harness(slowly, options={"max_body": 10**7}) as server:
        client = server.connect()
        client.send(request_bytes("POST", content_length="1000000"))
        sent = 0
        while client.transport.reading:
            client.send(b"x" * 10_000)
            sent += 10_000
        assert 65_536 <= sent < 80_000
        client.send(b"x" * (1_000_000 - sent))
        server.advance(1)
        assert len(client.reply().body) == 1_000_000
        assert client.transport.reading


def test_pipelined_requests_that_wait_are_bounded_too() -> None:
    with harness(slowly) as server:
        client = server.connect()
        client.send(request_bytes())
        sent = 0
        while client.transport.reading:
            client.send(request_bytes() * 100)
            sent += 100
            assert sent < 3_000, "their bytes are bounded"
        server.advance(10_000)
        assert len(client.replies()) == sent + 1


# -- limits -----------------------------------------------------------------------------------------------------------


def test_a_body_too_large_by_its_length_is_refused_before_it_comes() -> None:
    with harness(echo, options={"max_body": 100}) as server:
        client = server.connect()
        client.send(request_bytes("POST", content_length="1000000"))
        assert client.reply().status == 413
        assert client.closed


def test_a_body_too_large_by_count_is_refused_when_it_gets_there() -> None:
    with harness(echo, options={"max_body": 100}) as server:
        client = server.connect()
        client.send(request_bytes("POST", transfer_encoding="chunked") + b"64\r\n" + b"x" * 100 + b"\r\n")
        assert client.raw() == b""
        client.send(b"1\r\nx\r\n")
        reply = client.reply()
        assert reply.status == 413
        assert reply["connection"] == "close"


def test_a_body_at_the_limit_is_fine() -> None:
    with harness(echo, options={"max_body": 100}) as server:
        client = server.connect()
        for data in (request_bytes("POST", body=b"x" * 100), chunked(b"x" * 50, b"x" * 50)):
            client.send(data)
            assert len(client.reply().body) == 100


# -- Expect: 100-continue ---------------------------------------------------------------------------------------------


EXPECTING = request_bytes("POST", content_length="5", expect="100-continue")


def test_100_continue_is_sent_when_the_handler_reads() -> None:
    with harness(slowly) as server:
        client = server.connect()
        client.send(EXPECTING)
        assert client.raw() == b"", "nobody has asked for the body yet"
        server.advance(1)
        assert client.raw() == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"hello")
        assert client.reply().body == b"hello"
        assert not client.closed


def test_100_continue_is_not_sent_when_the_handler_answers_first() -> None:
    with harness(ignore) as server:
        client = server.connect()
        client.send(EXPECTING)
        reply = client.reply()
        assert reply.body == b"ignored"
        assert reply["connection"] == "close", "whether the body will come nobody can tell"
        assert client.closed


def test_100_continue_is_not_sent_for_a_body_that_is_coming_already() -> None:
    with harness(slowly) as server:
        client = server.connect()
        client.send(EXPECTING + b"he")
        server.advance(1)
        assert client.raw() == b""
        client.send(b"llo")
        assert client.reply().body == b"hello"
        client.send(EXPECTING)
        client.send(b"he")
        server.advance(1)
        assert client.raw() == b""
        client.send(b"llo")
        assert client.reply().body == b"hello"


def test_100_continue_is_not_sent_for_a_body_that_is_refused() -> None:
    with harness(echo, options={"max_body": 3}) as server:
        client = server.connect()
        client.send(EXPECTING)
        assert client.reply().status == 413


def test_100_continue_is_for_http_1_1() -> None:
    with harness(echo) as server:
        client = server.connect()
        client.send(request_bytes("POST", minor=0, content_length="5", expect="100-continue"))
        assert client.raw() == b""
        client.send(b"hello")
        assert client.reply().body == b"hello"


def test_100_continue_never_comes_behind_a_response() -> None:
    """Background work reads a body whose request was answered."""
    failures: list[BaseException] = []

    async def late(request: Request) -> None:
        try:
            await request.body()
        except Exception as error:
            failures.append(error)

    async def handler(request: Request) -> Response:
        request.background(late, request)
        return Response("answered")

    with harness(handler) as server:
        client = server.connect()
        client.send(EXPECTING)
        assert client.raw().count(b"HTTP/1.1") == 1
        server.advance(5)
        assert client.raw() == b""
    assert len(failures) == 1


def test_a_stream_made_of_the_body_asks_for_it_first() -> None:
    async def handler(request: Request) -> Response:
        return StreamingResponse(request.stream())

    with harness(handler) as server:
        client = server.connect()
        client.send(EXPECTING)
        assert client.raw() == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"hello")
        assert client.reply().body == b"hello"


# -- bodies nobody reads ----------------------------------------------------------------------------------------------


def test_an_unread_body_that_is_short_is_drained() -> None:
    with harness(ignore, max_drained_body=1000) as server:
        client = server.connect()
        client.send(request_bytes("POST", content_length="1000") + b"x" * 10)
        reply = client.reply()
        assert reply.body == b"ignored"
        assert "connection" not in reply
        client.send(b"x" * 500)
        assert client.raw() == b""
        client.send(b"x" * 490 + request_bytes())
        assert client.reply().body == b"ignored"


def test_an_unread_body_that_was_paused_is_drained_too() -> None:
    async def handler(request: Request) -> Response:
        await asyncio.sleep(1)
        return Response("ignored")

    with harness(handler) as server:
        client = server.connect()
        client.send(request_bytes("POST", content_length="200000") + b"x" * 100_000)
        assert not client.transport.reading
        client.send(b"x" * 100_000 + request_bytes())
        server.advance(1)
        assert client.reply().body == b"ignored"
        server.advance(1)
        assert client.reply().body == b"ignored"


@pytest.mark.parametrize("suspends", [False, True])
@pytest.mark.parametrize(
    "data",
    [
        request_bytes("POST", content_length="1001"),
        request_bytes("POST", transfer_encoding="chunked") + b"5\r\nhello\r\n",
    ],
)
def test_an_unread_body_that_is_long_or_endless_ends_the_connection(data: bytes, suspends: bool) -> None:
    async def handler(request: Request) -> Response:
        if suspends:
            await asyncio.sleep(0)
        return Response("ignored")

    with harness(handler, max_drained_body=1000) as server:
        client = server.connect()
        client.send(data)
        reply = client.reply()
        assert reply["connection"] == "close"
        assert client.transport.eof
        assert not client.transport.lost, "the client may be sending: it gets to see the answer"
        client.send(b"x" * 500)
        server.advance(3)
        assert client.transport.lost


def test_a_drained_body_that_does_not_come_ends_the_connection() -> None:
    with harness(ignore, body_timeout=5.0) as server:
        client = server.connect()
        client.send(request_bytes("POST", content_length="1000"))
        assert client.reply().status == 200
        server.advance(5.5)
        assert client.closed


def test_a_reader_that_comes_too_late_gets_an_error() -> None:
    """A child task still reads while the handler has answered: no torn body may look whole."""
    seen: list[BaseException | bytes] = []

    async def read(request: Request) -> None:
        try:
            seen.append(await request.body())
        except Exception as error:
            seen.append(error)

    tasks: list[asyncio.Task[None]] = []

    async def handler(request: Request) -> Response:
        tasks.append(asyncio.create_task(read(request)))
        await asyncio.sleep(0)
        return Response("answered")

    with harness(handler) as server:
        client = server.connect()
        client.send(request_bytes("POST", content_length="1000") + b"x" * 10)
        client.send(b"x" * 990 + request_bytes())
        assert client.replies()[0].body == b"answered"
    assert isinstance(seen[0], Exception)
