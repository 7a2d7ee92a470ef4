"""WebSockets among the metrics: an upgrade is an answer of 101, and open ones are told."""

from __future__ import annotations

import asyncio

from framework import App, WebSocket
from framework.plugins.logs import Logging
from framework.plugins.metrics import Metrics
from framework.testing import TestClient


def test_an_upgrade_counts_as_101_and_open_websockets_are_told() -> None:
    app = App()
    app.install(Metrics())
    app.install(Logging())

    @app.websocket("/echo")
    async def echo(ws: WebSocket) -> None:
        async for message in ws:
            await ws.send(message)

    async def run() -> None:
        async with TestClient(app) as client:
            async with client.websocket("/echo") as ws:
                await ws.send_text("hello")
                assert await ws.receive() == "hello"
                text = (await client.get("/metrics")).text
                assert 'http_requests_total{method="GET",route="/echo",status="101"} 1.0' in text
                assert "\nframework_websockets 1.0\n" in text
            for _ in range(10):
                await asyncio.sleep(0)
            assert "\nframework_websockets 0.0\n" in (await client.get("/metrics")).text

    asyncio.run(run())
