"""Back-pressure both ways, and the ways a connection ends: by its client, by the server, by halves."""

from __future__ import annotations

import asyncio

import pytest

from framework.errors import PeerClosed, ResourceError
from framework.http.request import Request
from framework.http.response import Response
from tests.support.harness import harness, request_bytes


async def hello(request: Request) -> Response:
    return Response("hello")


async def slow(request: Request) -> Response:
    await asyncio.sleep(1)
    return Response("slow")


async def never(request: Request) -> Response:
    await asyncio.sleep(10_000)
    return Response()


# -- a client that does not read --------------------------------------------------------------------------------------


def test_pause_writing_stops_pipelined_processing() -> None:
    async def large(request: Request) -> Response:
        return Response(b"x" * 100_000)

    with harness(large) as server:
        client = server.connect()
        client.transport.room = 0
        client.send(request_bytes() * 20)
        served = len(server.app.requests)
        assert served <= 3
        server.advance(5)
        client.send(request_bytes() * 20)
        assert len(server.app.requests) == served
        client.take(None)
        assert len(client.replies()) == 40


@pytest.mark.parametrize("size", [10, 3000])
def test_a_client_that_sends_and_does_not_read_costs_bounded_memory(size: int) -> None:
    async def handler(request: Request) -> Response:
        return Response(b"x" * size)

    with harness(handler) as server:
        client = server.connect()
        client.transport.room = 0
        sent = 0
        while client.transport.reading:
            client.send(request_bytes() * 100)
            sent += 100
            assert sent < 3_000, "the bytes of requests are bounded"
        assert client.transport.get_write_buffer_size() < 400_000
        client.take(None)
        assert len(client.replies()) == sent
        assert client.transport.reading


def test_a_suspended_handlers_response_may_pause_too() -> None:
    async def large(request: Request) -> Response:
        await asyncio.sleep(1)
        return Response(b"x" * 100_000)

    with harness(large) as server:
        client = server.connect()
        client.transport.room = 0
        client.send(request_bytes() * 3)
        server.advance(10)
        assert len(server.app.requests) == 1
        client.take(None)
        server.advance(2)
        assert len(client.replies()) == 3


# -- the client leaves ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["reset", "eof"])
def test_a_disconnect_cancels_the_handler(how: str) -> None:
    seen: list[str] = []

    async def handler(request: Request) -> Response:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError as error:
            seen.append(str(error))
            raise
        return Response()

    statuses: list[int] = []

    def after(request: Request, response: Response) -> None:
        statuses.append(response.status)
        assert request.client is not None, "who it was is still known"

    with harness(handler, options={"after": (after,)}) as server:
        client = server.connect()
        client.send(request_bytes())
        if how == "reset":
            client.reset()
        else:
            client.send_eof()
        assert seen == ["the client closed the connection"]
        assert [type(error) for error in server.app.errors] == [PeerClosed]
        assert statuses == [499]
        assert client.raw() == b""
        assert not server.core.connections


def test_a_disconnect_drops_the_requests_that_waited() -> None:
    with harness(slow) as server:
        client = server.connect()
        client.send(request_bytes() * 3)
        client.reset()
        server.advance(10)
        assert len(server.app.requests) == 1


def test_a_disconnect_while_the_turn_is_waited_for() -> None:
    with harness(hello, max_pipelined_per_turn=2) as server:
        client = server.connect()
        client.send(request_bytes() * 5, then=client.transport.reset)
        assert len(server.app.requests) == 2
        assert not server.core.connections


def test_eof_between_requests_is_the_end() -> None:
    with harness(hello) as server:
        client = server.connect()
        client.get()
        client.send_eof()
        assert client.transport.lost
        assert client.raw() == b""


def test_eof_in_a_head_is_a_400() -> None:
    with harness(hello) as server:
        client = server.connect()
        client.send(request_bytes()[:-3])
        client.send_eof()
        assert client.reply().status == 400
        assert client.transport.lost
        assert not server.app.requests


def test_eof_behind_empty_lines_is_the_end() -> None:
    with harness(hello) as server:
        client = server.connect()
        client.send(b"\r\n\r")
        client.send_eof()
        assert client.raw() == b""
        assert client.transport.lost


def test_eof_while_whole_requests_wait_for_their_turn_is_no_incomplete_head() -> None:
    with harness(hello, max_pipelined_per_turn=2) as server:
        client = server.connect()
        client.send(request_bytes() * 5, then=client.transport.feed_eof)
        assert [reply.status for reply in client.replies()] == [200, 200]
        assert client.transport.lost


# -- half_close -------------------------------------------------------------------------------------------------------


def test_half_close_lets_the_request_under_way_be_answered() -> None:
    with harness(slow, half_close=True) as server:
        client = server.connect()
        client.send(request_bytes())
        client.send_eof()
        server.advance(1)
        reply = client.reply()
        assert (reply.body, reply["connection"]) == (b"slow", "close")
        assert client.transport.lost


