"""What the databases behind a pool share: a statement alone borrows a connection for as long as it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from framework.plugins.database.face import SQLSession
from framework.plugins.pool import ConnectionPool

__all__ = ["PooledDatabase"]


class PooledDatabase:
    """A database server; ``driver`` is the pool of the driver's connections."""

    def __init__(self, pool: ConnectionPool[Any], session: Callable[[Any], SQLSession]) -> None:
        self.driver = pool
        self._session = session

    async def ping(self) -> None:
        """A round trip."""
        await self.driver.probe()

    async def execute(self, sql: str, *params: object) -> int:
        """Runs a statement; returns how many rows it changed."""
        async with self.driver.acquire() as connection:
            return await self._session(connection).execute(sql, *params)

    async def fetch(self, sql: str, *params: object, type: Any = None) -> list[Any]:
        """All rows."""
        async with self.driver.acquire() as connection:
            return await self._session(connection).fetch(sql, *params, type=type)

    async def fetch_one(self, sql: str, *params: object, type: Any = None) -> Any:
        """The first row."""
        async with self.driver.acquire() as connection:
            return await self._session(connection).fetch_one(sql, *params, type=type)
