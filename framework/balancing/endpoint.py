"""One of the places that can serve a request, with what is known of it right now."""

from __future__ import annotations

from math import exp
from typing import Final

__all__ = ["Endpoint", "SlowStart"]

MAX_WEIGHT: Final = 1000


class SlowStart:
    """How the share of an endpoint that comes (back) grows to its full weight.

    After ``t`` of ``window`` seconds it is ``max(min_part, (t / window) ** (1 / aggression))`` of it: Envoy's curve,
    with its floor, without which a new endpoint gets nothing to show that it works (envoy #19526).
    """

    __slots__ = ("aggression", "min_part", "window")

    def __init__(self, window: float, *, aggression: float = 1.0, min_part: float = 0.1) -> None:
        if not (window > 0 and aggression > 0 and 0 < min_part <= 1):
            raise ValueError("window and aggression are more than 0, min_part more than 0 and at most 1")
        self.window = window
        self.aggression = aggression
        self.min_part = min_part

    def part(self, seconds: float) -> float:
        """The part of the weight, ``seconds`` after the endpoint came."""
        if seconds >= self.window:
            return 1.0
        grown: float = (max(0.0, seconds) / self.window) ** (1.0 / self.aggression)
        return max(self.min_part, grown)


class Endpoint:
    """Where requests can go. Equal only to itself; ``key`` names it among the endpoints of its cluster.

    Args:
        key: its address, or whatever names it; what consistent hashes are made of.
        weight: its share beside the others', 1 to 1000.
        priority: 0 is used first; the next while those do not suffice.

    Attributes:
        active: requests under way.
        started, failures: requests, and those that failed by its fault, counted from the beginning.
        available: it can be picked. The cluster says so.
    """

    __slots__ = (
        "_latency",
        "_measured",
        "_ramp",
        "_since",
        "active",
        "available",
        "failures",
        "key",
        "priority",
        "started",
        "weight",
    )

    def __init__(self, key: str, *, weight: int = 1, priority: int = 0) -> None:
        if not 1 <= weight <= MAX_WEIGHT:
            raise ValueError(f"endpoint {key}: a weight is from 1 to {MAX_WEIGHT}, not {weight}")
        if priority < 0:
            raise ValueError(f"endpoint {key}: a priority is 0 or more, not {priority}")
        self.key = key
        self.weight = weight
        self.priority = priority
        self.active = 0
        self.started = 0
        self.failures = 0
        self.available = True
        self._latency = 0.0
        self._measured = 0.0
        self._ramp: SlowStart | None = None
        self._since = 0.0

    def __repr__(self) -> str:
        return f"Endpoint({self.key!r})"

    def begin_slowly(self, ramp: SlowStart, now: float) -> None:
        """It has just come, or come back: its share grows from now on."""
        self._ramp = ramp
        self._since = now

    def share(self, now: float) -> float:
        """Its weight, less while it starts slowly."""
        if self._ramp is None:
            return self.weight
        part = self._ramp.part(now - self._since)
        if part >= 1.0:
            self._ramp = None
        return self.weight * part

    # -- latency: a moving average that jumps up at once and comes down over ``decay`` seconds (Finagle's Peak EWMA) --

    def measured(self, seconds: float, now: float, decay: float) -> None:
        """A request took that many seconds."""
        if seconds > self._latency:
            self._latency = seconds
        else:
            kept = exp(-max(0.0, now - self._measured) / decay)
            self._latency = self._latency * kept + seconds * (1.0 - kept)
        self._measured = now

    def latency(self, now: float, decay: float) -> float:
        """Seconds that a request is expected to take; 0 while nothing is known, or was heard for long."""
        return self._latency * exp(-max(0.0, now - self._measured) / decay)
