"""Items of one kind that are written many at a time, by as few statements as that takes."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context
from functools import partial
from typing import Generic, TypeVar

from framework.sqlite.connect import DatabaseBusy
from framework.sqlite.database import Database

__all__ = ["Batches"]

T = TypeVar("T")
R = TypeVar("R")


class Batches(Generic[T, R]):
    """Hands items to the writer in the order of their coming: all of a loop's turn, and all that came while the ones
    before them were written, as one piece of work.

    Pieces that share a commit (``max_group``) still pay for their own statements and their own way to the thread and
    back; here the work sees all items, and may write them by one statement. An item whose caller left is skipped,
    unless its batch has begun.

    Args:
        work: writes the items, and returns the outcome of each, in their order: a result, or an error that has left
            nothing behind (see ``in_savepoint``). What it raises, all of them get.
        max_batch: items in one piece of work.
        max_waiting: items beyond which DatabaseBusy is raised.
    """

    def __init__(
        self,
        database: Database,
        work: Callable[[sqlite3.Connection, list[T]], Sequence[R | Exception]],
        *,
        max_batch: int = 256,
        max_waiting: int = 8192,
    ) -> None:
        self._database = database
        self._work = work
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._writing: asyncio.Task[None] | None = None

    async def run(self, item: T) -> R:
        """The item's outcome. Raises what ``Database.write`` does, and the item's own error."""
        if len(self._waiting) >= self._max_waiting:
            raise DatabaseBusy("too much work is waiting for the database", 1.0)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        self._waiting.append((item, future))
        if self._writing is None:
            # It begins in the next turn: what else comes in this one is of the same batch. It is nobody's in
            # particular, and may go on for long: it keeps no context of the one who came first.
            self._writing = loop.create_task(self._write(), name="sqlite batches", context=Context())
        return await future

    async def end(self) -> None:
        """Returns when nothing is under way; for after the database was closed, or nobody runs anything any more."""
        if self._writing is not None:
            await asyncio.wait([self._writing])

    async def _write(self) -> None:
        try:
            while self._waiting:
                await self._write_batch()
        finally:
            self._writing = None
            for _, future in self._waiting:
                future.cancel()
            self._waiting.clear()

    async def _write_batch(self) -> None:
        items: list[T] = []
        futures: list[asyncio.Future[R]] = []
        while self._waiting and len(items) < self._max_batch:
            item, future = self._waiting.popleft()
            if not future.done():
                items.append(item)
                futures.append(future)
        if not items:
            return
        try:
            outcomes = await self._database.write(partial(_apply, self._work, items))
        except Exception as error:
            for future in futures:
                if not future.done():
                    future.set_exception(error)
            return
        except BaseException:
            for future in futures:
                future.cancel()
            raise
        for future, outcome in zip(futures, outcomes, strict=True):
            if future.done():
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)


def _apply(
    work: Callable[[sqlite3.Connection, list[T]], Sequence[R | Exception]],
    items: list[T],
    connection: sqlite3.Connection,
) -> Sequence[R | Exception]:
    return work(connection, items)
