"""What the limiters count, for Prometheus: registered while the app runs, if the app has a registry."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

from framework.plugins.ratelimit.engine import Engine
from framework.plugins.ratelimit.limiter import RateLimiter

if TYPE_CHECKING:
    from prometheus_client.core import Metric

__all__ = ["LimitMetrics", "measured"]


class _Limits(Protocol):
    engine: Engine

    @property
    def made(self) -> Iterable[RateLimiter]: ...


class LimitMetrics:
    """Collects the counts of every policy.

    ``ratelimit_decisions_total`` by policy and result: admitted, refused, shadowed (would have been refused);
    ``ratelimit_near_total``: admitted with most of the quota used; ``ratelimit_degraded_total``: decided by
    ``on_failure``; ``ratelimit_keys`` and ``ratelimit_evicted_total`` of engines that keep a table.
    """

    def __init__(self, limits: _Limits) -> None:
        self._limits = limits

    def describe(self) -> Iterable[Metric]:
        """The families without samples, for the registry to find clashes of names."""
        return _families()

    def collect(self) -> Iterable[Metric]:
        """The counts as of now. Any thread may ask."""
        families: list[Any] = _families()
        decisions, near, degraded, keys, evicted = families
        engine = self._limits.engine
        tables: dict[str, Any] = getattr(engine, "tables", {})
        limiters = list(self._limits.made)
        policies = {policy.name: policy for limiter in limiters for policy in limiter.policies}
        for name, policy in policies.items():
            counts = engine.counts_of(policy)
            for result in ("admitted", "refused", "shadowed"):
                decisions.add_metric((name, result), getattr(counts, result))
            near.add_metric((name,), counts.near)
            table = tables.get(name)
            if table is not None:
                evicted.add_metric((name,), table.evicted)
                if hasattr(table, "cold"):
                    keys.add_metric((name,), len(table))
        degraded.add_metric((), sum(limiter.degraded for limiter in limiters))
        return families


def _families() -> list[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    return [
        CounterMetricFamily("ratelimit_decisions", "Decisions.", labels=("policy", "result")),
        CounterMetricFamily("ratelimit_near", "Admitted with most of the quota used.", labels=("policy",)),
        CounterMetricFamily("ratelimit_degraded", "Decided without the engine.", labels=()),
        GaugeMetricFamily("ratelimit_keys", "Keys that are remembered.", labels=("policy",)),
        CounterMetricFamily(
            "ratelimit_evicted", "Keys forgotten though they owed something.", labels=("policy",)
        ),
    ]


@asynccontextmanager
async def measured(app: Any, limits: _Limits) -> AsyncGenerator[None]:
    """Within it the app's registry, if there is one, has the limiters' metrics."""
    if "prometheus_client" not in sys.modules:  # then no plugin has a registry
        yield
        return
    from prometheus_client import CollectorRegistry

    if not app.container.provides(CollectorRegistry):
        yield
        return
    registry: CollectorRegistry = await app.container.opened.get(CollectorRegistry)
    collector: Any = LimitMetrics(limits)
    modes: dict[str, str] = getattr(registry, "modes", {})
    modes["ratelimit_keys"] = "sum"
    registry.register(collector)
    try:
        yield
    finally:
        registry.unregister(collector)
