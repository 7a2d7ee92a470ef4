"""One WebSocket: messages both ways, the closing handshake, keep-alive, and peers that behave badly."""

from __future__ import annotations

import asyncio
import logging
from itertools import pairwise
from typing import Any

import pytest

from framework.errors import LocalProtocolError, WebSocketClosed
from framework.net.websocket.listener import WebSocketListener
from framework.net.websocket.socket import WebSocket
from framework.wire.websocket.events import Close, Ping, Pong
from framework.wire.websocket.frames import encode_close, encode_ping
from framework.wire.websocket.leaves import encode_frame
from tests.support.websocket import MASK, frames, handshake, socket_server


class Echo(WebSocketListener):
    def __init__(self) -> None:
        self.closes: list[tuple[int, str]] = []
        self.opened = 0
        self.messages: list[Any] = []

    def on_open(self, ws: WebSocket) -> None:
        self.opened += 1

    def on_message(self, ws: WebSocket, message: str | bytes) -> None:
        self.messages.append(message)
        if isinstance(message, str):
            ws.write_text(message)
        else:
            ws.write_bytes(message)

    def on_close(self, ws: WebSocket, code: int, reason: str) -> None:
        self.closes.append((code, reason))


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


STYLES = pytest.mark.parametrize("style", ["listener", "handler"])


def made(style: str) -> Any:
    return Echo() if style == "listener" else echo


# -- messages ---------------------------------------------------------------------------------------------------------


@STYLES
def test_messages_come_back_in_their_order_and_kind(style: str) -> None:
    with socket_server(made(style)) as server:
        peer = server.connect()
        peer.send("one", b"two")
        peer.send("", b"", "fünf")
        assert peer.messages() == ["one", b"two", "", b"", "fünf"]


@STYLES
def test_bytes_behind_the_handshake_are_read(style: str) -> None:
    with socket_server(made(style)) as server:
        assert server.connect(behind=frames("early")).messages() == ["early"]


@STYLES
def test_the_answers_of_one_turn_are_one_write(style: str) -> None:
    with socket_server(made(style)) as server:
        peer = server.connect()
        peer.send("warm")
        before = len(peer.transport.writes)
        peer.send(*"abcdefghij")
        assert len(peer.transport.writes) == before + 1
        assert peer.messages() == ["warm", *"abcdefghij"]


@STYLES
def test_a_message_in_pieces_is_one(style: str) -> None:
    with socket_server(made(style)) as server:
        peer = server.connect()
        data = encode_frame(1, b"hel", fin=False, mask=MASK) + encode_frame(0, b"lo", mask=MASK)
        for index in range(len(data)):
            peer.send_bytes(data[index : index + 1])
        assert peer.messages() == ["hello"]


def test_a_listener_without_work_has_no_task() -> None:
    with socket_server(Echo()) as server:
        for _ in range(10):
            server.connect().send("hello")
        assert not server.core.runners.lent
        assert not server.core.runners.active


def test_conversations_are_not_counted_among_the_active_handlers() -> None:
    with socket_server(echo, server={"max_active_requests": 2}) as server:
        peers = [server.connect() for _ in range(5)]
        assert len(server.core.runners.lent) == 5
        assert not server.core.runners.full
        for peer in peers:
            peer.send("still there")
            assert peer.messages() == ["still there"]


# -- closing ----------------------------------------------------------------------------------------------------------


@STYLES
def test_a_close_is_answered_and_the_connection_closed(style: str) -> None:
    with socket_server(made(style)) as server:
        peer = server.connect()
        peer.close(3000, "good-bye")
        assert peer.closes() == [(3000, "")]
        assert peer.lost
        assert server.sockets[0].close_code == 3000
        assert server.sockets[0].close_reason == "good-bye"
        assert not server.core.connections


@STYLES
def test_a_close_without_a_code_is_1005(style: str) -> None:
    with socket_server(made(style)) as server:
        peer = server.connect()
        peer.close(1005)
        assert peer.closes() == [(1005, "")]
        assert server.sockets[0].close_code == 1005


@STYLES
def test_what_came_ahead_of_a_close_is_still_answered(style: str) -> None:
    with socket_server(made(style)) as server:
        peer = server.connect()
        peer.send_bytes(frames("last words") + encode_close(1000, "", MASK))
        assert peer.events() == ["last words", Close(1000, "")]


@STYLES
@pytest.mark.parametrize("how", ["reset", "eof"])
def test_a_peer_that_vanishes_is_1006(style: str, how: str) -> None:
    with socket_server(made(style)) as server:
        peer = server.connect()
        if how == "reset":
            peer.raw.reset()
        else:
            peer.raw.send_eof()
        assert server.sockets[0].closed
        assert server.sockets[0].close_code == 1006
        assert not server.core.connections


