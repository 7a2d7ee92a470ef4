"""What a pool does when nothing goes wrong, and what it says when something does."""

from __future__ import annotations

import asyncio
import logging

import pytest

from framework.plugins.pool import (
    Condition,
    ConnectionPool,
    PoolClosed,
    PoolExhausted,
    PoolSettings,
    PoolTimeout,
    Resource,
)
from framework.testing import run_virtual
from tests.support.connections import Network, hold, now, opened, virtual


@virtual
async def test_a_connection_is_lent_and_comes_back() -> None:
    network = Network()
    async with opened(network) as pool:
        async with pool.acquire() as wire:
            assert wire.is_open
            assert pool.stats().lent == 1
        assert pool.stats().lent == 0
        async with pool.acquire() as again:
            assert again is wire


@virtual
async def test_an_error_of_the_borrower_passes_and_the_connection_comes_back() -> None:
    async with opened(Network()) as pool:
        with pytest.raises(ValueError, match="mine"):
            async with pool.acquire():
                raise ValueError("mine")
        assert pool.stats().idle == 1


@virtual
async def test_the_connection_returned_last_is_lent_first() -> None:
    async with opened(Network(), min_size=3) as pool:
        await asyncio.sleep(1)
        first, second, third = [await pool.acquire() for _ in range(3)]
        for lease in (first, second, third):
            used = lease.connection
            await lease.release()
        async with pool.acquire() as wire:
            assert wire is used


@virtual
async def test_min_size_is_kept_open() -> None:
    network = Network(connect=0.1)
    async with opened(network, min_size=4, idle_timeout=10) as pool:
        await asyncio.sleep(60)
        assert pool.stats().idle == 4
        assert len(network.wires) == 4


@virtual
async def test_waiters_are_served_in_the_order_they_came() -> None:
    order: list[int] = []

    async def borrow(number: int) -> None:
        async with pool.acquire():
            order.append(number)
            await asyncio.sleep(0.1)

    async with opened(Network(), max_size=2) as pool:
        await asyncio.gather(*(borrow(number) for number in range(20)))
    assert order == list(range(20))


@virtual
async def test_a_newcomer_does_not_overtake_those_who_wait() -> None:
    order: list[str] = []

    async def borrow(name: str) -> None:
        async with pool.acquire():
            order.append(name)

    async with opened(Network(), max_size=1) as pool:
        lease = await pool.acquire()
        waiting = asyncio.create_task(borrow("waited"))
        await asyncio.sleep(1)
        await lease.release()
        await borrow("came later")  # in the same turn: the waiter has not run yet
        await waiting
    assert order == ["waited", "came later"]


@virtual
async def test_a_lease_that_is_awaited() -> None:
    async with opened(Network()) as pool:
        lease = await pool.acquire()
        assert lease.connection.is_open
        await lease.release()
        await lease.release()
        assert pool.stats().idle == 1
        with pytest.raises(RuntimeError, match="given back"):
            _ = lease.connection


@virtual
async def test_a_lease_that_is_held_can_be_entered() -> None:
    async with opened(Network()) as pool:
        lease = await pool.acquire()
        async with lease as wire:
            assert wire is lease.connection
        assert pool.stats().idle == 1


@virtual
async def test_try_acquire_takes_what_is_idle_and_waits_for_nothing() -> None:
    network = Network()
    async with opened(network, max_size=1) as pool:
        lease = pool.try_acquire()
        assert lease is not None
        async with lease as wire:
            assert wire.is_open
            assert pool.try_acquire() is None
        await asyncio.sleep(3)
        assert pool.try_acquire() is None  # not fresh any more: it would have to be asked first
        async with pool.acquire():
            assert network.checks == 1


@virtual
async def test_try_acquire_gives_no_broken_connection() -> None:
    network = Network()
    async with opened(network, max_size=1) as pool:
        network.restart()
        assert pool.try_acquire() is None


@virtual
async def test_a_timeout_says_who_holds_what() -> None:
    async with opened(Network(), max_size=1) as pool:
        async with pool.acquire():
            await asyncio.sleep(7)
            started = now()
            with pytest.raises(PoolTimeout) as caught:
                await asyncio.create_task(hold(pool, 0.5))
            assert now() - started == pytest.approx(0.5)
        error = caught.value
        assert error.seconds == pytest.approx(0.5)
        assert (error.pool, error.waiting) == ("pool", 0)
        assert "no connection within 0.5 s" in str(error)
        assert "connection 1, for 7.5 s, by Task-" in str(error)


@virtual
async def test_there_is_a_deadline_without_asking_for_one() -> None:
    async with opened(Network(), max_size=1, nested="allow") as pool, pool.acquire():
        with pytest.raises(PoolTimeout):
            await pool.acquire()
        assert now() == pytest.approx(10.0)


