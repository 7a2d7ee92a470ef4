"""Threads that do work on SQLite connections for an event loop: one transaction for each piece, or for several."""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Generic, TypeVar

from framework.errors import DeadlineExceeded
from framework.sqlite.connect import DatabaseBusy, DatabaseUnavailable, translated
from framework.sqlite.savepoint import clear, in_savepoint

__all__ = ["Job", "Lane", "Worker"]

T = TypeVar("T")

# Virtual machine steps between two looks at whether the caller is still there: about a millisecond.
_STEPS_PER_LOOK = 20_000
# What a thread is given, in seconds, to notice that its work was abandoned when the database closes.
_LAST_GRACE = 1.0


class Job(Generic[T]):
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


class Worker:
    """One thread and its one connection, which is opened when first needed and again after it broke."""

    def __init__(self, name: str, lane: Lane) -> None:
        self.ended: asyncio.Future[None] = lane.loop.create_future()
        self.current: tuple[Job[Any], ...] = ()
        self._lane = lane
        self._connection: sqlite3.Connection | None = None
        self._stoppable: Job[Any] | None = None
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
        lane = self._lane
        job = lane.queue.get()
        if job is None:
            return False
        if job.abandoned:
            return True
        if lane.max_group > 1 and not lane.queue.empty():
            return self._serve_group(job)
        self.current = (job,)
        try:
            result = self._transact(job)
        except BaseException as error:
            self._fail(job, error)
        else:
            job.deliver(result, None)
        self.current = ()
        del job  # its future holds the error whose traceback holds this frame
        return True

    def _serve_group(self, first: Job[Any]) -> bool:
        """Group commit: what waits already shares one transaction, and so one flush to the disk. Each piece has a
        savepoint, so that one that fails undoes itself alone. Nobody is answered before the commit."""
        group = [first]
        go_on = True
        while len(group) < self._lane.max_group:
            try:
                job = self._lane.queue.get_nowait()
            except queue.Empty:
                break
            if job is None:
                go_on = False
                break
            if not job.abandoned:
                group.append(job)
        self.current = tuple(group)
        try:
            outcomes = self._transact_all(group)
        except BaseException as error:
            for job in group:
                self._fail(job, error)
        else:
            for job, (result, failure) in zip(group, outcomes, strict=True):
                job.deliver(result, failure)
            outcomes.clear()
        self.current = ()
        group.clear()
        return go_on

    def _fail(self, job: Job[Any], error: BaseException) -> None:
        clear(error)
        outcome = translated(error)
        if isinstance(outcome, DatabaseUnavailable):
            self._disconnect()
        job.deliver(None, outcome)

    def _connect(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._lane.connect()
            self._connection.set_progress_handler(self._is_abandoned, _STEPS_PER_LOOK)
        return self._connection

    def _transact(self, job: Job[T]) -> T:
        connection = self._connect()
        connection.execute(self._lane.begin)
        try:
            result = self._work(job, connection)
            connection.execute("ROLLBACK" if job.abandoned else "COMMIT")
        except BaseException:
            self._roll_back(connection)
            raise
        return result

    def _transact_all(self, group: list[Job[Any]]) -> list[tuple[Any, Exception | None]]:
        connection = self._connect()
        connection.execute(self._lane.begin)
        try:
            outcomes = [self._in_savepoint(job, connection) for job in group]
            connection.execute("COMMIT")
        except BaseException:
            self._roll_back(connection)
            raise
        return outcomes

    def _in_savepoint(self, job: Job[T], connection: sqlite3.Connection) -> tuple[T | None, Exception | None]:
        """What the work came to. Raises what makes the whole transaction worthless."""
        return in_savepoint(connection, partial(self._work, job), lambda: job.abandoned)

    def _work(self, job: Job[T], connection: sqlite3.Connection) -> T:
        try:
            self._stoppable = job
            result = job.work(connection)
        finally:
            self._stoppable = None
        if isinstance(result, sqlite3.Cursor):
            raise TypeError("the work returned a cursor, which is of no use outside its thread; return rows")
        if not connection.in_transaction:
            raise RuntimeError("the work ended the transaction it was run in")
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


class Lane:
    """A bounded queue and the threads that serve it. They touch ``queue``, ``connect``,
    ``begin`` and ``max_group`` only."""

    def __init__(
        self,
        name: str,
        threads: int,
        connect: Callable[[], sqlite3.Connection],
        begin: str,
        max_waiting: int,
        max_group: int = 1,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.queue: queue.SimpleQueue[Job[Any] | None] = queue.SimpleQueue()
        self.connect = connect
        self.begin = begin
        self.max_group = max_group
        self.closing = False
        self._name = name
        self._max_waiting = max_waiting
        self._jobs: set[Job[Any]] = set()
        self._workers = [Worker(f"sqlite {name} {number}", self) for number in range(1, threads + 1)]
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
        job = Job(work, self.loop)
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

    def on_end(self, worker: Worker) -> None:
        worker.ended.set_result(None)
        for job in worker.current:
            job.abandon(DatabaseUnavailable("the database's thread died"))
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
