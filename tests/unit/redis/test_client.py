"""The kept connection, against a server of its own."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from framework.errors import DeadlineExceeded
from framework.redis import Redis, RedisBusy, RedisReplyError, RedisUnavailable, Script
from tests.support.redis import RedisServer, options_server, own_redis_server, redis_server

__all__ = ["own_redis_server", "redis_server"]

pytestmark = pytest.mark.anyio
PATIENCE = 20.0


async def pings(redis: Redis, count: int) -> None:
    for _ in range(count):
        await redis.execute("PING")


async def until(event: asyncio.Event) -> None:
    async with asyncio.timeout(PATIENCE):
        await event.wait()


async def test_commands_and_their_replies(redis_server: RedisServer) -> None:
    async with Redis(redis_server.url, name="test") as redis:
        assert await redis.execute("SET", "k", b"\x00\xff") == b"OK"
        assert await redis.execute("GET", "k") == b"\x00\xff"
        assert await redis.execute("INCRBYFLOAT", "f", 1.5) == b"1.5"
        assert await redis.execute("GET", "none") is None
        assert await redis.execute("HSET", "h", "a", 1) == 1
        assert await redis.execute("HGETALL", "h") == {b"a": b"1"}
        assert b"name=test" in await redis.execute("CLIENT", "LIST")
        with pytest.raises(RedisReplyError) as wrong:
            await redis.execute("INCR", "h")
        assert wrong.value.code == "WRONGTYPE"
        assert redis.pending == 0


async def test_unix_socket_and_database(redis_server: RedisServer) -> None:
    async with Redis(f"unix://{redis_server.socket_path}?db=3") as redis, Redis(redis_server.url) as other:
        await redis.execute("SET", "k", 1)
        assert await other.execute("EXISTS", "k") == 0
        assert await redis.execute("EXISTS", "k") == 1


async def test_credentials() -> None:
    server = options_server(["--requirepass", "s3cret"])
    try:
        async with Redis(f"redis://:s3cret@127.0.0.1:{server.port}") as redis:
            assert await redis.execute("PING") == b"PONG"
        with pytest.raises(RedisReplyError, match="WRONGPASS"):
            await Redis(f"redis://:wrong@127.0.0.1:{server.port}").start()
        with pytest.raises(RedisReplyError, match="NOAUTH"):
            await Redis(server.url).start()
    finally:
        server.close()


async def test_no_server_is_a_typed_error_with_its_address() -> None:
    with pytest.raises(RedisUnavailable, match=r"redis://127\.0\.0\.1:1/0"):
        await Redis("redis://127.0.0.1:1").start()


@pytest.mark.parametrize("command", ["BLPOP", "subscribe", "MULTI", "HELLO"])
async def test_what_cannot_be_shared_is_refused(command: str, redis_server: RedisServer) -> None:
    async with Redis(redis_server.url) as redis:
        with pytest.raises(ValueError, match="shared"):
            redis.execute(command, "x")


async def test_scripts_heal_after_the_servers_cache_was_flushed(redis_server: RedisServer) -> None:
    script = Script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    async with Redis(redis_server.url) as redis:
        assert await redis.call(script, ["n"], [2]) == 2
        await redis.execute("SCRIPT", "FLUSH")
        replies = await asyncio.gather(*[redis.call(script, ["n"], [1]) for _ in range(50)])
        assert sorted(replies) == list(range(3, 53))
        failing = Script("return redis.error_reply('MINE no')")
        with pytest.raises(RedisReplyError, match="MINE no"):
            await redis.call(failing, [])


async def test_transactions_are_not_interleaved(redis_server: RedisServer) -> None:
    async with Redis(redis_server.url) as redis:
        await redis.execute("SET", "n", 0)

        async def one() -> None:
            first, second = await redis.transaction([("INCR", "n"), ("INCR", "n")])
            assert second == first + 1
            assert first % 2 == 1

        async def stray() -> None:
            await redis.execute("GET", "n")

        await asyncio.gather(*[one() if index % 2 else stray() for index in range(100)])
        with pytest.raises(RedisReplyError, match="EXECABORT"):
            await redis.transaction([("INCR", "n"), ("NOSUCHCOMMAND",)])
        assert await redis.execute("GET", "n") == b"100"


async def test_tasks_cancelled_anywhere_never_shift_a_reply(redis_server: RedisServer) -> None:
    """redis-py's CVE-2023-28859: a reply that was left behind went to the next caller."""
    chance = random.Random(7)
    async with Redis(redis_server.url) as redis:
        right = 0

        async def ask(number: int) -> None:
            nonlocal right
            for turn in range(20):
                word = f"{number}.{turn}".encode()
                assert await redis.execute("ECHO", word) == word
                right += 1

        async def killer(tasks: Sequence[asyncio.Task[None]]) -> None:
            for task in tasks:
                for _ in range(chance.randrange(4)):
                    await asyncio.sleep(0)
                task.cancel()

        for _ in range(10):
            tasks = [asyncio.create_task(ask(number)) for number in range(40)]
            await killer(tasks[::2])
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(one, asyncio.CancelledError) or one is None for one in results)
            assert all(one is None for one in results[1::2])
        assert right >= 10 * 20 * 20