@virtual
async def test_no_time_at_all_is_enough_for_an_idle_connection() -> None:
    async with opened(Network(), max_size=1, nested="allow") as pool, pool.acquire(0):
        with pytest.raises(PoolTimeout):
            await pool.acquire(0)


@pytest.mark.parametrize("timeout", [-1.0, float("nan")])
def test_a_negative_timeout_is_refused(timeout: float) -> None:
    async def main() -> None:
        async with opened(Network(), max_size=1) as pool, pool.acquire():
            with pytest.raises(ValueError, match="at least 0"):
                await pool.acquire(timeout)

    run_virtual(main())


@virtual
async def test_a_full_queue_refuses_at_once_and_says_why() -> None:
    async with opened(Network(), max_size=1, max_waiting=2) as pool:
        async with pool.acquire():
            waiting = [asyncio.create_task(hold(pool)) for _ in range(2)]
            await asyncio.sleep(3)
            with pytest.raises(PoolExhausted) as caught:
                await asyncio.create_task(hold(pool))
            assert now() == pytest.approx(3)
        await asyncio.gather(*waiting)
        assert caught.value.waiting == 2
        assert "too many wait already; 2 wait; held longest by connection 1, for 3 s" in str(caught.value)
        assert caught.value.retry_after == 1.0
        assert pool.stats().exhausted == 1


@virtual
async def test_a_pool_that_is_not_open_refuses() -> None:
    pool = ConnectionPool(Network())
    with pytest.raises(PoolClosed, match="pool is closed"):
        await pool.acquire()
    assert pool.try_acquire() is None
    await pool.close()
    async with pool:
        pass
    with pytest.raises(PoolClosed):
        await pool.acquire()
    with pytest.raises(PoolClosed):
        await pool.probe()
    with pytest.raises(RuntimeError, match="only once"):
        await pool.open()


@virtual
async def test_opening_fails_when_there_is_no_server() -> None:
    network = Network()
    network.refuses = True
    pool = ConnectionPool(network, PoolSettings(connect_timeout=3))
    with pytest.raises(PoolTimeout, match="connecting fails: ConnectionRefusedError: refused") as caught:
        await pool.open()
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)
    assert now() == pytest.approx(3)
    await pool.close()


@virtual
async def test_opening_need_not_wait_for_the_server() -> None:
    network = Network()
    network.refuses = True
    async with opened(network, required=False) as pool:
        await asyncio.sleep(1)
        network.refuses = False
        async with pool.acquire():
            pass


@virtual
async def test_idle_connections_are_closed_down_to_the_minimum() -> None:
    network = Network()
    async with opened(network, min_size=2, max_size=8, idle_timeout=60) as pool:
        leases = [await pool.acquire() for _ in range(8)]
        for lease in leases:
            await lease.release()
        assert pool.stats().idle == 8
        await asyncio.sleep(59)
        assert pool.stats().idle == 8
        await asyncio.sleep(2)
        assert pool.stats().idle == 2
        assert pool.stats().closed == {"idle": 6}


@virtual
async def test_an_idle_connection_is_closed_on_time_also_when_it_was_lent_at_the_last_look() -> None:
    async with opened(Network(), min_size=0, idle_timeout=60, leak_after=0, max_lifetime=0) as pool:
        lease = await pool.acquire()
        await asyncio.sleep(90)
        await lease.release()
        await asyncio.sleep(59.9)
        assert pool.stats().size == 1
        await asyncio.sleep(0.2)
        assert pool.stats().size == 0


@virtual
async def test_lifetimes_end_at_different_times() -> None:
    network = Network()
    async with opened(network, min_size=8, max_lifetime=100, lifetime_jitter=0.5, idle_timeout=0) as pool:
        await asyncio.sleep(1)
        begun = network.connects[:]
        await asyncio.sleep(105)
        assert pool.stats().idle == 8
        again = network.connects[8:16]
        assert len(set(again)) == 8
        assert all(50 <= later - earlier <= 100.1 for earlier, later in zip(begun, again, strict=True))


@virtual
async def test_a_fresh_connection_is_not_checked_and_an_old_one_is() -> None:
    network = Network()
    async with opened(network, check_after=5) as pool:
        for _ in range(10):
            await hold(pool)
            await asyncio.sleep(4)
        assert network.checks == 0
        await asyncio.sleep(2)
        await hold(pool)
        assert network.checks == 1


@virtual
async def test_each_borrow_can_be_checked() -> None:
    network = Network()
    async with opened(network, check_after=0) as pool:
        before = network.checks
        await hold(pool)
        await hold(pool)
        assert network.checks == before + 2


