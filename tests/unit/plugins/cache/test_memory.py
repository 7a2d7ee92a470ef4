"""The first level: bounds, who has to go, and what expires."""

from __future__ import annotations

from itertools import accumulate
from random import Random

import pytest

from framework.plugins.cache.entry import MISSING, Entry
from framework.plugins.cache.memory import MemoryStore
from framework.plugins.cache.sketch import FrequencySketch


def zipf(alpha: float, keys: int, count: int, seed: int = 1) -> list[int]:
    weights = list(accumulate(1 / (rank + 1) ** alpha for rank in range(keys)))
    return Random(seed).choices(range(keys), cum_weights=weights, k=count)


def hits(store: MemoryStore, trace: list[int]) -> float:
    found = 0
    for key in trace:
        if store.find(key, 1.0) is not None:
            found += 1
        else:
            store.put(key, key, 1.0)
    return found / len(trace)


def lru_hits(capacity: int, trace: list[int]) -> float:
    kept: dict[int, None] = {}
    found = 0
    for key in trace:
        if key in kept:
            found += 1
            del kept[key]
        elif len(kept) >= capacity:
            del kept[next(iter(kept))]
        kept[key] = None
    return found / len(trace)


def test_it_is_bounded_by_entries() -> None:
    """Guide 5.1: the map had no bound."""
    gone: list[Entry] = []
    store = MemoryStore(100, on_evicted=gone.append)
    for number in range(10_000):
        store.put(number, number, 1.0)
    assert len(store) == 100
    assert len(gone) == store.evictions == 9_900


def test_it_is_bounded_by_weight() -> None:
    store = MemoryStore(1000, max_weight=100)
    for number in range(1000):
        store.put(number, number, 1.0, weight=number % 17)
        assert store.weight <= 100
    store.put("huge", 1, 1.0, weight=101)
    assert "huge" not in store
    store.clear()
    assert (store.weight, len(store)) == (0, 0)


def test_heavy_newcomers_do_not_flush_what_is_hot() -> None:
    store = MemoryStore(1000, max_weight=1000)
    for number in range(100):
        store.put(number, number, 1.0, weight=9)
    for _ in range(5):
        for number in range(100):
            store.find(number, 1.0)
    for number in range(100):
        store.put(f"heavy{number}", number, 1.0, weight=400)
    assert sum(number in store for number in range(100)) > 90


def test_a_scan_leaves_what_is_hot() -> None:
    store = MemoryStore(100)
    for _ in range(10):
        for number in range(50):
            if store.find(number, 1.0) is None:
                store.put(number, number, 1.0)
    for number in range(10_000):
        store.put(f"scan{number}", number, 1.0)
    assert sum(number in store for number in range(50)) >= 48


@pytest.mark.parametrize(("alpha", "more"), [(0.7, 0.05), (0.9, 0.05), (1.0, 0.05)])
def test_c8_it_hits_more_often_than_an_lru(alpha: float, more: float) -> None:
    """ristretto #336: 1 % hits where others had 50. (benchmarks/cache.py has the traces and the peers.)"""
    trace = zipf(alpha, 20_000, 60_000)
    assert hits(MemoryStore(500), trace) > lru_hits(500, trace) + more


def test_what_was_hot_long_ago_goes() -> None:
    store = MemoryStore(100)
    for era in range(3):
        trace = [f"{era}-{key}" for key in zipf(1.0, 90, 20_000)]  # type: ignore[misc]
        assert hits(store, trace) > 0.9  # type: ignore[arg-type]


def test_expired_entries_are_swept_by_writes() -> None:
    store = MemoryStore(1000)
    for number in range(500):
        store.put(number, number, 10.0, expires=20.0 + number % 3)
    store.put("stays", 1, 10.0, expires=1000.0)
    for number in range(100):
        store.put("x", 1, 100.0 + number, expires=5000.0)
    assert len(store) == 2
    assert store.expirations == 500


def test_putting_a_key_again_and_again_leaves_nothing_behind() -> None:
    store = MemoryStore(10)
    for number in range(10_000):
        store.put("k", number, 1.0, expires=100.0 + number % 50, tags=(f"t{number % 7}",))
    assert sum(map(len, store._buckets.values())) == 1
    assert sum(map(len, store._tags.values())) == 1


def test_the_clock_may_jump() -> None:
    store = MemoryStore(10)
    store.put("a", 1, 10.0, expires=20.0)
    store.put("b", 1, 1e9, expires=1e9 + 5)
    store.put("c", 1, 1.0, expires=5.0)
    assert store.find("a", 1.0) is None or store.find("a", 1.0).expires == 20.0  # type: ignore[union-attr]
    assert store.get("c", 2.0) == 1


def test_small_numbers_share_no_counters() -> None:
    """Their hashes are themselves: without spreading they would fall into each other's places."""
    sketch = FrequencySketch(1000)
    for key in range(0, 1_000_000, 1000):
        sketch.increment(key)
    assert sum(sketch.frequency(key) > 1 for key in range(0, 1_000_000, 1000)) < 20
    assert sketch.frequency(7) <= 1


def test_limits_are_checked() -> None:
    for options in ({"max_entries": 0}, {"max_entries": 1, "max_weight": 0}):
        with pytest.raises(ValueError, match="at least 1"):
            MemoryStore(**options)  # type: ignore[arg-type]


def test_missing_is_no_value() -> None:
    store = MemoryStore(2)
    assert store.get("k", 1.0) is MISSING
    assert not MISSING
    assert repr(MISSING) == "MISSING"
    store.put("k", None, 1.0)
    assert store.get("k", 1.0) is None
    assert store.report()["hits"] == 1
