"""Bugs of other pools, by the numbers of the research (P1 to P12): each has a test of its number.

P1 to P5, which are about cancellation, are tried at every point too: see ``test_cancellation.py``; P6 by the model of
``tests/properties/test_pool.py``; P7, P8 and P11 on a real server in ``tests/integration/test_pool_postgres.py``.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Any

import pytest

from framework.plugins.pool import ConnectionPool, PoolExhausted, PoolSettings, PoolTimeout
from tests.support.connections import Network, Wire, WireLost, hold, now, opened, virtual


@virtual
async def test_p1_cancelled_as_the_connection_is_handed_over() -> None:
    async with opened(Network(), max_size=1) as pool:
        lease = await pool.acquire()
        waiting = asyncio.create_task(hold(pool))
        next_one = asyncio.create_task(hold(pool))
        await asyncio.sleep(1)
        await lease.release()
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        await next_one
        stats = pool.stats()
        assert (stats.idle, stats.lent, stats.size) == (1, 0, 1)


@virtual
async def test_p2_cancelled_mid_protocol_and_used_again() -> None:
    async def ask() -> None:
        async with pool.acquire() as wire:
            await wire.query(10)

    async with opened(Network(), max_size=1) as pool:
        for _ in range(3):
            task = asyncio.create_task(ask())
            await asyncio.sleep(1)
            task.cancel()
            await asyncio.wait([task])
            async with pool.acquire() as wire:
                assert wire.queries == 0  # a new one: on the old one an answer is on its way
                await wire.query()
        assert pool.stats().closed["cut"] == 3


@virtual
async def test_p2_a_deadline_inside_the_lease_is_a_cut_exchange_too() -> None:
    async with opened(Network(), max_size=1) as pool:
        with pytest.raises(TimeoutError):
            async with pool.acquire() as wire, asyncio.timeout(1):
                await wire.query(10)
        async with pool.acquire() as other:
            assert other is not wire


@virtual
async def test_p3_a_slot_held_by_a_connection_that_never_connected() -> None:
    network = Network(connect=1)
    async with opened(network, min_size=0, max_size=1, required=False) as pool:
        for _ in range(3):  # the connection that the first of them needed is opened all the same
            task = asyncio.create_task(hold(pool))
            await asyncio.sleep(0.3)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
        await hold(pool, 0.2)
        assert len(network.connects) == 1
        network.is_black_hole = True
        pool.drain()
        with pytest.raises(PoolTimeout):
            await hold(pool, 15)
        network.is_black_hole = False
        await hold(pool, 15)


@virtual
async def test_p4_closing_that_is_cancelled_again_and_again() -> None:
    for cancels in range(1, 5):
        network = Network(close=1)
        pool = ConnectionPool(network, PoolSettings(min_size=3))
        await pool.open()
        await asyncio.sleep(1)
        lease = await pool.acquire()
        task = asyncio.create_task(pool.close())
        for _ in range(cancels):
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert network.open_count == 0  # terminated, which waits for nothing
        await lease.release()
        await asyncio.sleep(0)
        assert pool.stats().size == 0


@virtual
async def test_p5_the_deadline_holds_inside_the_validation_loop() -> None:
    """Every connection is stale, and each check takes its time: the borrower's time is up all the same."""
    network = Network()
    async with opened(network, min_size=8, max_size=8, check_after=0, check_timeout=5) as pool:
        await asyncio.sleep(10)
        network.is_black_hole = True
        begun = now()
        with pytest.raises(PoolTimeout):
            await pool.acquire(3)
        assert now() - begun == pytest.approx(3)
        network.is_black_hole = False


@virtual
async def test_p5_a_cancellation_inside_the_validation_loop_ends_it() -> None:
    network = Network(check=1)
    async with opened(network, min_size=2, check_after=0) as pool:
        await asyncio.sleep(10)
        task = asyncio.create_task(hold(pool))
        await asyncio.sleep(0.5)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert pool.stats().closed == {"cut": 1}


@virtual
async def test_p6_lost_wake_up_between_no_idle_and_join_queue() -> None:
    """Seeded schedules: whatever the order, everybody gets a connection as long as everybody returns theirs."""
    for seed in range(50):
        chance = random.Random(seed)
        async with opened(Network(), max_size=chance.randint(1, 3)) as pool:

            async def one(pool: ConnectionPool[Wire] = pool, chance: random.Random = chance) -> None:
                for _ in range(3):
                    for _ in range(chance.randint(0, 3)):
                        await asyncio.sleep(0)
                    async with pool.acquire(60):
                        for _ in range(chance.randint(0, 3)):
                            await asyncio.sleep(0)

            await asyncio.gather(*(one() for _ in range(8)))
            assert now() < 60
            assert pool.stats().waiting == 0


