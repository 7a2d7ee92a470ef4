"""One model for all engines: the same trace of requests gets the same decisions, whatever keeps the states."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from framework.plugins.ratelimit import MemoryEngine, Policy, RateLimiter
from framework.plugins.ratelimit.kernel import CONSUME, PEEK, REFUND, Decision
from framework.plugins.ratelimit.policy import ALGORITHMS, terms_of
from framework.plugins.ratelimit.remote import RedisEngine
from framework.plugins.ratelimit.shared import SharedEngine
from tests.support.redis import RedisServer, redis_server

__all__ = ["redis_server"]

MICRO = 1000
SECOND = 1_000_000_000
BEGIN = 1_700_000_000 * SECOND
_NUMBERS = count()


class Clock:
    """Nanoseconds that a test sets; always whole microseconds, the finest that all engines know."""

    def __init__(self) -> None:
        self.now = BEGIN

    def __call__(self) -> int:
        return self.now

    def micro(self) -> int:
        return self.now // MICRO


def policies() -> st.SearchStrategy[Policy]:
    def made(algorithm: str, quota: int, window: float, burst: int, near: float, shadow: bool) -> Policy:
        return Policy(
            name=algorithm,
            algorithm=algorithm,  # type: ignore[arg-type]
            quota=min(quota, 64)
            if algorithm == "sliding_log"
            else quota,  # what a slot of shared memory has room for
            window=window,
            burst=burst if algorithm in ("gcra", "token_bucket") and burst else None,
            near=near,
            shadow=shadow,
        )

    return st.builds(
        made,
        st.sampled_from(ALGORITHMS),
        st.integers(1, 12) | st.sampled_from([97, 1000]),
        st.sampled_from([0.001, 0.7, 1.0, 7.0, 60.0, 86_400.0]),
        st.integers(0, 5),
        st.just(0.8),
        st.booleans(),
    )


def several() -> st.SearchStrategy[list[Policy]]:
    return st.lists(policies(), min_size=1, max_size=3, unique_by=lambda policy: policy.name)


Step = tuple[int, int, int, int]
"""Microseconds that pass (or are taken back), key, mode, cost."""


def steps(*, back: bool = True) -> st.SearchStrategy[list[Step]]:
    passed = (
        st.integers(0, 2_000_000) | st.integers(0, 200) | st.sampled_from([0, 60_000_000, 86_400_000_000])
    )
    moved = passed | st.integers(-3_000_000, 0) | st.just(-86_400_000_000) if back else passed
    modes = st.sampled_from([CONSUME, CONSUME, CONSUME, PEEK, REFUND])
    return st.lists(st.tuples(moved, st.integers(0, 1), modes, st.integers(0, 4) | st.just(13)), max_size=40)


def numbers(decision: Decision) -> list[Any]:
    return [
        (part.policy.name, part.allowed, part.quota, part.remaining, part.retry_ns, part.reset_ns)
        for part in (decision, *decision.all)
    ]


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@asynccontextmanager
async def engines(server: RedisServer, folder: Path, clock: Clock) -> AsyncGenerator[list[Any]]:
    shared = SharedEngine(str(folder / f"limits{next(_NUMBERS)}"), max_keys=64, clock=clock)
    remote = RedisEngine(
        server.url, deadline=20.0, clock="client", now=clock.micro, margin=3600.0, prefix=f"t{next(_NUMBERS)}"
    )
    await remote.open()
    try:
        yield [MemoryEngine(clock=clock), shared, remote]
    finally:
        await remote.close()
        await shared.close()


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(first=several(), changed=several(), trace=steps(), change_at=st.integers(0, 40))
def test_r1_every_engine_decides_the_same(
    redis_server: RedisServer,
    loop: asyncio.AbstractEventLoop,
    tmp_path: Path,
    first: list[Policy],
    changed: list[Policy],
    trace: list[Step],
    change_at: int,
) -> None:
    """Traefik #13706: memory and Redis counted different things. Here also: clocks that go back (R5), limits that
    change under old keys, several limits at once, refunds, peeks, costs beyond the quota."""

    async def scenario() -> None:
        clock = Clock()
        async with engines(redis_server, tmp_path, clock) as all_engines:
            limiters = [RateLimiter(first, engine, on_failure="closed") for engine in all_engines]
            policies = first
            for index, (passed, key, mode, cost) in enumerate(trace):
                if index == change_at:
                    policies = changed
                    for limiter in limiters:
                        limiter.change(changed)
                clock.now += passed * MICRO
                keys = [f"key{key}"] * len(policies)
                decisions = [await limiter.decide(keys, cost, mode) for limiter in limiters]
                assert all(decision.source == "" for decision in decisions)
                one, *others = [numbers(decision) for decision in decisions]
                assert all(other == one for other in others), (index, policies, one, others)

    loop.run_until_complete(scenario())


# -- the oracle: what each algorithm promises, computed from all that was ever admitted --------------------------------


class Oracle:
    """Knows every admitted unit, and computes by the definition."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.admitted: list[tuple[int, int]] = []  # microseconds, units
        self.level = Fraction(0)
        self.at = 0

    def allows(self, now: int, cost: int) -> bool:
        policy, period = self.policy, round(self.policy.window * 1_000_000)
        if policy.algorithm in ("gcra", "token_bucket"):
            size = policy.burst or policy.quota
            interval = Fraction(math.ceil(Fraction(period * 1000, policy.quota)), 1000)
            level = max(Fraction(0), self.level - Fraction(now - self.at) / interval)
            return level + cost <= size
        if policy.algorithm == "fixed_window":
            return self.used(now - now % period, now) + cost <= policy.quota
        if policy.algorithm == "sliding_log":
            return self.used(now - period + 1, now) + cost <= policy.quota
        start = now - now % period
        weight = Fraction(2048 - (now - start) * 2048 // period, 2048)
        return self.used(start, now) + self.used(start - period, start - 1) * weight + cost <= policy.quota

    def used(self, first: int, last: int) -> int:
        return sum(units for time, units in self.admitted if first <= time <= last)

    def admit(self, now: int, cost: int) -> None:
        policy, period = self.policy, round(self.policy.window * 1_000_000)
        interval = Fraction(math.ceil(Fraction(period * 1000, policy.quota)), 1000)
        self.level = max(Fraction(0), self.level - Fraction(now - self.at) / interval) + cost
        self.at = now
        self.admitted.append((now, cost))


@settings(max_examples=300, deadline=None)
@given(policy=policies(), trace=steps(back=False))
def test_decisions_are_those_of_the_definition(policy: Policy, trace: list[Step]) -> None:
    clock, oracle = Clock(), Oracle(policy)
    limiter = RateLimiter([policy], MemoryEngine(clock=clock))
    for passed, _, _, cost in trace:
        clock.now += passed * MICRO
        now = clock.now // MICRO
        (part,) = limiter.decide_now(["k"], cost).all
        assert part.allowed == oracle.allows(now, cost)
        if part.allowed:
            oracle.admit(now, cost)
        assert oracle.allows(now, part.remaining)
        assert part.remaining == part.quota or not oracle.allows(now, part.remaining + 1)


@settings(max_examples=300, deadline=None)
@given(policy=policies(), trace=steps(back=False), cost=st.integers(1, 5))
def test_whoever_comes_back_as_told_is_admitted_and_not_a_moment_earlier(
    policy: Policy, trace: list[Step], cost: int
) -> None:
    clock = Clock()
    limiter = RateLimiter([policy], MemoryEngine(clock=clock))
    for passed, _, _, units in trace:
        clock.now += passed * MICRO
        limiter.decide_now(["k"], units)
    (told,) = limiter.decide_now(["k"], cost, PEEK).all
    if told.allowed:
        assert told.retry_ns == 0
    elif told.retry_ns < 0:
        assert cost > told.quota
    else:
        begun = clock.now
        clock.now = begun + -(-told.retry_ns // MICRO) * MICRO
        assert limiter.decide_now(["k"], cost, PEEK).all[0].allowed
        clock.now = begun + (told.retry_ns - 1) // MICRO * MICRO
        if clock.now >= begun:
            assert not limiter.decide_now(["k"], cost, PEEK).all[0].allowed
    clock.now += told.reset_ns + MICRO
    assert limiter.decide_now(["k"], 0, PEEK).remaining == told.quota


@settings(max_examples=300, deadline=None)
@given(policy=policies(), trace=steps(back=False))
def test_r3_never_more_is_granted_than_capacity_and_rate_allow(policy: Policy, trace: list[Step]) -> None:
    """bucket4j #501: batching over-consumed. In every stretch of every trace: granted <= capacity + rate * t."""
    clock = Clock()
    limiter = RateLimiter([policy], MemoryEngine(clock=clock))
    granted: list[tuple[int, int]] = []
    for passed, _, _, cost in trace:
        clock.now += passed * MICRO
        if limiter.decide_now(["k"], cost).all[0].allowed:
            granted.append((clock.now, cost))
    terms = terms_of(policy)
    window = terms.period * MICRO
    for first, (begun, _) in enumerate(granted):
        total = 0
        for ended, cost in granted[first:]:
            total += cost
            if terms.code == 0:
                bound = Fraction(terms.quota) + Fraction(ended - begun, terms.interval)
            else:  # whole windows touched: the quota each, for the estimate and the fixed window; a log is exact
                bound = Fraction(terms.quota * ((ended - begun) // window + (1 if terms.code == 3 else 2)))
            assert total <= bound
            if terms.code == 3 and ended - begun < window:
                assert total <= terms.quota


@settings(max_examples=200, deadline=None)
@given(policy=policies(), trace=steps())
def test_r5_time_that_goes_back_refills_nothing_and_locks_nobody_out(
    policy: Policy, trace: list[Step]
) -> None:
    """go-zero #4072, sourcegraph PR 56826: a clock that goes back and forth refilled a bucket again and again."""
    clock = Clock()
    limiter = RateLimiter([policy], MemoryEngine(clock=clock))
    terms = terms_of(policy)
    while limiter.decide_now(["k"], 1).all[0].allowed:
        pass
    # However the clock dances within the past, not one more is admitted than time has really passed.
    top = clock.now
    for passed, _, _, _ in trace:
        clock.now = min(top, max(top - terms.period * MICRO // 2, clock.now + passed * MICRO))
        assert not limiter.decide_now(["k"], 1).all[0].allowed
    # And after a step back of any size all is well within two windows and a burst.
    clock.now = top - 40 * 86_400 * SECOND
    limiter.decide_now(["k"], 1)
    clock.now += 2 * terms.period * MICRO + terms.limit + MICRO
    assert limiter.decide_now(["k"], 1).all[0].allowed
