"""A gateway in front of upstreams that do as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

from framework import App
from framework.plugins.gateway import Gateway, GatewayPlugin
from framework.testing import TestClient
from tests.support.scripted import Peer, Play, listening

__all__ = ["Front", "Line", "gateway_before"]


class Line:
    """A raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    async def read_until(self, mark: bytes) -> bytes:
        async with asyncio.timeout(10):
            return await self._reader.readuntil(mark)

    async def read_to_end(self) -> bytes:
        async with asyncio.timeout(10):
            data = await self._reader.read()
        self.close()
        return data

    def close(self) -> None:
        self._writer.close()

    async def closed(self) -> None:
        self.close()
        with suppress(OSError):
            await self._writer.wait_closed()


class Front:
    """The gateway's client, and what stands behind it.

    Attributes:
        peers: the connections that each upstream got, by its name.
    """

    def __init__(self, client: TestClient, gateway: Gateway, peers: Mapping[str, list[Peer]]) -> None:
        self.client = client
        self.gateway = gateway
        self.peers = peers
        self.lines: list[Line] = []

    async def dial(self) -> Line:
        """A connection to the gateway that sends what it is told."""
        assert self.client.server is not None
        host, _, port = self.client.server.urls[0].removeprefix("http://").rpartition(":")
        line = Line(*await asyncio.open_connection(host, int(port)))
        self.lines.append(line)
        return line


@asynccontextmanager
async def gateway_before(
    upstreams: Mapping[str, Play],
    config: Callable[[dict[str, str]], Mapping[str, Any]],
    *,
    server: Mapping[str, object] | None = None,
    **options: Any,
) -> AsyncGenerator[Front]:
    """Starts the upstreams, and a gateway whose configuration is made of their URLs."""
    async with AsyncExitStack() as stack:
        urls: dict[str, str] = {}
        peers: dict[str, list[Peer]] = {}
        for name, play in upstreams.items():
            address, peers[name] = await stack.enter_async_context(listening(play))
            urls[name] = f"http://{address}"
        plugin = GatewayPlugin(**options)
        app = App()
        app.install(plugin)
        settings: dict[str, object] = {"gateway": dict(config(urls))}
        settings |= {f"server.{key}": value for key, value in (server or {}).items()}
        client = await stack.enter_async_context(TestClient(app, transport="socket", settings=settings))
        assert plugin.gateway is not None
        front = Front(client, plugin.gateway, peers)
        try:
            yield front
        finally:
            for line in front.lines:
                await line.closed()
