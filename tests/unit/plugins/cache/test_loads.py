"""Loads in virtual time: who waits how long, what is served meanwhile, and who may leave."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest

from framework.errors import DeadlineExceeded
from framework.plugins.cache import MISSING, Cache, CacheBusy, LoadCancelled, Options
from framework.testing import run_virtual
from framework.testing.cancellation import Trial, cancel_everywhere
from tests.unit.plugins.cache.driver import Source

Main = Callable[[Cache], Awaitable[None]]


def virtually(main: Main, **options: Any) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        async with Cache(clock=loop.time, random=Random(1), **options) as cache:
            await main(cache)

    run_virtual(run())


def taking(seconds: float, *values: Any) -> Callable[[], Awaitable[Any]]:
    left = list(values)

    async def load() -> Any:
        await asyncio.sleep(seconds)
        value = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(value, Exception):
            raise value
        return value

    return load


def test_a_value_ends_to_the_second() -> None:
    async def main(cache: Cache) -> None:
        await cache.set("k", 1, ttl=10)
        await asyncio.sleep(9.999)
        assert await cache.get("k") == 1
        await asyncio.sleep(0.001)
        assert await cache.get("k") is MISSING

    virtually(main)


def test_a_key_set_again_is_not_ended_by_the_old_time() -> None:
    """Guide 5.1: each set started a timer of its own, and the first to ring deleted the newest value."""

    async def main(cache: Cache) -> None:
        await cache.set("k", 1, ttl=10)
        await asyncio.sleep(6)
        await cache.set("k", 2, ttl=10)
        await asyncio.sleep(6)
        await cache.set("other", 1, ttl=10)  # writes sweep
        assert await cache.get("k") == 2

    virtually(main)


def test_no_timer_is_set_for_a_key() -> None:
    """Guide 5.1: one timer for each key."""

    async def main(cache: Cache) -> None:
        loop = asyncio.get_running_loop()
        before = len(loop._scheduled)  # type: ignore[attr-defined]
        for number in range(1000):
            await cache.set(f"k{number}", number, ttl=10)
        assert len(loop._scheduled) == before  # type: ignore[attr-defined]

    virtually(main)


def test_stale_while_revalidate() -> None:
    async def main(cache: Cache) -> None:
        load = taking(1, 1, 2, 3)
        options = {"ttl": 10, "stale_while_revalidate": 5}
        assert await cache.get_or_load("k", load, **options) == 1
        await asyncio.sleep(12)
        begun = cache.memory._clock()
        assert [await cache.get_or_load("k", load, **options) for _ in range(5)] == [1] * 5
        assert cache.memory._clock() == begun  # nobody waited
        assert await cache.get("k") is MISSING  # get serves what is fresh alone
        await asyncio.sleep(1.1)
        assert await cache.get_or_load("k", load, **options) == 2
        await asyncio.sleep(16)
        assert await cache.get_or_load("k", load, **options) == 3
        assert (cache.counts.loads, cache.counts.refreshes, cache.counts.stale) == (3, 1, 5)

    virtually(main)


def test_stale_if_error() -> None:
    async def main(cache: Cache) -> None:
        load = taking(1, 1, OSError("down"), OSError("down"), 4)
        options = {"ttl": 10, "stale_if_error": 60, "error_pause": 5}
        assert await cache.get_or_load("k", load, **options) == 1
        await asyncio.sleep(11)
        assert await cache.get_or_load("k", load, **options) == 1
        assert cache.counts.failures == 1
        assert await cache.get_or_load("k", load, **options) == 1  # within the pause nobody tries
        assert cache.counts.failures == 1
        await asyncio.sleep(6)
        assert await cache.get_or_load("k", load, **options) == 1
        assert cache.counts.failures == 2
        await asyncio.sleep(6)
        assert await cache.get_or_load("k", load, **options) == 4

    virtually(main)


def test_beyond_its_grace_a_stale_value_is_no_answer_to_an_error() -> None:
    async def main(cache: Cache) -> None:
        load = taking(1, 1, OSError("down"))
        assert await cache.get_or_load("k", load, ttl=10, stale_if_error=5) == 1
        await asyncio.sleep(16)
        with pytest.raises(OSError, match="down"):
            await cache.get_or_load("k", load, ttl=10, stale_if_error=5)

    virtually(main)


def test_soft_timeout_serves_the_old_value_and_the_load_goes_on() -> None:
    async def main(cache: Cache) -> None:
        loop = asyncio.get_running_loop()
        options = {"ttl": 10, "stale_if_error": 60, "soft_timeout": 0.5, "hard_timeout": 3}
        assert await cache.get_or_load("k", taking(0.1, "old"), **options) == "old"
        await asyncio.sleep(11)
        begun = loop.time()
        slow = taking(2, "new")
        assert await cache.get_or_load("k", slow, **options) == "old"
        assert loop.time() - begun == pytest.approx(0.5)
        await asyncio.sleep(1.6)
        assert cache.get_now("k") == "new"

    virtually(main)


def test_hard_timeout_ends_the_wait_and_the_load_goes_on() -> None:
    async def main(cache: Cache) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        with pytest.raises(DeadlineExceeded, match="load of 'k'"):
            await cache.get_or_load("k", taking(5, 1), hard_timeout=2)
        assert loop.time() - begun == pytest.approx(2)
        await asyncio.sleep(3.1)
        assert cache.get_now("k") == 1

    virtually(main)


def test_a_load_without_end_is_cancelled() -> None:
    async def main(cache: Cache) -> None:
        source = Source(held=True)
        with pytest.raises(DeadlineExceeded):
            await cache.get_or_load("k", source, load_timeout=30)
        assert source.cancelled == 1
        assert cache.loading == 0

    virtually(main)


def test_c3_each_who_waits_has_a_deadline_of_their_own() -> None:
    """fak #11924: a waiter hung on the leader."""

    async def main(cache: Cache) -> None:
        leader = asyncio.ensure_future(cache.get_or_load("k", taking(10, 1)))
        await asyncio.sleep(0)
        with pytest.raises(DeadlineExceeded):
            await cache.get_or_load("k", taking(10, 1), hard_timeout=1)
        async with asyncio.timeout(100):
            assert await leader == 1

    virtually(main)


