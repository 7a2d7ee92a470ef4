"""C1 and C6 over both levels and the bus: whatever is loaded, changed, cut and mended in whatever order, once all was
told no cache has a value from before the last change."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from framework.plugins.cache import MISSING, Cache, Options
from framework.plugins.cache.remote import Remote
from framework.redis import RedisUnavailable
from tests.support.proxy import Proxy, proxied
from tests.support.redis import RedisServer, redis_server

__all__ = ["redis_server"]

KEYS = ("a", "b")
CACHES = st.integers(0, 1)
KEY = st.sampled_from(KEYS)
STEP = st.one_of(
    st.tuples(st.just("begin"), CACHES, KEY),
    st.tuples(st.just("finish"), CACHES, KEY),
    st.tuples(st.just("get"), CACHES, KEY),
    st.tuples(st.just("delete"), CACHES, KEY),
    st.tuples(st.just("set"), CACHES, KEY),
    st.tuples(st.just("untag"), CACHES, KEY),
    st.tuples(st.just("cut"), CACHES, KEY),
    st.tuples(st.just("mend"), CACHES, KEY),
    st.tuples(st.just("settle"), CACHES, KEY),
)
prefixes = (f"p{number}" for number in itertools.count())


class World:
    """A database, two caches before it, and the loads that read it but have not come back yet."""

    def __init__(self, caches: list[Cache], proxies: list[Proxy]) -> None:
        self.caches = caches
        self.proxies = proxies
        self.database = dict.fromkeys(KEYS, 0)
        self.under_way: dict[tuple[int, str], list[tuple[asyncio.Event, asyncio.Future[Any]]]] = {}

    async def step(self, what: str, which: int, key: str) -> None:
        cache = self.caches[which]
        if what == "begin":
            await self.begin(which, key)
        elif what == "finish":
            for go, asking in self.under_way.pop((which, key), []):
                go.set()
                await asking
        elif what == "get":
            await cache.get(key)
        elif what == "delete":
            self.database[key] += 1
            await cache.delete(key)
        elif what == "untag":
            self.database[key] += 1
            await cache.invalidate(f"tag-{key}")
        elif what == "set":
            self.database[key] += 1
            await cache.set(key, self.database[key], tags=[f"tag-{key}"])
        elif what == "cut":
            self.proxies[which].refuse()
            self.proxies[which].cut()
        elif what == "mend":
            self.proxies[which].restore()
        else:
            await self.settle()
            await self.check()

    async def begin(self, which: int, key: str) -> None:
        """Asks for the value; where that leads to a load, it has read the database when this returns."""
        go, read = asyncio.Event(), asyncio.Event()

        async def load() -> int:
            value = self.database[key]
            read.set()
            await go.wait()
            return value

        asking = asyncio.ensure_future(self.caches[which].get_or_load(key, load, tags=[f"tag-{key}"]))
        reading = asyncio.ensure_future(read.wait())
        joined = self.under_way.get((which, key))
        if joined:
            await asyncio.sleep(0)  # it may wait for that load, or begin one of its own
        else:
            await asyncio.wait({asking, reading}, return_when=asyncio.FIRST_COMPLETED)
        reading.cancel()
        self.under_way.setdefault((which, key), []).append((go, asking))

    async def settle(self) -> None:
        """Mends what is broken, and returns when everything was told to everybody."""
        for proxy in self.proxies:
            proxy.restore()
        async with asyncio.timeout(30):
            for _ in range(2):
                for cache in self.caches:
                    remote = cache.remote
                    assert remote is not None
                    while not await answers(remote) or remote.owed:  # noqa: ASYNC110
                        await asyncio.sleep(0.001)

    async def check(self) -> None:
        for cache in self.caches:
            for key in KEYS:
                got = await cache.get(key)
                assert got is MISSING or got == self.database[key], (key, got, self.database)


async def answers(remote: Remote) -> bool:
    """Whether there is a connection, and everything that was sent on it has come."""
    try:
        return bool(await remote.redis.execute("PING", timeout=20.0))
    except RedisUnavailable:
        return False


async def play(server: RedisServer, steps: list[tuple[str, int, str]]) -> None:
    options: dict[str, Any] = {"prefix": next(prefixes), "timeout": 20.0, "options": Options(ttl=600.0)}
    async with proxied("127.0.0.1", server.port) as first, proxied("127.0.0.1", server.port) as second:
        urls = [f"redis://127.0.0.1:{proxy.port}" for proxy in (first, second)]
        async with Cache(urls[0], **options) as one, Cache(urls[1], **options) as two:
            for cache in (one, two):
                assert cache.remote is not None
                cache.remote.redis._min_delay = 0.002
            world = World([one, two], [first, second])
            for step in steps:
                await world.step(*step)
            for which, key in list(world.under_way):
                await world.step("finish", which, key)
            while one.loading or two.loading:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            await world.settle()
            await world.check()


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEP, max_size=25))
def test_no_value_from_before_the_last_change(
    redis_server: RedisServer, steps: list[tuple[str, int, str]]
) -> None:
    asyncio.run(play(redis_server, steps))
