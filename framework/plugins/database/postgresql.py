"""PostgreSQL by the common face: asyncpg's connections in our pool."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg

from framework.plugins.database.deadline import within
from framework.plugins.database.pooled import PooledDatabase
from framework.plugins.database.rows import as_rows
from framework.plugins.database.statements import check_count, for_asyncpg
from framework.plugins.database.url import DatabaseURL
from framework.plugins.pool import Condition, ConnectionPool, PoolSettings, Resource

__all__ = ["PostgreSQL", "PostgreSQLResource", "session_of"]

Password = str | Callable[[], str] | Callable[[], Awaitable[str]]


class PostgreSQLResource(Resource[Any]):
    """asyncpg connections for a pool.

    Args:
        url: where to.
        password: instead of the URL's; a callable, sync or async, is asked for each connection.
        options: further arguments of ``asyncpg.connect``.
    """

    def __init__(self, url: DatabaseURL, *, password: Password | None = None, **options: Any) -> None:
        self._url = url
        self._password = password
        self._options = options

    async def open(self) -> Any:
        """Connects. Raises what asyncpg raises."""
        options = dict(self._options)
        if self._password is not None:
            options["password"] = self._password
        return await asyncpg.connect(self._url.text, **options)

    def terminate(self, connection: Any) -> None:
        """Ends it now."""
        connection.terminate()

    async def check(self, connection: Any) -> None:
        """A round trip."""
        await connection.execute("SELECT 1")

    async def reset(self, connection: Any) -> None:
        """Rolls back what was left open, closes cursors, forgets settings and locks."""
        await connection.reset()

    async def close(self, connection: Any) -> None:
        """Takes leave."""
        await connection.close()

    def condition(self, connection: Any) -> Condition:
        """Broken where an exchange was cut short; clean where nothing was left open."""
        if connection.is_closed():
            return Condition.BROKEN
        protocol = connection._protocol
        if protocol is None or protocol._is_cancelling():
            return Condition.BROKEN
        return Condition.DIRTY


class PostgreSQL(PooledDatabase):
    """A database server. Made by ``connect``; ``driver`` is the pool of asyncpg's connections."""

    scheme: Final = "postgresql"

    def __init__(self, pool: ConnectionPool[Any]) -> None:
        super().__init__(pool, _Session)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, url: DatabaseURL, *, pool: PoolSettings | None = None, **options: Any
    ) -> AsyncGenerator[PostgreSQL]:
        """Opens the pool. Raises PoolTimeout where ``required`` and nobody answers."""
        resource = PostgreSQLResource(url, **options)
        async with ConnectionPool(resource, pool, name=f"postgresql {url.host or 'local'}") as opened:
            yield cls(opened)

    @asynccontextmanager
    async def transaction(self, *, timeout: float | None = None) -> AsyncGenerator[_Session]:
        """Read committed, unless the database says otherwise."""
        async with within(timeout), self.driver.acquire() as connection, connection.transaction():
            yield _Session(connection)


class _Session:
    """Statements on one connection; ``driver`` is asyncpg's."""

    def __init__(self, connection: Any) -> None:
        self.driver = connection

    async def execute(self, sql: str, *params: object) -> int:
        text, wanted = for_asyncpg(sql)
        check_count(sql, wanted, len(params))
        status: str = await self.driver.execute(text, *params)
        count = status.rpartition(" ")[2]
        return int(count) if count.isascii() and count.isdigit() else 0

    async def fetch(self, sql: str, *params: object, type: Any = None) -> list[Any]:
        text, wanted = for_asyncpg(sql)
        check_count(sql, wanted, len(params))
        records = await self.driver.fetch(text, *params)
        if not records:
            return []
        return as_rows(list(records[0].keys()), [tuple(record.values()) for record in records], type)

    async def fetch_one(self, sql: str, *params: object, type: Any = None) -> Any:
        text, wanted = for_asyncpg(sql)
        check_count(sql, wanted, len(params))
        record = await self.driver.fetchrow(text, *params)
        if record is None:
            return None
        return as_rows(list(record.keys()), [tuple(record.values())], type)[0]


def session_of(connection: Any) -> _Session:
    """The common face of one of the driver's connections, for the modules of this package."""
    return _Session(connection)
