"""An SQLite file beside an event loop: one writer thread, a few readers, and a loop that never blocks.

SQLite has one writer at a time. One thread owns the only writing connection, so the order of its queue is the
order of the writes and no write of this process ever meets a lock of this process. Readers have connections
of their own; in WAL mode they read while the writer writes. A piece of work is a plain function of a
connection::

    def rename(connection: sqlite3.Connection) -> int:
        return connection.execute("UPDATE users SET name = 'Ada' WHERE id = 1").rowcount

    async with Database.open("users.sqlite3") as database:
        changed = await database.write(rename)

Each runs whole inside one transaction of its thread: committed if it returns, rolled back if it raises, if
its caller is cancelled or if its deadline passes. Only a COMMIT that has begun is not called back: then the
write may stand although the caller did not hear of it, as with any database.

Settings of every connection: ``foreign_keys`` on; ``busy_timeout`` for locks of *other* processes;
``synchronous = NORMAL``, which in WAL mode means that a killed process loses nothing it acknowledged, and a
power cut may lose the last transactions but never the file's integrity; FULL where asked for, which flushes
every commit to the disk before it is acknowledged. With ``max_group`` the work that waits already shares one
commit and its flush, so that a slow disk acknowledges many writes at a time; many small writes of one kind
share their statements too as ``Batches``. Writers begin with BEGIN
IMMEDIATE: the lock is taken before the first read, so a transaction never fails in its middle for a lock.
Readers are opened read-only and ``query_only``.

Knows nothing of HTTP.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal, TypeVar

from anyio import CancelScope

from framework.errors import SetupError
from framework.sqlite.connect import (
    DatabaseBusy,
    DatabaseFull,
    DatabaseUnavailable,
    connect_reader,
    connect_writer,
)
from framework.sqlite.lane import Lane

__all__ = ["Database", "DatabaseBusy", "DatabaseFull", "DatabaseUnavailable"]

T = TypeVar("T")


class Database:
    """One SQLite file. Made by ``open``; belongs to the event loop that opened it.

    Work gets a ``sqlite3.Connection`` inside a transaction and returns plain values: no cursor, no connection
    and nothing that reads later may leave it. It does not begin, commit or roll back, and only talks to the
    database: whatever else takes time holds up every other write.
    """

    def __init__(self, path: Path, writer: Lane, readers: Lane, wait_timeout: float) -> None:
        self.path = path
        self._writer = writer
        self._readers = readers
        self._wait_timeout = wait_timeout

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        path: str | os.PathLike[str],
        *,
        readers: int = 2,
        max_waiting: int = 1024,
        wait_timeout: float = 10.0,
        busy_timeout: float = 5.0,
        close_timeout: float = 10.0,
        synchronous: Literal["NORMAL", "FULL"] = "NORMAL",
        max_group: int = 1,
    ) -> AsyncGenerator[Database, None]:
        """Open the file at ``path``, made if absent (for its owner alone), and close it at the end.

        Closing takes no new work, finishes what waits within ``close_timeout`` and abandons the rest.

        Args:
            path: a file on a local disk. ":memory:" is refused: every connection would have a database of its
                own.
            readers: threads that read beside the writer, each with a connection.
            max_waiting: pieces of work that may wait for the writer, and as many for the readers.
            wait_timeout: seconds that ``read`` and ``write`` take at most, waiting and working, unless told
                otherwise.
            busy_timeout: seconds that SQLite waits for the lock of another process.
            close_timeout: seconds for the work that still waits when the database closes.
            synchronous: FULL also survives a power cut with every write that was acknowledged.
            max_group: pieces of work that may share one commit when they wait at the same time.

        Raises:
            SetupError: the file cannot be opened, is no database, or is on a file system without shared
                memory.
            DatabaseBusy: another process kept the file locked for ``busy_timeout``.
        """
        file = _file(path)

        def connect() -> sqlite3.Connection:
            return connect_writer(file, busy_timeout, synchronous)

        writer = Lane("write", 1, connect, "BEGIN IMMEDIATE", max_waiting, max_group)
        reading = Lane("read", readers, lambda: connect_reader(file, busy_timeout), "BEGIN", max_waiting)
        database = cls(file, writer, reading, wait_timeout)
        try:
            # The writer first: it makes the file and its WAL, without which a read-only connection cannot
            # open.
            await database._touch()
            yield database
        finally:
            with CancelScope(shield=True):
                await database._close(close_timeout)

    async def read(self, work: Callable[[sqlite3.Connection], T], *, timeout: float | None = None) -> T:
        """Run ``work`` on a reader, in a transaction that shows one state of the data from first to last
        statement.

        Raises:
            DeadlineExceeded: it took longer than ``timeout`` seconds (``wait_timeout`` if None), waiting
                included.
            DatabaseBusy: too much work is waiting.
            DatabaseUnavailable: the file fails, or the database is closed.
            Exception: whatever ``work`` raises.
        """
        return await self._readers.run(work, self._wait_timeout if timeout is None else timeout)

    async def write(self, work: Callable[[sqlite3.Connection], T], *, timeout: float | None = None) -> T:
        """Run ``work`` on the writer, in a transaction that is committed when it returns.

        An error, a cancellation or a passed deadline rolls it back, unless the COMMIT has begun.

        Raises:
            DeadlineExceeded: it took longer than ``timeout`` seconds (``wait_timeout`` if None), waiting
                included.
            DatabaseBusy: another process holds the lock, or too much work is waiting.
            DatabaseFull: no room on the disk.
            DatabaseUnavailable: the file fails, or the database is closed.
            Exception: whatever ``work`` raises.
        """
        return await self._writer.run(work, self._wait_timeout if timeout is None else timeout)

    async def _touch(self) -> None:
        try:
            await self.write(_nothing)
            await self.read(_nothing)
        except DatabaseUnavailable as error:
            raise SetupError(
                f"cannot open the database file {self.path}: {error.__cause__ or error}"
            ) from error

    async def _close(self, timeout: float) -> None:
        deadline = self._writer.loop.time() + timeout
        self._readers.closing = self._writer.closing = True
        try:
            await self._readers.stop(deadline)
        finally:
            # The writer last: the last connection to leave writes the WAL back, which a reader may not do.
            await self._writer.stop(deadline)


def _file(path: str | os.PathLike[str]) -> Path:
    if os.fspath(path) == ":memory:":
        raise SetupError("the database must be a file: a database in memory has only one connection")
    return Path(path).absolute()


def _nothing(connection: sqlite3.Connection) -> None:
    connection.execute("SELECT count(*) FROM sqlite_schema")
