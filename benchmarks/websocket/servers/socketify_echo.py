"""socketify (uWebSockets)."""

from __future__ import annotations

import sys
from typing import Any

from socketify import App, CompressOptions


def main(port: int) -> None:
    def message(socket: Any, data: Any, opcode: Any) -> None:
        socket.send(data, opcode)

    app = App()
    app.ws(
        "/",
        {"compression": CompressOptions.DISABLED, "max_payload_length": 16 << 20, "message": message},
    )
    app.listen(port, lambda config: None)
    app.run()


if __name__ == "__main__":
    main(int(sys.argv[1]))
