"""The server on real sockets, on plain asyncio and on uvloop."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import anyio
import pytest

from framework.errors import PeerClosed, SetupError
from framework.http.request import Request
from framework.http.response import Response, StreamingResponse
from framework.net.server import Server
from framework.net.settings import ServerSettings
from tests.support.harness import App, request_bytes
from tests.support.sockets import PATIENCE, connected, serving_app

pytestmark = pytest.mark.anyio

NUMBER: ContextVar[int] = ContextVar("number", default=0)


async def hello(request: Request) -> Response:
    return Response("hello")


async def echo(request: Request) -> Response:
    return Response(await request.body())


async def test_requests_are_answered_and_the_connection_lives_on() -> None:
    async with serving_app(App(hello)) as server:
        assert server.urls == [f"http://127.0.0.1:{server.port}"]
        async with connected(server) as wire:
            for _ in range(3):
                wire.send(request_bytes())
                assert (await wire.reply()).body == b"hello"
            wire.send(request_bytes(connection="close"))
            assert (await wire.reply())["connection"] == "close"
            assert await wire.rest() == b""


async def test_many_connections_at_once() -> None:
    async def handler(request: Request) -> Response:
        if int(request.query_string) % 2:
            await asyncio.sleep(0)
        return Response(request.query_string)

    async with serving_app(App(handler)) as server:

        async def client(number: int) -> None:
            async with connected(server) as wire:
                wire.send(request_bytes("GET", f"/?{number}") * 5)
                for _ in range(5):
                    assert (await wire.reply()).body == b"%d" % number

        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            for number in range(200):
                group.create_task(client(number))


async def test_small_writes_are_not_delayed() -> None:
    """TCP_NODELAY is set on what the server accepts."""
    seen: list[int] = []

    async def handler(request: Request) -> Response:
        sock = request.exchange.extra("socket")
        seen.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        return Response()

    async with serving_app(App(handler)) as server, connected(server) as wire:
        wire.send(request_bytes())
        await wire.reply()
    assert seen[0] != 0


async def test_a_large_body_comes_in_and_goes_out() -> None:
    app = App(echo, max_body=20_000_000)
    body = os.urandom(1000) * 8000
    async with serving_app(app) as server, connected(server) as wire:
        wire.send(request_bytes("POST", body=body))
        reply = await wire.reply()
        assert reply.body == body


async def test_a_client_that_does_not_read_pauses_the_producer_and_is_cut() -> None:
    made = 0
    ended = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal made
        try:
            while True:
                made += 1
                yield b"x" * 65_536
        finally:
            ended.set()

    async def handler(request: Request) -> Response:
        return StreamingResponse(pieces())

    async with serving_app(App(handler), write_timeout=0.2) as server, connected(server, limit=1024) as wire:
        wire.stop_reading()
        wire.send(request_bytes())
        async with asyncio.timeout(PATIENCE):
            await ended.wait()
        assert made < 500, "no more than the buffers of the system take"


async def test_a_slow_reader_gets_everything() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield b"x" * 50_000

    async def handler(request: Request) -> Response:
        return StreamingResponse(pieces(), length=10_000_000)

    async with serving_app(App(handler)) as server, connected(server, limit=1024) as wire:
        wire.send(request_bytes())
        for _ in range(10):
            await wire.some(1_000_000)


@pytest.mark.parametrize("how", ["reset", "close", "eof"])
async def test_a_disconnect_cancels_the_handler(how: str) -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def handler(request: Request) -> Response:
        started.set()
        try:
            await asyncio.sleep(1000)
        finally:
            ended.set()
        return Response()

    async with serving_app(App(handler)) as server, connected(server) as wire:
        wire.send(request_bytes())
        async with asyncio.timeout(PATIENCE):
            await started.wait()
            if how == "reset":
                wire.reset()
            elif how == "close":
                await wire.close()
            else:
                wire.send_eof()
            await ended.wait()


async def test_a_disconnect_is_peer_closed_to_whoever_reads_the_body() -> None:
    seen: list[BaseException] = []
    started, ended = asyncio.Event(), asyncio.Event()

    async def handler(request: Request) -> Response:
        started.set()
        try:
            return Response(await request.body())
        except BaseException as error:
            seen.append(error)
            raise
        finally:
            ended.set()

    async with serving_app(App(handler)) as server, connected(server) as wire:
        wire.send(request_bytes("POST", content_length="10"))
        async with asyncio.timeout(PATIENCE):
            await started.wait()
            await wire.close()
            await ended.wait()
    assert [type(error) for error in seen] == [PeerClosed]


async def test_half_close_lets_everything_be_answered() -> None:
    async def handler(request: Request) -> Response:
        await asyncio.sleep(0)
        return Response(request.query_string)

    async with serving_app(App(handler), half_close=True) as server, connected(server) as wire:
        wire.send(b"".join(request_bytes("GET", f"/?{number}") for number in range(5)))
        wire.send_eof()
        for number in range(5):
            assert (await wire.reply()).body == b"%d" % number
        assert await wire.rest() == b""


async def test_a_refused_client_gets_to_see_why_although_it_goes_on_sending() -> None:
    async with serving_app(App(echo, max_body=10)) as server, connected(server) as wire:
        wire.send(request_bytes("POST", content_length="10000000"))
        for _ in range(20):
            wire.send(b"x" * 10_000)
        assert (await wire.reply()).status == 413
        assert await wire.rest() == b""


async def test_deadlines_run_on_the_real_clock() -> None:
    async def slow(request: Request) -> Response:
        await asyncio.sleep(1000)
        return Response()

    app = App(hello)
    app.add("/slow", slow, timeout=0.1)
    async with serving_app(app, header_timeout=0.1, keep_alive_timeout=0.1) as server:
        async with connected(server) as silent, connected(server) as loris, connected(server) as idle:
            loris.send(b"GET / HT")
            idle.send(request_bytes())
            assert (await loris.reply()).status == 408
            assert (await idle.reply()).status == 200
            assert await silent.rest() == await idle.rest() == b""
        async with connected(server) as wire:
            wire.send(request_bytes("GET", "/slow"))
            assert (await wire.reply()).status == 504


async def primitives(request: Request) -> Response:
    """What tests/unit/net/test_connection_handlers.py does at length, on the loops people use."""
    before = asyncio.current_task()
    seen: list[Any] = [NUMBER.get()]
    NUMBER.set(1)
    try:
        async with asyncio.timeout(0):
            await asyncio.sleep(1000)
    except TimeoutError:
        seen.append("timed out")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(asyncio.sleep(0, "child"))
    seen.append(task.result())
    with anyio.move_on_after(0) as scope:
        await anyio.sleep(1000)
    seen.append(scope.cancelled_caught)
    seen.append(await asyncio.shield(asyncio.sleep(0, "shielded")))
    seen.append(await asyncio.to_thread(NUMBER.get))
    assert before is asyncio.current_task()
    assert before is not None
    seen.append(before.cancelling())
    return Response(repr(seen))


async def test_every_primitive_works_in_a_handler() -> None:
    async with serving_app(App(primitives)) as server, connected(server) as wire:
        for _ in range(3):
            wire.send(request_bytes())
            assert (await wire.reply()).body == b"[0, 'timed out', 'child', True, 'shielded', 1, 0]"


# -- starting ---------------------------------------------------------------------------------------------------------


async def test_a_port_that_is_taken_is_told_of_at_the_start() -> None:
    async with serving_app(App(hello)) as server:
        with pytest.raises(SetupError, match=f"cannot listen on 127.0.0.1:{server.port}: the port is taken"):
            await Server(App(hello), ServerSettings(port=server.port)).start()
        async with connected(server) as wire:
            wire.send(request_bytes())
            assert (await wire.reply()).status == 200


async def test_a_runtime_that_does_not_start_leaves_nothing_open() -> None:
    class Broken(App):
        def started(self, core: Any) -> None:
            raise RuntimeError("not today")

    before = asyncio.all_tasks()
    server = Server(Broken(hello), ServerSettings(port=0))
    with pytest.raises(RuntimeError, match="not today"):
        await server.start()
    assert asyncio.all_tasks() == before


async def test_a_server_that_was_not_started_says_so() -> None:
    server = Server(App(hello), ServerSettings())
    assert server.urls == []
    for ask in (lambda: server.core, lambda: server.port):
        with pytest.raises(RuntimeError):
            ask()


async def test_sockets_may_be_given() -> None:
    with socket.socket() as first, socket.socket() as second:
        for sock in (first, second):
            sock.bind(("127.0.0.1", 0))
            sock.listen()
        server = Server(App(hello), ServerSettings(idle_grace=0.0), sockets=[first, second])
        await server.start()
        assert len(server.urls) == 2
        for sock in (first, second):
            reader, writer = await asyncio.open_connection(*sock.getsockname())
            writer.write(request_bytes(connection="close"))
            assert (await reader.read()).startswith(b"HTTP/1.1 200")
            writer.close()
            await writer.wait_closed()
        await server.shutdown()


# -- unix sockets -----------------------------------------------------------------------------------------------------


async def test_a_unix_socket_is_served_and_its_file_removed(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"

    async def who(request: Request) -> Response:
        return Response(f"{request.client} {request.url}")

    async with serving_app(App(who), unix_socket=str(path)) as server:
        assert server.urls == [f"unix:{path}"]
        with pytest.raises(RuntimeError, match="no TCP socket"):
            _ = server.port
        async with connected(server) as wire:
            wire.send(request_bytes())
            assert (await wire.reply()).body == b"None http://example.com/"
        with pytest.raises(SetupError, match="listens there already"):
            await Server(App(who), ServerSettings(unix_socket=str(path))).start()
        assert path.exists()
    assert not path.exists()


async def test_a_stale_socket_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(path))
    async with serving_app(App(hello), unix_socket=str(path)) as server, connected(server) as wire:
        wire.send(request_bytes())
        assert (await wire.reply()).status == 200


def names(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


async def test_the_file_of_a_shared_unix_socket_stays(tmp_path: Path) -> None:
    path = str(tmp_path / "app.sock")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        sock.listen()
        server = Server(App(hello), ServerSettings(idle_grace=0.0), sockets=[sock.dup()], shared=True)
        await server.start()
        await server.shutdown()
        assert names(tmp_path) == ["app.sock"]
