"""Hit ratios of the cache's first level on traces, beside a textbook W-TinyLFU, LRU, the peers and the optimum.

``python -m benchmarks.cache [--requests N] [--out FILE]``. The traces are made here from seeds, so that every run has
the same: Zipf, Zipf whose favourites change, Zipf with scans between, and loops.
"""

from __future__ import annotations

import argparse
import heapq
import json
from collections import OrderedDict
from collections.abc import Callable
from importlib import import_module
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any, Final

from framework.plugins.cache.memory import MemoryStore

__all__ = ["measure", "traces"]

KEYS: Final = 100_000
Policy = Callable[[int], Callable[[int], bool]]
"""Takes a capacity; what it returns is asked for a key, says whether it was there, and keeps it if not."""


# -- traces -----------------------------------------------------------------------------------------------------------


def zipf(alpha: float, count: int, seed: int, keys: int = KEYS) -> list[int]:
    weights = list(accumulate(1 / (rank + 1) ** alpha for rank in range(keys)))
    return Random(seed).choices(range(keys), cum_weights=weights, k=count)


def traces(count: int) -> dict[str, list[int]]:
    made = {f"zipf {alpha}": zipf(alpha, count, 1) for alpha in (0.7, 0.9, 1.0)}
    shifting: list[int] = []
    for era in range(10):
        shifting += [key + era * KEYS // 50 for key in zipf(0.9, count // 10, era)]
    made["shifting"] = shifting
    scanned: list[int] = []
    for part in range(20):
        scanned += zipf(0.9, count // 40, part)
        scanned += range(KEYS * (part + 2), KEYS * (part + 2) + count // 40)
    made["scans"] = scanned
    made["loop"] = [number % 2000 for number in range(count)]
    return made


# -- policies ---------------------------------------------------------------------------------------------------------


def ours(capacity: int) -> Callable[[int], bool]:
    store = MemoryStore(capacity, random=Random(1))

    def ask(key: int) -> bool:
        if store.find(key, 1.0) is not None:
            return True
        store.put(key, True, 1.0)
        return False

    return ask


def lru(capacity: int) -> Callable[[int], bool]:
    kept: OrderedDict[int, None] = OrderedDict()

    def ask(key: int) -> bool:
        if key in kept:
            kept.move_to_end(key)
            return True
        kept[key] = None
        if len(kept) > capacity:
            kept.popitem(last=False)
        return False

    return ask


class Textbook:
    """W-TinyLFU as in the paper (Einziger, Friedman and Manes, 2017) and in Caffeine at first: a window of 1 %, a main
    part in two segments (20 % and 80 %), a count-min sketch of four rows with counters to 15 that are halved after ten
    times the capacity; every read counts at once, and a candidate wins only if it is asked for more often."""

    def __init__(self, capacity: int) -> None:
        self.window_size = max(1, capacity // 100)
        self.main_size = capacity - self.window_size
        self.protected_size = self.main_size * 8 // 10
        self.window: OrderedDict[int, None] = OrderedDict()
        self.probation: OrderedDict[int, None] = OrderedDict()
        self.protected: OrderedDict[int, None] = OrderedDict()
        self.width = 1 << (capacity - 1).bit_length()
        self.rows = [bytearray(self.width) for _ in range(4)]
        self.seeds = [0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F, 0xCBF29CE484222325]
        self.sample, self.counted = 10 * capacity, 0

    def places(self, key: int) -> list[int]:
        return [((key + seed) * seed >> 32) & (self.width - 1) for seed in self.seeds]

    def count(self, key: int) -> None:
        added = False
        for row, place in zip(self.rows, self.places(key), strict=True):
            if row[place] < 15:
                row[place] += 1
                added = True
        self.counted += added
        if self.counted >= self.sample:
            self.counted //= 2
            self.rows = [bytearray(value >> 1 for value in row) for row in self.rows]

    def frequency(self, key: int) -> int:
        return min(row[place] for row, place in zip(self.rows, self.places(key), strict=True))

    def __call__(self, key: int) -> bool:
        self.count(key)
        if key in self.window:
            self.window.move_to_end(key)
        elif key in self.protected:
            self.protected.move_to_end(key)
        elif key in self.probation:
            del self.probation[key]
            self.protected[key] = None
            if len(self.protected) > self.protected_size:
                self.probation[self.protected.popitem(last=False)[0]] = None
        else:
            self.window[key] = None
            if len(self.window) > self.window_size:
                self.admit(self.window.popitem(last=False)[0])
            return False
        return True

    def admit(self, candidate: int) -> None:
        if len(self.probation) + len(self.protected) < self.main_size:
            self.probation[candidate] = None
            return
        segment = self.probation or self.protected
        victim = next(iter(segment))
        if self.frequency(candidate) > self.frequency(victim):
            del segment[victim]
            self.probation[candidate] = None


def theine(capacity: int) -> Callable[[int], bool]:
    cache: Any = import_module("theine").Cache(capacity)

    def ask(key: int) -> bool:
        if cache.get(key)[1]:
            return True
        cache.set(key, True)
        return False

    return ask


def cachebox(name: str) -> Policy:
    def policy(capacity: int) -> Callable[[int], bool]:
        cache: Any = getattr(import_module("cachebox"), name)(capacity)

        def ask(key: int) -> bool:
            if cache.get(key) is not None:
                return True
            cache[key] = True
            return False

        return ask

    return policy


POLICIES: Final[dict[str, Policy]] = {
    "ours": ours,
    "textbook": Textbook,
    "lru": lru,
    "theine": theine,
    "cachebox LFU": cachebox("LFUCache"),
    "cachebox S3-FIFO": cachebox("S3FIFOCache"),
}


def optimum(capacity: int, trace: list[int]) -> float:
    """Belady's: whoever is asked for latest goes."""
    following = [0] * len(trace)
    seen: dict[int, int] = {}
    for at in range(len(trace) - 1, -1, -1):
        following[at] = seen.get(trace[at], len(trace) + at)
        seen[trace[at]] = at
    kept: dict[int, int] = {}
    latest: list[tuple[int, int]] = []
    hits = 0
    for at, key in enumerate(trace):
        if key in kept:
            hits += 1
        elif len(kept) >= capacity:
            while True:
                due, victim = heapq.heappop(latest)
                if kept.get(victim) == -due:
                    del kept[victim]
                    break
        kept[key] = following[at]
        heapq.heappush(latest, (-following[at], key))
    return hits / len(trace)


def measure(count: int, capacities: tuple[int, ...]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for name, trace in traces(count).items():
        for capacity in capacities:
            row: dict[str, Any] = {"trace": name, "capacity": capacity}
            for policy, make in POLICIES.items():
                try:
                    ask = make(capacity)
                except (ImportError, AttributeError):
                    continue
                row[policy] = round(sum(map(ask, trace)) / len(trace), 4)
            row["optimum"] = round(optimum(capacity, trace), 4)
            rows.append(row)
            print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rows = measure(arguments.requests, (1000, 10_000))
    if arguments.out is not None:
        arguments.out.write_text(json.dumps({"kind": "cache traces", "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
