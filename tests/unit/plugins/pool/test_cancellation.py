"""A pool is cancelled wherever it waits: once, twice, and again at each wait. Nothing is lost, nothing is swallowed."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Callable, Coroutine
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import framework.plugins.pool
from framework.plugins.pool import ConnectionPool, PoolSettings, PoolTimeout
from framework.testing.cancellation import Trial, cancel_everywhere
from tests.support.connections import Network, Pool, Wire, hold

SIZE = 2
PACKAGE = Path(framework.plugins.pool.__file__).parent
OWN_TASKS = {"_open", "_close"}  # of the keeper: nobody but the closing of the pool cancels these


async def use(pool: Pool, seconds: float = 0.2) -> None:
    """Borrows, asks, and returns."""
    async with pool.acquire(60) as wire:
        await wire.query(seconds)


async def use_and_soil(pool: Pool) -> None:
    async with pool.acquire(60) as wire:
        await wire.query(0.1)
        wire.is_dirty = True


async def check_books(pool: Pool, network: Network) -> None:
    """Whatever happened: nothing is lent, nobody waits, everything idle works, and all can be lent."""
    await asyncio.sleep(30)
    stats = pool.stats()
    assert (stats.lent, stats.waiting, stats.opening, stats.closing) == (0, 0, 0, 0), stats
    assert stats.idle == stats.size, stats
    assert network.most_open <= stats.max_size
    leases = [await pool.acquire(5) for _ in range(stats.max_size)]
    wires = {await lease.connection.query() for lease in leases}
    assert len(wires) == stats.max_size == len(network.wires)
    for lease in leases:
        await lease.release()
    await pool.close(1)
    assert pool.stats().size == 0
    assert network.open_count == 0, "the server has connections that the pool has forgotten"


Prepare = Callable[[Pool, Network], Coroutine[Any, Any, list[asyncio.Task[Any]]]]
Use = Callable[[Pool], Coroutine[Any, Any, Any]]


async def nothing(pool: Pool, network: Network) -> list[asyncio.Task[Any]]:
    await asyncio.sleep(0.5)
    return []


async def in_use(pool: Pool, network: Network) -> list[asyncio.Task[Any]]:
    """All connections are lent, and somebody waits in front."""
    await asyncio.sleep(0.5)
    tasks = [asyncio.create_task(use(pool, 0.1 + number / 10)) for number in range(SIZE + 1)]
    await asyncio.sleep(0.05)
    return tasks


async def rush(pool: Pool, network: Network) -> list[asyncio.Task[Any]]:
    tasks = await in_use(pool, network)
    asyncio.get_running_loop().call_later(0.15, lambda: tasks.append(asyncio.create_task(use(pool))))
    return tasks


async def old(pool: Pool, network: Network) -> list[asyncio.Task[Any]]:
    """The connections have been idle for so long that they are checked."""
    await asyncio.sleep(100)
    return []


async def nearly_too_old(pool: Pool, network: Network) -> list[asyncio.Task[Any]]:
    """Their lifetime ends while they are lent."""
    await asyncio.sleep(40.1)
    return []


async def stale(pool: Pool, network: Network) -> list[asyncio.Task[Any]]:
    """They are old, the server has gone and come back, and it does not show."""
    await asyncio.sleep(100)
    network.restart()
    network.shows_loss = False
    return []


async def lost(pool: Pool, network: Network) -> list[asyncio.Task[Any]]:
    """The server has gone and come back, and it shows."""
    await asyncio.sleep(0.5)
    network.restart()
    return []


async def down_for_a_while(pool: Pool, network: Network) -> list[asyncio.Task[Any]]:
    await asyncio.sleep(0.5)
    network.restart()
    network.refuses = True
    asyncio.get_running_loop().call_later(1, setattr, network, "refuses", False)
    return []


async def paused(pool: Pool, network: Network) -> list[asyncio.Task[Any]]:
    await asyncio.sleep(0.5)
    pool.pause()
    asyncio.get_running_loop().call_later(1, pool.resume)
    return []


def scenario(
    prepare: Prepare, act: Use, network: Callable[[], Network], **settings: Any
) -> Callable[[Trial], Coroutine[Any, Any, None]]:
    async def run(trial: Trial) -> None:
        server = network()
        options = {"min_size": SIZE, "max_size": SIZE, "required": False, **settings}
        pool = ConnectionPool(server, PoolSettings(**options), seed=3)
        await pool.open()
        others = await prepare(pool, server)
        await trial(act(pool))
        if others:
            await asyncio.wait(others)
            await asyncio.wait(others)  # and whom the scenario sent after them
            assert all(task.exception() is None for task in others), others
        await check_books(pool, server)

    return run


def slow() -> Network:
    return Network(connect=0.3, check=0.1, reset=0.1, close=0.1)


async def soon(pool: Pool) -> None:
    """As ``use``, by way of a Lease that is awaited and released."""
    lease = await pool.acquire(60)
    try:
        await lease.connection.query(0.1)
        lease.connection.is_dirty = True
    finally:
        await lease.release()


async def two(pool: Pool) -> None:
    async with pool.acquire(60) as first:
        await first.query(0.1)
        async with pool.acquire(60) as second:
            await second.query(0.1)


async def give_up(pool: Pool) -> None:
    try:
        async with pool.acquire(0.02) as wire:
            await wire.query(0.1)
    except PoolTimeout:
        await asyncio.sleep(0.1)


async def probe(pool: Pool) -> None:
    await pool.probe()


async def wait_for_returns(pool: Pool) -> None:
    pool.pause()
    try:
        await pool.returned(5)
    finally:
        pool.resume()


async def replace(pool: Pool) -> None:
    pool.drain()
    await use(pool)


CASES: dict[str, tuple[Prepare, Use, dict[str, Any]]] = {
    "an idle connection": (nothing, use, {}),
    "an awaited lease": (nothing, soon, {}),
    "none yet": (nothing, use, {"min_size": 0}),
    "waiting in the queue": (in_use, use, {}),
    "waiting, and others behind": (rush, use, {}),
    "waiting until the deadline": (in_use, give_up, {}),
    "waiting for a connection to be opened": (in_use, use, {"min_size": 0}),
    "a check": (old, use, {}),
    "a check on the only connection": (old, use, {"min_size": 1, "max_size": 1}),
    "a check that fails": (stale, use, {}),
    "a broken one": (lost, use, {}),
    "a reset": (nothing, use_and_soil, {}),
    "a reset while others wait": (rush, use_and_soil, {}),
    "a reset that takes too long": (nothing, use_and_soil, {"reset_timeout": 0.05}),
    "a server that is down": (down_for_a_while, use, {}),
    "a pause": (paused, use, {}),
    "two at once": (nothing, two, {}),
    "two at once while others wait": (rush, two, {"nested": "allow"}),
    "a lifetime that ends": (nearly_too_old, use, {"max_lifetime": 40, "lifetime_jitter": 0.0}),
    "a probe": (nothing, probe, {}),
    "waiting for what is lent": (in_use, wait_for_returns, {}),
    "a drain": (in_use, replace, {}),
}


@pytest.mark.parametrize("name", list(CASES))
def test_cancelled_while(name: str, record_property: Callable[[str, object], None]) -> None:
    prepare, act, settings = CASES[name]
    report = cancel_everywhere(scenario(prepare, act, slow, **settings))
    record_property("cancellation", str(report))
    assert report.suspensions > 0
    assert any("borrowing" in place or "keeper" in place or "connections" in place for place in report.places)


def life(act: Callable[[ConnectionPool[Wire]], Coroutine[Any, Any, None]]) -> Callable[[Trial], Any]:
    """The pool itself is opened and closed by what is cancelled."""

    async def run(trial: Trial) -> None:
        server = slow()
        pool = ConnectionPool(server, PoolSettings(min_size=SIZE, max_size=3), seed=3)
        await trial(act(pool))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        pool.terminate()
        await pool.close(1)
        assert server.open_count == 0, f"{server.open_count} connections are left"
        assert pool.stats().size == 0

    return run


async def open_and_close(pool: Pool) -> None:
    async with pool:
        await use(pool)


async def close_while_lent(pool: Pool) -> None:
    await pool.open()
    holder = asyncio.create_task(hold(pool, 5, 0.5))
    try:
        await asyncio.sleep(0.1)
        await pool.close(2)
    finally:
        holder.cancel()
    assert not holder.cancelled()


async def close_without_patience(pool: Pool) -> None:
    await pool.open()
    await asyncio.sleep(0.5)
    lease = await pool.acquire()
    lease.connection.network.close_seconds = (
        1  # the other one, which is idle, takes longer than there is time
    )
    try:
        await pool.close(0.3)
    finally:
        await lease.release()


async def close_while_opening(pool: Pool) -> None:
    opening = asyncio.create_task(pool.open())
    try:
        await asyncio.sleep(0.1)
        await pool.close(2)
    finally:
        opening.cancel()
        await asyncio.wait([opening])


LIVES = (open_and_close, close_while_lent, close_without_patience, close_while_opening)


@pytest.mark.parametrize("act", LIVES, ids=lambda act: act.__name__)
def test_cancelled_in_the_life_of_a_pool(
    act: Callable[[Pool], Coroutine[Any, Any, None]], record_property: Callable[[str, object], None]
) -> None:
    report = cancel_everywhere(life(act))
    record_property("cancellation", str(report))
    assert report.suspensions > 0


def waits_in(module: str) -> set[tuple[str, range]]:
    """Every ``await`` of a module of the package, outside of functions that run in tasks of their own."""
    path = PACKAGE / module
    found: set[tuple[str, range]] = set()
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.AsyncFunctionDef) and function.name not in OWN_TASKS:
            for node in ast.walk(function):
                if isinstance(node, ast.Await):
                    found.add(
                        (f"framework/plugins/pool/{module}", range(node.lineno, (node.end_lineno or 0) + 1))
                    )
    return found


def is_source(module: str) -> bool:
    return str(import_module(f"framework.plugins.pool.{module}").__file__).endswith(".py")


def test_every_await_of_the_package_was_cancelled_in() -> None:
    """The cases above together: each ``await`` that a borrower, or who opens or closes a pool, can be suspended in.

    Compiled modules do not tell the lines they wait at, so theirs are looked at with the pure twin, tested too.
    """
    reports = [
        cancel_everywhere(scenario(prepare, act, slow, **settings), twice=False)
        for prepare, act, settings in CASES.values()
    ]
    reports += [cancel_everywhere(life(act), twice=False) for act in LIVES]
    lines = frozenset[str]().union(*(report.lines for report in reports))
    modules = [f"{name}.py" for name in ("borrowing", "keeper", "lease", "pool") if is_source(name)]
    waits = {wait for module in modules for wait in waits_in(module)}
    missed = [
        f"{module}:{span.start}"
        for module, span in waits
        if not any(f"{module}:{number}" in lines for number in span)
    ]
    assert len(waits) > (12 if is_source("keeper") else 6)
    assert not missed, sorted(missed)
