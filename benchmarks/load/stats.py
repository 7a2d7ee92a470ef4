"""From samples to figures. A ratio is taken inside a round, where both sides met the same machine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from benchmarks.load.roster import FLOOR

__all__ = ["Sample", "ratio", "summarise"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One load of one server with one scenario in one round."""

    round: int
    server: str
    scenario: str
    requests: int
    seconds: float
    cpu_seconds: float
    p50_ms: float | None
    p99_ms: float | None

    @property
    def cpu_us(self) -> float:
        """CPU time of the server per request, in microseconds."""
        return self.cpu_seconds / self.requests * 1e6

    @property
    def rate(self) -> float:
        return self.requests / self.seconds

    def record(self) -> dict[str, Any]:
        return {**asdict(self), "cpu_us": round(self.cpu_us, 3), "rate": round(self.rate, 1)}


def ratio(over: Sequence[Sample], under: Sequence[Sample]) -> float | None:
    """The median over rounds of CPU per request of ``over`` by ``under``'s; None without a common round."""
    below = {sample.round: sample for sample in under}
    ratios = [sample.cpu_us / below[sample.round].cpu_us for sample in over if sample.round in below]
    return median(ratios) if ratios else None


def summarise(samples: Iterable[Sample]) -> dict[str, dict[str, dict[str, Any]]]:
    """Per scenario and server: medians, the best CPU figure, the ratio to the floor, and ``times_less``.

    ``times_less`` says, for every other server, how many times less CPU this one takes for a request.
    """
    cells: dict[str, dict[str, list[Sample]]] = {}
    for sample in samples:
        cells.setdefault(sample.scenario, {}).setdefault(sample.server, []).append(sample)
    return {
        scenario: {server: _cell(server, servers) for server in servers}
        for scenario, servers in cells.items()
    }


def _cell(server: str, servers: dict[str, list[Sample]]) -> dict[str, Any]:
    own = servers[server]
    floor = ratio(own, servers.get(FLOOR, []))
    others = {other: ratio(taken, own) for other, taken in servers.items() if other != server}
    return {
        "rounds": len(own),
        "rate": round(median(sample.rate for sample in own), 1),
        "cpu_us": round(median(sample.cpu_us for sample in own), 3),
        "cpu_us_min": round(min(sample.cpu_us for sample in own), 3),
        "p50_ms": _middle(sample.p50_ms for sample in own),
        "p99_ms": _middle(sample.p99_ms for sample in own),
        "floor_ratio": None if floor is None else round(floor, 3),
        "times_less": {other: round(value, 3) for other, value in others.items() if value is not None},
    }


def _middle(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(median(known), 3) if known else None
