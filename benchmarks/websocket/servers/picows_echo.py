"""picows on uvloop."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server


class Echo(WSListener):  # type: ignore[misc]
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        elif frame.msg_type == WSMsgType.TEXT:
            transport.send(WSMsgType.TEXT, frame.get_payload_as_utf8_text().encode())
        else:
            transport.send(frame.msg_type, frame.get_payload_as_bytes())


async def main(port: int) -> None:
    def make(request: WSUpgradeRequest) -> Any:
        return Echo()

    server = await ws_create_server(make, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]))) if sys.argv[2:] != ["asyncio"] else asyncio.run(main(int(sys.argv[1])))
