"""Counts over the last seconds, in buckets: memory and cost do not depend on how much is counted."""

from __future__ import annotations

from typing import Final

__all__ = ["SlidingCounts"]

BUCKETS: Final = 10


class SlidingCounts:
    """Sums of some numbers over a window that slides in steps of a tenth of it.

    Args:
        size: how many numbers are counted side by side.
        window: seconds. What is counted leaves the sums between 0.9 and 1 window later.
    """

    __slots__ = ("_buckets", "_newest", "_sums", "_width")

    def __init__(self, size: int, window: float) -> None:
        if not window > 0:
            raise ValueError("a window is longer than 0 seconds")
        self._width = window / BUCKETS
        self._sums = [0] * size
        self._buckets = [[0] * size for _ in range(BUCKETS)]
        self._newest: int | None = None

    def add(self, which: int, now: float, amount: int = 1) -> None:
        """Counts ``amount`` more of the number ``which``."""
        self._slide(now)
        self._buckets[(self._newest or 0) % BUCKETS][which] += amount
        self._sums[which] += amount

    def sums(self, now: float) -> list[int]:
        """The sums as of ``now``; read them, and keep nothing of the list."""
        self._slide(now)
        return self._sums

    def clear(self) -> None:
        """Forgets everything."""
        self._newest = None
        for counts in (self._sums, *self._buckets):
            counts[:] = [0] * len(counts)

    def _slide(self, now: float) -> None:
        """Empties the buckets that the time has passed over. A clock that steps back counts as one that stands."""
        index = int(now // self._width)
        newest = self._newest
        if newest is None:
            self._newest = index
            return
        if index <= newest:
            return
        if index - newest >= BUCKETS:
            self.clear()
        else:
            sums = self._sums
            for passed in range(newest + 1, index + 1):
                bucket = self._buckets[passed % BUCKETS]
                for which, count in enumerate(bucket):
                    if count:
                        sums[which] -= count
                        bucket[which] = 0
        self._newest = index
