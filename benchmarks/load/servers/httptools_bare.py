"""uvloop + httptools: the parser's callbacks and a branch on the path, no framework."""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from typing import cast

import httptools
import msgspec
import uvloop

from benchmarks.load import orders, work

REASONS = {200: b"200 OK", 404: b"404 Not Found", 422: b"422 Unprocessable Content"}


def response(status: int, body: bytes, content_type: str = work.TEXT_TYPE) -> bytes:
    return b"HTTP/1.1 %b\r\ndate: %b\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n%b" % (
        REASONS[status],
        Clock.now,
        content_type.encode(),
        len(body),
        body,
    )


class Clock:
    """The Date header, renewed every second."""

    now = b""

    @classmethod
    def tick(cls, loop: asyncio.AbstractEventLoop) -> None:
        cls.now = formatdate(usegmt=True).encode()
        loop.call_later(1, cls.tick, loop)


class Protocol(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.close()

    def on_message_begin(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.url = b""
        self.body = b""

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        path = httptools.parse_url(self.url).path
        if path == b"/hello":
            self.transport.write(response(200, work.TEXT.encode()))
        elif path.startswith(b"/users/") and path[7:].isdigit():
            self.transport.write(response(200, work.user_text(int(path[7:])).encode()))
        elif path == b"/orders" and self.parser.get_method() == b"POST":
            self.transport.write(self.order())
        else:
            self.transport.write(response(404, b"not found"))

    def order(self) -> bytes:
        try:
            order = orders.decode_order(self.body)
        except msgspec.ValidationError as error:
            return response(422, str(error).encode())
        return response(200, orders.encode_receipt(orders.accept(order)), work.JSON_TYPE)


async def main() -> None:
    loop = asyncio.get_running_loop()
    Clock.tick(loop)
    server = await loop.create_server(Protocol, work.HOST, work.settings().port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
