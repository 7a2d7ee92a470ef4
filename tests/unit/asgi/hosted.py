"""An ASGI application on a server without sockets, driven step by step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from framework.asgi.host import ASGIHost
from framework.net.settings import ServerSettings
from framework.testing import virtual_loop
from tests.support.harness import Harness

__all__ = ["hosted", "reply_with", "start"]


@contextmanager
def hosted(app: Any, **settings: Any) -> Iterator[Harness]:
    """A server around ``app``; its lifespan is not run."""
    with virtual_loop() as loop:
        made = ServerSettings(**settings)
        host: Any = ASGIHost(app, made)
        server = Harness(loop, host, made)
        loop.call(host.started, server.core)
        try:
            yield server
        finally:
            server.close()


def start(status: int = 200, *headers: tuple[bytes, bytes], **more: Any) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers), **more}


def reply_with(*messages: dict[str, Any]) -> Any:
    """An application that sends these."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    return app
