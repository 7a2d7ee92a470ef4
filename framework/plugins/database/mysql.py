"""MySQL and MariaDB by the common face: asyncmy's connections in our pool."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncmy

from framework.plugins.database.deadline import within
from framework.plugins.database.pooled import PooledDatabase
from framework.plugins.database.rows import as_rows
from framework.plugins.database.statements import check_count, for_mysql
from framework.plugins.database.url import DatabaseURL
from framework.plugins.pool import Condition, ConnectionPool, PoolSettings, Resource

__all__ = ["MySQL", "MySQLResource", "session_of"]

STATEMENTS: Final = 128


class MySQLResource(Resource[Any]):
    """asyncmy connections for a pool: UTF-8, each statement its own transaction unless one is begun.

    Parameters travel apart from the statements, which the server prepares and the connection remembers. A statement
    that is cut short closes its connection.
    """

    def __init__(self, url: DatabaseURL, **options: Any) -> None:
        self._url = url
        self._options = options

    async def open(self) -> Any:
        """Connects. Raises what asyncmy raises."""
        url = self._url
        connect: Any = getattr(asyncmy, "connect")  # noqa: B009 - its own types are unfinished
        return await connect(
            host=url.host or "localhost",
            port=url.port or 3306,
            user=url.user or "",
            password=url.password or "",
            db=url.database or None,
            unix_socket=url.options.get("unix_socket"),
            charset="utf8mb4",
            autocommit=True,
            stmt_cache_size=STATEMENTS,
            **self._options,
        )

    def terminate(self, connection: Any) -> None:
        """Ends it now."""
        connection.close()

    async def check(self, connection: Any) -> None:
        """A round trip."""
        await connection.ping(reconnect=False)

    async def reset(self, connection: Any) -> None:
        """Rolls back what was left open."""
        await connection.rollback()

    async def close(self, connection: Any) -> None:
        """Takes leave."""
        await connection.ensure_closed()

    def condition(self, connection: Any) -> Condition:
        """Broken where a statement was cut short, or the server has gone."""
        return Condition.DIRTY if connection.connected else Condition.BROKEN


class MySQL(PooledDatabase):
    """A database server. Made by ``connect``; ``driver`` is the pool of asyncmy's connections."""

    scheme: Final = "mysql"

    def __init__(self, pool: ConnectionPool[Any]) -> None:
        super().__init__(pool, _Session)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, url: DatabaseURL, *, pool: PoolSettings | None = None, **options: Any
    ) -> AsyncGenerator[MySQL]:
        """Opens the pool. Raises PoolTimeout where ``required`` and nobody answers."""
        resource = MySQLResource(url, **options)
        async with ConnectionPool(resource, pool, name=f"mysql {url.host or 'local'}") as opened:
            yield cls(opened)

    @asynccontextmanager
    async def transaction(self, *, timeout: float | None = None) -> AsyncGenerator[_Session]:
        """Repeatable read, unless the database says otherwise. Statements that define tables commit by themselves."""
        async with within(timeout), self.driver.acquire() as connection:
            await connection.begin()
            try:
                yield _Session(connection)
            except BaseException:
                if connection.connected:
                    await connection.rollback()
                raise
            await connection.commit()


class _Session:
    """Statements on one connection; ``driver`` is asyncmy's."""

    def __init__(self, connection: Any) -> None:
        self.driver = connection

    async def execute(self, sql: str, *params: object) -> int:
        text, wanted = for_mysql(sql)
        check_count(sql, wanted, len(params))
        async with self.driver.cursor() as cursor:
            count: int = await cursor.execute(text, params)
            return 0 if cursor.description else max(0, count)

    async def fetch(self, sql: str, *params: object, type: Any = None) -> list[Any]:
        text, wanted = for_mysql(sql)
        check_count(sql, wanted, len(params))
        async with self.driver.cursor() as cursor:
            await cursor.execute(text, params)
            rows = await cursor.fetchall()
            columns = [column[0] for column in cursor.description or ()]
        return as_rows(columns, rows, type)

    async def fetch_one(self, sql: str, *params: object, type: Any = None) -> Any:
        rows = await self.fetch(sql, *params, type=type)
        return rows[0] if rows else None


def session_of(connection: Any) -> _Session:
    """The common face of one of the driver's connections, for the modules of this package."""
    return _Session(connection)
