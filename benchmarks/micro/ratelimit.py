"""What a decision of the rate limiter costs: in memory by algorithm, in shared memory, through the middleware."""

from __future__ import annotations

import atexit
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.micro.runner import Case
from framework.http.response import Response
from framework.plugins.ratelimit import MemoryEngine, Policy, RateLimiter
from framework.plugins.ratelimit.keys import by_client
from framework.plugins.ratelimit.middleware import LimitHooks, Rule
from framework.plugins.ratelimit.policy import ALGORITHMS
from framework.plugins.ratelimit.shared import SharedEngine
from framework.testing import fake_request

KEYS = [f"192.0.{number >> 8}.{number & 255}" for number in range(10_000)]


def sweep(consume: Callable[[str], object]) -> None:
    for key in KEYS:
        consume(key)


def flood(consume: Callable[[str], object], numbers: Iterator[int]) -> None:
    for _ in range(10_000):
        consume(f"k{next(numbers)}")


def cases() -> Iterator[Case]:
    yield Case(
        "rate limit", "calling a function that does nothing", "sweep(f)", {"sweep": sweep, "f": str}, 10_000
    )
    for algorithm in ALGORITHMS:
        limiter = RateLimiter(Policy.of("1000/minute", algorithm=algorithm), MemoryEngine())
        yield memory(f"{algorithm}, 10,000 keys", limiter.consume_now)
    refusing = RateLimiter("1/day", MemoryEngine())
    sweep(refusing.consume_now)
    yield memory("gcra, refused", refusing.consume_now)
    three = RateLimiter([Policy.of("1000/minute", name=name) for name in "abc"], MemoryEngine())
    yield memory("three policies at once", three.consume_now)
    flooded = RateLimiter("5/minute", MemoryEngine(max_keys=100_000))
    names = {"flood": flood, "consume": flooded.consume_now, "numbers": count()}
    yield Case("rate limit", "gcra, new keys only", "flood(consume, numbers)", names, 10_000)
    place = "/dev/shm" if Path("/dev/shm").is_dir() else None
    folder = tempfile.TemporaryDirectory(prefix="ratelimit-", dir=place)
    atexit.register(folder.cleanup)
    shared = RateLimiter("1000/minute", SharedEngine(f"{folder.name}/limits"))
    yield memory("gcra, shared memory", shared.consume_now)
    yield from peers()
    yield from middleware()


def memory(name: str, consume: Callable[..., object]) -> Case:
    return Case(
        "rate limit",
        name,
        "sweep(consume)",
        {"sweep": sweep, "consume": consume},
        10_000,
        baseline="gcra, 10,000 keys",
    )


def peers() -> Iterator[Case]:
    """The same by other libraries, where they are installed."""
    try:
        from limits import RateLimitItemPerMinute
        from limits.storage import MemoryStorage
        from limits.strategies import FixedWindowRateLimiter
    except ImportError:
        pass
    else:
        item, strategy = RateLimitItemPerMinute(1000), FixedWindowRateLimiter(MemoryStorage())
        yield memory("limits: fixed window", lambda key: strategy.hit(item, key))
    try:
        from throttled import RateLimiterType, Throttled, per_min  # type: ignore[attr-defined]
        from throttled.store import MemoryStore
    except ImportError:
        pass
    else:
        throttle = Throttled(
            using=RateLimiterType.GCRA.value,
            quota=per_min(1000, burst=1000),
            store=MemoryStore({"MAX_SIZE": 20_000}),
        )
        yield memory("throttled-py: gcra", throttle.limit)


def middleware() -> Iterator[Case]:
    engine = MemoryEngine()
    hooks = LimitHooks([Rule(Policy.of("1000000/minute"), by_client)], lambda some: RateLimiter(some, engine))
    request = fake_request()

    def limited() -> None:
        request.made = None
        response = Response()
        hooks.before(request)
        hooks.after(request, response)

    def bare() -> None:
        request.made = None
        Response()
        _ = request.client

    names: dict[str, Any] = {"limited": limited, "bare": bare}
    yield Case("rate limit, middleware", "request and response alone", "bare()", names)
    yield Case(
        "rate limit, middleware",
        "with a limit by client and draft-11 fields",
        "limited()",
        names,
        baseline="request and response alone",
    )