@virtual
async def test_what_is_dirty_is_reset_before_the_next_one_has_it() -> None:
    network = Network(reset=0.1)
    async with opened(network, max_size=1) as pool:
        async with pool.acquire() as wire:
            wire.is_dirty = True
        assert network.reset_count == 1
        async with pool.acquire() as again:
            assert again is wire
            assert not again.is_dirty
        assert network.reset_count == 1


@virtual
async def test_a_reset_that_fails_costs_the_connection() -> None:
    network = Network()
    async with opened(network, max_size=1, reset_timeout=0.5) as pool:
        async with pool.acquire() as wire:
            wire.is_dirty = True
            network.reset_seconds = 3
        network.reset_seconds = 0
        async with pool.acquire() as other:
            assert other is not wire
        assert pool.stats().closed == {"reset": 1}


class Simple(Resource[object]):
    """Says no more than it must."""

    def __init__(self) -> None:
        self.ended: list[object] = []

    async def open(self) -> object:
        return object()

    def terminate(self, connection: object) -> None:
        self.ended.append(connection)


@virtual
async def test_a_resource_needs_only_open_and_terminate() -> None:
    resource = Simple()
    async with ConnectionPool(resource, PoolSettings(max_size=1)) as pool:
        async with pool.acquire() as first:
            pass
        await asyncio.sleep(60)
        async with pool.acquire() as second:
            assert second is first
        await pool.probe()
    assert resource.ended == [first]


@virtual
async def test_what_a_resource_cannot_tell_from_broken_is_not_lent_again_after_a_cancellation() -> None:
    async def use() -> None:
        async with pool.acquire():
            await asyncio.sleep(3600)

    async with ConnectionPool(Simple(), PoolSettings(max_size=1)) as pool:
        task = asyncio.create_task(use())
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        assert pool.stats().closed == {"cut": 1}


@virtual
async def test_a_condition_that_raises_costs_the_connection() -> None:
    class Odd(Simple):
        fails = False

        def condition(self, connection: object) -> Condition:
            if self.fails:
                raise ValueError("what is this?")
            return Condition.CLEAN

        def terminate(self, connection: object) -> None:
            super().terminate(connection)
            raise ValueError("no")

    resource = Odd()
    async with ConnectionPool(resource, PoolSettings(max_size=1)) as pool:
        async with pool.acquire():
            resource.fails = True
        assert pool.stats().closed == {"broken": 1}
        resource.fails = False
        async with pool.acquire():
            pass
        await asyncio.sleep(0)
        resource.fails = True
        assert pool.try_acquire() is None
        with pytest.raises(PoolTimeout, match="a connection was broken before it was first used"):
            await pool.acquire(0.5)
        resource.fails = False
    assert pool.stats().size == 0


@virtual
async def test_a_pause_lets_everybody_wait() -> None:
    async with opened(Network(), max_size=2) as pool:
        lease = await pool.acquire()
        pool.pause()
        waiting = [asyncio.create_task(hold(pool)) for _ in range(3)]
        assert not await pool.returned(1)
        await lease.release()
        assert await pool.returned(1)
        await asyncio.sleep(1)
        assert pool.try_acquire() is None
        assert pool.stats().waiting == 3
        pool.resume()
        await asyncio.gather(*waiting)


@virtual
async def test_waiting_for_what_is_lent_ends_with_the_last_return() -> None:
    async with opened(Network(), max_size=2) as pool:
        holders = [asyncio.create_task(hold(pool, None, seconds)) for seconds in (1, 2)]
        await asyncio.sleep(0.5)
        assert await pool.returned(60)
        assert now() == pytest.approx(2)
        await asyncio.gather(*holders)


@virtual
async def test_who_waits_in_a_pause_has_a_deadline_too() -> None:
    async with opened(Network()) as pool:
        pool.pause()
        with pytest.raises(PoolTimeout):
            await pool.acquire(1)


@virtual
async def test_a_drain_replaces_every_connection() -> None:
    network = Network()
    async with opened(network, min_size=3) as pool:
        await asyncio.sleep(1)
        async with pool.acquire() as held:
            before = set(network.wires)
            pool.drain()
            await asyncio.sleep(1)
            assert network.wires & before == {held}
        await asyncio.sleep(1)
        assert not network.wires & before
        assert pool.stats().idle == 3
        assert pool.stats().closed == {"stale": 3}


@virtual
async def test_new_credentials_are_those_of_the_next_connection() -> None:
    """Credentials by callable: what ``open`` reads when it is called counts, and a drain makes it be called."""
    current = ["old"]

    class Server(Simple):
        async def open(self) -> object:
            return current[0]

    async with ConnectionPool(Server(), PoolSettings(max_size=1)) as pool:
        current[0] = "new"
        async with pool.acquire() as login:
            assert login == "old"
        pool.drain()
        async with pool.acquire() as login:
            assert login == "new"


