"""What the cache's first level costs: hits, synchronous and awaited, and puts; peers beside it where installed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterator
from importlib import import_module
from random import Random
from typing import Any

from benchmarks.micro.runner import Case
from framework.plugins.cache import Cache, cached
from framework.plugins.cache.memory import MemoryStore

__all__ = ["cases"]

BATCH = 1000
KEYS = 10_000


def cases() -> Iterator[Case]:
    keys = [f"user:{number}" for number in range(KEYS)]
    some = Random(1).choices(keys, k=BATCH)
    cache = Cache(max_entries=KEYS + 200)
    for key in keys:
        drive(cache.set(key, key))
    plain = dict.fromkeys(keys, "x")
    yield Case("cache hit", "dict", "for key in some: get(key)", {"some": some, "get": plain.get}, BATCH)
    yield hit("get_now", "for key in some: get(key)", {"some": some, "get": cache.get_now})
    yield hit("await get", "run(get, some)", {"run": run, "get": cache.get, "some": some})

    async def load() -> str:
        raise AssertionError("every key is there")

    def get_or_load(key: str) -> Awaitable[Any]:
        return cache.get_or_load(key, load, ttl=60.0)

    yield hit("await get_or_load", "run(get, some)", {"run": run, "get": get_or_load, "some": some})

    @cached("user", cache=cache)
    async def user(number: int) -> int:
        return number

    drive_task(user(1))
    yield hit("await cached function", "run(get, some)", {"run": run, "get": user, "some": [1] * BATCH})
    yield from peers(keys, some)
    yield from puts()


def hit(name: str, statement: str, names: dict[str, Any]) -> Case:
    return Case("cache hit", name, statement, names, BATCH, "dict")


def puts() -> Iterator[Case]:
    store = MemoryStore(KEYS, max_weight=1 << 40)
    fresh = iter(range(1 << 60))
    statement = "for _ in batch: put(next(fresh), 1, 1.0, 1e9)"
    yield Case(
        "cache put",
        "new key, full",
        statement,
        {"put": store.put, "fresh": fresh, "batch": range(BATCH)},
        BATCH,
    )
    yield Case(
        "cache put", "known key", "for _ in batch: put(1, 1, 1.0, 1e9)",
        {"put": store.put, "batch": range(BATCH)}, BATCH, "new key, full",
    )  # fmt: skip


def peers(keys: list[str], some: list[str]) -> Iterator[Case]:
    for name, make in PEERS.items():
        try:
            get, put = make()
        except ImportError:
            continue
        for key in keys:
            put(key, key)
        yield hit(name, "for key in some: get(key)", {"some": some, "get": get})


def _theine() -> tuple[Callable[[str], Any], Callable[[str, str], Any]]:
    module: Any = import_module("theine")
    made = module.Cache(KEYS + 200)
    return made.get, made.set


def _cachebox(name: str) -> Callable[[], tuple[Callable[[str], Any], Callable[[str, str], Any]]]:
    def make() -> tuple[Callable[[str], Any], Callable[[str, str], Any]]:
        module: Any = import_module("cachebox")
        made = getattr(module, name)(KEYS + 200)
        return made.get, made.insert

    return make


PEERS: dict[str, Callable[[], tuple[Callable[[str], Any], Callable[[str, str], Any]]]] = {
    "theine": _theine,
    "cachebox LFU": _cachebox("LFUCache"),
    "cachebox LRU": _cachebox("LRUCache"),
}


async def _all(get: Callable[[str], Awaitable[Any]], keys: list[Any]) -> None:
    for key in keys:
        await get(key)


def run(get: Callable[[Any], Awaitable[Any]], keys: list[Any]) -> None:
    """Awaits a hit for each key; a hit waits for nothing."""
    drive(_all(get, keys))


def drive(work: Coroutine[Any, Any, Any]) -> None:
    try:
        work.send(None)
    except StopIteration:
        return
    work.close()
    raise AssertionError("a hit waited for something")


def drive_task(work: Coroutine[Any, Any, Any]) -> None:
    """Runs what needs a loop, before the measuring, in one of its own."""
    import asyncio
    from threading import Thread

    thread = Thread(target=lambda: asyncio.run(work))
    thread.start()
    thread.join()
