"""SQLite by the common face: one writer, readers beside it (``framework.sqlite``)."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from framework.plugins.database.deadline import within
from framework.plugins.database.rows import as_rows
from framework.plugins.database.statements import check_count, for_sqlite, reads_only
from framework.plugins.database.url import DatabaseURL
from framework.sqlite import Database

__all__ = ["SQLite"]

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]


class SQLite:
    """One file. Made by ``connect``; ``driver`` is the ``framework.sqlite.Database``."""

    scheme: Final = "sqlite"

    def __init__(self, database: Database) -> None:
        self.driver = database

    @classmethod
    @asynccontextmanager
    async def open(cls, url: DatabaseURL, *, readers: int = 2, **options: Any) -> AsyncGenerator[SQLite]:
        """Opens the file. Raises SetupError."""
        async with Database.open(Path(url.database), readers=readers, **options) as database:
            yield cls(database)

    async def ping(self) -> None:
        """Raises where the file cannot be read."""
        await self.fetch("SELECT count(*) FROM sqlite_schema")

    async def execute(self, sql: str, *params: object) -> int:
        """Runs a statement in a transaction of its own."""
        return await self.driver.write(_executing(sql, params))

    async def fetch(self, sql: str, *params: object, type: Any = None) -> list[Any]:
        """All rows; on a reader where the statement only reads."""
        work = _fetching(sql, params)
        columns, rows = await (self.driver.read(work) if reads_only(sql) else self.driver.write(work))
        return as_rows(columns, rows, type)

    async def fetch_one(self, sql: str, *params: object, type: Any = None) -> Any:
        """The first row."""
        rows = await self.fetch(sql, *params, type=type)
        return rows[0] if rows else None

    @asynccontextmanager
    async def transaction(self, *, timeout: float | None = None) -> AsyncGenerator[_Session]:
        """Holds the writer for the length of the block: keep it short, and wait for nothing else in it."""
        session = _Session()
        running = asyncio.ensure_future(self.driver.write(session.serve, timeout=timeout))
        running.add_done_callback(session.ended)
        try:
            async with within(timeout):
                await session.begun(running)
                yield session
                session.finish()
                await running
        except BaseException:
            session.give_up()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            raise


class _GivenUp(Exception):
    """Rolls the transaction back; nobody sees it."""


class _Session:
    """The statements of one transaction, on their way to the writer's thread and back."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[tuple[Work[Any], asyncio.Future[Any]] | bool] = queue.SimpleQueue()
        self._begun: asyncio.Future[None] = self._loop.create_future()
        self._over = False
        self._pending: asyncio.Future[Any] | None = None

    # -- in the thread ------------------------------------------------------------------------------------------------

    def serve(self, connection: sqlite3.Connection) -> None:
        """The piece of work that the writer sees: runs what comes, until the end."""
        self._post(self._begun, None, None)
        while True:
            item = self._queue.get()
            if item is True:
                return
            if item is False:
                raise _GivenUp
            work, future = item
            try:
                result = work(connection)
            except Exception as error:
                self._post(future, None, error)
            else:
                self._post(future, result, None)

    def _post(self, future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
        self._loop.call_soon_threadsafe(_settle, future, result, error)

    # -- in the loop --------------------------------------------------------------------------------------------------

    async def begun(self, running: asyncio.Future[None]) -> None:
        """Waits for the writer. Raises what keeps it from coming."""
        await asyncio.wait((self._begun, running), return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()

    def finish(self) -> None:
        """Commits."""
        self._over = True
        self._queue.put(True)

    def give_up(self) -> None:
        """Rolls back."""
        self._over = True
        self._queue.put(False)

    def ended(self, running: asyncio.Future[None]) -> None:
        """The transaction is over, whatever ended it: its time, say. Nobody waits for a statement any more."""
        self.give_up()
        pending = self._pending
        if pending is not None and not pending.done():
            error = None if running.cancelled() else running.exception()
            pending.set_exception(error or RuntimeError("the transaction is over"))

    async def _run(self, work: Work[T]) -> T:
        if self._over:
            raise RuntimeError("the transaction is over")
        future: asyncio.Future[T] = self._loop.create_future()
        self._pending = future
        self._queue.put((work, future))
        return await future

    async def execute(self, sql: str, *params: object) -> int:
        """Runs a statement; returns how many rows it changed."""
        return await self._run(_executing(sql, params))

    async def fetch(self, sql: str, *params: object, type: Any = None) -> list[Any]:
        """All rows."""
        columns, rows = await self._run(_fetching(sql, params))
        return as_rows(columns, rows, type)

    async def fetch_one(self, sql: str, *params: object, type: Any = None) -> Any:
        """The first row."""
        rows = await self.fetch(sql, *params, type=type)
        return rows[0] if rows else None


def _settle(future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


def _executing(sql: str, params: tuple[object, ...]) -> Work[int]:
    text, wanted = for_sqlite(sql)
    check_count(sql, wanted, len(params))

    def work(connection: sqlite3.Connection) -> int:
        return max(0, connection.execute(text, params).rowcount)

    return work


def _fetching(sql: str, params: tuple[object, ...]) -> Work[tuple[list[str], list[Any]]]:
    text, wanted = for_sqlite(sql)
    check_count(sql, wanted, len(params))

    def work(connection: sqlite3.Connection) -> tuple[list[str], list[Any]]:
        cursor = connection.execute(text, params)
        return [column[0] for column in cursor.description or ()], cursor.fetchall()

    return work