async def test_the_queue_is_bounded_and_lets_in_first_come_first_served(redis_server: RedisServer) -> None:
    async with Redis(redis_server.url, max_commands=4) as redis:
        order: list[int] = []
        peak = 0

        async def ask(number: int) -> None:
            nonlocal peak
            waiting = redis.execute("ECHO", number)
            peak = max(peak, redis.pending)
            await waiting
            peak = max(peak, redis.pending)
            order.append(number)

        await asyncio.gather(*[ask(number) for number in range(200)])
        assert order == list(range(200))
        assert peak <= 5


async def test_a_full_queue_is_a_typed_error_when_the_time_is_over(own_redis_server: RedisServer) -> None:
    async with Redis(own_redis_server.url, max_bytes=100, stall_timeout=60) as redis:
        own_redis_server.freeze()
        first = redis.execute("ECHO", "x" * 200, timeout=30)
        with pytest.raises(RedisBusy):
            await redis.execute("PING", timeout=0.05)
        waits = asyncio.ensure_future(redis.execute("PING", timeout=30))
        gone = asyncio.ensure_future(redis.execute("PING", timeout=30))
        await asyncio.sleep(0)
        gone.cancel()
        own_redis_server.thaw()
        assert await first == b"x" * 200
        assert await waits == b"PONG"
        with pytest.raises(asyncio.CancelledError):
            await gone


async def test_a_frozen_server_costs_the_deadline_and_no_more(own_redis_server: RedisServer) -> None:
    down = asyncio.Event()
    up = asyncio.Event()
    async with Redis(
        own_redis_server.url,
        stall_timeout=0.2,
        connect_timeout=0.2,
        on_down=lambda why: down.set(),
        on_up=up.set,
    ) as redis:
        up.clear()
        own_redis_server.freeze()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        with pytest.raises(DeadlineExceeded):
            await redis.execute("PING", timeout=0.02)
        assert 0.015 < loop.time() - begun < 1.0
        await until(down)  # R12's other half: a connection that says nothing is given up
        with pytest.raises(RedisUnavailable):
            redis.execute("PING")
        own_redis_server.thaw()
        await until(up)
        assert await redis.execute("PING") == b"PONG"


async def test_it_comes_back_after_a_restart(own_redis_server: RedisServer) -> None:
    up = asyncio.Event()
    async with Redis(own_redis_server.url, max_delay=0.1, on_up=up.set) as redis:
        own_redis_server.kill()
        with pytest.raises(RedisUnavailable):
            await pings(redis, 1000)
        with pytest.raises(RedisUnavailable) as refused:
            redis.execute("PING")
        assert refused.value.retry_after is not None
        up.clear()
        own_redis_server.start()
        await until(up)
        assert await redis.execute("PING") == b"PONG"
        assert redis.connects == 2


