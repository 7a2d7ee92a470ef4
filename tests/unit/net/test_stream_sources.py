"""Streams made of the request's body, and what hooks make of a stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, cast

import pytest

from framework.http.request import Request
from framework.http.response import Response, StreamingResponse
from tests.support.harness import harness, request_bytes
from tests.support.streams import Source


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
        client.send(request_bytes(), then=client.transport.reset)
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
