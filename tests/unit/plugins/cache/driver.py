"""Caches on each set of levels, and loaders that tell what was asked of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from framework.plugins.cache import Cache, Options
from tests.support.redis import RedisServer

__all__ = ["LEVELS", "Source", "eventually", "opened"]

LEVELS = ["memory", "memory+redis", "redis"]


@asynccontextmanager
async def opened(levels: str, server: RedisServer | None = None, **options: Any) -> AsyncIterator[Cache]:
    """A cache of these levels; ``timeout`` long enough for a busy machine."""
    url = "memory://"
    if levels != "memory":
        assert server is not None
        url = server.url
        options.setdefault("timeout", 20.0)
    if levels == "redis":
        options["max_entries"] = 0
    options.setdefault("options", Options(ttl=60.0))
    async with Cache(url, **options) as cache:
        yield cache


class Source:
    """A loader: its calls are counted, each waits until it is let go (where ``held``), and may fail."""

    def __init__(self, *values: Any, held: bool = False) -> None:
        self.calls = 0
        self.cancelled = 0
        self.values = list(values)
        self.error: Exception | None = None
        self.begun = asyncio.Event()
        self.go = asyncio.Event()
        if not held:
            self.go.set()

    async def __call__(self) -> Any:
        self.calls += 1
        value = self.values[min(self.calls, len(self.values)) - 1] if self.values else self.calls
        self.begun.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        return value


async def eventually(true: Callable[[], Any], seconds: float = 20.0) -> None:
    """Lets the others run until it is true."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.002)