def test_closing_from_here_waits_for_the_answer() -> None:
    listener = Echo()
    with socket_server(listener) as server:
        peer = server.connect()
        server.call(server.sockets[0].start_closing, 4000, "enough")
        assert peer.closes() == [(4000, "enough")]
        assert server.sockets[0].closed
        assert not peer.lost
        assert listener.closes == []
        peer.close(4000)
        assert peer.lost
        assert listener.closes == [(4000, "enough")]


def test_what_comes_after_our_close_is_not_delivered() -> None:
    listener = Echo()
    with socket_server(listener) as server:
        peer = server.connect()
        server.call(server.sockets[0].start_closing)
        peer.send("too late")
        peer.close()
        assert listener.messages == []
        assert peer.lost


def test_a_peer_that_does_not_answer_a_close_is_cut_off(caplog: pytest.LogCaptureFixture) -> None:
    listener = Echo()
    caplog.set_level(logging.INFO)
    with socket_server(listener, close_timeout=5.0) as server:
        peer = server.connect()
        server.call(server.sockets[0].start_closing, 1000)
        server.advance(4.5)
        assert not peer.lost
        server.advance(1.0)
        assert peer.lost
        assert peer.transport.aborted
        assert listener.closes == [(1000, "")]
    assert "did not answer the close" in caplog.text


@pytest.mark.parametrize(("code", "reason"), [(1006, ""), (999, ""), (1000, "x" * 124)])
def test_a_close_that_must_not_be_sent_raises(code: int, reason: str) -> None:
    with socket_server(Echo()) as server:
        server.connect()
        with pytest.raises(LocalProtocolError):
            server.sockets[0].start_closing(code, reason)
        assert not server.sockets[0].closed


def test_nothing_is_written_once_it_is_closed() -> None:
    with socket_server(Echo()) as server:
        peer = server.connect()
        peer.close()
        socket = server.sockets[0]
        assert not socket.write_text("late")
        assert not socket.write_bytes(b"late")
        socket.write_frames(b"\x81\x00")
        socket.start_closing(4000)
        with pytest.raises(WebSocketClosed) as closed:
            server.harness.loop.run(socket.send_text("late"))
        assert (closed.value.code, closed.value.reason) == (1000, "")
        assert str(closed.value) == "the WebSocket is closed: 1000"
        assert peer.transport.late == []


def test_on_closed_calls_back_when_it_ends_and_at_once_afterwards() -> None:
    with socket_server(Echo()) as server:
        peer = server.connect()
        ended: list[WebSocket[Any, Any]] = []
        socket = server.sockets[0]

        def fails(_: object) -> None:
            raise ValueError("a callback's own fault")

        socket.on_closed(fails)
        socket.on_closed(ended.append)
        assert ended == []
        peer.close()
        assert ended == [socket]
        socket.on_closed(ended.append)
        assert ended == [socket, socket]


# -- a peer that breaks the protocol ----------------------------------------------------------------------------------


@STYLES
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x81\x01a", 1002),  # not masked
        (b"\x83\x80" + MASK, 1002),  # an unknown opcode
        (encode_frame(1, b"\xff", mask=MASK), 1007),
        (encode_frame(2, b"x" * 101, mask=MASK), 1009),
        (encode_frame(1, b"hello", fin=False, mask=MASK) + encode_frame(1, b"again", mask=MASK), 1002),
        (encode_frame(8, b"\x03", mask=MASK), 1002),
    ],
)
def test_a_fault_closes_with_its_code_after_what_came_before(style: str, data: bytes, code: int) -> None:
    with socket_server(made(style), max_message=100, max_frame=100) as server:
        peer = server.connect()
        peer.send_bytes(frames("good") + data + frames("never read"))
        good, close = peer.events()
        assert good == "good"
        assert isinstance(close, Close)
        assert close.code == code
        assert server.sockets[0].close_code == code
        assert peer.transport.eof, "our side is closed"
        peer.send("ignored")
        server.advance(3.0)
        assert peer.lost


def test_fragments_beyond_their_number_are_1009() -> None:
    listener = Echo()
    with socket_server(listener, max_fragments=3) as server:
        peer = server.connect()
        piece = encode_frame(0, b"", fin=False, mask=MASK)
        peer.send_bytes(encode_frame(1, b"", fin=False, mask=MASK) + piece * 3)
        assert [code for code, _ in peer.closes()] == [1009]
        assert listener.messages == []


