"""When something is due for a connection: one heap for all of them, looked at by one timer."""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count
from typing import Generic, Protocol, TypeVar

__all__ = ["Deadlines"]


class Due(Protocol):
    """What has a deadline. ``due``: loop time; infinite for none."""

    due: float


T = TypeVar("T", bound=Due)


class Deadlines(Generic[T]):
    """Holds an object until its deadline, or until that was moved to a later time and has passed."""

    __slots__ = ("_heap", "_numbers")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, T]] = []
        self._numbers = count()

    def set(self, item: T, due: float) -> None:
        """Another deadline, in place of the one it has."""
        item.due = due
        if due != float("inf"):
            heappush(self._heap, (due, next(self._numbers), item))

    def pop(self, now: float) -> list[T]:
        """Those that are due."""
        found: list[T] = []
        while self._heap and self._heap[0][0] <= now:
            due, _, item = heappop(self._heap)
            if item.due == due:
                item.due = float("inf")
                found.append(item)
        return found
