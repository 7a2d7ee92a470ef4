"""WebSockets with the clients that people use: the websockets package, aiohttp, and a browser."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import websockets
from websockets.asyncio.client import connect

from framework import Server, ServerSettings
from framework.net.tls import TLS
from framework.testing import TestClient
from tests.support.browser import browsing, needs_chromium
from tests.support.certificates import Authority
from tests.support.chat_app import app

pytestmark = pytest.mark.anyio

STYLES = pytest.mark.parametrize("style", ["listener", "handler"])


@asynccontextmanager
async def served() -> AsyncIterator[str]:
    async with TestClient(app, transport="socket") as client:
        yield client.url.replace("http://", "ws://")


@STYLES
@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_the_websockets_package(style: str, compression: Any) -> None:
    async with served() as url, connect(f"{url}/{style}", compression=compression, max_size=None) as ws:
        for message in ("", "text", "ünï", b"", bytes(range(256)), "x" * 1_000_000, b"y" * 1_000_000):
            await ws.send(message)
            assert await ws.recv() == message
        await ws.send(["in ", "frag", "ments"])
        assert await ws.recv() == "in fragments"
        await (await ws.ping(b"hello"))
        await ws.close(4000, "bye")
        assert ws.close_code == 4000


@STYLES
async def test_many_messages_of_the_websockets_package_at_once(style: str) -> None:
    async with served() as url, connect(f"{url}/{style}") as ws:
        texts = [f"{number}" * 100 for number in range(2000)]

        async def send() -> None:
            for text in texts:
                await ws.send(text)

        async with asyncio.TaskGroup() as group:
            group.create_task(send())
            assert [await ws.recv() for _ in texts] == texts


async def test_the_websockets_package_sees_faults_as_closes() -> None:
    async with served() as url, connect(f"{url}/listener", compression=None) as ws:
        ws.transport.write(b"\x83\x80\0\0\0\0")
        with pytest.raises(websockets.ConnectionClosedError) as closed:
            await ws.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1002


@STYLES
@pytest.mark.parametrize("compress", [0, 15])
async def test_aiohttp(style: str, compress: int) -> None:
    async with (
        served() as url,
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{url}/{style}", compress=compress, max_msg_size=0) as ws,
    ):
        for text in ("", "text", "x" * 1_000_000):
            await ws.send_str(text)
            assert await ws.receive_str() == text
        await ws.send_bytes(b"z" * 100_000)
        assert await ws.receive_bytes() == b"z" * 100_000
        await ws.ping()
        await ws.close(code=4001)
        assert ws.close_code == 4001


async def test_aiohttp_is_denied() -> None:
    async with served() as url, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as error:
            await session.ws_connect(f"{url}/listener", origin="https://evil.example")
        assert error.value.status == 403


BROWSER_TEST = """
async ({url, size}) => {
    const told = [];
    const ws = new WebSocket(url);
    ws.binaryType = "arraybuffer";
    const next = () => new Promise((resolve, reject) => {
        ws.onmessage = (event) => resolve(event.data);
        ws.onerror = () => reject(new Error("the WebSocket failed"));
    });
    await new Promise((resolve, reject) => { ws.onopen = resolve; ws.onerror = reject; });
    told.push(ws.extensions.includes("permessage-deflate"));
    for (const text of ["", "ünï ☃", "x".repeat(size)]) {
        ws.send(text);
        told.push(await next() === text);
    }
    ws.send(new Uint8Array([1, 2, 3]));
    told.push(new Uint8Array(await next()).join());
    const closed = new Promise((resolve) => { ws.onclose = (event) => resolve([event.code, event.wasClean]); });
    ws.close(4002, "bye");
    told.push(await closed);
    return told;
}
"""


@needs_chromium
@STYLES
async def test_chromium(style: str) -> None:
    async with TestClient(app, transport="socket") as client, browsing() as visit:
        await visit.page.goto(f"{client.url}/page")
        url = f"{client.url.replace('http://', 'ws://')}/{style}"
        told = await visit.page.evaluate(BROWSER_TEST, {"url": url, "size": 500_000})
        assert told == [True, True, True, True, "1,2,3", [4002, True]]
        assert visit.complaints == []


@needs_chromium
async def test_chromium_of_another_origin_is_denied() -> None:
    async with TestClient(app, transport="socket") as client, browsing() as visit:
        await visit.page.goto("about:blank")
        script = "url => new Promise(r => { const w = new WebSocket(url); w.onopen = () => r('open');"
        script += " w.onclose = event => r(event.code); })"
        url = client.url.replace("http://", "ws://")
        assert await visit.page.evaluate(script, f"{url}/listener") == 1006


@STYLES
async def test_over_tls(style: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("localhost")
    runtime = app.build(environ={}, overrides={"server.drain_timeout": 1.0})
    settings = ServerSettings(port=0, tls_certificate=certificate, tls_key=key, idle_grace=0.0)
    async with runtime.running():
        server = Server(runtime, settings, tls=TLS(settings))
        await server.start()
        try:
            url = f"wss://localhost:{server.port}/{style}"
            async with connect(url, ssl=authority.client(), host="127.0.0.1", max_size=None) as ws:
                for message in ("text", "x" * 1_000_000, b"y" * 300_000):
                    await ws.send(message)
                    assert await ws.recv() == message
            assert ws.close_code == 1000
            async with connect(url, ssl=authority.client(), host="127.0.0.1", compression=None) as ws:
                await ws.send("x" * ((1 << 24) + 1))
                with pytest.raises(websockets.ConnectionClosedError) as closed:
                    await ws.recv()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1009
        finally:
            await server.shutdown()
