"""A retry budget: retries are a part of the traffic, so that a broken upstream is not beaten with its own failures."""

from __future__ import annotations

from typing import Final

import msgspec

from framework.resilience.window import SlidingCounts

__all__ = ["RetryBudget", "RetryBudgetSettings"]

_OFFERED: Final = 0
_RETRIED: Final = 1


class RetryBudgetSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many retries are allowed.

    Attributes:
        ratio: retries for each request of the last ``window`` seconds.
        min_per_second: retries that are allowed besides, or a quiet service could not retry at all.
        window: seconds.
    """

    ratio: float = 0.2
    min_per_second: float = 1.0
    window: float = 10.0

    def __post_init__(self) -> None:
        if not (self.ratio >= 0 and self.min_per_second >= 0 and self.window > 0):
            raise ValueError("ratio and min_per_second are at least 0, window more than 0 seconds")


class RetryBudget:
    """Counts requests and the retries made for them over the same window.

    A retry is counted when it is granted, ahead of its back-off, so that those who wait count too (envoy #30205). In
    any window at most ``ratio x requests + min_per_second x window`` are granted: over a total outage the upstream
    sees at most ``1 + ratio`` times what is offered, and the floor.
    """

    __slots__ = ("_counts", "_floor", "_ratio", "denied")

    def __init__(self, settings: RetryBudgetSettings | None = None) -> None:
        settings = settings or RetryBudgetSettings()
        self._ratio = settings.ratio
        self._floor = settings.min_per_second * settings.window
        self._counts = SlidingCounts(2, settings.window)
        self.denied = 0

    def offered(self, now: float) -> None:
        """A request came, once for each whatever happens to it."""
        self._counts.add(_OFFERED, now)

    def take(self, now: float) -> bool:
        """Takes a retry from the budget; False when there is none left."""
        if self.left(now) < 1:
            self.denied += 1
            return False
        self._counts.add(_RETRIED, now)
        return True

    def left(self, now: float) -> float:
        """Retries that are left at this moment."""
        offered, retried = self._counts.sums(now)
        return max(0.0, self._ratio * offered + self._floor - retried)
