"""TLS under several workers: reloads, changed files, shutdown."""

from __future__ import annotations

import asyncio
import shutil
import signal
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.support.load import Load
from tests.support.served import cut, fetch, served

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def own(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def names(port: int, authority: Authority) -> list[str]:
    _, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=authority.client(), server_hostname="localhost"
    )
    shown = writer.get_extra_info("peercert")
    await cut(writer)
    return [value for _, value in shown["subjectAltName"]]


async def test_reloads_under_tls_load_lose_no_request(shop: Path, own: Authority) -> None:
    certificate, key = own.issue("localhost", "old.example")
    async with served("shop:app", shop, tls_certificate=certificate, tls_key=key) as server:
        kept = Load(server.port, clients=3, tls=own.client())
        opened = Load(server.port, clients=3, per_connection=2, tls=own.client())
        async with kept, opened:
            await kept.more(20)
            own.issue("localhost", "new.example")
            for _ in range(3):
                server.signal(signal.SIGHUP)
                await server.says("serving: https://")
                await kept.more(20)
                await opened.more(20)
        assert kept.failures + opened.failures == {}
        assert "new.example" in await names(server.port, own)


async def test_a_changed_file_is_noticed_without_a_signal(shop: Path, own: Authority) -> None:
    certificate, key = own.issue("localhost", "old.example")
    files = {"tls_certificate": certificate, "tls_key": key}
    async with served("shop:app", shop, workers=1, tls_check_interval=0.05, **files) as server:
        async with Load(server.port, clients=2, tls=own.client()) as load:
            await load.more(5)
            own.issue("localhost", "new.example")
            async with asyncio.timeout(15):
                while "new.example" not in await names(server.port, own):
                    await load.more(5)
            await load.more(5)
        assert load.failures == {}


async def test_a_reload_with_a_broken_certificate_keeps_the_old_workers(shop: Path, own: Authority) -> None:
    certificate, key = own.issue("localhost", "old.example")
    files = {"tls_certificate": certificate, "tls_key": key}
    async with served("shop:app", shop, tls_check_interval=0.0, **files) as server:
        shutil.copy(own.file, key)
        server.signal(signal.SIGHUP)
        await server.says("the old workers go on")
        await server.says("server.tls_key: .* holds no private key")
        assert "old.example" in await names(server.port, own)
        assert (await fetch(server.port, tls=own.client()))[0] == 200


async def test_a_broken_certificate_ends_the_start(shop: Path, own: Authority) -> None:
    certificate, _ = own.issue("localhost")
    files = {"tls_certificate": certificate, "tls_key": str(own.file)}
    async with served("shop:app", shop, wait=False, **files) as server:
        assert await server.ended() == 2
        assert server.lines == [f"error: server.tls_key: {own.file} holds no private key in PEM form"]
