"""Policies that look at how busy and how fast the endpoints are."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from random import Random

from framework.balancing.endpoint import Endpoint
from framework.balancing.policy import NONE
from framework.balancing.weighted import WeightedDraw

__all__ = ["LeastRequest", "PeakEWMA", "TwoChoices"]


class LeastRequest:
    """The one with the fewest requests under way for its share; of equals, in turn. Looks at all: for some dozens."""

    def __init__(self, random: Random | None = None) -> None:
        self._random = random or Random()
        self._endpoints: Sequence[Endpoint] = ()
        self._next = 0

    def update(self, endpoints: Sequence[Endpoint], now: float) -> None:
        """Sets the endpoints; the turn goes on anywhere among them."""
        self._endpoints = tuple(endpoints)
        self._next = self._random.randrange(len(endpoints)) if endpoints else 0

    def pick(
        self, now: float, key: bytes | None = None, avoid: Collection[Endpoint] = NONE
    ) -> Endpoint | None:
        """The least busy one. With one more request each would be at ``(active + 1) / share``."""
        endpoints = self._endpoints
        count = len(endpoints)
        start = self._next
        best: Endpoint | None = None
        least = float("inf")
        for step in range(count):
            endpoint = endpoints[(start + step) % count]
            if not endpoint.available:
                continue
            load = (endpoint.active + 1) / endpoint.share(now)
            if load < least and endpoint not in avoid:
                least, best = load, endpoint
                self._next = (start + step + 1) % count
        return best


class TwoChoices:
    """Draws two by weight and takes the less busy one (Mitzenmacher, "The Power of Two Choices", 2001): nearly as even
    as looking at all, without the herd that follows one stale number, at a cost that does not grow with their count.
    """

    def __init__(self, random: Random | None = None) -> None:
        self._draw = WeightedDraw(random or Random())

    def update(self, endpoints: Sequence[Endpoint], now: float) -> None:
        """Sets the endpoints."""
        self._draw.update(endpoints)

    def pick(
        self, now: float, key: bytes | None = None, avoid: Collection[Endpoint] = NONE
    ) -> Endpoint | None:
        """The better of two different ones, where there are two."""
        draw = self._draw
        first = draw.draw(now, avoid)
        if first is None or draw.count == 1:
            return first
        second = self._draw.draw(now, (first, *avoid))
        if second is None or self.cost(first, now) <= self.cost(second, now):
            return first
        return second

    def cost(self, endpoint: Endpoint, now: float) -> float:
        """Requests under way for its share. Of two that are equal, idle ones say, the first was drawn by weight."""
        return endpoint.active / endpoint.share(now)


class PeakEWMA(TwoChoices):
    """Of two drawn ones the one that will be done sooner: its latency, times the requests that wait there already.

    The latency is a moving average that believes bad news at once and good news slowly, over ``decay`` seconds
    (Finagle's "Peak EWMA"). An endpoint of which nothing is known is tried, but not by everybody at the same time:
    while it has not answered, its requests under way count as slow ones.

    Args:
        penalty: seconds that an endpoint without an answer yet is taken to need, once it has a request.
    """

    def __init__(self, random: Random | None = None, *, decay: float = 10.0, penalty: float = 1.0) -> None:
        super().__init__(random)
        self.decay = decay
        self._penalty = penalty

    def cost(self, endpoint: Endpoint, now: float) -> float:
        """Expected seconds until one more request is answered."""
        latency = endpoint.latency(now, self.decay)
        if latency == 0.0 and endpoint.active:
            latency = self._penalty
        return latency * (endpoint.active + 1) / endpoint.share(now)
