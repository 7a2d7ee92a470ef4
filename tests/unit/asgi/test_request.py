"""What an application receives: the body as it comes, then the client's leave."""

from __future__ import annotations

import asyncio
import logging
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.asgi.types import ClientDisconnected
from tests.support.harness import request_bytes
from tests.unit.asgi.hosted import hosted, start


async def read(receive: Any) -> list[dict[str, Any]]:
    """All messages of the request."""
    messages = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())
    return messages


async def answer(send: Any, body: bytes = b"") -> None:
    await send(start())
    await send({"type": "http.response.body", "body": body})


async def echo(scope: Any, receive: Any, send: Any) -> None:
    await answer(send, b"".join(message["body"] for message in await read(receive)))


def test_a_request_without_a_body_is_one_message() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(await receive())
        await answer(send)

    with hosted(app) as server:
        server.connect().get()
    assert seen == [{"type": "http.request", "body": b"", "more_body": False}]


def test_a_body_that_came_with_its_head_is_one_message() -> None:
    with hosted(echo) as server:
        client = server.connect()
        client.send(request_bytes("POST", body=b"abc"))
        assert client.reply().body == b"abc"


def test_a_body_is_received_as_it_comes_and_decoded() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.extend(await read(receive))
        await answer(send)

    with hosted(app) as server:
        client = server.connect()
        client.send(request_bytes("POST", body=b"", transfer_encoding="chunked"))
        client.send(b"3\r\nabc\r\n")
        client.send(b"2\r\nde\r\n")
        client.send(b"0\r\n\r\n")
        assert client.reply().status == 200
    assert [(one["body"], one["more_body"]) for one in seen] == [(b"abc", True), (b"de", True), (b"", False)]


def test_the_last_piece_of_a_known_length_says_that_it_is_the_last() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.extend(await read(receive))
        await answer(send)

    with hosted(app) as server:
        client = server.connect()
        client.send(request_bytes("POST", body=b"abcdef")[:-3])
        client.send(b"def")
        assert client.reply().status == 200
    assert [(one["body"], one["more_body"]) for one in seen] == [(b"abc", True), (b"def", False)]


def test_a_body_nobody_takes_stops_the_client() -> None:
    go = asyncio.Event()
    sizes: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await go.wait()
        sizes.extend([len(message["body"]) for message in await read(receive)])
        await answer(send)

    with hosted(app, max_body_in_flight=1000) as server:
        client = server.connect()
        client.send(request_bytes("POST", body=bytes(5000))[:-3000])
        assert not client.transport.reading
        server.call(go.set)
        assert client.transport.reading
        client.send(bytes(3000))
        assert client.reply().status == 200
        assert sum(sizes) == 5000


def test_a_client_that_waits_for_100_gets_it_when_the_body_is_received() -> None:
    with hosted(echo) as server:
        client = server.connect()
        client.send(request_bytes("POST", body=b"abc", expect="100-continue")[:-3])
        assert client.raw() == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"abc")
        assert client.reply().body == b"abc"


def test_a_body_nobody_wanted_is_not_waited_for() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, b"no")

    with hosted(app) as server:
        client = server.connect()
        client.send(request_bytes("POST", body=b"abc")[:-1])
        assert client.reply().body == b"no"
        client.send(b"c" + request_bytes())
        assert client.reply().body == b"no"


def test_receive_behind_the_response_says_disconnect() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send)
        seen.extend([(await receive())["type"], (await receive())["type"]])

    with hosted(app) as server:
        client = server.connect()
        client.send(request_bytes("POST", body=b"unread"))
        assert client.reply().status == 200
    assert seen == ["http.disconnect"] * 2


def test_receive_behind_the_body_waits_for_the_response() -> None:
    """So does Starlette's listen_for_disconnect, beside a stream."""
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()

        async def listen() -> None:
            seen.append((await receive())["type"])

        listener = asyncio.create_task(listen())
        await asyncio.sleep(1)
        assert seen == []
        await answer(send, b"done")
        await listener

    with hosted(app) as server:
        client = server.connect()
        client.send(request_bytes())
        server.advance(2)
        assert client.reply().body == b"done"
    assert seen == ["http.disconnect"]


def test_two_receivers_share_the_body() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        messages = await asyncio.gather(receive(), receive())
        seen.extend(sorted(message["body"] for message in messages))
        await answer(send)

    with hosted(app) as server:
        client = server.connect()
        client.send(request_bytes("POST", body=b"abcd")[:-4])
        client.send(b"ab")
        client.send(b"cd")
        assert client.reply().status == 200
    assert seen == [b"ab", b"cd"]


