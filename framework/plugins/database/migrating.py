"""Brings a database to the newest schema by numbered files of SQL, whichever of the SQL databases it is.

The files are those of ``framework.sqlite.migrations``: ``0001_words.sql``, without gap, each with a checksum that is
kept and compared. Where the database can (SQLite, PostgreSQL), a file and the row that records it are one transaction;
MySQL commits every statement that defines a table by itself, so that a file that fails there has been done in part: its
error says how far. Two programs that start at once take turns.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from framework.errors import ConfigError
from framework.plugins.database.mysql_lock import locked_mysql
from framework.plugins.database.sqlite import SQLite
from framework.sqlite.migrations import Migration, MigrationError, load_migrations, split_statements
from framework.sqlite.migrations import migrate as migrate_sqlite

__all__ = ["run_migrations"]

# "framework migrations" as a number; any would do that nobody else uses.
_LOCK: Final = 0x6672616D6D696772
_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS migrations"
    " (number INTEGER PRIMARY KEY, name VARCHAR(255) NOT NULL, checksum CHAR(64) NOT NULL, applied_at BIGINT NOT NULL)"
)
_RECORD: Final = "INSERT INTO migrations (number, name, checksum, applied_at) VALUES (?, ?, ?, ?)"


async def run_migrations(database: Any, folder: Path, *, timeout: float = 60.0) -> tuple[str, ...]:
    """Applies the files of ``folder`` that the database does not have yet; returns their names.

    Args:
        database: what ``connect`` opened.
        timeout: seconds for one migration, and for waiting on another program that migrates.

    Raises:
        MigrationError: a file changed after it was applied, is missing or named wrongly, or does not run.
        ConfigError: the database has no SQL.
    """
    migrations = load_migrations(folder)
    if isinstance(database, SQLite):
        return await migrate_sqlite(database.driver, migrations, timeout=timeout)
    if database.scheme == "postgresql":
        return await _apply(_postgresql(database), migrations, timeout)
    if database.scheme == "mysql":
        return await _apply(_mysql(database, timeout), migrations, timeout)
    raise ConfigError(f"migrations are files of SQL, which {database.scheme} does not speak")


class _Target:
    """One connection under the lock."""

    def __init__(self, session: Any, *, whole: bool) -> None:
        self.session = session
        self.whole = whole

    async def run(self, migration: Migration) -> None:
        """The file and its record."""
        row = (migration.number, migration.name, migration.checksum, time.time_ns() // 1_000_000)
        if self.whole:
            async with self.session.driver.transaction():
                await self._script(migration)
                await self.session.execute(_RECORD, *row)
            return
        for line, statement in split_statements(migration.sql):
            try:
                async with self.session.driver.cursor() as cursor:
                    await cursor.execute(statement)
            except Exception as error:
                raise MigrationError(
                    f"{migration.name}, line {line}: {error}; what stands above it was done"
                ) from error
        await self.session.execute(_RECORD, *row)

    async def _script(self, migration: Migration) -> None:
        try:
            await self.session.driver.execute(migration.sql)
        except Exception as error:
            raise MigrationError(f"{migration.name}: {error}") from error


@asynccontextmanager
async def _postgresql(database: Any) -> AsyncGenerator[_Target]:
    from framework.plugins.database.postgresql import session_of

    async with database.driver.acquire() as connection:
        session = session_of(connection)
        await session.fetch("SELECT pg_advisory_lock(?)", _LOCK)
        try:
            yield _Target(session, whole=True)
        finally:
            await session.fetch("SELECT pg_advisory_unlock(?)", _LOCK)


@asynccontextmanager
async def _mysql(database: Any, timeout: float) -> AsyncGenerator[_Target]:
    async with locked_mysql(database, "framework migrations", timeout) as session:
        yield _Target(session, whole=False)


async def _apply(opening: Any, migrations: Sequence[Migration], timeout: float) -> tuple[str, ...]:
    async with asyncio.timeout(timeout * (len(migrations) + 1)), opening as target:
        session = target.session
        await session.execute(_TABLE)
        known = await session.fetch("SELECT number, name, checksum FROM migrations ORDER BY number")
        _compare(known, migrations)
        applied: list[str] = []
        for migration in migrations[len(known) :]:
            await target.run(migration)
            applied.append(migration.name)
        return tuple(applied)


def _compare(known: Sequence[dict[str, Any]], migrations: Sequence[Migration]) -> None:
    problems: list[str] = []
    for position, row in enumerate(known):
        if position >= len(migrations):
            problems.append(
                f"{row['name']}: applied to this database, but the program has no such file; is it older?"
            )
        elif migrations[position].checksum != row["checksum"]:
            problems.append(
                f"{migrations[position].name}: changed after it was applied; add a new migration instead"
            )
    if problems:
        raise MigrationError(problems)