def test_c2_the_leaders_cancellation_is_nobody_elses() -> None:
    """hyper-util PR 299, janos/singleflight #4: it killed all who waited, or let a second load begin."""

    async def main(cache: Cache) -> None:
        source = Source("v", held=True)
        tasks = [asyncio.ensure_future(cache.get_or_load("k", source)) for _ in range(5)]
        await source.begun.wait()
        tasks[0].cancel()
        tasks[3].cancel()
        await asyncio.sleep(1)
        source.go.set()
        got = await asyncio.gather(*tasks, return_exceptions=True)
        assert [value for value in got if value == "v"] == ["v"] * 3
        assert (source.calls, source.cancelled) == (1, 0)

    virtually(main)


def test_c2_when_all_are_gone_the_load_is_cancelled() -> None:
    async def main(cache: Cache) -> None:
        source = Source("v", held=True)
        tasks = [asyncio.ensure_future(cache.get_or_load("k", source)) for _ in range(5)]
        await source.begun.wait()
        for task in tasks:
            task.cancel()
        # Who comes in the very turn in which it is given up gets a load that is alive.
        later = asyncio.ensure_future(cache.get_or_load("k", taking(1, "w")))
        await asyncio.gather(*tasks, return_exceptions=True)
        assert await later == "w"
        assert (source.calls, source.cancelled) == (1, 1)
        assert cache.loading == 0

    virtually(main)


def test_a_waiter_that_timed_out_keeps_the_load_alive() -> None:
    async def main(cache: Cache) -> None:
        leader = asyncio.ensure_future(cache.get_or_load("k", taking(5, 1)))
        with pytest.raises(DeadlineExceeded):
            await cache.get_or_load("k", taking(5, 1), hard_timeout=1)
        leader.cancel()
        await asyncio.sleep(5)
        assert cache.get_now("k") == 1

    virtually(main)


def test_early_refresh() -> None:
    async def main(cache: Cache) -> None:
        load = taking(1, 1, 2)
        options = {"ttl": 10, "early_refresh": 0.8}
        assert await cache.get_or_load("k", load, **options) == 1
        await asyncio.sleep(7.9)
        assert await cache.get_or_load("k", load, **options) == 1
        assert cache.counts.refreshes == 0
        await asyncio.sleep(0.2)
        assert await cache.get_or_load("k", load, **options) == 1
        await asyncio.sleep(1.1)
        assert await cache.get_or_load("k", load, **options) == 2
        assert cache.counts.refreshes == 1

    virtually(main)


