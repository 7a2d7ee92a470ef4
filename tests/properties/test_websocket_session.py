"""WebSocket sessions, whatever is sent and however it is cut: both styles give the same, and nothing is lost."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from framework.net.websocket.listener import WebSocketListener
from framework.net.websocket.socket import WebSocket
from framework.wire.websocket.events import Close, Pong
from framework.wire.websocket.frames import encode_close, encode_ping
from framework.wire.websocket.leaves import encode_frame
from tests.support.websocket import MASK, frames, socket_server

MESSAGES = st.one_of(st.text(max_size=20), st.binary(max_size=20))


@st.composite
def scripts(draw: Any) -> tuple[bytes, list[Any]]:
    """Bytes of a client, and the events that answer them."""
    data, expected = b"", []
    for _ in range(draw(st.integers(0, 12))):
        kind = draw(st.sampled_from(["message", "fragments", "ping", "ping inside"]))
        message = draw(MESSAGES)
        if kind == "message":
            data += frames(message)
            expected.append(message)
        elif kind == "ping":
            ping = draw(st.binary(max_size=10))
            data += encode_ping(ping, MASK)
            expected.append(Pong(ping))
        else:
            raw = message.encode() if isinstance(message, str) else message
            cut = draw(st.integers(0, len(raw)))
            opcode = 1 if isinstance(message, str) else 2
            data += encode_frame(opcode, raw[:cut], fin=False, mask=MASK)
            if kind == "ping inside":
                data += encode_ping(b"inside", MASK)
                expected.append(Pong(b"inside"))
            data += encode_frame(0, raw[cut:], mask=MASK)
            expected.append(message)
    end = draw(st.sampled_from(["close", "fault", "none"]))
    if end == "close":
        data += encode_close(4000, "bye", MASK)
        expected.append(Close(4000, ""))
    elif end == "fault":
        data += b"\x83\x80" + MASK + b"rubbish"
        expected.append(Close(1002, "an unknown opcode"))
    return data, expected


class Echo(WebSocketListener):
    def on_message(self, ws: WebSocket, message: Any) -> None:
        if isinstance(message, str):
            ws.write_text(message)
        else:
            ws.write_bytes(message)


class AsyncEcho(WebSocketListener):
    async def on_message(self, ws: WebSocket, message: Any) -> None:
        await (ws.send_text(message) if isinstance(message, str) else ws.send_bytes(message))


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


@given(scripts(), st.lists(st.integers(0, 400), max_size=6), st.sampled_from([Echo(), AsyncEcho(), echo]))
def test_any_cut_of_the_bytes_gives_the_same_answers(
    script: tuple[bytes, list[Any]], cuts: list[int], what: Any
) -> None:
    data, expected = script
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    with socket_server(what) as server:
        peer = server.connect()
        for start, stop in pairwise(places):
            peer.send_bytes(data[start:stop])
        assert peer.events() == expected


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["message", "wait", "read", "stop reading", "ping", "flood"]),
            st.integers(0, 40),
        ),
        max_size=20,
    ),
    st.sampled_from([0.0, 0.3, 2.0]),
    st.sampled_from(["listener", "handler"]),
    st.sampled_from(["close", "reset", "eof", "cancel", "shut down"]),
)
@settings(deadline=None)
def test_no_message_is_lost_and_nothing_is_left_however_it_goes(
    steps: list[tuple[str, int]], pause: float, style: str, end: str
) -> None:
    seen: list[int] = []

    class Slow(WebSocketListener):
        async def on_message(self, ws: WebSocket, message: Any) -> None:
            if pause:
                await asyncio.sleep(pause)
            seen.append(int(message))
            ws.write_text("x" * 100)

    async def slow(ws: WebSocket) -> None:
        async for message in ws:
            if pause:
                await asyncio.sleep(pause)
            seen.append(int(message))
            await ws.send_text("x" * 100)

    with socket_server(
        Slow() if style == "listener" else slow, max_queue=4, write_limit=1000, close_timeout=5.0
    ) as server:
        peer = server.connect()
        sent = 0
        for step, size in steps:
            if step == "message":
                peer.send(str(sent))
                sent += 1
            elif step == "flood":
                peer.send(*(str(number) for number in range(sent, sent + size)))
                sent += size
            elif step == "wait":
                server.advance(size / 20)
            elif step == "stop reading":
                peer.transport.room = 0
            elif step == "read":
                peer.raw.take(None)
            else:
                peer.ping(b"%d" % size)
            session = server.sessions[0]
            assert session._queue is None or len(session._queue) <= 4 + 40
        assert seen == list(range(len(seen))), "in order, each once"
        lost = peer.lost
        peer.raw.take(None)
        if end == "close":
            server.advance(3000.0)
            if not lost and not peer.lost:
                assert seen == list(range(sent)), "all of them"
            peer.close()
        elif end == "reset":
            peer.raw.reset()
        elif end == "eof":
            peer.raw.send_eof()
        elif end == "cancel":
            server.call(server.sessions[0].cancel)
        else:
            server.call(server.sessions[0].shut_down)
        server.advance(3000.0)  # a peer's end is seen once there is room to read it
        assert not server.core.connections
        assert not server.core.runners.lent
        assert seen == list(range(len(seen)))
        assert server.core.websockets == 0
