"""Apps with connections that last, for tests of shutdown: WebSockets in both styles, and a stream of events."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Final

from framework import App, Request, Response, WebSocket, WebSocketListener
from framework.http.sse import EventStream

__all__ = ["app"]

app = App()


class Echo(WebSocketListener):
    def on_message(self, ws: WebSocket, message: str | bytes) -> None:
        if isinstance(message, str):
            ws.write_text(message)
        else:
            ws.write_bytes(message)


LARGE: Final = 1 << 24
FRAGMENTS: Final = 1 << 18  # Autobahn's 9.3.1 sends 4 MiB in pieces of 64 bytes

app.websocket(
    "/listener",
    listener=Echo(),
    compression=True,
    max_message=LARGE,
    max_frame=LARGE,
    max_fragments=FRAGMENTS,
)


@app.websocket("/handler", compression=True, max_message=LARGE, max_frame=LARGE, max_fragments=FRAGMENTS)
async def handler(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


@app.get("/events")
async def events(request: Request) -> EventStream:
    async def tick() -> AsyncIterator[str]:
        number = 0
        while True:
            yield f"tick {number}"
            number += 1
            await asyncio.sleep(0.05)

    return EventStream(tick(), retry=1.0)


@app.get("/page")
async def page() -> Response:
    """A page that asks for nothing else."""
    return Response("<!doctype html><link rel=icon href=data:,>", media_type="text/html; charset=utf-8")


@app.get("/pid")
async def pid() -> str:
    return str(os.getpid())
