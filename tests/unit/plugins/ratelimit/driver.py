"""A clock that a test sets, and engines on it."""

from __future__ import annotations

from framework.plugins.ratelimit import MemoryEngine

__all__ = ["SECOND", "Clock", "memory"]

SECOND = 1_000_000_000


class Clock:
    """Nanoseconds."""

    def __init__(self, now: int = 1_000_000 * SECOND) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def micro(self) -> int:
        return self.now // 1000

    def pass_(self, seconds: float) -> None:
        self.now += round(seconds * SECOND)


def memory(clock: Clock, *, max_keys: int = 100_000) -> MemoryEngine:
    return MemoryEngine(max_keys=max_keys, clock=clock)
