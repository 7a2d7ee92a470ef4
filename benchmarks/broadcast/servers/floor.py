"""The raw joined floor: uvloop protocols and the frame codec alone; a turn's messages joined, one write per member."""

from __future__ import annotations

import asyncio
import sys
from typing import Any, cast

import uvloop

from framework.wire.websocket.handshake import accept_key
from framework.wire.websocket.leaves import FrameParser, encode_binary, encode_text


class Room:
    def __init__(self) -> None:
        self.members: list[asyncio.Transport] = []
        self.frames: list[bytes] = []

    def publish(self, message: str | bytes) -> None:
        if not self.frames:
            asyncio.get_running_loop().call_soon(self.flush)
        self.frames.append(encode_text(message) if isinstance(message, str) else encode_binary(message))

    def flush(self) -> None:
        joined = b"".join(self.frames)
        self.frames = []
        for member in self.members:
            member.write(joined)


class Member(asyncio.Protocol):
    def __init__(self, room: Room) -> None:
        self._room = room
        self._head: bytes | None = b""
        self._parser = FrameParser("server")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self.transport in self._room.members:
            self._room.members.remove(self.transport)

    def data_received(self, data: bytes) -> None:
        if self._head is not None:
            self._open(data)
            return
        for event in self._parser.feed(data):
            if isinstance(event, str | bytes):
                self._room.publish(event)

    def _open(self, data: bytes) -> None:
        self._head = (self._head or b"") + data
        if not self._head.endswith(b"\r\n\r\n"):
            return
        lines = self._head.decode("latin-1").split("\r\n")
        fields = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
        }
        answer = accept_key(fields["sec-websocket-key"])
        self.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %b\r\n\r\n" % answer.encode()
        )
        self._head = None
        self._room.members.append(self.transport)


async def main(port: int) -> None:
    room: Any = Room()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Member(room), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
