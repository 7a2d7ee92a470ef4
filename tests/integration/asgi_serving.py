"""ASGI applications on this server, over real sockets; and on uvicorn."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from framework.asgi.host import ASGIHost
from framework.net.server import Server
from framework.net.settings import ServerSettings
from framework.net.websocket.settings import WebSocketSettings

__all__ = ["on_uvicorn", "serving_asgi"]


@asynccontextmanager
async def serving_asgi(
    app: Any, *, websocket: WebSocketSettings | None = None, **settings: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """Serves ``app``, its lifespan included, until the block ends. The client's ``base_url`` says where."""
    made = ServerSettings(
        port=0, **{"drain_timeout": 2.0, "cancel_timeout": 1.0, "idle_grace": 0.0, **settings}
    )
    host = ASGIHost(app, made, websocket=websocket)
    async with host.running():
        server = Server(host, made, on_not_ready=host.not_ready)
        await server.start()
        try:
            async with _client(server.port) as client:
                yield client
        finally:
            await server.shutdown()


@asynccontextmanager
async def on_uvicorn(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Serves ``app`` by uvicorn, in this loop."""
    import uvicorn

    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="warning", loop="none", ws="websockets-sansio")
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    # uvicorn closes the socket; the app's lifespan runs in there.
    task = asyncio.create_task(server._serve(sockets=[sock]))
    try:
        while not server.started:
            if task.done():
                await task
                raise RuntimeError("uvicorn did not start")
            await asyncio.sleep(0)
        async with _client(sock.getsockname()[1]) as client:
            yield client
    finally:
        server.should_exit = True
        await task
        sock.close()


def _client(port: int) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10, trust_env=False)
