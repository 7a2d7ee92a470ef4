"""A small HTTP client over a real socket for tests, and a server around an app to point it at."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from framework import App, Runtime, Server, ServerSettings
from framework.wire.chunked import ChunkedDecoder
from framework.wire.leaves import Limits, parse_response

__all__ = ["Answer", "Client", "serving"]

LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response."""

    status: int
    headers: Mapping[str, str]
    pairs: list[tuple[str, str]]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Sends requests on one connection, which it reopens when the server has closed it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def request(
        self,
        method: str,
        target: str,
        *,
        body: bytes | None = None,
        json_body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        fields = {"host": f"127.0.0.1:{self.port}", **{k.lower(): v for k, v in (headers or {}).items()}}
        if json_body is not None:
            body = json.dumps(json_body).encode()
            fields.setdefault("content-type", "application/json")
        if body is not None:
            fields.setdefault("content-length", str(len(body)))
        head = (
            f"{method} {target} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields.items()) + "\r\n"
        )
        return await self.raw(head.encode("latin-1") + (body or b""), method=method)

    async def get(self, target: str, headers: Mapping[str, str] | None = None) -> Answer:
        return await self.request("GET", target, headers=headers)

    async def post(
        self, target: str, json_body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        return await self.request("POST", target, json_body=json_body, headers=headers)

    async def raw(self, data: bytes, *, method: str = "GET") -> Answer:
        """Sends bytes as they are and reads one response."""
        if self._writer is None or self._writer.is_closing() or (self._reader and self._reader.at_eof()):
            await self.close()
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port)
        assert self._reader is not None
        self._writer.write(data)
        return await self._read(self._reader, method)

    async def _read(self, reader: asyncio.StreamReader, method: str) -> Answer:
        while True:
            raw = await reader.readuntil(b"\r\n\r\n")
            head = parse_response(raw, 0, LIMITS)
            assert head is not None
            if head.status >= 200:
                break
        pairs = head.fields()
        body = b""
        if method != "HEAD" and head.status not in (204, 304):
            if head.chunked:
                body = await self._read_chunked(reader)
            elif head.content_length >= 0:
                body = await reader.readexactly(head.content_length)
            else:
                body = await reader.read()
        if not head.keep_alive:
            await self.close()
        return Answer(head.status, dict(pairs), pairs, body)

    async def _read_chunked(self, reader: asyncio.StreamReader) -> bytes:
        decoder = ChunkedDecoder()
        pieces: list[bytes] = []
        while not decoder.complete:
            data = await reader.read(65536)
            if not data:
                raise ConnectionError("the chunked body was cut")
            pieces += decoder.feed(data)
        return b"".join(pieces)

    async def close(self) -> None:
        writer, self._reader, self._writer = self._writer, None, None
        if writer is not None:
            writer.close()
            try:
                await writer.wait_closed()
            except OSError:
                pass


@asynccontextmanager
async def serving(app: App | Runtime, **settings: Any) -> AsyncIterator[Client]:
    """Serves ``app`` on a free port of the loopback interface until the block ends."""
    overrides = {"server.port": 0, "server.drain_timeout": 1.0, "server.cancel_timeout": 1.0}
    overrides |= {f"server.{name}": value for name, value in settings.items()}
    runtime = app if isinstance(app, Runtime) else app.build(environ={}, overrides=overrides)
    async with runtime.running():
        server = Server(runtime, runtime.settings.section(ServerSettings), on_not_ready=runtime.not_ready)
        await server.start()
        client = Client(server.port)
        try:
            yield client
        finally:
            await client.close()
            await server.shutdown()
