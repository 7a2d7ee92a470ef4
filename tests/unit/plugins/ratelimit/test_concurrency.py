"""How many at once: fixed, and found by the gradient in a closed loop with a simulated service."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from framework import App, Phase
from framework.errors import ResourceError
from framework.plugins.ratelimit import ConcurrencyLimiter, Gradient
from framework.testing import TestClient, run_virtual


def test_a_fixed_limit_and_a_line() -> None:
    async def scenario() -> None:
        limiter = ConcurrencyLimiter(2, max_waiting=1, timeout=5.0)
        order: list[str] = []

        async def work(name: str, seconds: float) -> None:
            async with limiter.slot():
                order.append(name)
                await asyncio.sleep(seconds)

        tasks = [asyncio.create_task(work(name, 1.0)) for name in "abc"]
        await asyncio.sleep(0)
        assert (limiter.under_way, limiter.waiting) == (2, 1)
        with pytest.raises(ResourceError):
            await work("d", 1.0)
        await asyncio.gather(*tasks)
        assert order == ["a", "b", "c"]
        assert (limiter.under_way, limiter.waiting, limiter.refused) == (0, 0, 1)

    run_virtual(scenario())


def test_whoever_waits_too_long_or_is_cancelled_leaves_no_trace() -> None:
    async def scenario() -> None:
        limiter = ConcurrencyLimiter(1, max_waiting=3, timeout=1.0)

        async def work(seconds: float) -> None:
            async with limiter.slot():
                await asyncio.sleep(seconds)

        first = asyncio.create_task(work(2.0))
        await asyncio.sleep(0)
        cancelled = asyncio.create_task(work(1.0))
        late = asyncio.create_task(work(1.0))
        await asyncio.sleep(0.5)
        cancelled.cancel()
        with pytest.raises(ResourceError, match="none ended in time"):
            await late
        await first
        # Cancelled in the very turn in which it is let in.
        first = asyncio.create_task(work(0.5))
        await asyncio.sleep(0)
        second, third = asyncio.create_task(work(0.1)), asyncio.create_task(work(0.1))
        await asyncio.sleep(0)
        first.add_done_callback(lambda _: second.cancel())
        await third
        assert second.cancelled()
        assert (limiter.under_way, limiter.waiting) == (0, 0)

    run_virtual(scenario())


def test_so_many_of_one_key() -> None:
    async def scenario() -> None:
        limiter = ConcurrencyLimiter(10, max_per_key=1)
        async with limiter.slot("a"), limiter.slot("b"):
            with pytest.raises(ResourceError):
                async with limiter.slot("a"):
                    pass
        async with limiter.slot("a"):
            pass
        assert limiter._by_key == {}

    run_virtual(scenario())


class Service:
    """Serves ``parallel`` at once, each in about ``seconds``; the others queue."""

    def __init__(self, seconds: float, parallel: int) -> None:
        self.seconds = seconds
        self._room = asyncio.Semaphore(parallel)
        self._chance = random.Random(3)

    async def call(self, seconds: float | None = None) -> None:
        async with self._room:
            await asyncio.sleep(
                (self.seconds if seconds is None else seconds) * self._chance.uniform(0.9, 1.1)
            )


async def load(
    limiter: ConcurrencyLimiter, call: Callable[[], object], *, rate: float, seconds: float, seed: int
) -> int:
    """Open-loop: so many a second come, whatever becomes of them. Returns how many were refused."""
    chance = random.Random(seed)
    loop = asyncio.get_running_loop()
    ends = loop.time() + seconds
    tasks: set[asyncio.Task[None]] = set()
    refused = 0

    async def one() -> None:
        nonlocal refused
        try:
            async with limiter.slot():
                await call()  # type: ignore[misc]
        except ResourceError:
            refused += 1

    while loop.time() < ends:
        task = asyncio.create_task(one())
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        await asyncio.sleep(chance.expovariate(rate))
    await asyncio.gather(*tasks)
    return refused


def test_r11_under_an_overload_that_lasts_the_limit_finds_the_service_and_stays_there() -> None:
    """concurrency-limits #165: the baseline drifted up with the queue, and the limit with it."""

    async def scenario() -> None:
        service = Service(0.05, parallel=10)  # 200/s at most
        gradient = Gradient(initial=20, max_limit=1000)
        limiter = ConcurrencyLimiter(gradient)
        for minute in range(6):
            await load(limiter, service.call, rate=600, seconds=60, seed=minute)
            assert 6 <= limiter.limit <= 45, f"minute {minute}: {limiter.limit}"
            assert gradient.baseline is not None
            assert gradient.baseline < 0.08, "the queue is not taken for the service"

    run_virtual(scenario())


def test_r11_a_service_that_became_slower_for_good_is_no_collapse() -> None:
    async def scenario() -> None:
        service = Service(0.02, parallel=10)
        limiter = ConcurrencyLimiter(gradient := Gradient(initial=20))
        await load(limiter, service.call, rate=800, seconds=60, seed=1)
        service.seconds = 0.1
        await load(limiter, service.call, rate=200, seconds=120, seed=2)
        assert 6 <= limiter.limit <= 45
        assert gradient.baseline is not None
        assert 0.07 < gradient.baseline < 0.2
        service.seconds = 0.02
        await load(limiter, service.call, rate=800, seconds=60, seed=3)
        assert 6 <= limiter.limit <= 45
        assert gradient.baseline < 0.04

    run_virtual(scenario())


def test_r11_low_traffic_and_health_checks_change_nothing() -> None:
    """concurrency-limits PR 42, 88: quick health checks alone became the baseline, and real requests were refused."""

    async def scenario() -> None:
        service = Service(0.05, parallel=10)
        limiter = ConcurrencyLimiter(gradient := Gradient(initial=20))
        await load(limiter, service.call, rate=400, seconds=60, seed=1)
        limit, baseline = limiter.limit, gradient.baseline
        assert await load(limiter, lambda: service.call(0.001), rate=2, seconds=600, seed=2) == 0
        assert await load(limiter, service.call, rate=3, seconds=300, seed=3) == 0
        assert abs(limiter.limit - limit) <= limit
        assert gradient.baseline == baseline
        await load(limiter, service.call, rate=400, seconds=60, seed=4)
        assert 6 <= limiter.limit <= 45

    run_virtual(scenario())


@pytest.mark.anyio
async def test_as_a_middleware_it_answers_503() -> None:
    app = App()
    limiter = ConcurrencyLimiter(1)
    app.use(limiter, Phase.TRAFFIC)
    entered, leave = asyncio.Event(), asyncio.Event()

    @app.get("/")
    async def slow() -> str:
        entered.set()
        await leave.wait()
        return "done"

    async with TestClient(app) as client:
        first = asyncio.create_task(client.get("/"))
        await entered.wait()
        refused = await client.get("/")
        assert (refused.status, refused.headers.get("retry-after")) == (503, "1")
        leave.set()
        assert (await first).text == "done"
        assert limiter.under_way == 0


def test_limits_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="lets in one"):
        ConcurrencyLimiter(0)
    with pytest.raises(ValueError, match="a limit goes from"):
        Gradient(initial=5, min_limit=6)
