"""The pool on a real PostgreSQL that is restarted, killed, frozen and cut off; the server's own count of sessions is
held against the pool's books."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from framework.plugins.pool import Condition, ConnectionPool, PoolSettings, PoolTimeout, Resource
from tests.support.postgres import Postgres, database, postgres
from tests.support.proxy import Proxy, proxied

__all__ = ["database", "postgres"]

pytestmark = pytest.mark.anyio
Connection = Any  # asyncpg has no types
# What asyncpg says when the server goes away, depending on the moment.
LOST = (
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.exceptions.ConnectionDoesNotExistError,
    PoolTimeout,
)


class Server(Resource[Connection]):
    """asyncpg's connections, at a port that may be a proxy's."""

    def __init__(self, url: str, port: int | None = None) -> None:
        self.url = url
        self.port = port
        self.connecting = self.most_connecting = self.attempts = 0

    async def open(self) -> Connection:
        self.attempts += 1
        self.connecting += 1
        self.most_connecting = max(self.most_connecting, self.connecting)
        try:
            return await asyncpg.connect(self.url, port=self.port)
        finally:
            self.connecting -= 1

    async def check(self, connection: Connection) -> None:
        await connection.fetchval("SELECT 1")

    async def reset(self, connection: Connection) -> None:
        await connection.reset()

    async def close(self, connection: Connection) -> None:
        await connection.close()

    def terminate(self, connection: Connection) -> None:
        connection.terminate()

    def condition(self, connection: Connection) -> Condition:
        if connection.is_closed() or connection._protocol._is_cancelling():
            return Condition.BROKEN
        return Condition.DIRTY if connection.is_in_transaction() else Condition.CLEAN


def name_of(url: str) -> str:
    return urlsplit(url).path.lstrip("/")


async def query(pool: ConnectionPool[Connection], sql: str = "SELECT 1", timeout: float = 10.0) -> Any:
    async with pool.acquire(timeout) as connection:
        return await connection.fetchval(sql)


async def until_sessions(postgres: Postgres, url: str, count: int) -> int:
    """The server's own count, asked again until it is right: sessions that were cut end a little later."""
    sessions = -1
    for _ in range(200):
        sessions = await asyncio.to_thread(postgres.sessions, name_of(url))
        if sessions == count:
            break
        await asyncio.sleep(0.02)
    return sessions


async def balanced(pool: ConnectionPool[Connection], postgres: Postgres, url: str) -> None:
    """Nobody has a connection, and the server has as many sessions as the pool."""
    async with asyncio.timeout(5):
        while pool.stats().opening or pool.stats().closing:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    stats = pool.stats()
    assert (stats.lent, stats.waiting) == (0, 0)
    assert stats.opened - sum(stats.closed.values()) == stats.size == stats.idle, stats
    assert await until_sessions(postgres, url, stats.idle) == stats.idle


async def keep_asking(pool: ConnectionPool[Connection], stop: asyncio.Event, counts: dict[str, int]) -> None:
    while not stop.is_set():
        try:
            await query(pool, timeout=5.0)
            counts["served"] += 1
        except LOST as error:
            counts["failed"] += 1
            counts[type(error).__name__] = counts.get(type(error).__name__, 0) + 1
            await asyncio.sleep(0.01)


async def test_queries_and_transactions(database: str, postgres: Postgres) -> None:
    async with ConnectionPool(Server(database), PoolSettings(max_size=3)) as pool:
        assert await query(pool) == 1
        async with pool.acquire() as connection:
            await connection.execute("BEGIN")
        assert (
            await query(pool, "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in trans%'") == 0
        )
        assert pool.stats().closed == {}
    assert await until_sessions(postgres, database, 0) == 0


async def test_p2_a_cancelled_query_answers_nobody_else(database: str) -> None:
    """Answers that are off by one would show at once: everybody asks for a number of their own."""

    async def ask(number: int) -> None:
        async with pool.acquire() as connection:
            assert await connection.fetchval(f"SELECT {number} FROM pg_sleep(0.002)") == number

    async with ConnectionPool(Server(database), PoolSettings(max_size=4)) as pool:
        tasks = [asyncio.create_task(ask(number)) for number in range(400)]
        for number, task in enumerate(tasks):
            if number % 3 == 0:
                await asyncio.wait([task], timeout=0.001 * (number % 5))
                task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert not [one for one in results if isinstance(one, AssertionError)]
        assert sum(isinstance(one, asyncio.CancelledError) for one in results) > 20
        stats = pool.stats()
        assert (stats.lent, stats.waiting) == (0, 0)


@pytest.mark.parametrize("immediate", [False, True])
async def test_p7_the_server_restarts_under_load(database: str, postgres: Postgres, immediate: bool) -> None:
    server = Server(database)
    stop, counts = asyncio.Event(), {"served": 0, "failed": 0}
    settings = PoolSettings(min_size=5, max_size=10, max_connecting=3, backoff_min=0.02, backoff_max=0.2)
    async with ConnectionPool(server, settings) as pool:
        tasks = [asyncio.create_task(keep_asking(pool, stop, counts)) for _ in range(30)]
        await asyncio.sleep(0.2)
        await asyncio.to_thread(postgres.stop, immediate=immediate)
        await asyncio.sleep(0.3)
        await asyncio.to_thread(postgres.start)
        before = counts["served"]
        async with asyncio.timeout(10):
            while counts["served"] < before + 500:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        stop.set()
        await asyncio.gather(*tasks)
        await balanced(pool, postgres, database)
        assert pool.stats().size >= 5
        assert server.most_connecting <= 3
    assert await until_sessions(postgres, database, 0) == 0


