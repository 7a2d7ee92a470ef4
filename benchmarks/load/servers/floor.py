"""The floor: constant bytes for every read. What one read and one write cost on this machine, no more.

The first request of a connection chooses the answer and replaces the protocol: what follows parses nothing.
"""

from __future__ import annotations

import asyncio
import json
from typing import cast

import uvloop

from benchmarks.load import work


def response(body: bytes, content_type: str) -> bytes:
    head = (
        f"HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


TEXT = response(work.TEXT.encode(), work.TEXT_TYPE)
USER = response(work.user_text(work.USER_ID).encode(), work.TEXT_TYPE)
RECEIPT = response(json.dumps(work.receipt(), separators=(",", ":")).encode(), work.JSON_TYPE)


class Constant(asyncio.Protocol):
    """One answer per read."""

    def __init__(self, transport: asyncio.Transport, answer: bytes) -> None:
        self.write = transport.write
        self.answer = answer

    def data_received(self, data: bytes) -> None:
        self.write(self.answer)


class Pipelined(Constant):
    """One answer per head in the read. wrk's batches are far smaller than a read and never arrive split."""

    def data_received(self, data: bytes) -> None:
        self.write(self.answer * data.count(b"\r\n\r\n"))


class Posted(Constant):
    """One answer per body, which is read as far as Content-Length says."""

    def __init__(self, transport: asyncio.Transport, answer: bytes) -> None:
        super().__init__(transport, answer)
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        if self.buffer:
            data = self.buffer + data
        end = data.find(b"\r\n\r\n") + 4
        start = data.find(b"Content-Length: ", 0, end) + 16
        if end < 4 or len(data) < end + int(data[start : data.find(b"\r", start)]):
            self.buffer = data
            return
        self.buffer = b""
        self.write(self.answer)


class First(asyncio.Protocol):
    """Looks at the first read only."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        chosen: Constant
        if data.startswith(b"POST"):
            chosen = Posted(self.transport, RECEIPT)
        elif data.startswith(b"GET /users/"):
            chosen = Constant(self.transport, USER)
        elif data.count(b"\r\n\r\n") > 1:
            chosen = Pipelined(self.transport, TEXT)
        else:
            chosen = Constant(self.transport, TEXT)
        self.transport.set_protocol(chosen)
        chosen.data_received(data)


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(
        First, work.HOST, work.settings().port, backlog=4096
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
