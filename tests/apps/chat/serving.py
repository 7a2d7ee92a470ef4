"""A chat on SQLite, served on a free port, and people in it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from apps.chat.app import create_app
from framework.cli.chatting.link import Link, endpoints, enter_as_guest, linked
from framework.net.client import HTTPClient
from framework.plugins.chat.protocol import ServerFrame
from framework.testing import TestClient

SECRET = "a secret that is only for tests, as all can see"

Serve = Callable[..., TestClient]


def make_server(folder: Path, port: int = 0) -> TestClient:
    """A server whose logs are in ``folder``; the next one of the same folder has the same rooms."""
    settings = {
        "chat.store": f"sqlite:///{folder}/chat.db",
        "chat.secrets": [SECRET],
        "chat.guest_rate": "6000/minute",
        "chat.post_rate": "2000/second",
        "chat.request_rate": "4000/second",
        "chat.join_rate": "2000/second",
        "server.drain_timeout": 0.5,
        "server.port": port,
    }
    return TestClient(create_app(), transport="socket", settings=settings)


class People:
    """Guests by the protocol alone, beside those in browsers."""

    def __init__(self, url: str, client: HTTPClient, stack: AsyncExitStack) -> None:
        self._client = client
        self._stack = stack
        self._socket, self._base = endpoints(url)

    async def come(self, name: str, heard: list[ServerFrame] | None = None) -> Link:
        """One more, connected."""
        person = await enter_as_guest(self._client, self._base, name)
        told: list[ServerFrame] = [] if heard is None else heard
        opening = linked(self._client, self._socket, person.token, told.append)
        link, _, _ = await self._stack.enter_async_context(opening)
        return link


@asynccontextmanager
async def people(url: str) -> AsyncGenerator[People]:
    async with HTTPClient() as client, AsyncExitStack() as stack:
        yield People(url, client, stack)
