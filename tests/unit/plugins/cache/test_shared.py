"""Several processes' caches on one Redis, and what becomes of them when it is slow, away or emptied."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from statistics import quantiles
from typing import Any

import msgspec
import pytest

from framework.plugins.cache import MISSING, Cache, Options
from framework.redis import RedisUnavailable
from framework.resilience import BreakerState
from tests.support.ports import free_port
from tests.support.proxy import Proxy, proxied
from tests.support.redis import RedisServer, own_redis_server, redis_server
from tests.unit.plugins.cache.driver import Source, eventually, opened

__all__ = ["own_redis_server", "redis_server"]

pytestmark = pytest.mark.anyio
LEVELS = "memory+redis"


async def told(*caches: Cache) -> None:
    """Returns when each has been told what was published before."""
    for cache in caches:
        assert cache.remote is not None
        await cache.remote.redis.execute("PING", timeout=20.0)


def through(proxy: Proxy, **options: Any) -> Cache:
    options.setdefault("options", Options(ttl=60.0))
    return Cache(f"redis://127.0.0.1:{proxy.port}", **options)


async def test_a_change_reaches_the_memory_of_others(redis_server: RedisServer) -> None:
    async with opened(LEVELS, redis_server) as one, opened(LEVELS, redis_server) as two:
        await one.set("k", 1, tags=["t"])
        await told(two)
        assert await two.get("k") == 1
        assert two.get_now("k") == 1
        await one.set("k", 2, tags=["t"])
        await told(two)
        assert two.get_now("k") is MISSING
        assert await two.get("k") == 2
        await one.delete("k")
        await told(two)
        assert await two.get("k") is MISSING
        await two.set("k", 3, tags=["t"])
        assert await one.get("k") == 3
        await two.invalidate("t")
        await told(one)
        assert one.get_now("k") is MISSING
        assert await one.get("k") is MISSING
        await one.set("k", 4)
        await two.clear()
        await told(one)
        assert await one.get("k") is MISSING


async def test_a_value_copied_from_redis_ends_when_it_does_there(redis_server: RedisServer) -> None:
    """Guide 5.1: what was copied into the memory had no end."""
    async with opened(LEVELS, redis_server) as one, opened(LEVELS, redis_server) as two:
        await one.set("k", 1, ttl=50, stale_if_error=100)
        await told(two)
        await two.get("k")
        mine, copy = one.memory.peek("k"), two.memory.peek("k")
        assert mine is not None
        assert copy is not None
        assert copy.fresh <= mine.fresh + 0.01
        assert copy.expires <= mine.expires + 0.01
        assert copy.fresh > mine.fresh - 20


async def test_c1_an_invalidation_elsewhere_during_the_load_wins(redis_server: RedisServer) -> None:
    async with opened(LEVELS, redis_server) as one, opened(LEVELS, redis_server) as two:
        for invalidate in (
            lambda: two.delete("k"),
            lambda: two.invalidate("t"),
            lambda: two.clear(),
            lambda: two.set("k", "new"),
        ):
            await one.clear()
            source = Source("old", held=True)
            asking = asyncio.ensure_future(one.get_or_load("k", source, tags=["t"]))
            await source.begun.wait()
            await invalidate()
            source.go.set()
            assert await asking == "old"
            await eventually(lambda: one.loading == 0)
            await told(one, two)
            assert await one.get("k") in (MISSING, "new")
            assert await two.get("k") in (MISSING, "new")


async def test_c1_a_reservation_is_lost_too(redis_server: RedisServer) -> None:
    async with opened(LEVELS, redis_server) as one, opened(LEVELS, redis_server) as two:
        reservation = await one.reserve("k")
        await two.delete("k")
        assert not await reservation.put("old", Options(ttl=10))
        reservation.release()
        reservation = await one.reserve("k")
        assert await reservation.put("new", Options(ttl=10))
        reservation.release()
        assert await two.get("k") == "new"


async def test_c4_five_thousand_calls_on_one_connection(redis_server: RedisServer) -> None:
    """cashews #127: the guard took the connections that its owner needed to release it."""
    async with opened(LEVELS, redis_server) as cache:
        source = Source("v")
        got = await asyncio.gather(
            *[cache.get_or_load(f"k{number % 2500}", source) for number in range(5000)]
        )
        assert got == ["v"] * 5000
        assert source.calls == 2500
        assert cache.remote is not None
        assert cache.remote.redis.connects == 1


