"""Streamed responses: framed, paced, and closed in any case."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from framework.errors import LocalProtocolError
from framework.http.request import Request
from framework.http.response import Response, StreamingResponse
from tests.support.harness import harness, request_bytes
from tests.support.streams import Source, serving

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
