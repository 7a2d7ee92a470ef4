"""A pool's numbers for Prometheus."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)

from framework.plugins.pool.report import PoolStats

__all__ = ["PoolCollector"]


class PoolCollector:
    """Collects the numbers of a pool when somebody asks for them; lending pays nothing for it.

    Args:
        stats: gives the numbers.
        prefix: of the metrics' names; what is no letter, digit or underscore in it becomes one.
    """

    def __init__(self, stats: Callable[[], PoolStats], prefix: str = "pool") -> None:
        self._stats = stats
        self._prefix = re.sub(r"[^a-zA-Z0-9_]", "_", prefix)

    @property
    def gauges(self) -> tuple[str, ...]:
        """Names of those metrics that are to be added up over the workers."""
        return tuple(f"{self._prefix}_{name}" for name in ("connections", "connections_max", "waiting"))

    def describe(self) -> Iterable[Metric]:
        """The families, for the registry to find clashes of names."""
        return self.collect()

    def collect(self) -> Iterable[Metric]:
        """The numbers as of now."""
        stats, prefix = self._stats(), self._prefix
        states = GaugeMetricFamily(f"{prefix}_connections", "Connections by state.", labels=("state",))
        for state in ("idle", "lent", "opening", "closing"):
            states.add_metric((state,), getattr(stats, state))
        yield states
        yield GaugeMetricFamily(f"{prefix}_connections_max", "Connections at most.", stats.max_size)
        yield GaugeMetricFamily(f"{prefix}_waiting", "Acquires that wait for a connection.", stats.waiting)
        yield SummaryMetricFamily(
            f"{prefix}_wait_seconds",
            "How long acquires waited that had to, and got a connection.",
            count_value=stats.waited,
            sum_value=stats.wait_seconds,
        )
        yield _by(
            f"{prefix}_acquires",
            "Acquires by outcome.",
            "outcome",
            lent=stats.acquired,
            timeout=stats.timeouts,
            refused=stats.exhausted,
            cancelled=stats.abandoned,
        )
        opens = {"opened": stats.opened, "failed": stats.open_failures}
        yield _by(f"{prefix}_opens", "Attempts to connect by outcome.", "outcome", **opens)
        yield _by(f"{prefix}_closes", "Connections ended, by reason.", "reason", **stats.closed)
        yield CounterMetricFamily(
            f"{prefix}_leaks", "Connections that were not returned in time.", stats.leaks
        )


def _by(name: str, documentation: str, label: str, **counts: int) -> Metric:
    family = CounterMetricFamily(name, documentation, labels=(label,))
    for value, count in counts.items():
        family.add_metric((value,), count)
    return family
