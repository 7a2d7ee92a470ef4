"""The listener style: callbacks in order, plain or async, and what becomes of those that fail or never end."""

from __future__ import annotations

import asyncio
import logging
from contextvars import ContextVar
from typing import Any

import pytest

from framework.errors import WebSocketClosed
from framework.net.websocket.listener import WebSocketListener
from framework.net.websocket.socket import WebSocket
from framework.wire.websocket.events import Close
from tests.support.websocket import frames, socket_server


class Recorder(WebSocketListener):
    """Async callbacks that each wait ``pause`` seconds, or not at all."""

    def __init__(self, pause: float | None = None) -> None:
        self.pause = pause
        self.seen: list[Any] = []
        self.running = 0

    async def _wait(self) -> None:
        self.running += 1
        assert self.running == 1, "callbacks of one WebSocket run one after the other"
        if self.pause is not None:
            await asyncio.sleep(self.pause)
        self.running -= 1

    async def on_open(self, ws: WebSocket) -> None:
        await self._wait()
        self.seen.append("open")

    async def on_message(self, ws: WebSocket, message: str | bytes) -> None:
        await self._wait()
        self.seen.append(message)
        ws.write_text(f"{message!s}!")

    async def on_close(self, ws: WebSocket, code: int, reason: str) -> None:
        await self._wait()
        self.seen.append((code, reason))


@pytest.mark.parametrize("pause", [None, 0.0, 0.5])
def test_async_callbacks_keep_their_order(pause: float | None) -> None:
    listener = Recorder(pause)
    with socket_server(listener) as server:
        peer = server.connect()
        peer.send("a", "b")
        peer.send("c")
        server.advance(5.0)
        assert peer.messages() == ["a!", "b!", "c!"]
        peer.send("d")
        server.advance(5.0)
        peer.close(1000, "bye")
        server.advance(5.0)
        assert listener.seen == ["open", "a", "b", "c", "d", (1000, "bye")]


def test_no_task_is_left_once_a_callback_has_ended() -> None:
    with socket_server(Recorder(0.5)) as server:
        peer = server.connect()
        server.advance(1.0)
        assert not server.core.runners.lent
        peer.send("a")
        assert len(server.core.runners.lent) == 1
        server.advance(1.0)
        assert not server.core.runners.lent


def test_messages_that_came_before_the_end_are_delivered_before_on_close() -> None:
    listener = Recorder(0.5)
    with socket_server(listener) as server:
        peer = server.connect()
        peer.send("a", "b", "c")
        peer.close(1000, "bye")
        assert peer.lost
        server.advance(10.0)
        assert listener.seen == ["open", "a", "b", "c", (1000, "bye")]


def test_reading_pauses_while_a_callback_waits() -> None:
    listener = Recorder(10.0)
    with socket_server(listener, max_queue=5) as server:
        peer = server.connect()
        sent = 0
        while peer.transport.reading:
            peer.send(f"{sent}")
            sent += 1
            assert sent < 10
        server.advance(200.0)
        assert listener.seen == ["open", *map(str, range(sent))]
        assert peer.transport.reading


