"""The framework: the public channel API."""

from __future__ import annotations

import sys

from framework import App, WebSocket, WebSocketListener, run

app = App()
room = app.channels.channel("room")


class Room(WebSocketListener):
    __slots__ = ()

    def on_open(self, ws: WebSocket) -> None:
        room.subscribe(ws)

    def on_message(self, ws: WebSocket, message: str | bytes) -> None:
        room.publish(message)


app.websocket("/", listener=Room())

if __name__ == "__main__":
    run(app, overrides={"server.port": int(sys.argv[1]), "server.max_connections": 40_000})