async def test_it_may_start_before_its_server(own_redis_server: RedisServer) -> None:
    own_redis_server.kill()
    up = asyncio.Event()
    redis = Redis(own_redis_server.url, max_delay=0.1, on_up=up.set)
    await redis.start(wait=False)
    try:
        with pytest.raises(RedisUnavailable):
            redis.execute("PING")
        own_redis_server.start()
        await until(up)
        assert await redis.execute("PING") == b"PONG"
    finally:
        await redis.close()


async def test_a_silent_connection_is_asked_for_a_sign_of_life(own_redis_server: RedisServer) -> None:
    down = asyncio.Event()
    async with Redis(
        own_redis_server.url,
        ping_interval=0.05,
        timeout=0.05,
        stall_timeout=0.05,
        on_down=lambda why: down.set(),
    ) as redis:
        await asyncio.sleep(0)
        assert redis.connected
        own_redis_server.freeze()
        await until(down)  # nobody asked for anything
        own_redis_server.thaw()


async def test_close_leaves_nobody_waiting(own_redis_server: RedisServer) -> None:
    redis = Redis(own_redis_server.url)
    await redis.start()
    own_redis_server.freeze()
    waiting = redis.execute("PING", timeout=30)
    await asyncio.sleep(0)
    await redis.close()
    with pytest.raises(RedisUnavailable):
        await waiting
    with pytest.raises(RedisUnavailable):
        redis.execute("PING")
    own_redis_server.thaw()


async def test_messages_of_channels_and_patterns_over_a_reconnect(own_redis_server: RedisServer) -> None:
    got: asyncio.Queue[tuple[bytes, bytes]] = asyncio.Queue(100)
    up = asyncio.Event()
    async with Redis(
        own_redis_server.url,
        max_delay=0.1,
        on_message=lambda channel, data: got.put_nowait((channel, data)),
        on_up=up.set,
    ) as redis:
        await redis.subscribe("news", "left")
        await redis.subscribe("room.*", pattern=True)
        await redis.unsubscribe("left")
        for _ in range(2):
            await redis.execute("PUBLISH", "news", "1")
            await redis.execute("PUBLISH", "left", "2")
            await redis.execute("PUBLISH", "room.7", b"\xff")
            async with asyncio.timeout(PATIENCE):
                assert await got.get() == (b"news", b"1")
                assert await got.get() == (b"room.7", b"\xff")
            assert got.empty()
            if redis.connects == 1:
                up.clear()
                own_redis_server.restart()
                await until(up)


async def test_invalidations_and_the_loss_that_invalidates_all(own_redis_server: RedisServer) -> None:
    got: asyncio.Queue[Sequence[bytes] | None] = asyncio.Queue(100)
    up = asyncio.Event()
    async with (
        Redis(own_redis_server.url, max_delay=0.1, on_invalidate=got.put_nowait, on_up=up.set) as redis,
        Redis(own_redis_server.url, max_delay=0.1) as other,
    ):
        await redis.track("a:", "b:")
        await redis.execute("SET", "a:own", 1)
        await other.execute("SET", "c:3", 1)
        await other.execute("SET", "a:1", 1)
        async with asyncio.timeout(PATIENCE):
            assert await got.get() == [b"a:1"]
        await other.execute("FLUSHALL")
        async with asyncio.timeout(PATIENCE):
            assert await got.get() is None
        up.clear()
        own_redis_server.restart()
        async with asyncio.timeout(PATIENCE):
            assert await got.get() is None
        await until(up)
        await redis.execute("PING")
        async with Redis(own_redis_server.url) as third:
            await third.execute("SET", "b:2", 1)
        async with asyncio.timeout(PATIENCE):
            assert await got.get() == [b"b:2"]


async def test_a_handler_that_fails_harms_no_reply(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(channel: bytes, data: bytes) -> None:
        raise RuntimeError("broken handler")

    async with Redis(redis_server.url, on_message=broken) as redis:
        await redis.subscribe("news")
        assert await asyncio.gather(redis.execute("PUBLISH", "news", "x"), redis.execute("ECHO", "y")) == [
            1,
            b"y",
        ]
    assert "broken handler" in caplog.text
