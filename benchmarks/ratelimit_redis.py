"""Decisions a second of the rate limiter in Redis: one client process, 64 tasks, a private server; beside `limits`.

    python -m benchmarks.ratelimit_redis [--seconds 3] [--tasks 64] [--flood KEYS]

The peers run on their own clients, as their documentation has it. ``--flood`` measures instead what a flood of so many
distinct keys does to the memory of the engine in memory.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from time import perf_counter, process_time
from typing import Any

from benchmarks.facts import machine_facts
from framework.net.loop import run
from framework.plugins.ratelimit import MemoryEngine, Policy, RateLimiter
from framework.plugins.ratelimit.policy import ALGORITHMS
from framework.plugins.ratelimit.remote import RedisEngine
from tests.support.redis import RedisServer

Decide = Callable[[str], Awaitable[Any]]


async def measure(name: str, decide: Decide, *, tasks: int, seconds: float) -> dict[str, Any]:
    """Each task has keys of its own and asks again as soon as it was answered."""
    count = 0
    ends = perf_counter() + seconds

    async def client(number: int) -> None:
        nonlocal count
        turn = 0
        while perf_counter() < ends:
            await decide(f"user{number}.{turn % 100}")
            turn += 1
            count += 1

    began, cpu = perf_counter(), process_time()
    await asyncio.gather(*[client(number) for number in range(tasks)])
    took = perf_counter() - began
    return {
        "name": name,
        "per_second": round(count / took),
        "cpu_us": round((process_time() - cpu) / count * 1e6, 2),
    }


async def ours(url: str, *, tasks: int, seconds: float) -> list[dict[str, Any]]:
    engine = RedisEngine(url, deadline=5.0)
    await engine.open()
    cases: dict[str, tuple[list[Policy], int]] = {
        algorithm: ([Policy.of("100000/minute", name=algorithm, algorithm=algorithm)], 0)
        for algorithm in ALGORITHMS
        if algorithm != "sliding_log"
    }
    cases["sliding_log"] = ([Policy.of("10000/minute", name="log", algorithm="sliding_log")], 0)
    cases["three policies"] = ([Policy.of(f"{n}00000/minute", name=f"p{n}") for n in (1, 2, 3)], 0)
    cases["gcra, leases of 100"] = ([Policy.of("100000/minute", name="leased")], 100)
    rows = []
    for name, (policies, lease) in cases.items():
        limiter = RateLimiter(policies, engine, lease=lease, on_failure="closed")
        rows.append(await measure(name, limiter.consume, tasks=tasks, seconds=seconds))
        rows[-1]["degraded"] = limiter.degraded
    await engine.close()
    return rows


async def peer(url: str, *, tasks: int, seconds: float) -> list[dict[str, Any]]:
    try:
        from limits import RateLimitItemPerMinute
        from limits.aio.storage import RedisStorage
        from limits.aio.strategies import FixedWindowRateLimiter
    except ImportError as error:
        return [{"name": "limits", "absent": str(error)}]
    storage = RedisStorage(f"async+{url}", implementation="redispy")
    strategy, item = FixedWindowRateLimiter(storage), RateLimitItemPerMinute(100_000)
    return [
        await measure(
            "limits: fixed window", lambda key: strategy.hit(item, key), tasks=tasks, seconds=seconds
        )
    ]


def resident() -> float:
    """Megabytes of this process in memory."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def flood(keys: int) -> dict[str, Any]:
    """One exhausted key, and then so many others, each asking once."""
    limiter = RateLimiter("5/minute", engine := MemoryEngine(max_keys=100_000))
    for _ in range(6):
        limiter.consume_now("offender", 1)
    limiter.consume_now("offender", 5)
    marks: dict[str, float] = {}
    began = perf_counter()
    for number in range(keys):
        limiter.consume_now(f"key {number}")
        if number in (100_000, 500_000, 1_000_000) or (number and number % 2_500_000 == 0):
            marks[str(number)] = round(resident(), 1)
    took = perf_counter() - began
    marks[str(keys)] = round(resident(), 1)
    table = engine.tables["default"]
    return {
        "keys": keys,
        "ns_per_key": round(took / keys * 1e9),
        "megabytes": marks,
        "remembered": len(table),
        "offender_remembered": "offender" in table.hot or "offender" in table.cold,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--tasks", type=int, default=64)
    parser.add_argument("--flood", type=int, default=0)
    options = parser.parse_args()
    document: dict[str, Any] = {"kind": "ratelimit_redis", "facts": machine_facts()}
    if options.flood:
        document["flood"] = flood(options.flood)
    else:
        server = RedisServer()
        try:
            given = {"tasks": options.tasks, "seconds": options.seconds}
            document["figures"] = run(ours(server.url, **given)) + run(peer(server.url, **given))
        finally:
            server.close()
    json.dump(document, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