async def test_c5_a_write_costs_one_message_and_one_read_in_each_process(redis_server: RedisServer) -> None:
    """FusionCache #442, #611: a storm of notifications, each of which made every node read."""
    async with opened(LEVELS, redis_server) as one, opened(LEVELS, redis_server) as two:
        heard: list[bytes] = []
        assert two.remote is not None
        hear = two.remote.redis.on_message
        assert hear is not None
        two.remote.redis.on_message = lambda channel, payload: (
            heard.append(payload),
            hear(channel, payload),
        )[1]
        await two.get("k")
        for number in range(100):
            await one.set("k", number)
        await told(two)
        assert len(heard) == 100
        before = two.counts.remote_hits + two.counts.remote_misses
        assert await asyncio.gather(*[two.get("k") for _ in range(50)]) == [99] * 50
        assert two.counts.remote_hits + two.counts.remote_misses == before + 1
        # Nobody reads what nobody asks for.
        await one.set("k", 100)
        await told(two)
        assert two.counts.remote_hits + two.counts.remote_misses == before + 1


async def test_c6_after_a_lost_bus_nothing_old_is_served(redis_server: RedisServer) -> None:
    async with (
        proxied("127.0.0.1", redis_server.port) as proxy,
        opened(LEVELS, redis_server) as one,
        through(proxy, timeout=20.0) as two,
    ):
        await one.set("k", "old")
        await told(two)
        assert await two.get("k") == "old"
        proxy.refuse()
        proxy.cut()
        await eventually(lambda: two.remote is not None and not two.remote.listening)
        assert two.get_now("k") == "old"  # served while nobody can tell
        await one.set("k", "new")
        proxy.restore()
        await eventually(lambda: two.remote is not None and two.remote.listening)
        assert two.get_now("k") is MISSING
        assert await two.get("k") == "new"


async def test_c6_or_nothing_is_served_meanwhile(redis_server: RedisServer) -> None:
    async with (
        proxied("127.0.0.1", redis_server.port) as proxy,
        through(proxy, serve_disconnected=False, timeout=20.0) as cache,
    ):
        await cache.set("k", "old")
        proxy.refuse()
        proxy.cut()
        await eventually(lambda: cache.remote is not None and not cache.remote.listening)
        assert cache.get_now("k") is MISSING
        assert await cache.get_or_load("k", Source("made")) == "made"
        assert cache.get_now("k") is MISSING


async def test_c6_what_was_deleted_meanwhile_is_deleted_afterwards(redis_server: RedisServer) -> None:
    """The old value was in Redis still, and came back with it."""
    async with (
        proxied("127.0.0.1", redis_server.port) as proxy,
        through(proxy, timeout=20.0) as one,
        opened(LEVELS, redis_server) as two,
    ):
        assert one.remote is not None
        await one.set("k", "old")
        await one.set("s", "old")
        await one.set("t", "old", tags=["tag"])
        assert [await two.get(key) for key in "kst"] == ["old"] * 3
        proxy.refuse()
        proxy.cut()
        await eventually(lambda: one.remote is not None and not one.remote.listening)
        await one.delete("k")
        await one.set("s", "new")
        await one.invalidate("tag")
        assert one.remote.owed == 3
        assert await one.get("k") is MISSING
        assert await one.get("s") == "new"
        proxy.restore()
        await eventually(lambda: one.remote is not None and one.remote.owed == 0)
        await told(one, two)
        for cache in (one, two):
            assert [await cache.get(key) for key in "kst"] == [MISSING] * 3
        assert one.remote.recovered == 3


async def test_what_is_owed_is_bounded(own_redis_server: RedisServer) -> None:
    async with opened(LEVELS, own_redis_server, required=False) as cache:
        assert cache.remote is not None
        cache.remote._max_owed = 10
        await cache.set("other", 1)
        own_redis_server.kill()
        await eventually(lambda: cache.remote is not None and not cache.remote.listening)
        for number in range(100):
            await cache.delete(f"k{number}")
        assert cache.remote.owed <= 11
        own_redis_server.start()
        await eventually(lambda: cache.remote is not None and cache.remote.owed == 0)


async def test_c7_a_cache_does_not_hear_itself_nor_another_prefix(redis_server: RedisServer) -> None:
    """layered-loader PR 414: its own echo made it drop what it had just put."""
    async with opened(LEVELS, redis_server) as one, opened(LEVELS, redis_server, prefix="other") as two:
        await one.set("k", 1)
        await two.set("k", 2)
        await told(one, two)
        await one.get_or_load("l", Source(3))
        await eventually(lambda: one.loading == 0)
        await told(one, two)
        assert [one.get_now("k"), two.get_now("k"), one.get_now("l")] == [1, 2, 3]
        await two.clear()
        await told(one)
        assert one.get_now("k") == 1


