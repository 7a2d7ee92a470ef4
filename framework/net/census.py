"""Decides when a supervisor's workers are asked for their numbers, and what they come to. No processes, no clock.

A worker asks; all are told to count; when all have, or time is up, the one who asked is told the total. In it are the
counts of workers that have ended, as far as they were known, so that a total never falls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from framework.net.brain import NEVER
from framework.net.tally import Tally, merge, remains

__all__ = ["Census"]

_PATIENCE: Final = 1.0


class Census:
    """Workers are named by numbers that are never used again; a later one has a higher number.

    Args:
        count: tells a worker to count.
        answer: tells a worker the total that it asked for by that ticket.
        patience: seconds until the numbers of a worker that does not answer are those it told last.
    """

    def __init__(
        self,
        count: Callable[[int], None],
        answer: Callable[[int, int, Tally], None],
        *,
        patience: float = _PATIENCE,
    ) -> None:
        self._count = count
        self._answer = answer
        self._patience = patience
        self._members: set[int] = set()
        self._told: set[int] = set()
        self._last: dict[int, Tally] = {}
        self._remains = Tally()
        self._askers: dict[int, int] = {}
        self._next: dict[int, int] = {}
        self._missing: set[int] = set()
        self._due = NEVER

    def joined(self, worker: int) -> None:
        """A worker serves, and can be told to count."""
        self._members.add(worker)

    def asked(self, worker: int, ticket: int, now: float) -> None:
        """A worker wants the total. What it asks while the others are counting is answered by another count."""
        self._next[worker] = ticket
        if not self._askers:
            self._begin(now)

    def counted(self, worker: int, tally: Tally, now: float) -> None:
        """A worker told its numbers, as it was told to or because it ends."""
        self._told.discard(worker)
        self._last[worker] = tally
        self._heard(worker, now)

    def gone(self, worker: int, now: float) -> None:
        """A worker has ended."""
        self._members.discard(worker)
        self._told.discard(worker)
        self._next.pop(worker, None)
        tally = self._last.pop(worker, None)
        if tally is not None:
            self._remains = merge([self._remains, remains(tally)])
        if self._askers.pop(worker, None) is not None and not self._askers:
            self._missing.clear()
            self._go_on(now)
        else:
            self._heard(worker, now)

    def tick(self, now: float) -> float:
        """Waits no longer for those who are late; returns when to call again at the latest."""
        if now >= self._due:
            self._end(now)
        return self._due

    def _begin(self, now: float) -> None:
        self._askers, self._next = self._next, {}
        self._missing = set(self._members)
        self._due = now + self._patience
        for worker in sorted(self._members - self._told):
            self._told.add(worker)
            self._count(worker)
        if not self._missing:
            self._end(now)

    def _heard(self, worker: int, now: float) -> None:
        self._missing.discard(worker)
        if self._askers and not self._missing:
            self._end(now)

    def _end(self, now: float) -> None:
        total = merge([self._remains, *(self._last[worker] for worker in sorted(self._last))])
        for worker, ticket in self._askers.items():
            self._answer(worker, ticket, total)
        self._askers = {}
        self._go_on(now)

    def _go_on(self, now: float) -> None:
        self._due = NEVER
        if self._next:
            self._begin(now)
