"""A bus over PostgreSQL's NOTIFY, for machines that share the log's database anyway. Needs the extra ``postgresql``."""

from __future__ import annotations

import asyncio
import logging
from base64 import b64decode, b64encode
from collections.abc import Callable
from random import random
from typing import Any, Final

import asyncpg

__all__ = ["PostgreSQLBus"]

log = logging.getLogger("framework.chat")

CHANNEL: Final = "framework_chat"
MAX_WAITING: Final = 10_000
FIRST_DELAY: Final = 0.1
MAX_DELAY: Final = 5.0


class PostgreSQLBus:
    """``postgresql://...``. One connection listens and sends; while it is away nothing is carried, and when it is back
    ``lost`` is called. A payload has at most 8,000 bytes of text there: what is larger is read from the log."""

    alone = False
    max_bytes = 5_900

    def __init__(self, url: str, *, channel: str = CHANNEL) -> None:
        self._url = url
        self._channel = channel
        self._hear: Callable[[bytes], None] | None = None
        self._lost: Callable[[], None] | None = None
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(MAX_WAITING)
        self._connection: Any = None
        self._gone = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def open(self, hear: Callable[[bytes], None], lost: Callable[[], None]) -> None:
        """Connects and listens. Raises what asyncpg raises."""
        self._hear, self._lost = hear, lost
        await self._connect()
        self._task = asyncio.create_task(self._keep(), name="chat bus")

    def publish(self, data: bytes) -> None:
        """Sends to all, oneself included."""
        try:
            self._queue.put_nowait(data)
        except asyncio.QueueFull:
            pass  # the others find the gap in the log

    async def close(self) -> None:
        """Takes leave."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close(timeout=2.0)

    async def ping(self) -> None:
        """Raises where there is no connection."""
        if self._connection is None or self._connection.is_closed():
            raise ConnectionError("the bus has no connection to PostgreSQL")

    async def _connect(self) -> None:
        connection: Any = await asyncpg.connect(self._url, timeout=5.0)
        self._gone.clear()
        connection.add_termination_listener(self._on_gone)
        await connection.add_listener(self._channel, self._on_notify)
        self._connection = connection

    async def _keep(self) -> None:
        """Sends what is to be sent, and connects again whenever the connection is gone."""
        delay = FIRST_DELAY
        while True:
            try:
                await self._send()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("the chat's bus lost PostgreSQL: %s", error or type(error).__name__)
            self._connection.terminate()
            while True:
                await asyncio.sleep(delay * (0.5 + random() / 2))
                delay = min(MAX_DELAY, delay * 2)
                try:
                    await self._connect()
                except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                    continue
                break
            delay = FIRST_DELAY
            if self._lost is not None:
                self._lost()

    async def _send(self) -> None:
        """Until the connection is gone."""
        gone = asyncio.ensure_future(self._gone.wait())
        try:
            while not self._gone.is_set():
                taking = asyncio.ensure_future(self._queue.get())
                try:
                    await asyncio.wait((taking, gone), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    if not taking.done():
                        taking.cancel()
                if not taking.done() or taking.cancelled():
                    return
                text = b64encode(taking.result()).decode()
                await self._connection.execute("SELECT pg_notify($1, $2)", self._channel, text, timeout=5.0)
        finally:
            gone.cancel()

    def _on_gone(self, connection: Any) -> None:
        self._gone.set()

    def _on_notify(self, connection: Any, pid: int, channel: str, payload: str) -> None:
        if self._hear is not None:
            self._hear(b64decode(payload))