async def test_c9_a_slow_redis_makes_nobody_slow(own_redis_server: RedisServer) -> None:
    """The cache was slower than the database. Frozen: whoever asks waits ``timeout`` at most, then nobody waits."""
    async with opened(LEVELS, own_redis_server, timeout=0.1) as cache:
        assert cache.remote is not None
        await cache.set("warm", 1)
        own_redis_server.freeze()
        loop = asyncio.get_running_loop()
        took: list[float] = []
        for number in range(100):
            begun = loop.time()
            assert await cache.get_or_load(f"k{number}", Source(number)) == number
            took.append(loop.time() - begun)
        assert cache.get_now("warm") == 1
        assert cache.get_now("k3") == 3
        assert quantiles(took, n=100)[89] < 0.1
        assert cache.remote.breaker.state is BreakerState.OPEN
        own_redis_server.thaw()
        await eventually(lambda: cache.remote is not None and cache.remote.redis.connected)
        for _ in range(2000):
            await cache.get("nothing")
            if cache.remote.breaker.state is BreakerState.CLOSED:
                break
            await asyncio.sleep(0.01)
        assert cache.remote.breaker.state is BreakerState.CLOSED


async def test_redis_away_the_memory_serves(own_redis_server: RedisServer) -> None:
    async with opened(LEVELS, own_redis_server) as cache:
        await cache.set("k", 1)
        own_redis_server.kill()
        await eventually(lambda: cache.remote is not None and not cache.remote.listening)
        assert await cache.get("k") == 1
        source = Source(2)
        assert [await cache.get_or_load("l", source) for _ in range(3)] == [2] * 3
        assert source.calls == 1
        own_redis_server.start()
        await eventually(lambda: cache.remote is not None and cache.remote.listening)
        assert await cache.get_or_load("m", Source(3)) == 3


async def test_a_required_redis_that_is_not_there_ends_the_start() -> None:
    url = f"redis://127.0.0.1:{free_port()}"
    with pytest.raises(RedisUnavailable, match="cannot connect"):
        async with Cache(url):
            pass
    async with Cache(url, required=False) as cache:
        assert await cache.get_or_load("k", Source(1)) == 1


async def test_an_emptied_database_empties_the_memory(redis_server: RedisServer) -> None:
    async with opened(LEVELS, redis_server) as cache:
        await cache.set("k", 1)
        redis_server.command("FLUSHALL")
        await eventually(lambda: cache.get_now("k") is MISSING)
        await cache.set("k", 2)
        assert await cache.get("k") == 2