@virtual
async def test_p7_the_pool_drains_to_zero_and_stays_there() -> None:
    network = Network()
    async with opened(network, min_size=4, backoff_max=5) as pool:
        await asyncio.sleep(1)
        network.restart()
        network.refuses = True
        for _ in range(5):
            with pytest.raises(PoolTimeout):
                await hold(pool, 1)
        await asyncio.sleep(600)
        assert pool.stats().size <= 1  # no more than the attempt under way
        network.refuses = False
        await asyncio.sleep(6)
        assert pool.stats().idle == 4
        await hold(pool, 0.1)


@virtual
async def test_p7_without_a_minimum_the_next_borrower_gets_one() -> None:
    network = Network()
    async with opened(network, min_size=0, backoff_max=2) as pool:
        network.restart()
        network.refuses = True
        with pytest.raises(PoolTimeout):
            await hold(pool, 5)
        network.refuses = False
        await hold(pool, 3)


@virtual
async def test_p8_everyone_reconnects_at_once() -> None:
    """200 wait while the server restarts: never more than ``max_connecting`` attempts at once, and all are served."""
    network = Network(connect=0.05)
    waits: list[float] = []

    async def ask() -> None:
        begun = now()
        async with pool.acquire(30) as wire:
            waits.append(now() - begun)
            await wire.query(0.01)

    async with opened(network, min_size=20, max_size=20, max_connecting=3) as pool:
        await asyncio.sleep(5)
        network.most_connecting = 0
        network.restart()
        network.shows_loss = False  # nobody tells: only a check finds out
        network.refuses = True
        tasks = [asyncio.create_task(ask()) for _ in range(200)]
        await asyncio.sleep(2)
        attempts = len(network.connects)
        network.refuses = False
        await asyncio.gather(*tasks)
    assert network.most_connecting <= 3
    assert attempts - 20 <= 10  # of the twenty connections at first; then ever fewer attempts
    assert max(waits) < 2 + 2 + 1  # until it is back, the next attempt, and the queue


@virtual
async def test_p8_one_check_that_fails_discards_all_that_are_stale() -> None:
    """Serial checks of stale connections take so long that borrowers time out."""
    network = Network()
    async with opened(network, min_size=10, max_size=10, check_after=1, check_timeout=2) as pool:
        await asyncio.sleep(60)
        network.restart()
        network.shows_loss = False
        network.is_black_hole = True
        task = asyncio.create_task(hold(pool, 9))
        await asyncio.sleep(1)
        network.is_black_hole = False  # for what comes; the check under way is lost
        await task
        assert now() == pytest.approx(62)
        assert network.checks == 1
        assert pool.stats().generation == 1
        assert pool.stats().closed == {"check": 1, "stale": 9}


@virtual
async def test_p9_max_lifetime_is_kept_on_a_busy_pool() -> None:
    network = Network()

    async def busy() -> None:
        while now() < 100:
            await hold(pool, 60, 0.1)

    async with opened(network, max_size=3, max_lifetime=10, lifetime_jitter=0.0) as pool:
        await asyncio.gather(*(busy() for _ in range(6)))
        assert pool.stats().closed["lifetime"] >= 24
        assert len(network.connects) >= 27


@virtual
async def test_p10_a_spike_opens_few_connections() -> None:
    """50 waiters, 150 ms to connect, 2 ms of work, 5 connections: HikariCP ends with 5 or 6, others with 40 to 45."""
    network = Network(connect=0.15)
    async with opened(network, min_size=5, max_size=50, max_connecting=50, check_after=60) as pool:
        await asyncio.sleep(10)
        begun = now()
        await asyncio.gather(*(hold(pool, 60, 0.002) for _ in range(50)))
        assert now() - begun <= 0.04
        assert network.most_open <= 6
        await asyncio.sleep(1)
        assert len(network.connects) <= 6


@virtual
async def test_p10_a_spike_on_a_cold_pool_opens_few_connections() -> None:
    network = Network(connect=0.15)
    async with opened(network, min_size=0, max_size=50, required=False) as pool:
        await asyncio.gather(*(hold(pool, 60, 0.002) for _ in range(50)))
        await asyncio.sleep(1)
        assert len(network.connects) <= 6


