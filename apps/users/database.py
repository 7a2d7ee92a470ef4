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
power cut may lose the last transactions but never the file's integrity. Writers begin with BEGIN IMMEDIATE:
the lock is taken before the first read, so a transaction never fails in its middle for a lock. Readers are
opened read-only and ``query_only``.

Knows nothing of users and nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import sqlite3
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from traceback import clear_frames
from typing import Any, Generic, TypeVar

from anyio import CancelScope

from apps.users.connect import (
    DatabaseBusy,
    DatabaseFull,
    DatabaseUnavailable,
    connect_reader,
    connect_writer,
    translated,
)
from framework.errors import DeadlineExceeded, SetupError

__all__ = ["Database", "DatabaseBusy", "DatabaseFull", "DatabaseUnavailable"]

T = TypeVar("T")

# Virtual machine steps between two looks at whether the caller is still there: about a millisecond.
_STEPS_PER_LOOK = 20_000
# What a thread is given, in seconds, to notice that its work was abandoned when the database closes.
_LAST_GRACE = 1.0


class _Job(Generic[T]):
    """A piece of work on its way to a thread, and the future that brings its result back to the loop."""

    __slots__ = ("_loop", "abandoned", "future", "work")

    def __init__(self, work: Callable[[sqlite3.Connection], T], loop: asyncio.AbstractEventLoop) -> None:
        self.work = work
        self.abandoned = False
        self.future: asyncio.Future[T] = loop.create_future()
        self._loop = loop

    def abandon(self, error: Exception) -> None:
        """In the loop: nobody waits for the work any more; undo or skip it."""
        self.abandoned = True
        if not self.future.done():
            self.future.set_exception(error)

    def expire(self, what: str, seconds: float) -> None:
        """In the loop: the deadline has passed."""
        self.abandon(DeadlineExceeded(what, seconds))

    def deliver(self, result: T | None, error: Exception | None) -> None:
        """In the thread: hand the outcome to the loop."""
        _post(self._loop, self._settle, result, error)

    def _settle(self, result: T, error: Exception | None) -> None:
        if self.future.done():
            return
        if error is not None:
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


def _post(loop: asyncio.AbstractEventLoop, callback: Callable[..., object], *args: object) -> None:
    """Run ``callback`` in the loop. A loop that is closed already has nobody left who waits."""
    try:
        loop.call_soon_threadsafe(callback, *args)
    except RuntimeError:
        if not loop.is_closed():
            raise


