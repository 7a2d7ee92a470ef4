"""The framework, listener style."""

from __future__ import annotations

import sys

from framework import App, WebSocket, WebSocketListener, run


class Echo(WebSocketListener):
    __slots__ = ()

    def on_message(self, ws: WebSocket, message: str | bytes) -> None:
        if isinstance(message, str):
            ws.write_text(message)
        else:
            ws.write_bytes(message)


app = App()
app.websocket("/", listener=Echo())

if __name__ == "__main__":
    overrides = {"server.port": int(sys.argv[1]), "server.max_connections": 40_000}
    run(app, overrides=overrides)
