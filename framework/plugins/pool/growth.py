"""When to open connections: more where that helps those who wait, and ever more slowly where it fails."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Final

__all__ = ["WEIGHT", "Backoff", "Estimate", "growth"]

WEIGHT: Final = 0.125


class Estimate:
    """A moving average of durations; ``value`` is None before the first."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: float | None = None

    def add(self, seconds: float) -> None:
        """Takes a duration into account: an eighth of the new average."""
        value = self.value
        self.value = seconds if value is None else value + (seconds - value) * WEIGHT


def growth(
    *, waiting: int, opening: int, lent: int, hold: float | None, connect: float | None, waited: float
) -> int:
    """How many connections to open for those who wait.

    A new connection is of no use to anybody who gets a returned one sooner. So the time in which the ``lent``
    connections will have served the queue is compared with the time it takes to connect ("Welcome to the Jungle",
    HikariCP). That is an estimate; when somebody has waited for longer than connecting takes, it was wrong.

    Args:
        waiting: how many wait.
        opening: how many connections are being opened already.
        lent: how many are lent.
        hold: for how long one is lent, on average; None when none has come back yet.
        connect: how long connecting takes, on average; None before the first.
        waited: how long the first in the queue has waited.
    """
    unserved = waiting - opening
    if unserved <= 0:
        return 0
    if connect is not None and waited >= connect:
        return unserved
    if connect is None or hold is None:
        return max(0, 1 - opening) if lent else unserved
    needed = max(1, ceil(waiting * hold / connect))
    return max(0, min(unserved, needed - lent - opening))


class Backoff:
    """Spaces the attempts to connect when they fail: twice the time after each failure, half of it at random.

    Attributes:
        is_failing: the last attempt has failed.
        retry_at: when the next one may be made.
        error: what the last one raised.
    """

    __slots__ = ("_jitter", "_max", "_min", "_streak", "error", "is_failing", "retry_at")

    def __init__(self, minimum: float, maximum: float, jitter: Callable[[], float]) -> None:
        self._min = minimum
        self._max = maximum
        self._jitter = jitter
        self._streak = 0
        self.is_failing = False
        self.retry_at = 0.0
        self.error: BaseException | None = None

    def failed(self, now: float, error: BaseException) -> None:
        """An attempt has failed, or what came of it was of no use."""
        # A server that takes connections and drops them succeeds and fails by turns: only a while without failures
        # ends the streak.
        self._streak = self._streak + 1 if now < self.retry_at + self._max else 1
        self.is_failing = True
        self.error = error
        delay = min(self._max, self._min * 2.0 ** min(self._streak - 1, 60))
        self.retry_at = now + delay * (0.5 + 0.5 * self._jitter())

    def succeeded(self) -> None:
        """An attempt has succeeded."""
        self.is_failing = False
        self.error = None
