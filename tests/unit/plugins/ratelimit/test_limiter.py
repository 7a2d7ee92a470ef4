"""The direct API: await, wait, decorate."""

from __future__ import annotations

import asyncio

import pytest

from framework.errors import ConfigError, LimitExceeded
from framework.plugins.ratelimit import MemoryEngine, Policy, RateLimiter
from framework.testing import run_virtual


def on_loop_time(**options: int) -> MemoryEngine:
    loop = asyncio.get_running_loop()
    return MemoryEngine(clock=lambda: round(loop.time() * 1e9), **options)


def test_consume_peek_refund_require() -> None:
    async def scenario() -> None:
        limiter = RateLimiter("3/minute", on_loop_time())
        assert (await limiter.peek("k")).remaining == 3
        assert (await limiter.consume("k", 2)).remaining == 1
        assert (await limiter.peek("k", 2)).allowed is False
        assert (await limiter.refund("k")).remaining == 2
        assert (await limiter.refund("k", 100)).remaining == 3
        assert (await limiter.require("k", 3)).allowed
        with pytest.raises(LimitExceeded) as refused:
            await limiter.require("k")
        assert (refused.value.policy, refused.value.retry_after, refused.value.status) == (
            "default",
            20.0,
            429,
        )
        with pytest.raises(ValueError, match="cannot cost -1"):
            await limiter.consume("k", -1)

    run_virtual(scenario())


@pytest.mark.parametrize(
    ("policies", "problem"),
    [
        ([], "at least one policy"),
        ([Policy.of("1/s"), Policy.of("2/s")], "two policies are named default"),
        ([Policy(quota=1, window=0.0)], "policy default: window"),
    ],
)
def test_limiters_that_cannot_be(policies: list[Policy], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        RateLimiter(policies)


def test_wait_serves_in_order_at_the_pace() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        limiter = RateLimiter(Policy.of("10/s", burst=1), on_loop_time())
        served: list[tuple[int, float]] = []

        async def one(number: int) -> None:
            await limiter.wait("k", timeout=10.0)
            served.append((number, round(loop.time(), 3)))

        await asyncio.gather(*[one(number) for number in range(5)])
        assert served == [(0, 0.0), (1, 0.1), (2, 0.2), (3, 0.3), (4, 0.4)]

    run_virtual(scenario())


def test_wait_refuses_at_once_what_would_take_too_long() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        limiter = RateLimiter("1/minute", on_loop_time())
        await limiter.wait("k", timeout=0)
        with pytest.raises(LimitExceeded) as refused:
            await limiter.wait("k", timeout=59)
        assert loop.time() == 0.0
        assert refused.value.retry_after == 60.0
        with pytest.raises(LimitExceeded, match="more than the limit allows"):
            await limiter.wait("k", 2, timeout=1e9)
        await limiter.wait("k", timeout=61)
        assert loop.time() == 60.0

    run_virtual(scenario())


def test_whoever_gives_up_waiting_takes_nothing() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        limiter = RateLimiter(Policy.of("1/s", burst=1), on_loop_time(), max_waiting=2)
        await limiter.consume("k")
        first = asyncio.create_task(limiter.wait("k", timeout=10))
        second = asyncio.create_task(limiter.wait("k", timeout=10))
        await asyncio.sleep(0)
        with pytest.raises(LimitExceeded):
            await limiter.wait("k", timeout=10)
        first.cancel()
        assert (await second).allowed
        assert loop.time() == 1.0
        assert first.cancelled()
        third = asyncio.create_task(limiter.wait("k", timeout=10))
        fourth = asyncio.create_task(limiter.wait("k", timeout=1.5))
        assert (await third).allowed
        with pytest.raises(LimitExceeded):
            await fourth
        assert limiter._lines == {}

    run_virtual(scenario())


def test_a_decorated_function_is_limited_by_its_arguments() -> None:
    async def scenario() -> None:
        limiter = RateLimiter("1/minute", on_loop_time())

        @limiter.limited(lambda user, text: f"mail {user}")
        async def mail(user: str, text: str) -> str:
            """Sends."""
            return f"{user}: {text}"

        assert await mail("ann", "hi") == "ann: hi"
        assert await mail("bob", text="hi") == "bob: hi"
        with pytest.raises(LimitExceeded):
            await mail("ann", "again")
        assert mail.__doc__ == "Sends."

    run_virtual(scenario())


def test_a_thousand_tasks_take_exactly_the_quota() -> None:
    async def scenario() -> None:
        limiter = RateLimiter("100/minute", on_loop_time())

        async def one() -> bool:
            await asyncio.sleep(0)
            return (await limiter.consume("k")).allowed

        assert sum(await asyncio.gather(*[one() for _ in range(1000)])) == 100

    run_virtual(scenario())