# -- keep-alive -------------------------------------------------------------------------------------------------------


def test_pings_keep_a_live_peer() -> None:
    with socket_server(Echo(), ping_interval=20.0, ping_timeout=10.0) as server:
        peer = server.connect()
        for _ in range(5):
            server.advance(20.5)
            (data,) = peer.pings()
            peer.pong(data)
        server.advance(9.0)
        assert not peer.lost


def test_a_peer_that_never_answers_a_ping_is_cut_off(caplog: pytest.LogCaptureFixture) -> None:
    listener = Echo()
    caplog.set_level(logging.INFO)
    with socket_server(listener, ping_interval=20.0, ping_timeout=10.0) as server:
        peer = server.connect()
        server.advance(20.5)
        assert len(peer.pings()) == 1
        peer.send("I talk, but I answer no ping")
        peer.pong(b"of another ping")
        server.advance(9.0)
        assert not peer.lost
        server.advance(1.5)
        assert peer.lost
        assert listener.closes == [(1006, "")]
    assert "no answer to a ping within 10 s" in caplog.text


def test_a_peer_that_sends_one_byte_a_minute_is_cut_off() -> None:
    with socket_server(Echo(), ping_interval=20.0, ping_timeout=20.0) as server:
        peer = server.connect()
        data = frames("x" * 50)
        for index in range(3):
            if not peer.lost:
                peer.send_bytes(data[index : index + 1])
                server.advance(60.0)
        assert peer.lost


def test_a_long_message_on_a_slow_line_is_no_dead_peer() -> None:
    with socket_server(Echo(), ping_interval=20.0, ping_timeout=10.0) as server:
        peer = server.connect()
        data = frames("x" * 100_000)
        for start in range(0, len(data), 2000):
            peer.send_bytes(data[start : start + 2000])
            server.advance(9.0)
        pings = peer.events()
        assert isinstance(pings[-1], str)
        assert not peer.lost


@STYLES
def test_a_ping_is_answered(style: str) -> None:
    with socket_server(made(style)) as server:
        peer = server.connect()
        peer.ping(b"hello")
        assert peer.events() == [Pong(b"hello")]


def test_of_a_flood_of_pings_only_the_latest_is_answered() -> None:
    with socket_server(Echo()) as server:
        peer = server.connect()
        peer.send_bytes(b"".join(encode_ping(b"%d" % number, MASK) for number in range(1000)))
        assert peer.events() == [*(Pong(b"%d" % number) for number in range(16)), Pong(b"999")]


@STYLES
def test_a_ping_between_fragments_is_answered_ahead_of_their_message(style: str) -> None:
    with socket_server(made(style)) as server:
        peer = server.connect()
        peer.send_bytes(
            encode_frame(1, b"frag", fin=False, mask=MASK)
            + encode_ping(b"now", MASK)
            + encode_frame(0, b"ments", mask=MASK)
        )
        assert peer.events() == [Pong(b"now"), "fragments"]


def test_a_ping_is_answered_while_the_handler_does_something_else() -> None:
    async def slow(ws: WebSocket) -> None:
        await asyncio.sleep(100)

    with socket_server(slow) as server:
        peer = server.connect()
        peer.send("waits")
        peer.ping(b"now")
        assert peer.events() == [Pong(b"now")]


# -- a peer that does not read ----------------------------------------------------------------------------------------


def test_pings_of_a_peer_that_does_not_read_cost_no_memory() -> None:
    with socket_server(echo) as server:
        peer = server.connect(high=1000)
        peer.transport.room = 0
        server.call(server.sockets[0].write_bytes, b"x" * 70_000)
        before = peer.transport.get_write_buffer_size()
        for number in range(1000):
            peer.ping(b"%d" % number)
        assert peer.transport.get_write_buffer_size() == before
        peer.raw.take(None)
        assert peer.events()[-1:] == [Pong(b"999")]