async def test_p8_two_hundred_wait_while_the_server_is_away(database: str, postgres: Postgres) -> None:
    server = Server(database)
    settings = PoolSettings(
        min_size=10, max_size=10, max_connecting=3, backoff_min=0.05, backoff_max=0.5, max_waiting=500
    )
    async with ConnectionPool(server, settings) as pool:
        await asyncio.gather(*(query(pool) for _ in range(50)))
        await asyncio.to_thread(postgres.stop, immediate=True)
        server.attempts = 0
        begun = time.monotonic()
        tasks = [asyncio.create_task(query(pool, timeout=20)) for _ in range(200)]
        await asyncio.sleep(1.0)
        attempts = server.attempts
        await asyncio.to_thread(postgres.start)
        assert await asyncio.gather(*tasks) == [1] * 200
        assert time.monotonic() - begun < 5
        assert attempts <= 3 + 12  # those under way at first, then one by one, ever more slowly
        assert server.most_connecting <= 3


async def test_p11_a_frozen_server_hangs_nobody(database: str, postgres: Postgres) -> None:
    settings = PoolSettings(
        min_size=4,
        max_size=4,
        check_after=0,
        check_timeout=0.3,
        connect_timeout=0.5,
        close_timeout=0.3,
        backoff_max=0.2,
    )
    async with ConnectionPool(Server(database), settings) as pool:
        assert await query(pool) == 1
        await asyncio.to_thread(postgres.freeze)
        begun = time.monotonic()
        with pytest.raises(PoolTimeout):
            await query(pool, timeout=1.0)
        assert time.monotonic() - begun < 1.5
        assert pool.stats().generation == 1  # one check spoke for all
        await asyncio.to_thread(postgres.thaw)
        assert await query(pool, timeout=5.0) == 1
        await asyncio.to_thread(postgres.freeze)
        begun = time.monotonic()
        await pool.close(1.0)
        assert time.monotonic() - begun < 2.5
        assert pool.stats().size == 0
    await asyncio.to_thread(postgres.thaw)
    assert await until_sessions(postgres, database, 0) == 0


async def test_killed_sessions_are_replaced(database: str, postgres: Postgres) -> None:
    async with ConnectionPool(Server(database), PoolSettings(min_size=5, max_size=5)) as pool:
        await asyncio.gather(*(query(pool) for _ in range(20)))
        assert await until_sessions(postgres, database, 5) == 5
        await asyncio.to_thread(postgres.terminate_sessions, name_of(database))
        await asyncio.sleep(0.05)  # asyncpg hears of it from the sockets
        assert await asyncio.gather(*(query(pool) for _ in range(20))) == [1] * 20
        assert await until_sessions(postgres, database, 5) == 5


async def through(proxy: Proxy, url: str, **options: Any) -> ConnectionPool[Connection]:
    pool = ConnectionPool(Server(url, proxy.port), PoolSettings(**options))
    await pool.open()
    return pool


async def test_p11_packets_that_vanish_hang_nobody(database: str, postgres: Postgres) -> None:
    async with proxied(postgres.host, postgres.port) as proxy:
        pool = await through(
            proxy,
            database,
            min_size=4,
            max_size=4,
            check_after=0,
            check_timeout=0.2,
            connect_timeout=0.3,
            close_timeout=0.2,
            backoff_max=0.2,
        )
        assert await query(pool) == 1
        proxy.black_hole()
        begun = time.monotonic()
        with pytest.raises(PoolTimeout):
            await query(pool, timeout=1.0)
        assert time.monotonic() - begun < 1.5
        proxy.restore()
        assert await query(pool, timeout=5.0) == 1
        proxy.black_hole()
        begun = time.monotonic()
        await pool.close(0.5)
        assert time.monotonic() - begun < 1.5
        assert pool.stats().size == 0
    assert await until_sessions(postgres, database, 0) == 0


async def test_cut_connections_are_replaced_and_none_is_leaked(database: str, postgres: Postgres) -> None:
    stop, counts = asyncio.Event(), {"served": 0, "failed": 0}
    async with proxied(postgres.host, postgres.port) as proxy:
        pool = await through(
            proxy, database, min_size=2, max_size=6, max_connecting=2, backoff_min=0.01, backoff_max=0.1
        )
        tasks = [asyncio.create_task(keep_asking(pool, stop, counts)) for _ in range(20)]
        for _ in range(10):
            await asyncio.sleep(0.05)
            proxy.cut()
        proxy.refuse()
        await asyncio.sleep(0.1)
        proxy.cut()
        await asyncio.sleep(0.2)
        proxy.restore()
        before = counts["served"]
        async with asyncio.timeout(10):
            while counts["served"] < before + 100:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        stop.set()
        await asyncio.gather(*tasks)
        await balanced(pool, postgres, database)
        assert proxy.most_at_once <= 6 + 2  # a connection that was cut may still be on its way out
        await pool.close()
        assert pool.stats().size == 0
    assert await until_sessions(postgres, database, 0) == 0


async def test_a_slow_way_does_not_overshoot_the_limit(database: str, postgres: Postgres) -> None:
    async with proxied(postgres.host, postgres.port) as proxy:
        proxy.delay = 0.02
        pool = await through(proxy, database, min_size=0, max_size=4, max_connecting=4)
        assert await asyncio.gather(*(query(pool) for _ in range(60))) == [1] * 60
        assert proxy.most_at_once <= 4
        await pool.close()
