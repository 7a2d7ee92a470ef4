"""socketify (uWebSockets), its publish and subscribe."""

from __future__ import annotations

import sys
from typing import Any

from socketify import App, CompressOptions


def main(port: int) -> None:
    app = App()

    def opened(socket: Any) -> None:
        socket.subscribe("room")

    def message(socket: Any, data: Any, opcode: Any) -> None:
        app.publish("room", data, opcode)

    app.ws(
        "/",
        {
            "compression": CompressOptions.DISABLED,
            "max_payload_length": 16 << 20,
            "max_backpressure": 16 << 20,
            "open": opened,
            "message": message,
        },
    )
    app.listen(port, lambda config: None)
    app.run()


if __name__ == "__main__":
    main(int(sys.argv[1]))
