"""Redis by the common face: our own connection (``framework.redis``)."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

from framework.plugins.database.url import DatabaseURL
from framework.redis import Redis

__all__ = ["RedisDatabase"]


class RedisDatabase:
    """A server. Made by ``connect``; ``driver`` is the ``framework.redis.Redis``, which many tasks may share."""

    scheme: Final = "redis"

    def __init__(self, redis: Redis) -> None:
        self.driver = redis

    @classmethod
    @asynccontextmanager
    async def open(cls, url: DatabaseURL, **options: Any) -> AsyncGenerator[RedisDatabase]:
        """Connects. Raises RedisUnavailable where nobody answers."""
        async with Redis(url.text, **options) as redis:
            yield cls(redis)

    async def ping(self) -> None:
        """A round trip."""
        await self.driver.execute("PING")

    async def execute(self, *command: str | bytes | float) -> Any:
        """Runs a command such as ``"SET", key, value``; returns its reply."""
        return await self.driver.execute(*command)
