"""Limits in Redis: one atomic script, a deadline for each decision, and what decides while Redis cannot."""

from __future__ import annotations

import asyncio
from statistics import quantiles

import pytest

from framework.errors import ConfigError, LimitExceeded
from framework.plugins.ratelimit import Policy, RateLimiter
from framework.plugins.ratelimit.lua import script_of
from framework.plugins.ratelimit.policy import ALGORITHMS
from framework.plugins.ratelimit.remote import RedisEngine
from framework.redis import Redis, RedisUnavailable
from tests.support.ports import free_port
from tests.support.redis import RedisServer, options_server, own_redis_server, redis_server
from tests.unit.plugins.ratelimit.driver import Clock

__all__ = ["own_redis_server", "redis_server"]

pytestmark = pytest.mark.anyio
EVERY = [Policy.of("5/minute", name=name, algorithm=name) for name in ALGORITHMS]


async def opened(server: RedisServer, **options: object) -> RedisEngine:
    engine = RedisEngine(server.url, **{"deadline": 20.0, **options})  # type: ignore[arg-type]
    await engine.open()
    return engine


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_r4_a_thousand_tasks_on_one_key(redis_server: RedisServer, algorithm: str) -> None:
    """bucket4j #404: compare-and-set on a hot key never came to an end. Here nothing is tried twice."""
    engine = await opened(redis_server)
    limiter = RateLimiter(Policy.of("100/day", algorithm=algorithm), engine, on_failure="closed")
    loop = asyncio.get_running_loop()
    took: list[float] = []

    async def one() -> bool:
        begun = loop.time()
        decision = await limiter.consume("hot")
        took.append(loop.time() - begun)
        return decision.allowed

    granted = await asyncio.gather(*[one() for _ in range(1000)])
    assert sum(granted) == 100
    assert quantiles(took, n=100)[98] < 5.0
    await engine.close()


async def test_two_clients_share_a_limit_and_prefixes_part_them(redis_server: RedisServer) -> None:
    one, two, other = (
        await opened(redis_server),
        await opened(redis_server),
        await opened(redis_server, prefix="other"),
    )
    limiters = [RateLimiter("3/minute", engine) for engine in (one, two, other)]
    assert [(await limiter.consume("k")).remaining for limiter in limiters] == [2, 1, 2]
    for engine in (one, two, other):
        await engine.close()


async def test_states_go_when_they_say_nothing_any_more(redis_server: RedisServer) -> None:
    engine = await opened(redis_server)
    limiter = RateLimiter(EVERY, engine)
    await limiter.consume("k")
    for policy, code in zip(EVERY, (0, 0, 1, 2, 3), strict=True):
        left = await engine.redis.execute("PTTL", f"limit:{{k}}:{policy.name}:{code}")
        longest = 60_000 * (2 if code == 2 else 1) + 1001
        assert 0 < left <= longest
    await engine.close()


async def test_r6_time_may_be_the_clients(redis_server: RedisServer) -> None:
    """aspnetcore-redis-rate-limiting #154: a hosted service refuses TIME in scripts."""
    redis_server.command("ACL", "SETUSER", "guest", "on", ">pw", "~*", "&*", "+@all", "-time")
    url = f"redis://guest:pw@127.0.0.1:{redis_server.port}"
    refused = RedisEngine(url, deadline=20.0)
    await refused.open()
    assert (await RateLimiter("5/s", refused).consume("k")).source == "local"
    await refused.close()
    clock = Clock()
    engine = RedisEngine(url, deadline=20.0, clock="client", now=clock.micro)
    await engine.open()
    limiter = RateLimiter("1/minute", engine)
    assert [(await limiter.consume("k")).allowed for _ in range(2)] == [True, False]
    clock.pass_(60)
    decision = await limiter.consume("k")
    assert (decision.allowed, decision.source) == (True, "")
    await engine.close()
    redis_server.command("ACL", "DELUSER", "guest")


async def test_r6_all_keys_are_declared_and_of_one_slot_in_a_cluster() -> None:
    server = options_server(["--cluster-enabled", "yes", "--cluster-port", str(free_port())])
    try:
        server.command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        engine = await opened(server)
        async with asyncio.timeout(20):
            while b"cluster_state:ok" not in await engine.redis.execute("CLUSTER", "INFO"):
                pass
        limiter = RateLimiter(EVERY, engine, on_failure="closed")
        for number in range(20):
            decision = await limiter.consume(f"user {number}")
            assert (decision.allowed, decision.source, decision.remaining) == (True, "", 4)
        await engine.close()
    finally:
        server.close()


def test_r6_scripts_use_what_every_server_has() -> None:
    text = script_of(EVERY).text
    assert "table.maxn" not in text  # traefik #13824: missing in Dragonfly
    assert "cjson" not in text
    assert "struct" not in text
    assert text.count("'TIME'") == 1