@pytest.mark.parametrize("callback", ["on_open", "on_message", "on_close"])
@pytest.mark.parametrize("kind", ["plain", "async", "suspended"])
def test_a_callback_that_fails_closes_with_1011_and_is_logged(
    callback: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("the callback's fault")

    async def fail_async(*_: object) -> None:
        if kind == "suspended":
            await asyncio.sleep(0.1)
        raise ValueError("the callback's fault")

    function = fail if kind == "plain" else fail_async
    listener = type("Failing", (WebSocketListener,), {callback: function, "__slots__": ()})()
    with socket_server(listener) as server:
        peer = server.connect()
        server.advance(1.0)
        peer.send("a")
        server.advance(1.0)
        if callback == "on_close":
            peer.close()
            server.advance(1.0)
            assert peer.closes() == [(1000, "")]
        else:
            assert peer.closes() == [(1011, "")]
            peer.close(1011)
    failed = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(failed) == 1
    assert failed[0].exc_info is not None
    assert isinstance(failed[0].exc_info[1], ValueError)
    request = server.sockets[0].request
    assert request.id in failed[0].getMessage()
    assert failed[0].__dict__["request"] is request


def test_a_plain_callback_may_return_anything() -> None:
    class Terse(WebSocketListener):
        __slots__ = ()
        on_message: Any = staticmethod(lambda ws, message: ws.write_text(message))

    with socket_server(Terse()) as server:
        peer = server.connect()
        peer.send("a", "b")
        assert peer.messages() == ["a", "b"]


def test_a_callback_that_never_ends_is_cancelled_after_the_close_timeout() -> None:
    seen: list[object] = []

    class Stuck(WebSocketListener):
        async def on_message(self, ws: WebSocket, message: object) -> None:
            try:
                await asyncio.sleep(10_000)
            except asyncio.CancelledError as error:
                seen.append(str(error))
                raise

        def on_close(self, ws: WebSocket, code: int, reason: str) -> None:
            seen.append(code)

    with socket_server(Stuck(), close_timeout=5.0) as server:
        peer = server.connect()
        peer.send("a", "b")
        peer.raw.reset()
        server.advance(4.0)
        assert seen == []
        server.advance(2.0)
        assert seen == ["the WebSocket is closed: 1006", 1006]
        assert not server.core.connections


def test_a_send_to_a_closed_socket_in_a_callback_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    class Late(WebSocketListener):
        async def on_message(self, ws: WebSocket, message: Any) -> None:
            await asyncio.sleep(1.0)
            await ws.send_text("too late")

    with socket_server(Late()) as server:
        peer = server.connect()
        peer.send("a")
        peer.raw.reset()
        server.advance(2.0)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_async_callbacks_run_in_a_task_from_their_first_step_on() -> None:
    tasks: list[Any] = []

    class Timed(WebSocketListener):
        async def on_message(self, ws: WebSocket, message: Any) -> None:
            tasks.append(asyncio.current_task())
            try:
                async with asyncio.timeout(0.5):
                    tasks.append(asyncio.current_task())
                    await asyncio.sleep(10)
            except TimeoutError:
                tasks.append(asyncio.current_task())
                ws.write_text("late")

    with socket_server(Timed()) as server:
        peer = server.connect()
        peer.send("a")
        server.advance(1.0)
        assert peer.messages() == ["late"]
        assert len(set(tasks)) == 1
        assert tasks[0] is not None


def test_context_variables_of_one_callback_are_not_those_of_another() -> None:
    variable: ContextVar[str] = ContextVar("variable", default="pristine")
    seen: list[str] = []

    class Setting(WebSocketListener):
        async def on_message(self, ws: WebSocket, message: Any) -> None:
            seen.append(variable.get())
            variable.set(str(message))

    with socket_server(Setting()) as server:
        one, two = server.connect(), server.connect()
        one.send("a")
        two.send("b")
        one.send("c")
    assert seen == ["pristine"] * 3


def test_closing_in_a_callback_ends_the_rest_of_the_batch() -> None:
    seen: list[object] = []

    class Closing(WebSocketListener):
        def on_message(self, ws: WebSocket, message: Any) -> None:
            seen.append(message)
            ws.write_text("bye")
            ws.start_closing(4000, "done")

    with socket_server(Closing()) as server:
        peer = server.connect()
        peer.send("a", "b", "c")
        assert peer.events() == ["bye", Close(4000, "done")]
        assert seen == ["a"]


def test_close_waits_for_the_peer_and_is_bounded() -> None:
    done: list[float] = []

    class Closing(WebSocketListener):
        async def on_message(self, ws: WebSocket, message: Any) -> None:
            await ws.close(4000)
            done.append(asyncio.get_running_loop().time())

    with socket_server(Closing(), close_timeout=3.0) as server:
        peer = server.connect()
        start = server.harness.loop.time()
        peer.send("a")
        server.advance(10.0)
        assert peer.lost
        assert 3.0 <= done[0] - start <= 3.6


def test_clean_ups_are_closed_at_the_end_with_what_failed() -> None:
    closed: list[object] = []

    class Held:
        async def close(self, error: BaseException | None = None) -> None:
            await asyncio.sleep(0.1)
            closed.append(error)

    class Failing(WebSocketListener):
        def on_message(self, ws: WebSocket, message: Any) -> None:
            if message == "fail":
                raise ValueError("on purpose")

    with socket_server(Failing(), held=Held) as server:
        fine, failed = server.connect(), server.connect()
        fine.send("a")
        failed.send("fail")
        failed.close()
        fine.close()
        assert closed == []
        server.advance(1.0)
        assert sorted(map(repr, closed)) == ["None", "ValueError('on purpose')"]
        assert not server.core.connections


def test_a_shared_listener_hears_of_all() -> None:
    listener = Recorder()
    with socket_server(listener) as server:
        one, two = server.connect(), server.connect()
        one.send("a")
        two.send("b")
        assert listener.seen == ["open", "open", "a", "b"]
        assert server.sockets[0] is not server.sockets[1]


def test_a_plain_listener_that_sends_by_frames() -> None:
    with socket_server(Recorder()) as server:
        peer = server.connect()
        server.call(server.sockets[0].write_frames, b"\x81\x02hi")
        assert peer.messages() == ["hi"]
        assert server.sockets[0].deflater is None
        assert frames("") != b""


def test_a_closed_error_that_is_not_of_this_socket_is_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    class Relay(WebSocketListener):
        def on_message(self, ws: WebSocket, message: Any) -> None:
            raise WebSocketClosed(1006, "another one's")

    with socket_server(Relay()) as server:
        peer = server.connect()
        peer.send("a")
        assert peer.closes() == [(1011, "")]
    assert "a WebSocket handler failed" in caplog.text


def test_an_on_close_that_never_ends_is_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[str] = []

    class Stuck(WebSocketListener):
        async def on_close(self, ws: WebSocket, code: int, reason: str) -> None:
            try:
                await asyncio.sleep(10_000)
            except asyncio.CancelledError:
                seen.append("cancelled")
                await asyncio.sleep(20.0)

    with socket_server(Stuck(), close_timeout=5.0, server={"cancel_timeout": 2.0}) as server:
        server.connect().raw.reset()
        server.advance(6.0)
        assert seen == ["cancelled"]
        assert "ignores its cancellation" not in caplog.text
        server.advance(5.0)
        assert "ignores its cancellation" in caplog.text
        server.advance(20.0)
        assert not server.core.connections