@virtual
async def test_a_pool_grows_and_shrinks_while_in_use() -> None:
    network = Network()
    async with opened(network, max_size=2, nested="allow") as pool:
        first, second = await pool.acquire(), await pool.acquire()
        waiting = asyncio.create_task(pool.acquire().__aenter__())
        await asyncio.sleep(0.1)
        assert not waiting.done()
        pool.resize(0, 3)
        await waiting
        assert pool.stats().lent == 3
        pool.resize(0, 1)
        await first.release()
        await second.release()
        await asyncio.sleep(0.1)
        assert (pool.stats().size, pool.stats().idle) == (1, 0)
        with pytest.raises(PoolTimeout):
            await pool.acquire(0.1)
        pool.resize(5, 5)
        await asyncio.sleep(0.1)
        assert pool.stats().idle == 4
        pool.resize(1, 2)
        await asyncio.sleep(0.1)
        assert pool.stats().size == 2
        pool.terminate()


@pytest.mark.parametrize(("low", "high"), [(-1, 3), (4, 3), (0, 0)])
def test_impossible_sizes_are_refused(low: int, high: int) -> None:
    with pytest.raises(ValueError, match=f"{low} to {high}"):
        ConnectionPool(Network()).resize(low, high)


@virtual
async def test_closing_waits_for_what_is_lent() -> None:
    network = Network(close=0.1)
    pool = ConnectionPool(network, PoolSettings(max_size=1))
    await pool.open()
    holder = asyncio.create_task(hold(pool, None, 3))
    await asyncio.sleep(0.5)
    waiter = asyncio.create_task(hold(pool))
    await asyncio.sleep(0.5)
    closing = asyncio.create_task(pool.close(10))
    await asyncio.sleep(0.1)
    with pytest.raises(PoolClosed):
        await waiter
    await closing
    assert now() == pytest.approx(3.1)
    await holder
    assert (network.closes, network.terminations, network.open_count) == (1, 0, 0)


@virtual
async def test_closing_has_a_deadline() -> None:
    network = Network()
    pool = ConnectionPool(network)
    await pool.open()
    lease = await pool.acquire()
    await pool.close(2)
    assert now() == pytest.approx(2)
    assert not lease.connection.is_open
    await lease.release()
    assert pool.stats().size == 0
    assert network.open_count == 0


@virtual
async def test_closing_gives_up_what_is_being_opened() -> None:
    network = Network(connect=60)
    pool = ConnectionPool(network, PoolSettings(required=False, connect_timeout=100))
    await pool.open()
    await asyncio.sleep(1)
    await pool.close()
    assert now() == pytest.approx(1)
    assert network.open_count == 0


@virtual
async def test_leaks_are_reported_once_with_task_and_age() -> None:
    lines: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    handler = Lines()
    logging.getLogger("framework.pool").addHandler(handler)
    try:
        async with opened(Network(), max_size=2, leak_after=30) as pool:

            async def forgets() -> None:
                await pool.acquire()

            await asyncio.create_task(forgets(), name="careless")
            await asyncio.sleep(29)
            assert not lines
            await asyncio.sleep(100)
            (line,) = lines
            assert "not returned: connection 1, for 30 s, by careless (" in line
            assert "forgets) (which has ended)" in line
            assert pool.stats().leaks == 1
            (holder,) = pool.holders()
            assert (holder.connection, holder.is_over) == (1, True)
            pool.terminate()
    finally:
        logging.getLogger("framework.pool").removeHandler(handler)


@virtual
async def test_a_probe_asks_the_server() -> None:
    network = Network()
    async with opened(network, check_timeout=1) as pool:
        await pool.probe()
        assert network.checks == 1
        network.restart()
        network.refuses = True
        with pytest.raises(PoolTimeout):
            await pool.probe()


@virtual
async def test_numbers_add_up() -> None:
    network = Network(connect=0.1)
    async with opened(network, max_size=2, max_waiting=3) as pool:
        tasks = [asyncio.create_task(hold(pool, 0.35, 0.2)) for _ in range(6)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        stats = pool.stats()
        assert stats.timeouts == sum(isinstance(one, PoolTimeout) for one in results)
        assert stats.exhausted == sum(isinstance(one, PoolExhausted) for one in results) > 0
        assert stats.acquired - 1 == sum(one is None for one in results)  # one was borrowed by open()
        assert stats.waited > 0
        assert stats.wait_seconds > 0
        assert stats.connect_seconds == pytest.approx(0.1)
