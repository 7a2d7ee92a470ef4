"""Development reload as a developer sees it: edit, save, refresh."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from tests.support.served import cut, fetch, served

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def edit(folder: Path, old: str, new: str) -> None:
    code = folder / "shop.py"
    code.write_text(code.read_text().replace(old, new))


async def test_a_saved_file_is_named_and_the_next_answer_is_new(shop: Path) -> None:
    async with served("shop:app", shop, reload=[shop]) as server:
        assert (await fetch(server.port))[0] == 200
        edit(shop, "return str(os.getpid())", "return 'new'")
        await server.says(r"changed: .*shop\.py")
        await server.says("starting anew")
        assert await fetch(server.port) == (200, "new"), "asked before the new worker is ready"


async def test_a_syntax_error_is_shown_and_the_next_change_tries_again(shop: Path) -> None:
    async with served("shop:app", shop, reload=[shop]) as server:
        edit(shop, "def pid() -> str:", "def pid( -> str:")
        await server.says("waiting for a change")
        await server.says("SyntaxError")
        waiting = asyncio.create_task(fetch(server.port))
        edit(shop, "def pid( -> str:", "def pid() -> str:")
        assert (await waiting)[0] == 200, "the socket was open all the time: the browser waited"


async def test_an_open_stream_does_not_hold_up_the_restart(shop: Path) -> None:
    async with served("shop:app", shop, reload=[shop]) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /slow?seconds=500 HTTP/1.1\r\nhost: x\r\n\r\n")
        await server.says("the slow handler has begun")
        edit(shop, "return str(os.getpid())", "return 'new'")
        await server.says("starting anew")
        assert await fetch(server.port) == (200, "new")
        await cut(writer)


async def test_ctrl_c_ends_it(shop: Path) -> None:
    async with served("shop:app", shop, reload=[shop]) as server:
        server.signal(signal.SIGINT)
        assert await server.ended() == 0
