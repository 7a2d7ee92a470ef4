"""Policies that look at weights only."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence
from heapq import heapify, heappop, heappush
from itertools import accumulate
from random import Random

from framework.balancing.endpoint import Endpoint
from framework.balancing.policy import NONE

__all__ = ["RandomChoice", "RoundRobin", "WeightedDraw"]


class RoundRobin:
    """Smooth weighted round robin: each in turn, a heavy one more often but not twice in a row where that can be
    helped.

    Every endpoint has a time at which its next turn is due, ``1 / share`` after the one before (earliest deadline
    first, as Envoy does it): O(log n) for a pick, and the turns of those who stay go on undisturbed when others come
    and go. The first turns are drawn at random, so that many balancers that start together do not all begin with the
    same endpoint (envoy #31378).
    """

    def __init__(self, random: Random | None = None) -> None:
        self._random = random or Random()
        self._heap: list[tuple[float, int, Endpoint]] = []
        self._clock = 0.0
        self._count = 0

    def update(self, endpoints: Sequence[Endpoint], now: float) -> None:
        """Keeps the turns of those that stay; others get their first one within their own stride."""
        staying = {endpoint: due for due, _, endpoint in self._heap}
        entries: list[tuple[float, int, Endpoint]] = []
        for endpoint in endpoints:
            due = staying.get(endpoint)
            if due is None:
                due = self._clock + self._random.random() / endpoint.share(now)
            self._count += 1
            entries.append((due, self._count, endpoint))
        heapify(entries)
        self._heap = entries

    def pick(
        self, now: float, key: bytes | None = None, avoid: Collection[Endpoint] = NONE
    ) -> Endpoint | None:
        """The one whose turn it is. Who cannot be picked loses the turn, or would get all it missed at once later."""
        heap = self._heap
        skipped: list[tuple[float, int, Endpoint]] = []
        found: Endpoint | None = None
        while heap:
            due, number, endpoint = heappop(heap)
            if endpoint.available and endpoint not in avoid:
                found = endpoint
                self._clock = max(self._clock, due)
                heappush(heap, (self._clock + 1.0 / endpoint.share(now), number, endpoint))
                break
            skipped.append((due, number, endpoint))
        for due, number, endpoint in skipped:
            later = due if endpoint.available else max(due, self._clock) + 1.0 / endpoint.share(now)
            heappush(heap, (later, number, endpoint))
        return found


class WeightedDraw:
    """Draws endpoints by weight, without a loop over them."""

    def __init__(self, random: Random) -> None:
        self._random = random.random
        self._endpoints: Sequence[Endpoint] = ()
        self._bounds: list[int] = []
        self._total = 0
        self.count = 0

    def update(self, endpoints: Sequence[Endpoint]) -> None:
        self._endpoints = tuple(endpoints)
        self._bounds = list(accumulate(endpoint.weight for endpoint in endpoints))
        self._total = self._bounds[-1] if self._bounds else 0
        self.count = len(self._endpoints)

    def draw(self, now: float, avoid: Collection[Endpoint]) -> Endpoint | None:
        """One that is available, each as likely as its share; None where there is none."""
        endpoints = self._endpoints
        for _ in range(2 * len(endpoints)):
            endpoint = endpoints[bisect_right(self._bounds, self._random() * self._total)]
            if endpoint.available and endpoint not in avoid:
                share = endpoint.share(now)
                if share == endpoint.weight or self._random() * endpoint.weight < share:
                    return endpoint
        return self._slowly(now, avoid)

    def _slowly(self, now: float, avoid: Collection[Endpoint]) -> Endpoint | None:
        """Luck did not find one: most are not available, or start slowly. Then it takes a loop."""
        left = [each for each in self._endpoints if each.available and each not in avoid]
        if not left:
            return None
        bounds = list(accumulate(endpoint.share(now) for endpoint in left))
        return left[min(bisect_right(bounds, self._random() * bounds[-1]), len(left) - 1)]


class RandomChoice:
    """Any, as likely as its weight says. Needs no agreement among many balancers, and no memory."""

    def __init__(self, random: Random | None = None) -> None:
        self._draw = WeightedDraw(random or Random())

    def update(self, endpoints: Sequence[Endpoint], now: float) -> None:
        """Sets the endpoints."""
        self._draw.update(endpoints)

    def pick(
        self, now: float, key: bytes | None = None, avoid: Collection[Endpoint] = NONE
    ) -> Endpoint | None:
        """Draws one."""
        return self._draw.draw(now, avoid)