def test_an_echo_to_a_peer_that_does_not_read_is_bounded_and_cut_off(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    listener = Echo()
    with socket_server(listener, write_limit=10_000) as server:
        peer = server.connect()
        peer.transport.room = 0
        sent = 0
        while peer.transport.reading:
            peer.send(*["x" * 1000] * 20)
            sent += 20
            assert sent < 1000, "reading has to pause"
        assert peer.transport.get_write_buffer_size() < 200_000
        server.advance(60.0)
        assert peer.lost
        assert listener.closes == [(1006, "")]
    assert "does not read" in caplog.text


def test_an_echo_goes_on_when_its_peer_reads_again() -> None:
    with socket_server(Echo(), write_limit=10_000) as server:
        peer = server.connect()
        peer.transport.room = 0
        texts = [f"{number:01000}" for number in range(300)]
        for start in range(0, 300, 20):
            peer.send(*texts[start : start + 20])
        peer.raw.take(None)
        assert peer.messages() == texts
        assert peer.transport.reading


def test_writing_without_waiting_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with socket_server(echo, max_unsent=100_000) as server:
        peer = server.connect()
        peer.transport.room = 0
        socket = server.sockets[0]
        written = 0
        while not socket.closed:
            server.call(socket.write_bytes, b"x" * 10_000)
            written += 1
        assert 10 <= written <= 12
        assert socket.close_code == 1006
        assert peer.lost
    assert "bytes were waiting for it" in caplog.text


def test_send_waits_at_the_high_watermark() -> None:
    sent: list[int] = []

    async def pour(ws: WebSocket) -> None:
        for number in range(100):
            await ws.send_bytes(b"x" * 1000)
            sent.append(number)

    with socket_server(pour, write_limit=10_000) as server:
        peer = server.connect()
        before = len(sent)
        assert before == 100, "a peer that reads is no reason to wait"
        peer.close()
    sent.clear()
    with socket_server(pour, write_limit=10_000) as server:
        client = server.harness.connect()
        client.transport.room = 200
        client.send(handshake())
        assert 8 <= len(sent) <= 12
        client.take(6_000)
        assert 8 <= len(sent) <= 12, "not below the low watermark yet"
        client.take(None)
        assert len(sent) == 100


def test_a_send_that_waits_ends_when_the_peer_is_gone() -> None:
    errors: list[BaseException] = []

    async def pour(ws: WebSocket) -> None:
        try:
            while True:
                await ws.send_text("x" * 1000)
        except WebSocketClosed as error:
            errors.append(error)
            raise

    with socket_server(pour, write_limit=10_000) as server:
        client = server.harness.connect()
        client.transport.room = 200
        client.send(handshake())
        assert errors == []
        client.reset()
        (error,) = errors
        assert isinstance(error, WebSocketClosed)
        assert error.code == 1006
        assert not server.core.connections


def test_on_drained_calls_back_below_the_low_watermark() -> None:
    called: list[int] = []
    with socket_server(Echo(), write_limit=10_000) as server:
        peer = server.connect()
        socket = server.sockets[0]
        socket.on_drained(lambda: called.append(0))
        server.harness.settle()
        assert called == [0], "nothing waits"
        peer.transport.room = 0
        server.call(socket.write_bytes, b"x" * 20_000)
        assert socket.buffered > 19_000
        socket.on_drained(lambda: called.append(1))
        server.harness.settle()
        assert called == [0]
        peer.raw.take(None)
        assert called == [0, 1]
        assert socket.buffered == 0


def test_on_drained_calls_back_when_the_connection_is_gone() -> None:
    called: list[int] = []
    with socket_server(Echo(), write_limit=1000) as server:
        peer = server.connect()
        peer.transport.room = 0
        server.call(server.sockets[0].write_bytes, b"x" * 20_000)
        server.sockets[0].on_drained(lambda: called.append(1))
        peer.raw.reset()
        assert called == [1]


# -- a handler that does not read -------------------------------------------------------------------------------------


def test_reading_pauses_while_the_handler_does_not_receive() -> None:
    taken: list[str | bytes] = []
    go = asyncio.Event()

    async def slow(ws: WebSocket) -> None:
        await go.wait()
        async for message in ws:
            taken.append(message)  # noqa: PERF401 - one by one

    with socket_server(slow, max_queue=10) as server:
        peer = server.connect()
        sent = 0
        while peer.transport.reading:
            peer.send(f"{sent}")
            sent += 1
        assert sent == 10
        server.call(go.set)
        assert peer.transport.reading
        assert taken == [str(number) for number in range(10)]


def test_a_flood_of_tiny_messages_waits_as_bytes() -> None:
    async def never(ws: WebSocket) -> None:
        await asyncio.sleep(1000)

    with socket_server(never, max_queue=4) as server:
        peer = server.connect()
        peer.send_bytes(frames("") * 100_000)
        session = server.sessions[0]
        assert session._queue is not None
        assert len(session._queue) < 12_000
        assert len(session._rest) > 500_000
        assert not peer.transport.reading


def test_a_flood_of_tiny_messages_leaves_others_their_turn() -> None:
    listener = Echo()
    with socket_server(listener) as server:
        peer = server.connect()
        peer.raw.loop.call_soon(peer.transport.feed, frames("") * 1000)
        turns: list[int] = []

        def look() -> None:
            turns.append(len(listener.messages))
            if len(listener.messages) < 1000:
                peer.raw.loop.call_soon(look)

        server.call(look)
        steps = [after - before for before, after in pairwise(turns)]
        assert max(steps) <= 128
        assert listener.messages == [""] * 1000
        assert peer.messages() == [""] * 1000


def test_a_flood_does_not_let_a_handler_run_for_ever() -> None:
    taken: list[object] = []

    async def take(ws: WebSocket) -> None:
        async for message in ws:
            taken.append(message)  # noqa: PERF401 - one by one

    with socket_server(take, max_queue=100_000) as server:
        peer = server.connect()
        peer.raw.loop.call_soon(peer.transport.feed, frames("") * 1000)
        turns: list[int] = []

        def look() -> None:
            turns.append(len(taken))
            if len(taken) < 1000:
                peer.raw.loop.call_soon(look)

        server.call(look)
        assert max(after - before for before, after in pairwise(turns)) <= 128
        assert len(taken) == 1000


# -- shutdown ---------------------------------------------------------------------------------------------------------


def test_a_drain_closes_with_1012_spread_over_its_time() -> None:
    listener = Echo()
    with socket_server(listener, server={"drain_timeout": 20.0}) as server:
        peers = [server.connect() for _ in range(40)]
        for session in server.sessions:
            server.call(session.shut_down)
        closed_at: dict[int, float] = {}
        for tick in range(15):
            server.advance(1.0)
            for index, peer in enumerate(peers):
                if index not in closed_at and peer.closes() == [(1012, "the server is restarting")]:
                    closed_at[index] = tick
                    peer.close(1012)
        assert len(closed_at) == 40
        assert len(set(closed_at.values())) > 5, "not all at once"
        assert listener.closes == [(1012, "the server is restarting")] * 40
        assert not server.core.connections


def test_a_drain_tells_the_handler() -> None:
    ends: list[tuple[int | None, str]] = []

    async def handler(ws: WebSocket) -> None:
        async for _ in ws:
            pass
        ends.append((ws.close_code, ws.close_reason))

    with socket_server(handler, server={"drain_timeout": 10.0}) as server:
        server.connect()
        server.call(server.sessions[0].shut_down)
        server.advance(7.5)
        assert ends == [(1012, "the server is restarting")]


def test_a_handler_that_goes_on_behind_the_end_is_cancelled() -> None:
    seen: list[str] = []

    async def stubborn(ws: WebSocket) -> None:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError as error:
            seen.append(str(error))
            raise

    with socket_server(stubborn, close_timeout=5.0) as server:
        peer = server.connect()
        peer.close(4001, "bye")
        assert peer.lost
        server.advance(4.0)
        assert seen == []
        assert server.core.connections, "the handler is still under way"
        server.advance(2.0)
        assert seen == ["the WebSocket is closed: 4001 bye"]
        assert not server.core.connections


def test_cancel_ends_all_at_once() -> None:
    seen: list[str] = []

    async def stubborn(ws: WebSocket) -> None:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError as error:
            seen.append(str(error))
            raise

    with socket_server(stubborn) as server:
        peer = server.connect()
        server.call(server.sessions[0].cancel)
        assert seen == ["the server is shutting down"]
        assert peer.closes() == [(1012, "the server is restarting")]
        assert peer.lost


def test_idle_sockets_have_no_deadline_but_the_ping() -> None:
    with socket_server(Echo()) as server:
        peer = server.connect()
        server.advance(10_000.0)
        peer.send("still there")
        assert peer.messages() == ["still there"]
        assert peer.events() == [] or all(isinstance(event, Ping) for event in peer.events())


def test_deadlines_after_a_long_silence_are_whole() -> None:
    with socket_server(Echo(), close_timeout=5.0, ping_interval=None) as server:
        peer = server.connect()
        server.advance(3600.0)
        server.call(server.sockets[0].start_closing)
        server.advance(4.0)
        assert not peer.lost
        server.advance(2.0)
        assert peer.lost


def test_the_exchange_of_the_request_is_the_session() -> None:
    done: list[str] = []

    async def handler(ws: WebSocket) -> None:
        assert ws.request.client is not None
        assert ws.request.client.host == "192.0.2.1"
        assert ws.request.url == "http://example.com/"
        ws.request.background(done.append, "work")
        await ws.receive()

    with socket_server(handler) as server:
        peer = server.connect()
        assert done == ["work"]
        peer.send("a")
        assert peer.closes() == [(1000, "")]
