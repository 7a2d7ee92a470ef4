"""Requests to responses on one connection: order, keep-alive, turns, and what is refused."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from framework.http.request import Request
from framework.http.response import Response
from tests.support.harness import App, harness, request_bytes


async def hello(request: Request) -> Response:
    return Response("hello")


async def number(request: Request) -> Response:
    """Answers with its query; suspends as long as the path says."""
    if request.raw_path != "/":
        await asyncio.sleep(float(request.raw_path[1:]))
    return Response(request.query_string)


def numbers(*paths: str) -> App:
    app = App(number)
    for path in paths:
        app.add(path, number)
    return app


def pipelined(*paths: str) -> bytes:
    return b"".join(request_bytes("GET", f"{path}?{i}") for i, path in enumerate(paths))


def test_a_request_is_answered_in_one_write_and_the_connection_lives_on() -> None:
    with harness(hello) as server:
        client = server.connect()
        for _ in range(3):
            reply = client.get()
            assert (reply.status, reply.body) == (200, b"hello")
            assert "connection" not in reply
        assert len(client.transport.writes) == 3
        assert not client.closed


def test_a_head_may_come_in_any_pieces() -> None:
    with harness(hello) as server:
        client = server.connect()
        for byte in request_bytes():
            client.send(bytes([byte]))
        assert client.reply().body == b"hello"


@pytest.mark.parametrize(
    ("fields", "minor", "keeps"),
    [
        ({}, 1, True),
        ({"connection": "keep-alive"}, 1, True),
        ({"connection": "close"}, 1, False),
        ({"connection": "Close, TE"}, 1, False),
        ({}, 0, False),
        ({"connection": "close"}, 0, False),
        ({"connection": "Keep-Alive"}, 0, True),
    ],
)
@pytest.mark.parametrize("suspends", [False, True])
def test_keep_alive(fields: dict[str, Any], minor: int, keeps: bool, suspends: bool) -> None:
    path = "/1" if suspends else "/"
    with harness(numbers("/1")) as server:
        client = server.connect()
        client.send(request_bytes("GET", path, minor=minor, **fields))
        server.advance(1)
        reply = client.reply()
        assert client.closed is not keeps
        if keeps:
            assert reply.all("connection") == (["keep-alive"] if minor == 0 else [])
        else:
            assert reply["connection"] == "close"


def test_a_response_may_end_the_connection() -> None:
    async def handler(request: Request) -> Response:
        return Response("bye", headers={"connection": "close"})

    with harness(handler) as server:
        client = server.connect()
        client.send(request_bytes() * 2)
        assert client.reply()["connection"] == "close"
        assert client.closed
        assert len(server.app.requests) == 1


def test_pipelined_requests_share_a_write() -> None:
    with harness(numbers()) as server:
        client = server.connect()
        client.send(pipelined(*["/"] * 10))
        assert [reply.body for reply in client.replies()] == [b"%d" % i for i in range(10)]
        assert len(client.transport.writes) == 1


def test_pipelined_responses_keep_their_order_whoever_suspends() -> None:
    with harness(numbers("/3", "/1", "/2")) as server:
        client = server.connect()
        client.send(pipelined("/", "/3", "/", "/1", "/2", "/"))
        assert [reply.body for reply in client.replies()] == [b"0"]
        server.advance(2.9)
        assert client.replies() == []
        server.advance(0.1)
        assert [reply.body for reply in client.replies()] == [b"1", b"2"]
        assert len(server.app.requests) == 4, "one at a time"
        server.advance(3)
        assert [reply.body for reply in client.replies()] == [b"3", b"4", b"5"]


def test_requests_that_come_while_one_is_under_way_wait() -> None:
    with harness(numbers("/1")) as server:
        client = server.connect()
        client.send(request_bytes("GET", "/1?a"))
        for byte in request_bytes("GET", "/?b"):
            client.send(bytes([byte]))
        assert client.replies() == []
        server.advance(1)
        assert [reply.body for reply in client.replies()] == [b"a", b"b"]


def test_bytes_behind_the_last_request_of_a_connection_are_nothing() -> None:
    with harness(hello) as server:
        client = server.connect()
        client.send(request_bytes(connection="close") + request_bytes() + b"rubbish")
        assert len(client.replies()) == 1
        assert client.closed
        assert len(server.app.requests) == 1


def test_max_pipelined_per_turn_lets_others_have_their_turn() -> None:
    with harness(numbers(), max_pipelined_per_turn=4) as server:
        greedy, modest = server.connect(), server.connect()

        def at_once() -> None:
            greedy.transport.feed(pipelined(*["/"] * 50))
            modest.transport.feed(pipelined("/"))

        server.call(at_once)
        assert [reply.body for reply in greedy.replies()] == [b"%d" % i for i in range(50)]
        order = [request.exchange for request in server.app.requests]
        assert order.index(modest.connection) == 4
        assert len(greedy.transport.writes) == 13


def test_large_pipelined_responses_do_not_pile_up_unwritten() -> None:
    async def large(request: Request) -> Response:
        return Response(b"x" * 50_000)

    with harness(large) as server:
        client = server.connect()
        client.transport.room = 0
        client.send(request_bytes() * 30)
        assert len(server.app.requests) <= 4
        client.take(None)
        assert len(client.replies()) == 30


def test_empty_lines_ahead_of_a_request_are_nothing() -> None:
    with harness(hello) as server:
        client = server.connect()
        client.send(b"\r\n\r\n" + request_bytes() + b"\r\n")
        assert client.reply().body == b"hello"
        client.send(b"\r")
        client.send(b"\n\r\n\r")
        client.send(b"\n" + request_bytes())
        assert client.reply().body == b"hello"


def test_a_flood_of_empty_lines_is_not_kept() -> None:
    with harness(hello, max_head=32_768) as server:
        client = server.connect()
        for _ in range(200):
            client.send(b"\r\n" * 1000)
        assert client.get().body == b"hello", "it would be past the limit of a head"


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: a\n\n", 400),
        (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: br, chunked\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: a\r\nExpect: a-miracle\r\n\r\n", 417),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 40_000, 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 101 + b"\r\n", 431),
    ],
)
@pytest.mark.parametrize("after_good", [False, True])
def test_malformed_bytes(
    data: bytes, status: int, after_good: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """An error, the end of the connection, one line in the log, and nothing of it reaches a handler."""
    caplog.set_level(logging.INFO, "framework.server")
    with harness(hello) as server:
        client = server.connect()
        client.send((request_bytes() if after_good else b"") + data + request_bytes())
        *good, refused = client.replies()
        assert len(good) == len(server.app.requests) == after_good
        assert refused.status == status
        assert refused["connection"] == "close"
        assert refused["content-type"] == "application/problem+json"
        assert refused.json()["status"] == status
        assert client.closed
        client.send(request_bytes() * 3)
        assert client.raw() == b""
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 1
    assert lines[0].startswith(f"refused 192.0.2.1: {status} ")


def test_malformed_bytes_that_come_in_pieces_are_refused_as_soon_as_they_show() -> None:
    with harness(hello) as server:
        client = server.connect()
        client.send(b"GET / HTTP/1.1\r\nHo")
        client.send(b"st : a\r\n")
        assert client.reply().status == 400


def test_malformed_bytes_behind_a_request_under_way_are_refused_in_their_turn() -> None:
    with harness(numbers("/1")) as server:
        client = server.connect()
        client.send(request_bytes("GET", "/1?a") + b"rubbish\r\n\r\n")
        server.advance(1)
        first, second = client.replies()
        assert (first.body, second.status) == (b"a", 400)
        assert len(server.app.requests) == 1


def test_a_client_that_goes_on_sending_gets_to_see_the_refusal() -> None:
    with harness(hello, linger_timeout=2.0) as server:
        client = server.connect()
        client.send(b"rubbish\r\n\r\n")
        assert client.reply().status == 400
        assert client.transport.eof, "our side is closed"
        assert not client.transport.lost, "theirs is still read"
        client.send(b"x" * 10_000)
        server.advance(2.5)
        assert client.transport.lost
        assert not client.transport.aborted


def test_lingering_ends_when_the_client_closes() -> None:
    with harness(hello) as server:
        client = server.connect()
        client.send(b"rubbish\r\n\r\n")
        client.send_eof()
        assert client.transport.lost


def test_lingering_ends_when_the_client_sends_too_much() -> None:
    with harness(hello) as server:
        client = server.connect()
        client.send(b"rubbish\r\n\r\n")
        for _ in range(20):
            client.send(b"x" * 100_000)
        assert client.transport.lost


def test_a_transport_that_cannot_half_close_is_closed() -> None:
    with harness(hello) as server:
        client = server.connect()
        client.transport.can_write_eof = lambda: False  # type: ignore[method-assign]
        client.send(b"rubbish\r\n\r\n")
        assert client.reply().status == 400
        assert client.transport.lost


def test_a_half_close_that_fails_is_the_end() -> None:
    def gone() -> None:
        raise OSError(107, "Transport endpoint is not connected")

    with harness(hello) as server:
        client = server.connect()
        client.transport.write_eof = gone  # type: ignore[method-assign]
        client.send(b"rubbish\r\n\r\n")
        assert client.transport.lost


# -- room -------------------------------------------------------------------------------------------------------------


def test_max_active_requests_overload_is_a_503_with_retry_after() -> None:
    with harness(numbers("/9"), max_active_requests=2) as server:
        busy = [server.connect() for _ in range(2)]
        for client in busy:
            client.send(request_bytes("GET", "/9"))
        client = server.connect()
        reply = client.get()
        assert reply.status == 503
        assert reply["retry-after"] == "1"
        assert not client.closed, "the connection may try again"
        server.advance(9)
        assert client.get().status == 200


def test_the_connection_limit_is_a_503() -> None:
    with harness(hello, max_connections=2) as server:
        kept = [server.connect() for _ in range(2)]
        extra = server.connect()
        reply = extra.reply()
        assert reply.status == 503
        assert reply["retry-after"] == "1"
        assert extra.closed
        assert all(client.get().status == 200 for client in kept)


def test_refused_connections_take_no_room() -> None:
    with harness(hello, max_connections=2) as server:
        kept = [server.connect() for _ in range(2)]
        extra = [server.connect() for _ in range(10)]
        assert all(client.reply().status == 503 for client in extra)
        kept[0].send_eof()
        assert server.connect().get().status == 200


def test_a_flood_of_connections_is_not_answered_without_end() -> None:
    with harness(hello, max_connections=1) as server:
        clients = [server.connect() for _ in range(400)]
        assert sum(client.transport.lost for client in clients) >= 140
        assert clients[0].get().status == 200


def test_connections_that_are_closed_are_forgotten() -> None:
    with harness(hello) as server:
        for _ in range(50):
            client = server.connect()
            client.get()
            client.send_eof()
        assert not server.core.connections
        server.advance(1)
        assert not server.core.wheel.turning, "it holds none of them"