def test_jitter_takes_off_a_part() -> None:
    async def main(cache: Cache) -> None:
        for number in range(200):
            await cache.set(f"k{number}", 1, ttl=100, jitter=0.2)
        ends = [cache.memory.peek(f"k{number}").expires for number in range(200)]  # type: ignore[union-attr]
        assert 80 <= min(ends) < 84
        assert 96 < max(ends) <= 100

    virtually(main)


def test_a_stampede_on_expiry_is_one_load() -> None:
    """Guide 5.1: all who came while the value was made made it too."""

    async def main(cache: Cache) -> None:
        source = Source(1, 2)
        await cache.get_or_load("k", source, ttl=10)
        await asyncio.sleep(11)
        await asyncio.gather(*[cache.get_or_load("k", source, ttl=10) for _ in range(1000)])
        assert source.calls == 2

    virtually(main)


def test_loads_are_bounded() -> None:
    async def main(cache: Cache) -> None:
        source = Source(held=True)
        tasks = [asyncio.ensure_future(cache.get_or_load(f"k{number}", source)) for number in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(CacheBusy, match="3 loads"):
            await cache.get_or_load("more", source)
        again = asyncio.ensure_future(cache.get_or_load("k0", source))
        await asyncio.sleep(0)
        source.go.set()
        await asyncio.gather(*tasks, again)

    virtually(main, max_loads=3)


def test_a_loader_cancelled_from_within_is_a_failure() -> None:
    async def main(cache: Cache) -> None:
        async def load() -> int:
            raise asyncio.CancelledError

        with pytest.raises(LoadCancelled):
            await cache.get_or_load("k", load)

    virtually(main)


def test_closing_ends_what_is_under_way() -> None:
    async def main(cache: Cache) -> None:
        source = Source(held=True)
        asking = asyncio.ensure_future(cache.get_or_load("k", source))
        await source.begun.wait()
        await cache.close()
        with pytest.raises(LoadCancelled):
            await asking
        with pytest.raises(LoadCancelled):
            await cache.get_or_load("k", source)
        assert source.cancelled == 1

    virtually(main)


def test_a_failed_refresh_is_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def main(cache: Cache) -> None:
        load = taking(1, 1, OSError("down"))
        for _ in range(3):
            await cache.get_or_load("k", load, ttl=10, stale_while_revalidate=60, error_pause=30)
            await asyncio.sleep(12)

    with caplog.at_level(logging.WARNING):
        virtually(main)
    assert [record.getMessage() for record in caplog.records] == [
        "making the value of 'k' anew failed: OSError: down"
    ]


def test_a_load_survives_a_cancel_at_every_point() -> None:
    """One who asks is cancelled wherever that can be; another gets the value, and nothing is left behind."""

    async def scenario(trial: Trial) -> None:
        cache = Cache(clock=asyncio.get_running_loop().time)
        load = taking(1, "v")
        other = asyncio.ensure_future(cache.get_or_load("k", load))
        outcome = await trial(cache.get_or_load("k", load, hard_timeout=5))
        if not outcome.cancelled:
            assert outcome.result == "v"
        assert await other == "v"
        assert cache.get_now("k") == "v"
        assert len(cache._levels.ledger) == 0
        await cache.close()

    assert cancel_everywhere(scenario).suspensions >= 1


def test_a_lone_load_is_cancelled_at_every_point_without_a_trace() -> None:
    async def scenario(trial: Trial) -> None:
        cache = Cache(clock=asyncio.get_running_loop().time)
        source = taking(1, "v")
        outcome = await trial(cache.get_or_load("k", source, ttl=10, tags=["t"]))
        await asyncio.sleep(2)
        assert cache.loading == 0
        assert len(cache._levels.ledger) == 0
        assert outcome.cancelled or cache.get_now("k") == "v"
        await cache.close()

    assert cancel_everywhere(scenario).runs > 2


def test_options_of_a_cache_hold_for_all_loads() -> None:
    async def main(cache: Cache) -> None:
        await cache.get_or_load("k", Source(1))
        await asyncio.sleep(6)
        assert cache.get_now("k") is MISSING

    virtually(main, options=Options(ttl=5))