@pytest.mark.parametrize("stage", ["before", "stream"])
def test_a_client_that_leaves_is_told_of_and_nothing_is_cancelled(
    stage: str, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if stage == "stream":
            await send(start())
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
        seen.append((await receive())["type"])
        await asyncio.sleep(1)
        try:
            if stage == "before":
                await send(start())
            await send({"type": "http.response.body", "body": b"y", "more_body": True})
        except OSError as error:
            seen.append(type(error))
            raise

    with hosted(app) as server, caplog.at_level(logging.WARNING):
        client = server.connect()
        client.send(request_bytes())
        client.reset()
        server.advance(2)
        assert seen == ["http.disconnect", ClientDisconnected]
    assert not caplog.records


def test_a_client_that_leaves_in_mid_body_is_told_of_by_receive() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.extend([(await receive())["type"], (await receive())["type"], (await receive())["type"]])

    with hosted(app) as server:
        client = server.connect()
        client.send(request_bytes("POST", body=b"abc")[:-1])
        client.reset()
        server.settle()
    assert seen == ["http.request", "http.disconnect", "http.disconnect"]


def test_a_send_that_waits_for_a_client_that_leaves_is_refused() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        try:
            while True:
                await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})
        except OSError as error:
            seen.append(error)

    with hosted(app) as server:
        client = server.connect(high=2000)
        client.take(0)
        client.send(request_bytes())
        assert not seen
        client.reset()
        server.settle()
        assert len(seen) == 1


def test_broken_framing_of_a_body_is_a_disconnect() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((await receive())["type"])

    with hosted(app) as server:
        client = server.connect()
        client.send(request_bytes("POST", body=b"", transfer_encoding="chunked"))
        client.send(b"zz\r\n")
        server.settle()
    assert seen == ["http.disconnect"]


def test_shutdown_cancels_an_application_that_takes_too_long() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    with hosted(app) as server:
        client = server.connect()
        client.send(request_bytes())
        server.call(client.connection.cancel)
        server.settle()
        assert seen == ["cancelled"]
        assert client.reply().status == 503


def test_shutdown_waits_for_what_goes_on_behind_a_response_then_cancels_it() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send)
        try:
            await asyncio.sleep(10 if scope["path"] == "/short" else 1000)
            seen.append("ended")
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    with hosted(app) as server:
        client = server.connect()
        client.get("/short")
        client.get("/long")
        background = server.core.background
        assert len(background) == 2
        server.advance(11)
        assert seen == ["ended"]
        assert len(background) == 1
        server.call(background.cancel)
        server.loop.run(background.drain())
        assert seen == ["ended", "cancelled"]


def test_requests_that_wait_count_once_against_their_limit() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(10)
        await answer(send)

    with hosted(app, max_active_requests=3) as server:
        clients = [server.connect() for _ in range(4)]
        for client in clients:
            client.send(request_bytes())
        assert clients[3].reply().status == 503
        server.advance(11)
        assert [client.reply().status for client in clients[:3]] == [200] * 3


def test_context_variables_of_one_request_are_not_seen_by_the_next() -> None:
    from contextvars import ContextVar

    variable: ContextVar[str] = ContextVar("variable", default="unset")
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(variable.get())
        variable.set(scope["path"])
        if scope["path"] == "/waits":
            await asyncio.sleep(1)
            seen.append(variable.get())
        await answer(send)

    with hosted(app) as server:
        client = server.connect()
        client.get("/a")
        client.send(request_bytes("GET", "/waits"))
        server.advance(2)
        client.raw()
        client.get("/b")
    assert seen == ["unset", "unset", "/waits", "unset"]


@given(body=st.binary(max_size=500), cuts=st.lists(st.integers(0, 500), max_size=6), chunked=st.booleans())
def test_a_body_in_any_pieces_is_received_whole(body: bytes, cuts: list[int], chunked: bool) -> None:
    if chunked:
        data = request_bytes("POST", body=b"", transfer_encoding="chunked")
        at = sorted({min(cut, len(body)) for cut in cuts} | {0, len(body)})
        for start_, stop in pairwise(at):
            data += b"%x\r\n%b\r\n" % (stop - start_, body[start_:stop])
        data += b"0\r\n\r\n"
    else:
        data = request_bytes("POST", body=body)
    with hosted(echo) as server:
        client = server.connect()
        last = 0
        for cut in sorted(min(cut * 2, len(data)) for cut in cuts):
            client.send(data[last:cut])
            last = cut
        client.send(data[last:])
        assert client.reply().body == body
