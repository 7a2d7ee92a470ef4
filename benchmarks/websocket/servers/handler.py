"""The framework, a handler that iterates its WebSocket."""

from __future__ import annotations

import sys

from framework import App, WebSocket, run

app = App()


@app.websocket("/")
async def echo(ws: WebSocket) -> None:
    async for message in ws:
        if isinstance(message, str):
            await ws.send_text(message)
        else:
            await ws.send_bytes(message)


if __name__ == "__main__":
    overrides = {"server.port": int(sys.argv[1]), "server.max_connections": 40_000}
    run(app, overrides=overrides)