async def test_r12_a_slow_redis_costs_a_deadline_and_then_nothing(own_redis_server: RedisServer) -> None:
    """spring-cloud-gateway #3373: a Redis that was slow, not down, made every request slow."""
    engine = await opened(own_redis_server, deadline=0.02, pause=0.2)
    limiter = RateLimiter("40/minute", engine, instances=4)
    assert (await limiter.consume("k")).remaining == 39
    own_redis_server.freeze()
    loop = asyncio.get_running_loop()
    took: list[float] = []
    granted = 0
    begun = loop.time()
    while loop.time() - begun < 0.5:
        start = loop.time()
        decision = await limiter.consume("k")
        took.append(loop.time() - start)
        assert decision.source == "local"
        granted += decision.allowed
        await asyncio.sleep(0)
    assert granted == 10  # this process's part of the quota
    assert max(took) < 0.5
    # After the patience of ten deadlines only probes wait: no more than one in each pause.
    assert sum(each > 0.015 for each in took) <= 10 + 4
    assert len(took) > 50
    own_redis_server.thaw()
    async with asyncio.timeout(20):
        while (await limiter.consume("k")).source:
            await engine.redis.execute("PING", timeout=20.0)
    await engine.close()


@pytest.mark.parametrize(("on_failure", "admitted"), [("local", 2), ("open", 5), ("closed", 0)])
async def test_without_redis_the_declared_policy_decides(
    own_redis_server: RedisServer, on_failure: str, admitted: int
) -> None:
    engine = await opened(own_redis_server)
    limiter = RateLimiter("4/minute", engine, on_failure=on_failure, instances=2)  # type: ignore[arg-type]
    await limiter.consume("k")
    own_redis_server.kill()
    decisions = [await limiter.consume("k") for _ in range(5)]
    assert all(decision.source == on_failure for decision in decisions)
    assert sum(decision.allowed for decision in decisions) == admitted
    assert limiter.degraded == 5
    if on_failure == "closed":
        with pytest.raises(LimitExceeded) as refused:
            await limiter.require("k")
        assert refused.value.status == 503
        assert refused.value.retry_after == 1.0
    up = asyncio.Event()
    engine.redis.on_up = up.set
    own_redis_server.start()
    async with asyncio.timeout(20):
        await up.wait()
    assert (await limiter.consume("k")).source == ""
    await engine.close()


async def test_a_redis_that_is_required_and_not_there_stops_the_start() -> None:
    with pytest.raises(RedisUnavailable):
        await RedisEngine("redis://127.0.0.1:1").open()
    engine = RedisEngine("redis://127.0.0.1:1", required=False)
    await engine.open()
    assert (await RateLimiter("1/s", engine).consume("k")).source == "local"
    with pytest.raises(RedisUnavailable):
        await engine.ping()
    await engine.close()


async def test_the_connection_may_be_shared(redis_server: RedisServer) -> None:
    async with Redis(redis_server.url) as redis:
        engine = RedisEngine(redis, deadline=20.0)
        await engine.open()
        assert (await RateLimiter("1/s", engine).consume("k")).allowed
        await engine.close()
        assert await redis.execute("PING") == b"PONG"


async def test_a_remote_engine_must_be_awaited(redis_server: RedisServer) -> None:
    engine = await opened(redis_server)
    with pytest.raises(TypeError, match="await its decisions"):
        RateLimiter("1/s", engine).consume_now("k")
    with pytest.raises(ConfigError, match="at most 12 policies"):
        RateLimiter([Policy.of("1/s", name=f"p{number}") for number in range(13)], engine)
    await engine.close()


async def test_twelve_policies_are_one_script(redis_server: RedisServer) -> None:
    engine = await opened(redis_server)
    policies = [
        Policy.of(f"{3 + number}/minute", name=f"p{number}", algorithm=ALGORITHMS[number % 5])
        for number in range(12)
    ]
    limiter = RateLimiter(policies, engine, on_failure="closed")
    decisions = [await limiter.consume("k") for _ in range(4)]
    assert [decision.allowed for decision in decisions] == [True, True, True, False]
    assert [part.remaining for part in decisions[-1].all] == list(range(12))
    await engine.close()


async def test_counts_are_kept_here(redis_server: RedisServer) -> None:
    engine = await opened(redis_server)
    limiter = RateLimiter("10/minute", engine)
    for _ in range(12):
        await limiter.consume("k")
    await limiter.peek("k")
    counts = engine.counts_of(limiter.policies[0])
    assert (counts.admitted, counts.near, counts.refused) == (10, 2, 2)
    await engine.close()
