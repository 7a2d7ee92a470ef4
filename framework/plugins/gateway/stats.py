"""What is counted of each route and cluster: plain numbers, for the dashboard, operators and Prometheus."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

import msgspec

__all__ = ["BOUNDS", "RouteStats", "Sample", "percentile"]

BOUNDS: Final = tuple(round(0.0005 * 1.35**step, 6) for step in range(40))
"""Upper bounds of the latency buckets in seconds: half a millisecond to a minute, each a third more than the last."""


class Sample(msgspec.Struct, frozen=True):
    """The numbers of a route at one moment. ``statuses``: answers by class, 1xx to 5xx; ``buckets``: by ``BOUNDS``."""

    requests: int
    statuses: tuple[int, ...]
    buckets: tuple[int, ...]
    seconds: float
    retries: int
    active: int


class RouteStats:
    """Counts of one route, from the beginning."""

    __slots__ = ("active", "buckets", "requests", "retries", "seconds", "statuses")

    def __init__(self) -> None:
        self.requests = 0
        self.statuses = [0] * 6
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0
        self.retries = 0
        self.active = 0

    def count(self, status: int, seconds: float, tries: int) -> None:
        """A request was answered: its head was ready after that many seconds."""
        self.requests += 1
        self.statuses[status // 100] += 1
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds
        if tries > 1:
            self.retries += tries - 1

    def sample(self) -> Sample:
        """As of now."""
        return Sample(
            self.requests, tuple(self.statuses), tuple(self.buckets), self.seconds, self.retries, self.active
        )


def percentile(buckets: Sequence[int], part: float) -> float:
    """The latency in seconds that ``part`` of the requests stayed below, as exactly as the buckets tell; 0 for none."""
    total = sum(buckets)
    if not total:
        return 0.0
    wanted = part * total
    seen = 0
    for index, count in enumerate(buckets):
        if seen + count >= wanted and count:
            low = BOUNDS[index - 1] if index else 0.0
            high = BOUNDS[min(index, len(BOUNDS) - 1)]
            return low + (high - low) * (wanted - seen) / count
        seen += count
    return BOUNDS[-1]
