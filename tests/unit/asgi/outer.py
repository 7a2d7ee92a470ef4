"""Another server, as far as an app of ours can tell: it calls the app, and says what it likes by ``receive``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

__all__ = ["Exchange", "lifespan", "scope_of"]


def scope_of(method: str = "GET", path: str = "/", **more: Any) -> dict[str, Any]:
    path, _, query = path.partition("?")
    raw = path.encode()
    headers = {"host": "example.com", **more.pop("headers", {})}
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": raw,
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
        "client": ("192.0.2.1", 5000),
        "server": ("127.0.0.1", 8000),
        **more,
    }


class Exchange:
    """One request. ``status``, ``headers`` and ``pieces`` are what the app sent of its response."""

    def __init__(self, pieces: Iterable[bytes] = ()) -> None:
        self.messages: list[dict[str, Any]] = []
        self._pieces = list(pieces) or [b""]
        self.gone = asyncio.Event()
        self.room = asyncio.Event()
        self.room.set()
        self.taken = 0

    async def receive(self) -> dict[str, Any]:
        if self._pieces:
            body = self._pieces.pop(0)
            self.taken += 1
            return {"type": "http.request", "body": body, "more_body": bool(self._pieces)}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        await self.room.wait()
        if self.gone.is_set():
            raise OSError("the client has gone")
        self.messages.append(message)

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.messages[0]["headers"]}

    @property
    def pieces(self) -> list[bytes]:
        return [message["body"] for message in self.messages[1:]]

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def whole(self) -> bool:
        return len(self.messages) > 1 and not self.messages[-1].get("more_body", False)


async def ask(
    app: Any, method: str = "GET", path: str = "/", pieces: Iterable[bytes] = (), **more: Any
) -> Exchange:
    exchange = Exchange(pieces)
    await app(scope_of(method, path, **more), exchange.receive, exchange.send)
    assert exchange.whole
    return exchange


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[list[dict[str, Any]]]:
    """Runs the app's lifespan as a server does; yields what it sends."""
    told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    sent: list[dict[str, Any]] = []
    changed = asyncio.Event()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)
        changed.set()

    task = asyncio.create_task(
        app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, told.get, send)
    )
    told.put_nowait({"type": "lifespan.startup"})
    await changed.wait()
    try:
        yield sent
    finally:
        told.put_nowait({"type": "lifespan.shutdown"})
        await task
