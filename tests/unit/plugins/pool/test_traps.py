"""The traps of the sketch (section 5.2 of the guide, row 12 of the table): each has a test of its name."""

from __future__ import annotations

import asyncio

from framework.plugins.pool import PoolTimeout
from tests.support.connections import Network, hold, now, opened, virtual


@virtual
async def test_limit_overshot_while_connections_are_being_opened() -> None:
    """The sketch counts a connection when it is open: all who come meanwhile open one more."""
    network = Network(connect=1)
    async with opened(network, min_size=0, max_size=5, max_connecting=5, required=False) as pool:
        tasks = [asyncio.create_task(hold(pool, 60, 0.5)) for _ in range(100)]
        await asyncio.gather(*tasks)
    assert network.most_open <= 5


@virtual
async def test_limit_overshot_while_connections_are_being_closed() -> None:
    network = Network(connect=0.5, close=1)
    async with opened(network, min_size=5, max_size=5, max_lifetime=3) as pool:
        for _ in range(50):
            await asyncio.gather(*(hold(pool, 60, 0.2) for _ in range(10)))
    assert network.most_open <= 5
    assert network.closes > 5


@virtual
async def test_a_broken_connection_handed_to_the_next_waiter() -> None:
    network = Network()
    async with opened(network, max_size=1) as pool:
        lease = await pool.acquire()
        waiting = asyncio.create_task(pool.acquire().__aenter__())
        await asyncio.sleep(1)
        broken = lease.connection
        broken.is_open = False
        await lease.release()
        wire = await waiting
        assert wire is not broken
        assert wire.is_open
        pool.terminate()


@virtual
async def test_a_broken_idle_connection_handed_to_the_next_borrower() -> None:
    network = Network()
    async with opened(network, min_size=3, max_size=3) as pool:
        await asyncio.sleep(0.5)
        network.restart()  # all at once, as a server that restarts does; nobody has used one since
        for _ in range(3):
            async with pool.acquire() as wire:
                assert await wire.query() > 3


@virtual
async def test_a_cancelled_waiter_swallows_a_connection() -> None:
    """In the turn of the loop in which the connection is handed over, and in the one after."""
    for turns in range(4):
        async with opened(Network(), max_size=1) as pool:
            lease = await pool.acquire()
            waiting = asyncio.create_task(hold(pool, 60, 1))
            await asyncio.sleep(1)
            await lease.release()
            for _ in range(turns):
                await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
            assert waiting.cancelled()
            await hold(pool, 0)


@virtual
async def test_acquire_timers_left_running() -> None:
    """The sketch sets a timer for each who waits and leaves it. There is one timer, for whoever is first."""
    network = Network()
    loop = asyncio.get_running_loop()
    timers: set[asyncio.TimerHandle] = set()
    call_at = loop.call_at

    def noted(when: float, *args: object, **options: object) -> asyncio.TimerHandle:
        timer = call_at(when, *args, **options)  # type: ignore[arg-type]
        timers.add(timer)
        return timer

    loop.call_at = noted  # type: ignore[method-assign]
    async with opened(network, max_size=2, leak_after=0, idle_timeout=0, max_lifetime=0) as pool:
        leases = [await pool.acquire() for _ in range(2)]
        waiting = [asyncio.create_task(hold(pool, 30 + number / 100)) for number in range(500)]
        for _ in range(3):
            await asyncio.sleep(0)
        assert len({timer for timer in timers if not timer.cancelled()}) == 1
        for lease in leases:
            await lease.release()
        await asyncio.gather(*waiting)
        await asyncio.sleep(31)
        pending = {timer for timer in timers if not timer.cancelled() and timer.when() > now()}
        assert not pending


@virtual
async def test_connections_closed_at_min_though_work_is_waiting() -> None:
    """The sketch closes what comes back when there are ``min`` idle; here it goes to who waits."""
    network = Network(connect=0.5)
    async with opened(network, min_size=1, max_size=4) as pool:
        await asyncio.gather(*(hold(pool, 60, 1) for _ in range(100)))
        assert len(network.connects) == 4
        assert network.closes == network.terminations == 0
        await asyncio.gather(*(hold(pool, 60, 1) for _ in range(4)))  # and they are kept for the next rush
        assert len(network.connects) == 4


@virtual
async def test_who_waited_too_long_is_out_of_the_queue() -> None:
    async with opened(Network(), max_size=1) as pool:
        lease = await pool.acquire()
        results = await asyncio.gather(
            *(asyncio.create_task(hold(pool, seconds)) for seconds in (3, 1, 2)), return_exceptions=True
        )
        assert all(isinstance(result, PoolTimeout) for result in results)
        assert now() == 3
        assert pool.stats().waiting == 0
        await lease.release()
        await hold(pool)