async def test_c11_what_does_not_decode_is_a_miss_and_one_line(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Unpickling from Redis would be code execution; here bytes are bytes."""

    class Old(msgspec.Struct, frozen=True):
        name: int

    class New(msgspec.Struct, frozen=True):
        name: str

    async with opened(LEVELS, redis_server) as one, opened(LEVELS, redis_server) as two:
        with caplog.at_level(logging.WARNING):
            for key in ("a", "b"):
                await one.set(key, Old(1), type=Old)
                assert await two.get(key, type=New) is MISSING
                made = await two.get_or_load(key, Source(New("x")), type=New)
                assert made == New("x")
                await eventually(lambda: two.loading == 0)
            await told(one)
            assert await one.get("a", type=New) == New("x")
        redis_server.command(
            "HSET", "cache:v:c", "d", "cos\nsystem\n(S'true'\ntR.", "g", "0", "a", "0", "t", ""
        )
        redis_server.command("PEXPIRE", "cache:v:c", "60000")
        assert await two.get("c") is MISSING
        assert two.counts.undecodable >= 3
    lines = [record.getMessage() for record in caplog.records if "none of its type" in record.getMessage()]
    assert len(lines) == 1


async def test_another_process_is_waited_for(redis_server: RedisServer) -> None:
    options = {"share_loads": 20.0}
    async with opened(LEVELS, redis_server, **options) as one, opened(LEVELS, redis_server, **options) as two:
        source, never = Source("v", held=True), Source("w")
        first = asyncio.ensure_future(one.get_or_load("k", source))
        await source.begun.wait()
        second = asyncio.ensure_future(two.get_or_load("k", never))
        await eventually(lambda: two.counts.remote_misses > 1)
        source.go.set()
        assert await first == await second == "v"
        assert never.calls == 0
        # One that fails gives its place away at once.
        source = Source(held=True)
        source.error = OSError("down")
        first = asyncio.ensure_future(one.get_or_load("l", source))
        await source.begun.wait()
        second = asyncio.ensure_future(two.get_or_load("l", never))
        source.go.set()
        with pytest.raises(OSError, match="down"):
            await first
        assert await second == "w"


async def test_stale_values_in_redis_are_served_while_one_process_makes_a_new_one(
    redis_server: RedisServer,
) -> None:
    options = Options(ttl=0.05, stale_while_revalidate=60.0)
    async with (
        opened(LEVELS, redis_server, options=options) as one,
        opened(LEVELS, redis_server, options=options) as two,
    ):
        await one.set("k", "old")
        await eventually(lambda: one.get_now("k") is MISSING)
        source, never = Source("new", held=True), Source("never")
        assert await one.get_or_load("k", source) == "old"
        await source.begun.wait()
        assert await two.get_or_load("k", never) == "old"
        source.go.set()
        await eventually(lambda: one.loading == 0 and two.loading == 0)
        assert never.calls == 0
        await told(two)
        assert await two.get_or_load("k", never) == "new"


CHILD = """
import asyncio, sys
from framework.plugins.cache import Cache

async def main(url):
    async with Cache(url, timeout=20.0) as cache:
        for line in iter(sys.stdin.readline, ""):
            word, *rest = line.split()
            if word == "get":
                got = await cache.get(rest[0], None)
                print(got, cache.get_now(rest[0]) == got, flush=True)
            elif word == "set":
                await cache.set(rest[0], rest[1], tags=["t"])
                print("done", flush=True)
            elif word == "sync":
                await cache.remote.redis.execute("PING")
                print("done", flush=True)

asyncio.run(main(sys.argv[1]))
"""


async def test_two_processes(redis_server: RedisServer) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, redis_server.url,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.getcwd()},
    )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None

    async def ask(words: str) -> str:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(words.encode() + b"\n")
        await child.stdin.drain()
        async with asyncio.timeout(20):
            return (await child.stdout.readline()).decode().strip()

    async with opened(LEVELS, redis_server) as cache:
        await cache.set("k", "v1", tags=["t"])
        await ask("sync")
        assert await ask("get k") == "v1 True"
        await cache.set("k", "v2", tags=["t"])
        await ask("sync")
        assert await ask("get k") == "v2 True"
        assert await ask("set k v3") == "done"
        await told(cache)
        assert await cache.get("k") == "v3"
        await cache.invalidate("t")
        await ask("sync")
        assert await ask("get k") == "None False"
    child.stdin.close()
    async with asyncio.timeout(20):
        assert await child.wait() == 0


async def test_c1_a_lease_is_void_before_its_holder_has_heard_of_it(redis_server: RedisServer) -> None:
    """The put overtakes the news: Redis itself has to refuse it."""
    async with opened(LEVELS, redis_server) as one, opened(LEVELS, redis_server) as two:
        assert one.remote is not None
        times: dict[str, Any] = {"ttl": 10.0, "ahead": 0.0, "grace": 0.0}
        for invalidate in (
            lambda: two.delete("k"),
            lambda: two.invalidate("t"),
            lambda: two.clear(),
            lambda: two.set("k", "new"),
        ):
            await two.clear()
            found = await one.remote.read("k", lease=True, tags=["t"])
            assert found is not None
            await invalidate()
            assert not await one.remote.put("k", b"\xa3old", tags=["t"], lease=found.lease, **times)
            assert await two.get("k") in (MISSING, "new")
        await two.delete("k")
        found = await one.remote.read("k", lease=True, tags=["t"])
        assert found is not None
        assert await one.remote.put("k", b"\xa3now", tags=["t"], lease=found.lease, **times)
        await told(two)
        assert await two.get("k") == "now"


async def test_a_tag_whose_version_is_lost_has_no_values(redis_server: RedisServer) -> None:
    """Redis may evict it: what depends on it is then gone, never back from before an invalidation."""
    async with opened("redis", redis_server) as cache:
        await cache.set("k", 1, tags=["t"])
        redis_server.command("DEL", "cache:t:t")
        assert await cache.get("k") is MISSING
        await cache.set("j", 1, tags=["t"])
        assert await cache.get("k") is MISSING
        assert await cache.get("j") == 1


async def test_nothing_in_redis_is_without_an_end(redis_server: RedisServer) -> None:
    async with opened(LEVELS, redis_server) as cache:
        await cache.set("a", 1, tags=["t"], ttl=30)
        source = Source(held=True)
        asking = asyncio.ensure_future(cache.get_or_load("b", source, tags=["u"]))
        await source.begun.wait()
        assert cache.remote is not None
        names = await cache.remote.redis.execute("KEYS", "*")
        assert sorted(names) == [b"cache:l:b", b"cache:t:*", b"cache:t:t", b"cache:t:u", b"cache:v:a"]
        for name in names:
            assert await cache.remote.redis.execute("PTTL", name) > 0
        source.go.set()
        await asking