@virtual
async def test_p10_work_that_lasts_gets_all_connections() -> None:
    """The same spike, but each holds its connection for long: then growing is right."""
    network = Network(connect=0.15)
    async with opened(network, min_size=5, max_size=50, max_connecting=10) as pool:
        await asyncio.sleep(10)
        begun = now()
        await asyncio.gather(*(hold(pool, 60, 5) for _ in range(50)))
        assert network.most_open == 50
        assert now() - begun < 5 + 2


@virtual
async def test_p11_a_black_hole_hangs_neither_check_nor_close_nor_open() -> None:
    network = Network()
    pool = ConnectionPool(
        network, PoolSettings(min_size=3, check_timeout=2, close_timeout=2, connect_timeout=2, check_after=0)
    )
    await pool.open()
    await asyncio.sleep(5)
    network.is_black_hole = True
    with pytest.raises(PoolTimeout):
        await hold(pool, 10)
    assert now() == pytest.approx(15)
    await pool.close(3)
    assert now() <= 18.1
    assert pool.stats().size == 0
    assert network.open_count == 0


@virtual
async def test_p11_a_black_hole_hangs_no_reset() -> None:
    network = Network()
    async with opened(network, max_size=1, reset_timeout=2) as pool:
        async with pool.acquire() as wire:
            wire.is_dirty = True
            network.is_black_hole = True
            begun = now()
        assert now() - begun == pytest.approx(2)
        network.is_black_hole = False


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())

    def __enter__(self) -> list[str]:
        logging.getLogger("framework.pool").addHandler(self)
        return self.lines

    def __exit__(self, *_: object) -> None:
        logging.getLogger("framework.pool").removeHandler(self)


async def nested(pool: ConnectionPool[Wire], seconds: float = 0.0) -> None:
    async with pool.acquire():
        await asyncio.sleep(seconds)
        async with pool.acquire():
            pass


@virtual
async def test_p12_a_nested_acquire_that_can_never_succeed_is_refused_at_once() -> None:
    async with opened(Network(), max_size=1) as pool:
        with pytest.raises(PoolExhausted, match="all who hold a connection wait for another"):
            await nested(pool)
        assert now() == 0


@virtual
async def test_p12_tasks_that_wait_for_each_other_do_not_wait_for_ever() -> None:
    async with opened(Network(), max_size=3) as pool:
        tasks = [asyncio.create_task(nested(pool, 1)) for _ in range(3)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(one) for one in results] == [type(None), type(None), PoolExhausted]
        assert now() == 1


@virtual
async def test_p12_a_nested_acquire_that_waits_is_warned_of_with_its_place() -> None:
    with Lines() as lines:
        async with opened(Network(), max_size=2) as pool:
            other = asyncio.create_task(hold(pool, None, 2))
            await asyncio.create_task(nested(pool, 1), name="nester")
            await other
    (line,) = [line for line in lines if "holds one" in line]
    assert "nester (nested)" in line
    assert "in nested" in line


@virtual
async def test_p12_a_nested_acquire_can_be_refused_or_allowed() -> None:
    async with opened(Network(), max_size=2, nested="refuse") as pool:
        other = asyncio.create_task(hold(pool, None, 2))
        with pytest.raises(PoolExhausted, match="this task holds a connection already"):
            await nested(pool, 1)
        await other
        await nested(pool)  # there are two
    with Lines() as lines:
        async with opened(Network(), max_size=1, nested="allow") as pool:
            lease = await pool.acquire()
            asyncio.get_running_loop().call_later(
                1, lambda: results.append(asyncio.create_task(lease.release()))
            )
            results: list[Any] = []
            await hold(pool)  # somebody else returns what this task has borrowed
            await results[0]
    assert not [line for line in lines if "holds one" in line]


@virtual
async def test_a_server_that_loses_a_connection_under_its_borrower() -> None:
    network = Network()
    network.shows_loss = False
    async with opened(network, min_size=2, max_size=2, check_after=60) as pool:
        await asyncio.sleep(1)
        async with pool.acquire() as wire:
            network.restart()
            with pytest.raises(WireLost):
                await wire.query()
        async with pool.acquire() as other:  # fresh, but no longer to be trusted: it is asked first
            await other.query()
        assert network.checks == 1
