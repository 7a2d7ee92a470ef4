"""The hybrid: leases from a shared engine, spent in each worker, and the bound on what is admitted too much."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from framework.errors import ConfigError
from framework.plugins.ratelimit import EngineUnavailable, MemoryEngine, Policy, RateLimiter
from framework.plugins.ratelimit.kernel import Decision
from framework.plugins.ratelimit.leases import LeaseGate
from framework.plugins.ratelimit.policy import ALGORITHMS
from framework.plugins.ratelimit.remote import RedisEngine
from framework.testing import run_virtual
from tests.support.redis import RedisServer, redis_server

__all__ = ["redis_server"]


class Far:
    """A shared engine at the other end of a network that delays, and loses questions and answers."""

    def __init__(self, policy: Policy, seed: int, *, loss: float = 0.0, delay: float = 0.003) -> None:
        loop = asyncio.get_running_loop()
        self._chance = random.Random(seed)
        self._loss = loss
        self._delay = delay
        self.gate = MemoryEngine(clock=lambda: round(loop.time() * 1e9)).bind([policy])
        self.asked = 0
        self.granted: list[tuple[float, int]] = []

    async def decide(self, keys: Sequence[str], cost: int, mode: int) -> Decision:
        self.asked += 1
        await asyncio.sleep(self._chance.random() * self._delay)
        if self._chance.random() < self._loss:
            raise EngineUnavailable("lost on the way there")
        decision = self.gate.decide(keys, cost, mode)
        if decision.allowed:
            self.granted.append((asyncio.get_running_loop().time(), cost))
        await asyncio.sleep(self._chance.random() * self._delay)
        if self._chance.random() < self._loss:
            raise EngineUnavailable("lost on the way back")
        return decision


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("loss", [0.0, 0.2])
def test_r2_overshoot_is_at_most_a_lease_for_each_worker(algorithm: str, loss: float) -> None:
    """gubernator #208: global counters without a bound. Over every stretch of time: admitted <= granted in it by the
    shared engine + workers * lease."""

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        policy = Policy.of("100/s", algorithm=algorithm)
        far = Far(policy, 7, loss=loss)
        lease, workers = 8, 4
        gates = [LeaseGate(far, policy, lease=lease, lease_time=0.3) for _ in range(workers)]
        admitted: list[tuple[float, int]] = []
        chance = random.Random(11)

        async def client(gate: LeaseGate) -> None:
            while loop.time() < 5.0:
                cost = chance.choice([1, 1, 1, 3])
                try:
                    if (await gate.decide(["k"], cost, 1)).allowed:
                        admitted.append((loop.time(), cost))
                except EngineUnavailable:
                    pass
                assert gate.held <= lease
                await asyncio.sleep(chance.expovariate(100) + (0.5 if chance.random() < 0.01 else 0.0))

        await asyncio.gather(*[client(gate) for gate in gates for _ in range(3)])
        marks = sorted({time for time, _ in admitted})[::7]
        for first, begun in enumerate(marks):
            for ended in marks[first:]:
                # What was granted on the way when the stretch began counts as held: an answer takes 3 ms at most.
                spent = sum(cost for time, cost in admitted if begun <= time <= ended)
                granted = sum(cost for time, cost in far.granted if begun - 0.003 <= time <= ended)
                assert spent <= granted + workers * lease

    run_virtual(scenario())


def test_leases_spare_round_trips_and_are_asked_for_once() -> None:
    async def scenario() -> None:
        policy = Policy.of("1000/s")
        far = Far(policy, 1)
        gate = LeaseGate(far, policy, lease=50, lease_time=10.0)
        decisions = await asyncio.gather(*[gate.decide(["k"], 1, 1) for _ in range(200)])
        assert all(decisions)
        assert far.asked == 4
        assert sum(decision.source == "lease" for decision in decisions) == 196

    run_virtual(scenario())


def test_what_is_left_of_the_quota_is_given_to_the_last_unit() -> None:
    async def scenario() -> None:
        policy = Policy.of("20/day", algorithm="fixed_window")
        far = Far(policy, 1)
        gate = LeaseGate(far, policy, lease=8, lease_time=3600.0)
        decisions = [await gate.decide(["k"], 1, 1) for _ in range(30)]
        assert sum(decision.allowed for decision in decisions) == 20
        assert decisions[-1].retry_after > 1000

    run_virtual(scenario())


def test_an_unspent_lease_is_dropped_in_time() -> None:
    async def scenario() -> None:
        policy = Policy.of("20/day", algorithm="fixed_window")
        gate = LeaseGate(Far(policy, 1), policy, lease=10, lease_time=1.0)
        await gate.decide(["k"], 1, 1)
        assert gate.held == 9
        await asyncio.sleep(2.0)
        assert (await gate.decide(["k"], 1, 1)).source == ""
        assert gate.held == 9

    run_virtual(scenario())


def test_the_leaders_cancellation_hands_over() -> None:
    async def scenario() -> None:
        policy = Policy.of("20/day")
        gate = LeaseGate(Far(policy, 1, delay=1.0), policy, lease=10, lease_time=100.0)
        tasks = [asyncio.create_task(gate.decide(["k"], 1, 1)) for _ in range(3)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        assert (await tasks[1]).allowed
        assert (await tasks[2]).allowed
        assert tasks[0].cancelled()

    run_virtual(scenario())


def test_keys_with_leases_are_bounded() -> None:
    async def scenario() -> None:
        policy = Policy.of("20/day")
        gate = LeaseGate(Far(policy, 1), policy, lease=10, lease_time=1e6, max_keys=16)
        for number in range(100):
            await gate.decide([f"{number}"], 1, 1)
            assert len(gate._leases) <= 16

    run_virtual(scenario())


def test_leases_need_a_quota_and_one_policy() -> None:
    engine = RedisEngine("redis://127.0.0.1:1")
    with pytest.raises(ConfigError, match="lease: it must be 1 to the quota of 5"):
        RateLimiter("5/s", engine, lease=6)
    with pytest.raises(ConfigError, match="one policy"):
        RateLimiter([Policy.of("5/s", name="a"), Policy.of("5/s", name="b")], engine, lease=2)


@pytest.mark.anyio
async def test_workers_with_leases_in_redis_keep_the_bound(redis_server: RedisServer) -> None:
    engines = [RedisEngine(redis_server.url, deadline=20.0) for _ in range(3)]
    for engine in engines:
        await engine.open()
    limiters = [
        RateLimiter(Policy.of("200/day", algorithm="sliding_log"), engine, lease=20, instances=3)
        for engine in engines
    ]

    async def client(limiter: RateLimiter) -> int:
        return sum([(await limiter.consume("k")).allowed for _ in range(100)])

    granted = await asyncio.gather(*[client(limiter) for limiter in limiters for _ in range(2)])
    assert 200 - 3 * 20 <= sum(granted) <= 200
    counts = [engine.counts_of(limiters[0].policies[0]) for engine in engines]
    assert sum(count.admitted for count in counts) == sum(granted)
    for engine in engines:
        await engine.close()
