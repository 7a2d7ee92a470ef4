"""The handler style: a handler is stepped where a message comes in, and all of asyncio works in it all the same."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import pytest

from framework.errors import WebSocketClosed
from framework.net.websocket.socket import WebSocket
from framework.wire.websocket.events import Close
from tests.support.websocket import frames, handshake, socket_server


def test_the_handler_that_ends_closes_with_1000() -> None:
    async def short(ws: WebSocket) -> None:
        await ws.send_text("hello")

    with socket_server(short) as server:
        peer = server.connect()
        assert peer.events() == ["hello", Close(1000, "")]
        peer.close()
        assert peer.lost
        assert not server.core.connections


@pytest.mark.parametrize("when", ["at once", "suspended", "stepped"])
def test_a_handler_that_fails_closes_with_1011_and_is_logged(
    when: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def failing(ws: WebSocket) -> None:
        if when == "suspended":
            await asyncio.sleep(0.1)
        if when == "stepped":
            await ws.receive()
        raise ValueError("the handler's fault")

    with socket_server(failing) as server:
        peer = server.connect()
        peer.send("a")
        server.advance(1.0)
        assert peer.closes() == [(1011, "")]
        peer.close(1011)
        assert not server.core.connections
    (record,) = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "the handler's fault"
    assert server.sockets[0].request.id in record.getMessage()


def test_a_message_costs_no_turn_of_the_loop() -> None:
    async def echo(ws: WebSocket) -> None:
        async for message in ws:
            await ws.send(message)

    with socket_server(echo) as server:
        peer = server.connect()
        peer.send("first")
        peer.messages()
        answered: list[bool] = []

        def feed() -> None:
            before = len(peer.transport.writes)
            peer.transport.feed(frames("now"))
            answered.append(len(peer.transport.writes) == before + 1)

        server.call(feed)
        assert answered == [True]


def test_current_task_is_one_and_the_same() -> None:
    tasks: list[Any] = []

    async def handler(ws: WebSocket) -> None:
        tasks.append(asyncio.current_task())
        await ws.receive()
        tasks.append(asyncio.current_task())
        await asyncio.sleep(0.1)
        tasks.append(asyncio.current_task())
        await ws.receive()
        tasks.append(asyncio.current_task())
        await ws.receive()
        tasks.append(asyncio.current_task())

    with socket_server(handler) as server:
        peer = server.connect()
        for _ in range(3):
            peer.send("a")
            server.advance(1.0)
        assert len(tasks) == 5
        assert len(set(tasks)) == 1
        assert tasks[0] is not None


def test_context_variables_last_for_the_whole_handler_and_no_longer() -> None:
    variable: ContextVar[int] = ContextVar("variable", default=0)
    seen: list[int] = []

    async def counting(ws: WebSocket) -> None:
        seen.append(variable.get())
        variable.set(1)
        async for _ in ws:
            seen.append(variable.get())
            variable.set(variable.get() + 1)

    with socket_server(counting) as server:
        for _ in range(3):
            peer = server.connect()
            peer.send("a", "b")
            peer.send("c")
            peer.close()
    assert seen == [0, 1, 2, 3] * 3


@pytest.mark.parametrize("how", ["timeout", "wait_for"])
def test_a_receive_with_a_deadline_loses_no_message(how: str) -> None:
    seen: list[Any] = []

    async def handler(ws: WebSocket) -> None:
        for _ in range(4):
            try:
                if how == "timeout":
                    async with asyncio.timeout(1.0):
                        seen.append(await ws.receive())
                else:
                    seen.append(await asyncio.wait_for(ws.receive(), 1.0))
            except TimeoutError:
                seen.append("late")

    with socket_server(handler) as server:
        peer = server.connect()
        server.advance(1.5)
        peer.send("a")
        server.advance(1.5)
        peer.send("b")
        server.advance(0.1)
        assert seen == ["late", "a", "late", "b"]
        assert peer.closes() == [(1000, "")]


def test_a_cancellation_in_the_turn_of_a_message_loses_none() -> None:
    seen: list[Any] = []
    tasks: list[asyncio.Task[Any]] = []

    async def handler(ws: WebSocket) -> None:
        task = asyncio.create_task(ws.receive())
        tasks.append(task)
        await asyncio.sleep(0)
        with contextlib.suppress(asyncio.CancelledError):
            await task
        seen.append(await ws.receive())

    with socket_server(handler) as server:
        peer = server.connect()

        def feed() -> None:
            peer.transport.feed(frames("kept"))
            tasks[0].cancel()

        server.call(feed)
        assert seen == ["kept"]


def test_two_tasks_cannot_receive_at_once() -> None:
    errors: list[BaseException] = []

    async def handler(ws: WebSocket) -> None:
        first = asyncio.create_task(ws.receive())
        await asyncio.sleep(0)
        try:
            await ws.receive()
        except RuntimeError as error:
            errors.append(error)
        await first

    with socket_server(handler) as server:
        server.connect().send("a")
        assert len(errors) == 1


def test_reading_and_writing_in_two_tasks() -> None:
    async def handler(ws: WebSocket) -> None:
        async def tell() -> None:
            for number in range(3):
                await asyncio.sleep(1.0)
                await ws.send_text(f"tick {number}")

        async with asyncio.TaskGroup() as group:
            group.create_task(tell())
            async for message in ws:
                await ws.send_text(f"got {message!s}")

    with socket_server(handler) as server:
        peer = server.connect()
        peer.send("a")
        server.advance(1.5)
        peer.send("b")
        server.advance(2.0)
        assert peer.messages() == ["got a", "tick 0", "got b", "tick 1", "tick 2"]
        peer.close()
        assert not server.core.connections


def test_another_task_may_receive_while_the_handler_waits_for_something_else() -> None:
    seen: list[Any] = []

    async def handler(ws: WebSocket) -> None:
        async def read() -> None:
            seen.extend([message async for message in ws])

        await asyncio.create_task(read())

    with socket_server(handler) as server:
        peer = server.connect()
        peer.send("a")
        peer.send("b", "c")
        peer.close()
        assert seen == ["a", "b", "c"]


def test_the_loop_ends_at_the_close_and_receive_raises_it() -> None:
    ends: list[Any] = []

    async def handler(ws: WebSocket) -> None:
        async for _ in ws:
            pass
        ends.append((ws.closed, ws.close_code, ws.close_reason))
        try:
            await ws.receive()
        except WebSocketClosed as error:
            ends.append((error.code, error.reason))

    with socket_server(handler) as server:
        peer = server.connect()
        peer.send("a")
        peer.close(4005, "for a reason")
        assert ends == [(True, 4005, "for a reason"), (4005, "for a reason")]


def test_messages_that_waited_are_received_after_the_peer_has_closed() -> None:
    seen: list[Any] = []

    async def slow(ws: WebSocket) -> None:
        async for message in ws:
            await asyncio.sleep(1.0)
            seen.append(message)

    with socket_server(slow) as server:
        peer = server.connect()
        peer.send("a", "b", "c")
        peer.close()
        assert peer.lost
        server.advance(5.0)
        assert seen == ["a", "b", "c"]
        assert not server.core.connections


def test_a_handler_that_waits_between_messages_gets_them_in_order() -> None:
    async def slow(ws: WebSocket) -> None:
        async for message in ws:
            await asyncio.sleep(0.1)
            await ws.send(message)

    with socket_server(slow) as server:
        peer = server.connect()
        texts = [f"{number}" for number in range(50)]
        for text in texts:
            peer.send(text)
            server.advance(0.05)
        server.advance(10.0)
        assert peer.messages() == texts


def test_clean_ups_learn_of_the_handlers_error() -> None:
    closed: list[object] = []

    class Held:
        async def close(self, error: BaseException | None = None) -> None:
            await asyncio.sleep(0.1)
            closed.append(error)

    async def handler(ws: WebSocket) -> None:
        if await ws.receive() == "fail":
            raise ValueError("on purpose")

    with socket_server(handler, held=Held) as server:
        for text in ("fail", "fine"):
            peer = server.connect()
            peer.send(text)
            peer.close()
            server.advance(1.0)
        assert list(map(repr, closed)) == ["ValueError('on purpose')", "None"]
        assert not server.core.connections


def test_clean_ups_of_a_handler_that_never_waited_are_closed_too() -> None:
    closed: list[object] = []

    class Held:
        async def close(self, error: BaseException | None = None) -> None:
            await asyncio.sleep(0.1)
            closed.append(error)

    async def handler(ws: WebSocket) -> None:
        ws.write_text("hello")

    with socket_server(handler, held=Held) as server:
        peer = server.connect()
        assert peer.events() == ["hello", Close(1000, "")]
        server.advance(1.0)
        assert closed == [None]
        peer.close()
        assert not server.core.connections


async def receives(ws: WebSocket) -> None:
    await ws.receive()


async def sends(ws: WebSocket) -> None:
    await ws.send_text("x" * 10_000)


async def closes(ws: WebSocket) -> None:
    await ws.close()


async def waits(ws: WebSocket) -> None:
    await asyncio.sleep(1000)


@pytest.mark.parametrize("awaited", [receives, sends, closes, waits])
@pytest.mark.parametrize("end", ["cancel", "reset", "close", "timeout"])
def test_whatever_a_handler_awaits_it_can_be_ended_there(
    awaited: Callable[[WebSocket], Awaitable[None]], end: str
) -> None:
    ended: list[str] = []

    async def handler(ws: WebSocket) -> None:
        try:
            async with asyncio.timeout(50.0):
                await awaited(ws)
                while awaited is not closes:
                    await awaited(ws)
        except BaseException as error:
            ended.append(type(error).__name__)
            raise

    with socket_server(handler, write_limit=1000, close_timeout=20.0) as server:
        client = server.harness.connect()
        client.transport.room = 200
        client.send(handshake())
        assert ended == []
        if end == "cancel":
            server.call(server.sessions[0].cancel)
            server.advance(31.0)
        elif end == "reset":
            client.reset()
            server.advance(21.0)
        elif end == "close":
            server.call(server.sessions[0].start_closing)
            server.advance(61.0)
        else:
            server.advance(100.0)
        assert len(ended) == (awaited is not closes or end == "cancel")
        assert not server.core.connections


def test_a_handler_that_catches_its_cancellation_may_go_on_for_a_while() -> None:
    log: list[str] = []

    async def handler(ws: WebSocket) -> None:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            log.append("cancelled")
            await asyncio.sleep(1.0)
            log.append("tidied up")
            raise

    with socket_server(handler, close_timeout=1.0) as server:
        peer = server.connect()
        peer.raw.reset()
        server.advance(5.0)
        assert log == ["cancelled", "tidied up"]
        assert not server.core.connections
