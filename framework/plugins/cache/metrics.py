"""What the cache counts, for Prometheus: registered while the app runs, if the app has a registry."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from framework.plugins.cache.cache import Cache

if TYPE_CHECKING:
    from prometheus_client.core import Metric

__all__ = ["CacheMetrics", "measured"]


class CacheMetrics:
    """Collects the counts of a cache.

    ``cache_reads_total`` by level (memory, redis) and result (hit, miss); ``cache_loads_total`` by result (made,
    failed); ``cache_refreshes_total``, ``cache_stale_total``, ``cache_discarded_total``, ``cache_undecodable_total``;
    ``cache_evictions_total``, ``cache_entries``, ``cache_bytes``, ``cache_loading``; of Redis ``cache_redis_up``,
    ``cache_redis_failures_total``, ``cache_redis_owed`` (invalidations that it has not confirmed).
    """

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def describe(self) -> Iterable[Metric]:
        """The families without samples, for the registry to find clashes of names."""
        return _Families().all()

    def collect(self) -> Iterable[Metric]:
        """The counts as of now. Any thread may ask."""
        families, cache = _Families(), self._cache
        counts, memory, remote = cache.counts, cache.memory, cache.remote
        families.reads.add_metric(("memory", "hit"), memory.hits)
        families.reads.add_metric(("memory", "miss"), memory.misses)
        families.loads.add_metric(("made",), counts.loads)
        families.loads.add_metric(("failed",), counts.failures)
        for name in _COUNTS:
            families.counters[name].add_metric((), getattr(counts, name))
        families.counters["evictions"].add_metric((), memory.evictions)
        families.gauges["entries"].add_metric((), len(memory))
        families.gauges["bytes"].add_metric((), memory.weight)
        families.gauges["loading"].add_metric((), cache.loading)
        if remote is not None:
            families.reads.add_metric(("redis", "hit"), counts.remote_hits)
            families.reads.add_metric(("redis", "miss"), counts.remote_misses)
            families.counters["redis_failures"].add_metric((), remote.failures)
            families.gauges["redis_up"].add_metric((), remote.listening)
            families.gauges["redis_owed"].add_metric((), remote.owed)
        return families.all()


_COUNTS = {
    "refreshes": "Values made anew behind the scenes.",
    "stale": "Answers by an old value.",
    "discarded": "Values not kept because they were invalidated while they were made.",
    "undecodable": "Values in Redis that were none of their type.",
}
_GAUGES = {
    "entries": "Values in memory.",
    "bytes": "What they weigh.",
    "loading": "Reads and loads under way.",
    "redis_up": "Whether there is a connection.",
    "redis_owed": "Invalidations that Redis has not confirmed.",
}


class _Families:
    def __init__(self) -> None:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        more = {
            "evictions": "Values that had to go for others.",
            "redis_failures": "Answers that did not come.",
        }
        self.reads: Any = CounterMetricFamily("cache_reads", "Reads.", labels=("level", "result"))
        self.loads: Any = CounterMetricFamily("cache_loads", "Loads.", labels=("result",))
        self.counters: dict[str, Any] = {
            name: CounterMetricFamily(f"cache_{name}", text, labels=())
            for name, text in {**_COUNTS, **more}.items()
        }
        self.gauges: dict[str, Any] = {
            name: GaugeMetricFamily(f"cache_{name}", text, labels=()) for name, text in _GAUGES.items()
        }

    def all(self) -> list[Metric]:
        return [self.reads, self.loads, *self.counters.values(), *self.gauges.values()]


@asynccontextmanager
async def measured(app: Any, cache: Cache) -> AsyncGenerator[None]:
    """Within it the app's registry, if there is one, has the cache's metrics."""
    try:
        from prometheus_client import CollectorRegistry
    except ImportError:
        yield
        return
    if not app.container.provides(CollectorRegistry):
        yield
        return
    registry: CollectorRegistry = await app.container.opened.get(CollectorRegistry)
    collector: Any = CacheMetrics(cache)
    registry.register(collector)
    try:
        yield
    finally:
        registry.unregister(collector)
