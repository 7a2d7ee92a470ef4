"""A running users app and a client of a few lines: one connection per request, closed by the server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.users.app import create_app
from framework.net.server import Server


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    def __init__(self, port: int) -> None:
        self.port = port

    async def send(
        self,
        method: str,
        target: str,
        body: object = None,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send ``body`` as JSON, or ``raw`` as it is."""
        fields = {"host": "users.example", "connection": "close"}
        if body is not None:
            raw = json.dumps(body).encode()
        if raw is not None:
            fields |= {"content-type": "application/json", "content-length": str(len(raw))}
        fields |= headers or {}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + (raw or b""))
            return parse(await reader.read())
        finally:
            writer.close()
            await writer.wait_closed()


def parse(received: bytes) -> Reply:
    head, _, body = received.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Reply(int(status.split()[1]), headers, body)


@asynccontextmanager
async def serving(database: Path, **users: object) -> AsyncIterator[Client]:
    """The app on a free port, with hashes as cheap as argon2 allows."""
    overrides: dict[str, object] = {
        "server.port": 0,
        "server.drain_timeout": 5.0,
        "users.database": str(database),
        "users.argon2": {"time_cost": 1, "memory_kib": 8, "parallelism": 1},
        **{f"users.{name}": value for name, value in users.items()},
    }
    runtime = create_app().build(environ={}, overrides=overrides)
    async with runtime.running():
        server = Server(runtime, runtime.server_settings)
        await server.start()
        try:
            yield Client(server.port)
        finally:
            await server.shutdown()
