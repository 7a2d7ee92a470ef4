"""The server goes away in phases, each with its deadline; nothing stays behind."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator

import pytest

from framework.http.request import Request
from framework.http.response import Response, StreamingResponse
from framework.net.server import Server
from framework.net.settings import ServerSettings
from tests.support.harness import App, request_bytes
from tests.support.sockets import PATIENCE, connected, serving_app

pytestmark = pytest.mark.anyio


class Gate(App):
    """Its handler waits at ``/`` until the gate is opened, and says that it has begun."""

    def __init__(self) -> None:
        super().__init__(self._wait)
        self.begun = asyncio.Event()
        self.open = asyncio.Event()
        self.add("/quick", self._quick)

    async def _wait(self, request: Request) -> Response:
        self.begun.set()
        await self.open.wait()
        return Response("through")

    async def _quick(self, request: Request) -> Response:
        return Response("quick")


async def stopped(server: Server, task: asyncio.Task[None]) -> None:
    async with asyncio.timeout(PATIENCE):
        await task


async def refused(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return True
    writer.close()
    return False


async def test_drain_answers_what_is_under_way_and_says_close() -> None:
    app = Gate()
    async with serving_app(app, linger_timeout=0.1) as server:
        port = server.port
        async with connected(server) as busy, connected(server) as idle:
            idle.send(request_bytes("GET", "/quick"))
            assert "connection" not in await idle.reply()
            busy.send(request_bytes() * 2)
            await app.begun.wait()
            task = asyncio.create_task(server.shutdown())
            assert await idle.rest() == b"", "the idle connection goes at once"
            assert await refused(port)
            assert not task.done()
            app.open.set()
            reply = await busy.reply()
            assert (reply.body, reply["connection"]) == (b"through", "close")
            assert await busy.rest() == b"", "the second request is not begun"
            await stopped(server, task)


async def test_what_was_sent_when_accepting_stopped_is_answered() -> None:
    """The kernel had the connection already, but the server had not taken it."""
    app = Gate()
    async with serving_app(app, idle_grace=PATIENCE) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(request_bytes("GET", "/quick"))
            await server.shutdown()
            client.settimeout(PATIENCE)
            data = b""
            while piece := client.recv(65_536):
                data += piece
    assert data.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in data
    assert data.endswith(b"quick")


async def test_idle_grace_lets_an_idle_connection_bring_one_more_request() -> None:
    app = Gate()
    async with serving_app(app, idle_grace=PATIENCE) as server, connected(server) as wire:
        wire.send(request_bytes("GET", "/quick"))
        await wire.reply()
        task = asyncio.create_task(server.shutdown())
        for _ in range(10):
            await asyncio.sleep(0)
        wire.send(request_bytes("GET", "/quick"))
        assert (await wire.reply())["connection"] == "close"
        await stopped(server, task)


async def test_cancel_answers_503_to_what_outlives_the_drain() -> None:
    app = Gate()
    async with serving_app(app, drain_timeout=0.05) as server, connected(server) as wire:
        wire.send(request_bytes())
        await app.begun.wait()
        task = asyncio.create_task(server.shutdown())
        reply = await wire.reply()
        assert reply.status == 503
        assert (reply["connection"], reply["retry-after"]) == ("close", "1")
        await stopped(server, task)


async def test_abort_ends_what_outlives_its_cancellation(caplog: pytest.LogCaptureFixture) -> None:
    begun, let_go = asyncio.Event(), asyncio.Event()

    async def stubborn(request: Request) -> Response:
        begun.set()
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                pass
        return Response()

    before = asyncio.all_tasks()
    settings = ServerSettings(port=0, idle_grace=0.0, drain_timeout=0.05, cancel_timeout=0.05)
    server = Server(App(stubborn), settings)
    await server.start()
    async with connected(server) as wire:
        wire.send(request_bytes())
        await begun.wait()
        await stopped(server, asyncio.create_task(server.shutdown()))
        with pytest.raises((EOFError, OSError)):
            await wire.reply()
    assert "1 handlers ignore their cancellation" in caplog.text
    let_go.set()
    async with asyncio.timeout(PATIENCE):
        await asyncio.wait(asyncio.all_tasks() - before)


async def test_a_stream_without_an_end_is_told_and_ends() -> None:
    async def events(request: Request) -> Response:
        stop = asyncio.Event()

        async def pieces() -> AsyncIterator[bytes]:
            yield b"hello "
            await stop.wait()
            yield b"bye"

        response = StreamingResponse(pieces())
        response.on_drain = stop.set
        return response

    async with serving_app(App(events)) as server, connected(server) as wire:
        wire.send(request_bytes())
        await wire.some(20)
        task = asyncio.create_task(server.shutdown())
        assert (await wire.rest()).endswith(b"3\r\nbye\r\n0\r\n\r\n")
        await stopped(server, task)


async def test_background_work_is_waited_for_within_the_drain() -> None:
    done: list[str] = []
    gate = asyncio.Event()

    async def work() -> None:
        await gate.wait()
        done.append("done")

    async def handler(request: Request) -> Response:
        request.background(work)
        return Response()

    async with serving_app(App(handler)) as server:
        async with connected(server) as wire:
            wire.send(request_bytes(connection="close"))
            await wire.reply()
        task = asyncio.create_task(server.shutdown())
        for _ in range(10):
            await asyncio.sleep(0)
        assert not task.done()
        gate.set()
        await stopped(server, task)
    assert done == ["done"]


async def test_background_work_that_outlives_the_drain_is_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(request: Request) -> Response:
        request.background(asyncio.sleep, 1000)
        return Response()

    async with serving_app(App(handler), drain_timeout=0.05) as server:
        async with connected(server) as wire:
            wire.send(request_bytes(connection="close"))
            await wire.reply()
        await server.shutdown()
    assert "cancelled 1 background tasks" in caplog.text


async def test_not_ready_comes_first() -> None:
    seen: list[bool] = []

    def not_ready() -> None:
        seen.append(server.core.draining)

    server = Server(
        Gate(), ServerSettings(port=0, idle_grace=0.0, not_ready_timeout=1000.0), on_not_ready=not_ready
    )
    await server.start()
    task = asyncio.create_task(server.run(signals=()))
    await asyncio.sleep(0)
    server.stop()
    async with connected(server) as wire:
        wire.send(request_bytes("GET", "/quick"))
        assert (await wire.reply()).status == 200, "it still accepts and serves"
    assert seen == [False]
    server.stop()
    await stopped(server, task)


async def test_an_on_not_ready_that_fails_still_stops_accepting() -> None:
    def fails() -> None:
        raise RuntimeError("health checks are broken")

    server = Server(Gate(), ServerSettings(port=0, idle_grace=0.0), on_not_ready=fails)
    await server.start()
    port = server.port
    with pytest.raises(RuntimeError, match="health checks"):
        await server.shutdown()
    assert await refused(port)
    await server.core.close(1.0)


# -- run, stop and signals --------------------------------------------------------------------------------------------


async def test_a_second_stop_cuts_every_wait_short() -> None:
    app = Gate()
    settings = ServerSettings(
        port=0, not_ready_timeout=0.0, idle_grace=1000.0, drain_timeout=1000.0, cancel_timeout=1000.0
    )
    server = Server(app, settings)
    await server.start()
    task = asyncio.create_task(server.run(signals=()))
    async with connected(server) as wire:
        wire.send(request_bytes())
        await app.begun.wait()
        server.stop()
        for _ in range(20):
            await asyncio.sleep(0)
        assert not task.done()
        server.stop()
        await stopped(server, task)
    assert not server.core.connections


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_stops_a_second_one_forces_and_the_old_handlers_come_back(
    number: signal.Signals,
) -> None:
    app = Gate()
    draining = asyncio.Event()
    settings = ServerSettings(port=0, idle_grace=0.0, drain_timeout=1000.0)
    server = Server(app, settings, on_not_ready=draining.set)
    await server.start()

    def mine(*_: object) -> None:
        raise AssertionError("not mine to handle")

    before = signal.signal(number, mine)
    try:
        task = asyncio.create_task(server.run())
        async with connected(server) as wire:
            wire.send(request_bytes())
            await app.begun.wait()
            os.kill(os.getpid(), number)
            await asyncio.wait_for(draining.wait(), PATIENCE)
            assert not task.done()
            os.kill(os.getpid(), number)
            await stopped(server, task)
        assert signal.getsignal(number) is mine
    finally:
        signal.signal(number, before)


async def test_a_run_that_is_cancelled_shuts_down_without_waiting() -> None:
    app = Gate()
    server = Server(app, ServerSettings(port=0, drain_timeout=1000.0))
    await server.start()
    port = server.port
    task = asyncio.create_task(server.run(signals=()))
    async with connected(server) as wire:
        wire.send(request_bytes())
        await app.begun.wait()
        task.cancel()
        async with asyncio.timeout(PATIENCE):
            await asyncio.wait((task,))
    assert task.cancelled()
    assert await refused(port)
    assert not server.core.connections


async def test_more_sockets_may_come_and_go() -> None:
    app = Gate()
    async with serving_app(app) as server:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            sock.listen()
            port = sock.getsockname()[1]
            listener = await server.listen(sock.dup())
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await server.ignore(listener)
        assert await refused(port)
        writer.write(request_bytes("GET", "/quick", connection="close"))
        assert (await reader.read()).endswith(b"quick"), "what was accepted is served"
        writer.close()
        await writer.wait_closed()


async def test_the_log_is_quiet_when_all_goes_well(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    app = Gate()
    async with serving_app(app) as server, connected(server) as wire:
        wire.send(request_bytes("GET", "/quick"))
        await wire.reply()
    assert [record for record in caplog.records if record.name.startswith("framework")] == []
