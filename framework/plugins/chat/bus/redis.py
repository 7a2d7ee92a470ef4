"""A bus over Redis, for many machines: one channel that all publish to and subscribe to. Needs the extra ``redis``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from framework.redis import Redis

__all__ = ["RedisBus"]

MAX_UNDER_WAY: Final = 10_000


class RedisBus:
    """``redis://...``. While Redis is away nothing is carried; when it is back, ``lost`` is called.

    Args:
        channel: what all processes of one chat share.
    """

    alone = False
    max_bytes = 256 * 1024

    def __init__(self, url: str, *, channel: str = "chat.bus") -> None:
        self._channel = channel
        self._hear: Callable[[bytes], None] | None = None
        self._lost: Callable[[], None] | None = None
        self._under_way: set[asyncio.Future[Any]] = set()
        self._redis = Redis(url, name="chat-bus", on_message=self._on_message, on_up=self._on_up)
        self._ups = 0

    async def open(self, hear: Callable[[bytes], None], lost: Callable[[], None]) -> None:
        """Connects and subscribes. Raises RedisError."""
        self._hear, self._lost = hear, lost
        await self._redis.start()
        await self._redis.subscribe(self._channel)

    def publish(self, data: bytes) -> None:
        """Sends to all, oneself included."""
        if self._hear is None or len(self._under_way) >= MAX_UNDER_WAY:
            return
        future: asyncio.Future[Any] = asyncio.ensure_future(
            self._redis.execute("PUBLISH", self._channel, data)
        )
        self._under_way.add(future)
        future.add_done_callback(self._sent)

    async def close(self) -> None:
        """Takes leave."""
        self._hear = self._lost = None
        await self._redis.close()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def ping(self) -> None:
        """Raises RedisError where Redis does not answer."""
        await self._redis.execute("PING")

    def _sent(self, future: asyncio.Future[Any]) -> None:
        """What could not be sent is dropped: the others find the gap in the log."""
        self._under_way.discard(future)
        if not future.cancelled():
            future.exception()

    def _on_message(self, channel: bytes, data: bytes) -> None:
        if self._hear is not None:
            self._hear(data)

    def _on_up(self) -> None:
        self._ups += 1
        if self._ups > 1 and self._lost is not None:
            self._lost()
