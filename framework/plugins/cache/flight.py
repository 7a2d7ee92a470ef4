"""Loads under way: one for each key, shared by all who want the value, owned by the cache and by none of them.

A load runs in a task of its own. Whoever waits for it may leave: cancelled, or because their own time is over. That it
was the one who began it makes no difference (the baton is passed by not being held). When the last one was cancelled
the load is cancelled too; after a time-out it goes on, and its value is kept.
"""

from __future__ import annotations

import asyncio
from typing import Any

from framework.errors import DeadlineExceeded
from framework.plugins.cache.entry import MISSING
from framework.plugins.cache.ledger import Ticket

__all__ = ["Flight"]


class Flight:
    """One load.

    Attributes:
        answer: what those who wait get; set before the load's task ends.
        stale: an old value that may be served instead, MISSING where there is none.
        kept: it goes on though nobody waits.
        ticket: of the ledger.
    """

    __slots__ = ("answer", "kept", "key", "stale", "task", "ticket", "waiters")

    def __init__(self, key: str, ticket: Ticket, *, kept: bool, stale: Any) -> None:
        self.key = key
        self.ticket = ticket
        self.kept = kept
        self.stale = stale
        self.waiters = 0
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.task: asyncio.Task[None] | None = None

    def succeed(self, value: Any) -> None:
        """Gives the value to those who wait; once more is no error."""
        if not self.answer.done():
            self.answer.set_result(value)

    def fail(self, error: BaseException) -> None:
        """Gives them the error, or the old value where there is one."""
        if self.answer.done():
            return
        if self.stale is not MISSING:
            self.answer.set_result(self.stale)
        else:
            self.answer.set_exception(error)
            self.answer.exception()  # nobody may be waiting, and who began it is told in another way

    async def follow(self, soft: float | None, hard: float | None) -> Any:
        """Waits for the value.

        Args:
            soft: seconds after which an old value will do.
            hard: seconds after which DeadlineExceeded is raised.

        Raises:
            DeadlineExceeded: see there. The load goes on.
            Exception: what the loader raised.
        """
        answer, left = self.answer, hard
        self.waiters += 1
        try:
            if soft is not None and (hard is None or soft < hard):
                await _until(answer, soft)
                if not answer.done() and self.stale is not MISSING:
                    self.kept = True
                    return self.stale
                if left is not None:
                    left -= soft
            if not answer.done():
                await _until(answer, left)
        except asyncio.CancelledError:
            if self.waiters == 1 and not self.kept and not answer.done() and self.task is not None:
                self.task.cancel()
                self.ticket.valid = False
            raise
        finally:
            self.waiters -= 1
        if not answer.done():
            self.kept = True
            if self.stale is not MISSING:
                return self.stale
            raise DeadlineExceeded(f"the load of {self.key!r}", hard or 0.0)
        return answer.result()


async def _until(answer: asyncio.Future[Any], seconds: float | None) -> None:
    """Returns when there is an answer, or the time is over; the answer does not end with who waits for it. (As
    ``asyncio.wait`` does, at a third of the cost.)"""
    loop = answer.get_loop()  # asking for the running one is a system call in Python 3.11
    waiter: asyncio.Future[None] = loop.create_future()

    def wake(_: object = None) -> None:
        if not waiter.done():
            waiter.set_result(None)

    answer.add_done_callback(wake)
    timer = None if seconds is None else loop.call_later(max(0.0, seconds), wake)
    try:
        await waiter
    finally:
        answer.remove_done_callback(wake)
        if timer is not None:
            timer.cancel()