class _Worker:
    """One thread and its one connection, which is opened when first needed and again after it broke."""

    def __init__(self, name: str, lane: _Lane) -> None:
        self.ended: asyncio.Future[None] = lane.loop.create_future()
        self.current: _Job[Any] | None = None
        self._lane = lane
        self._connection: sqlite3.Connection | None = None
        self._stoppable: _Job[Any] | None = None
        # A daemon, so that a hanging disk cannot keep the process from ending; the lane joins it.
        self.thread = threading.Thread(target=self._main, name=name, daemon=True)

    def _main(self) -> None:
        try:
            while self._serve_next():
                pass
        except BaseException:
            logging.getLogger(__name__).critical("thread %s died", self.thread.name, exc_info=True)
        finally:
            try:
                self._disconnect()
            finally:
                _post(self._lane.loop, self._lane.on_end, self)

    def _serve_next(self) -> bool:
        job = self._lane.queue.get()
        if job is None:
            return False
        if job.abandoned:
            return True
        self.current = job
        try:
            result = self._transact(job)
        except BaseException as error:
            self._fail(job, error)
        else:
            job.deliver(result, None)
        self.current = None
        del job  # its future holds the error whose traceback holds this frame
        return True

    def _fail(self, job: _Job[Any], error: BaseException) -> None:
        link: BaseException | None = error
        while link is not None:
            # The frames hold cursors, which freed in the loop would wait there for this thread's statements.
            clear_frames(link.__traceback__)
            link = link.__context__
        outcome = translated(error)
        if isinstance(outcome, DatabaseUnavailable):
            self._disconnect()
        job.deliver(None, outcome)

    def _transact(self, job: _Job[T]) -> T:
        if self._connection is None:
            self._connection = self._lane.connect()
            self._connection.set_progress_handler(self._is_abandoned, _STEPS_PER_LOOK)
        connection = self._connection
        connection.execute(self._lane.begin)
        try:
            self._stoppable = job
            result = job.work(connection)
            self._stoppable = None
            if isinstance(result, sqlite3.Cursor):
                raise TypeError(
                    "the work returned a cursor, which is of no use outside its thread; return rows"
                )
            if not connection.in_transaction:
                raise RuntimeError("the work ended the transaction it was run in")
            connection.execute("ROLLBACK" if job.abandoned else "COMMIT")
        except BaseException:
            self._stoppable = None
            self._roll_back(connection)
            raise
        return result

    def _is_abandoned(self) -> bool:
        return self._stoppable is not None and self._stoppable.abandoned

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class _Lane:
    """A bounded queue and the threads that serve it. They touch ``queue``, ``connect`` and ``begin`` only."""

    def __init__(
        self, name: str, threads: int, connect: Callable[[], sqlite3.Connection], begin: str, max_waiting: int
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.queue: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self.connect = connect
        self.begin = begin
        self.closing = False
        self._name = name
        self._max_waiting = max_waiting
        self._jobs: set[_Job[Any]] = set()
        self._workers = [_Worker(f"sqlite {name} {number}", self) for number in range(1, threads + 1)]
        for worker in self._workers:
            worker.thread.start()

    async def run(self, work: Callable[[sqlite3.Connection], T], timeout: float) -> T:
        if self.closing:
            raise DatabaseUnavailable("the database is closed")
        if all(worker.ended.done() for worker in self._workers):
            raise DatabaseUnavailable("the database's thread died")
        # Refused at once: callers waiting for a place in the queue would be a second queue without a bound.
        if self.queue.qsize() >= self._max_waiting:
            raise DatabaseBusy("too much work is waiting for the database", 1.0)
        job = _Job(work, self.loop)
        self._jobs.add(job)
        deadline = self.loop.call_later(timeout, job.expire, f"a database {self._name}", timeout)
        self.queue.put(job)
        try:
            return await job.future
        finally:
            job.abandoned = True
            deadline.cancel()
            self._jobs.discard(job)
            del job  # its future holds the error whose traceback holds this frame

    def on_end(self, worker: _Worker) -> None:
        worker.ended.set_result(None)
        if worker.current is not None:
            worker.current.abandon(DatabaseUnavailable("the database's thread died"))
        if all(other.ended.done() for other in self._workers):
            self._abandon_all("the database's thread died")

    async def stop(self, deadline: float) -> None:
        """Finish what waits until ``deadline`` (loop time), abandon the rest, end the threads."""
        for _ in self._workers:
            self.queue.put(None)
        ends = [worker.ended for worker in self._workers]
        _, late = await asyncio.wait(ends, timeout=max(0.0, deadline - self.loop.time()))
        if late:
            self._abandon_all("the database was closed")
            _, late = await asyncio.wait(late, timeout=_LAST_GRACE)
        for worker in self._workers:
            if worker.ended in late:
                logging.getLogger(__name__).error(
                    "thread %s did not end and is left behind", worker.thread.name
                )
            else:
                worker.thread.join()

    def _abandon_all(self, reason: str) -> None:
        for job in tuple(self._jobs):
            job.abandon(DatabaseUnavailable(reason))


class Database:
    """One SQLite file. Made by ``open``; belongs to the event loop that opened it.

    Work gets a ``sqlite3.Connection`` inside a transaction and returns plain values: no cursor, no connection
    and nothing that reads later may leave it. It does not begin, commit or roll back, and only talks to the
    database: whatever else takes time holds up every other write.
    """

    def __init__(self, path: Path, writer: _Lane, readers: _Lane, wait_timeout: float) -> None:
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

        Raises:
            SetupError: the file cannot be opened, is no database, or is on a file system without shared
                memory.
            DatabaseBusy: another process kept the file locked for ``busy_timeout``.
        """
        file = _file(path)
        writer = _Lane("write", 1, lambda: connect_writer(file, busy_timeout), "BEGIN IMMEDIATE", max_waiting)
        reading = _Lane("read", readers, lambda: connect_reader(file, busy_timeout), "BEGIN", max_waiting)
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