def test_half_close_lets_all_that_was_sent_be_answered() -> None:
    with harness(slow, half_close=True, max_pipelined_per_turn=2) as server:
        server.app.add("/quick", hello)
        client = server.connect()
        client.send(request_bytes("GET", "/quick") * 5 + request_bytes() * 3, then=client.transport.feed_eof)
        server.advance(3)
        assert [reply.body for reply in client.replies()] == [b"hello"] * 5 + [b"slow"] * 3
        assert client.transport.lost


def test_half_close_in_a_later_head_is_a_400() -> None:
    with harness(slow, half_close=True) as server:
        client = server.connect()
        client.send(request_bytes() + request_bytes()[:10])
        client.send_eof()
        server.advance(1)
        assert [reply.status for reply in client.replies()] == [200, 400]
        assert client.transport.lost


def test_half_close_in_a_body_is_a_departure() -> None:
    async def handler(request: Request) -> Response:
        return Response(await request.body())

    with harness(handler, half_close=True) as server:
        client = server.connect()
        client.send(request_bytes("POST", content_length="10") + b"hello")
        client.send_eof()
        assert client.transport.lost
        assert [type(error) for error in server.app.errors] == [PeerClosed]


def test_half_close_of_an_idle_connection_is_the_end() -> None:
    with harness(hello, half_close=True) as server:
        client = server.connect()
        client.get()
        client.send_eof()
        assert client.transport.lost


def test_half_close_of_a_client_that_is_gone_still_cancels() -> None:
    with harness(never, half_close=True) as server:
        client = server.connect()
        client.send(request_bytes())
        client.send_eof()
        client.reset()
        assert not server.core.connections


# -- the server leaves ------------------------------------------------------------------------------------------------


def drain(server: object) -> None:
    core = server.core  # type: ignore[attr-defined]
    core.draining = True
    for connection in tuple(core.connections):
        connection.shut_down()


def test_draining_closes_the_idle_and_lets_the_busy_finish() -> None:
    with harness(slow) as server:
        idle, fresh, busy = server.connect(), server.connect(), server.connect()
        idle.get("/missing")
        busy.send(request_bytes() * 2)
        server.call(drain, server)
        assert idle.transport.lost
        assert fresh.transport.lost
        server.advance(1)
        reply = busy.reply()
        assert (reply.body, reply["connection"]) == (b"slow", "close")
        assert busy.closed
        assert len(server.app.requests) == 2


def test_draining_lets_a_request_arrive_that_has_begun_to() -> None:
    with harness(hello) as server:
        client = server.connect()
        client.send(request_bytes()[:20])
        server.call(drain, server)
        assert not client.closed
        client.send(request_bytes()[20:])
        assert client.reply()["connection"] == "close"
        assert client.transport.lost


def test_draining_ends_a_connection_whose_body_is_being_drained() -> None:
    with harness(hello) as server:
        client = server.connect()
        client.send(request_bytes("POST", content_length="10"))
        assert client.reply().status == 200
        server.call(drain, server)
        client.send(b"0123456789")
        assert client.transport.lost


def test_a_connection_that_was_accepted_before_the_drain_gets_one_answer() -> None:
    """The loop makes a connection of what it accepted some turns later."""
    with harness(hello) as server:
        server.call(drain, server)
        client = server.connect()
        client.send(request_bytes() * 2)
        assert client.reply()["connection"] == "close"
        assert client.closed


def test_cancel_answers_503() -> None:
    with harness(never) as server:
        client = server.connect()
        client.send(request_bytes())
        server.call(drain, server)
        server.call(client.connection.cancel)
        reply = client.reply()
        assert reply.status == 503
        assert reply["retry-after"] == "1"
        assert isinstance(server.app.errors[0], ResourceError)
        assert client.transport.lost


def test_cancel_of_an_idle_connection_closes_it() -> None:
    with harness(hello) as server:
        client = server.connect()
        server.call(client.connection.cancel)
        assert client.transport.lost


def test_abort_cancels_and_answers_nothing() -> None:
    with harness(never) as server:
        client = server.connect()
        client.send(request_bytes())
        server.call(client.connection.abort)
        assert client.raw() == b""
        assert client.transport.aborted
        assert not server.core.connections


def test_a_handlers_own_cancellation_in_a_drain_is_not_the_servers() -> None:
    async def handler(request: Request) -> Response:
        await asyncio.sleep(1)
        raise asyncio.CancelledError

    with harness(handler) as server:
        client = server.connect()
        client.send(request_bytes())
        server.call(drain, server)
        server.advance(1)
        assert client.reply().status == 500


def test_nothing_is_written_to_a_transport_that_is_closing() -> None:
    """asyncio drops it and complains; what is written there must have been given up on before."""
    with harness(slow) as server:
        for end in ("reset", "abort"):
            client = server.connect()
            client.send(request_bytes() * 2)
            server.call(client.connection.abort) if end == "abort" else client.reset()
            server.advance(3)
            assert client.transport.late == []
