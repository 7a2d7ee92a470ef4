"""The same sockets from one program to the next, and what the service manager is told meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.load import Load
from tests.support.served import ROOT, Served, fetch, gone, served, workers_of

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

# As systemd does: the sockets from descriptor 3 on, and the pid of the program itself.
ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "web"}
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Manager:
    """A service manager that hears what it is told."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setblocking(False)

    async def hears(self, key: str, *, deadline: float = 25.0) -> dict[str, str]:
        """The next message that has ``key``; others are passed over."""
        async with asyncio.timeout(deadline):
            while True:
                data = await asyncio.get_running_loop().sock_recv(self.socket, 4096)
                told = dict(line.split("=", 1) for line in data.decode().split("\n"))
                if key in told:
                    return told


@asynccontextmanager
async def managing(folder: Path) -> AsyncGenerator[Manager]:
    manager = Manager(folder / "notify")
    with manager.socket:
        yield manager


async def test_the_manager_is_told_of_start_reload_and_stop(shop: Path) -> None:
    async with (
        managing(shop) as manager,
        served("shop:app", shop, environment={"NOTIFY_SOCKET": str(manager.path)}) as server,
    ):
        told = await manager.hears("READY")
        assert "(2 workers" in told["STATUS"]
        server.signal(signal.SIGHUP)
        assert int((await manager.hears("RELOADING"))["MONOTONIC_USEC"]) > 0
        await manager.hears("READY")
        server.signal(signal.SIGTERM)
        await manager.hears("STOPPING")
        assert await server.ended() == 0


async def test_the_watchdog_gets_signs_of_life_while_a_worker_serves(shop: Path) -> None:
    environment = {"WATCHDOG_USEC": "400000"}
    async with managing(shop) as manager:
        environment["NOTIFY_SOCKET"] = str(manager.path)
        async with served("shop:app", shop, environment=environment):
            for _ in range(3):
                assert await manager.hears("WATCHDOG", deadline=10) == {"WATCHDOG": "1"}


async def test_workers_know_nothing_of_the_manager(shop: Path) -> None:
    with (shop / "shop.py").open("a") as code:
        code.write(
            "\n@app.get('/environment')\ndef environment() -> list[str]:\n"
            "    return [name for name in os.environ if name.startswith(('NOTIFY', 'WATCHDOG', 'LISTEN'))]\n"
        )
    async with managing(shop) as manager:
        environment = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "4000000", "LISTEN_FDS": "1"}
        async with served("shop:app", shop, environment=environment) as server:
            assert await fetch(server.port, "/environment") == (200, "[]")


async def test_sockets_that_systemd_opened_are_served(shop: Path) -> None:
    order = {"target": "shop:app", "path": [str(shop)], "settings": {"port": 1, "workers": 2}}
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", ACTIVATE, str(sock.fileno()), "-m", "tests.support.program", json.dumps(order),
            cwd=ROOT, stderr=asyncio.subprocess.PIPE, pass_fds=[sock.fileno()],
        )  # fmt: skip
        server = Served(process)
        try:
            assert (await server.says(r"serving: http://127.0.0.1:(\d+)"))[1] == str(port)
            async with Load(port, clients=4, per_connection=2) as load:
                server.signal(signal.SIGHUP)
                await server.says("serving: ")
                await load.more(20)
            assert load.failures == {}
            server.signal(signal.SIGTERM)
            assert await server.ended() == 0
        finally:
            await server.close()
        # The socket is the manager's: it outlives the service, and a client waits for the next one.
        socket.create_connection(("127.0.0.1", port), 5).close()


async def test_a_descriptor_that_is_no_socket_ends_the_start(shop: Path) -> None:
    order = {"target": "shop:app", "path": [str(shop)]}
    reader, writer = os.pipe()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ACTIVATE, str(reader), "-m", "tests.support.program", json.dumps(order),
        cwd=ROOT, stderr=asyncio.subprocess.PIPE, pass_fds=[reader],
    )  # fmt: skip
    os.close(reader)
    os.close(writer)
    server = Served(process)
    assert await server.ended() == 2
    assert server.lines == ["error: LISTEN_FDS: descriptor 3 (web) is no socket"]


async def test_a_new_program_takes_the_sockets_and_no_request_is_lost(shop: Path) -> None:
    async with managing(shop) as manager:
        environment = {"NOTIFY_SOCKET": str(manager.path)}
        async with served("shop:app", shop, environment=environment) as server:
            await manager.hears("READY")
            kept = Load(server.port, clients=4)
            opened = Load(server.port, clients=4, per_connection=2)
            async with kept, opened:
                await kept.more(20)
                server.signal(signal.SIGUSR2)
                successor = int((await server.says(r"started anew as process (\d+)"))[1])
                await server.says(f"process {successor} serves; this one goes")
                told = await manager.hears("MAINPID")
                assert told == {"MAINPID": str(successor)}
                await gone(server.pid)
                await kept.more(20)
                await opened.more(20)
                news = {str(pid).encode() for pid in workers_of(successor)}
                assert len(news) == 2
                assert {(await fetch(server.port))[1].encode() for _ in range(20)} <= news
            assert kept.failures + opened.failures == {}
            os.kill(successor, signal.SIGTERM)
            await manager.hears("STOPPING")
            await gone(successor)


async def test_a_new_program_that_does_not_start_leaves_the_old_one_serving(shop: Path) -> None:
    async with served("shop:app", shop) as server:
        before = workers_of(server.pid)
        code = shop / "shop.py"
        good = code.read_text()
        code.write_text("def broken(:\n")
        server.signal(signal.SIGUSR2)
        await server.says("SyntaxError")
        await server.says("the new program ended before it served.*; this one goes on")
        assert workers_of(server.pid) == before
        assert (await fetch(server.port))[0] == 200
        code.write_text(good)
        server.signal(signal.SIGHUP)
        await server.says("serving: ")


async def test_a_unix_socket_passes_on_and_its_file_stays(shop: Path) -> None:
    path = str(shop / "socket")
    async with served("shop:app", shop, unix_socket=path) as server:
        server.signal(signal.SIGUSR2)
        successor = int((await server.says(r"started anew as process (\d+)"))[1])
        await gone(server.pid)
        assert (await fetch(0, path=path))[0] == 200
        os.kill(successor, signal.SIGTERM)
        await gone(successor)
