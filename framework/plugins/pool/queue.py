"""Those who wait for a connection: first come, first served, each until its deadline."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from math import inf
from typing import Any, Final

from framework.plugins.pool.slots import Waiter

__all__ = ["Queue"]

_SPARE: Final = 64


class Queue:
    """A queue that anybody may leave at any time, and that knows whose deadline is next.

    Joining, leaving and being served take the same time however many wait. Who has left stays among the deadlines for
    a while, but never more of those than of those who wait, and some.

    Attributes:
        entries: the waiters in order. To look at only; it is the same object for good, so that looking is quick.
    """

    __slots__ = ("_deadlines", "_numbers", "entries")

    def __init__(self) -> None:
        self.entries: OrderedDict[Waiter, None] = OrderedDict()
        self._deadlines: list[tuple[float, int, Waiter]] = []
        self._numbers = 0

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Waiter]:
        return iter(self.entries)

    def __contains__(self, waiter: Any) -> bool:
        return waiter in self.entries

    @property
    def next_deadline(self) -> float:
        """When ``expired`` is worth a call; infinity when nobody waits."""
        while self._deadlines and self._deadlines[0][2] not in self.entries:
            heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else inf

    def join(self, waiter: Waiter, *, at_head: bool = False) -> None:
        """Adds somebody at the end, or ``at_head`` who has been served and was given nothing of use."""
        self.entries[waiter] = None
        if at_head:
            self.entries.move_to_end(waiter, last=False)
        if len(self._deadlines) > 2 * len(self.entries) + _SPARE:
            self._deadlines = [entry for entry in self._deadlines if entry[2] in self.entries]
            heapify(self._deadlines)
        self._numbers += 1
        heappush(self._deadlines, (waiter.deadline, self._numbers, waiter))

    def leave(self, waiter: Waiter) -> bool:
        """Removes somebody; whether they were there."""
        if waiter in self.entries:
            del self.entries[waiter]
            return True
        return False

    def pop(self) -> Waiter:
        """Removes and returns who has waited for longest."""
        return self.entries.popitem(last=False)[0]

    def expired(self, now: float) -> Iterator[Waiter]:
        """Removes those whose deadline has come."""
        while self._deadlines and self._deadlines[0][0] <= now:
            waiter = heappop(self._deadlines)[2]
            if self.leave(waiter):
                yield waiter

    def clear(self) -> list[Waiter]:
        """Removes everybody."""
        waiters = list(self.entries)
        self.entries.clear()
        self._deadlines.clear()
        return waiters
