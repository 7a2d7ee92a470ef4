"""The cost of a pool: borrowing and returning an idle connection, waiting in the queue, and a query through it.

``cases()`` times the idle connection for the runner, without a server. Run as a script, this compares with asyncpg's
pool and psycopg_pool on a PostgreSQL of its own (or on the one whose URL is given), in interleaved rounds of which the
best counts::

    .venv-bench/bin/python -m benchmarks.micro.pool [URL] [--out FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.facts import machine_facts, tell
from benchmarks.micro.runner import Case
from framework.net.loop import new_event_loop
from framework.plugins.pool import Condition, ConnectionPool, PoolSettings, Resource

__all__ = ["cases", "main"]

ROUNDS = 15
CYCLES = 3_000
TASKS = 64
SIZE = 10
Work = Callable[[], Awaitable[None]]


class Nothing(Resource[object]):
    """Connections to nowhere."""

    async def open(self) -> object:
        return object()

    def terminate(self, connection: object) -> None:
        pass

    def condition(self, connection: object) -> Condition:
        return Condition.CLEAN


class Empty:
    """The least that an ``async with`` can be."""

    __slots__ = ()

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *_: object) -> None:
        pass


LOOP = asyncio.new_event_loop()
POOL = ConnectionPool(Nothing(), PoolSettings(check_after=3600.0, max_lifetime=0))
LOOP.run_until_complete(POOL.open())
EMPTY = Empty()


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    """Drives a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise RuntimeError("it waited")


async def borrow() -> None:
    for _ in range(100):
        async with POOL.acquire():
            pass


async def borrow_at_once() -> None:
    for _ in range(100):
        lease = POOL.try_acquire()
        assert lease is not None
        async with lease:
            pass


async def enter() -> None:
    for _ in range(100):
        async with EMPTY:
            pass


def cases() -> Iterator[Case]:
    for name, function in (
        ("an empty async with", enter),
        ("acquire and release", borrow),
        ("try_acquire and release", borrow_at_once),
    ):
        names = {"run": run, "function": function}
        yield Case("pool, idle connection", name, "run(function())", names, 100, "an empty async with")


# Looked up once: as members of their class they cost as much as the questions that they answer.
BROKEN, CLEAN, DIRTY = Condition.BROKEN, Condition.CLEAN, Condition.DIRTY


class Server(Resource[Any]):
    """asyncpg's connections."""

    def __init__(self, url: str, connect: Callable[[str], Awaitable[Any]]) -> None:
        self._url = url
        self._connect = connect

    async def open(self) -> Any:
        return await self._connect(self._url)

    def terminate(self, connection: Any) -> None:
        connection.terminate()

    def condition(self, connection: Any) -> Condition:
        if connection.is_closed():
            return BROKEN
        return DIRTY if connection.is_in_transaction() else CLEAN


async def best_of(works: dict[str, tuple[Work, int]]) -> dict[str, float]:
    """Microseconds per operation of each, the best of interleaved rounds."""
    best = dict.fromkeys(works, float("inf"))
    for _ in range(ROUNDS):
        for name, (work, operations) in works.items():
            started = perf_counter()
            await work()
            best[name] = min(best[name], (perf_counter() - started) / operations * 1e6)
    return best


def cycles(acquire: Callable[[], Any]) -> tuple[Work, int]:
    async def work() -> None:
        for _ in range(CYCLES):
            async with acquire():
                pass

    return work, CYCLES


def crowd(acquire: Callable[[], Any]) -> tuple[Work, int]:
    """Many tasks on few connections; each lets the others run while it has one."""
    each = CYCLES // TASKS + 1

    async def one() -> None:
        for _ in range(each):
            async with acquire():
                await asyncio.sleep(0)

    async def work() -> None:
        await asyncio.gather(*(one() for _ in range(TASKS)))

    return work, each * TASKS


def queries(acquire: Callable[[], Any]) -> tuple[Work, int]:
    async def work() -> None:
        for _ in range(CYCLES // 5):
            async with acquire() as connection:
                await connection.fetchval("SELECT 1")

    return work, CYCLES // 5


def crowded_queries(acquire: Callable[[], Any]) -> tuple[Work, int]:
    each = CYCLES // TASKS + 1

    async def one() -> None:
        for _ in range(each):
            async with acquire() as connection:
                await connection.fetchval("SELECT 1")

    async def work() -> None:
        await asyncio.gather(*(one() for _ in range(TASKS)))

    return work, each * TASKS


async def nothing(*_: object) -> None:
    """Instead of asyncpg's reset, which asks the server at each release."""


async def compare(url: str) -> dict[str, float]:
    """Times the pools on a server, each with ``SIZE`` connections."""
    import asyncpg
    import psycopg_pool

    ours = ConnectionPool(
        Server(url, asyncpg.connect),
        PoolSettings(min_size=SIZE, max_size=SIZE, check_after=3600, nested="allow"),
    )
    peer = await asyncpg.create_pool(url, min_size=SIZE, max_size=SIZE, reset=nothing)
    resetting = await asyncpg.create_pool(url, min_size=SIZE, max_size=SIZE)
    psycopg = psycopg_pool.AsyncConnectionPool(url, min_size=SIZE, max_size=SIZE, open=False)
    held = await asyncpg.connect(url)

    async def hold() -> None:
        for _ in range(CYCLES // 5):
            async with EMPTY:
                await held.fetchval("SELECT 1")

    async with ours, psycopg:
        await psycopg.wait()
        await asyncio.sleep(1)
        try:
            return await best_of(
                {
                    "idle: this pool": cycles(ours.acquire),
                    "idle: asyncpg, reset left out": cycles(peer.acquire),
                    "idle: psycopg_pool": cycles(psycopg.connection),
                    "64 tasks on 10: this pool": crowd(ours.acquire),
                    "64 tasks on 10: asyncpg, reset left out": crowd(peer.acquire),
                    "64 tasks on 10: psycopg_pool": crowd(psycopg.connection),
                    "SELECT 1: a held connection": (hold, CYCLES // 5),
                    "SELECT 1: this pool": queries(ours.acquire),
                    "SELECT 1: asyncpg, reset left out": queries(peer.acquire),
                    "SELECT 1: asyncpg": queries(resetting.acquire),
                    "SELECT 1, 64 tasks on 10: this pool": crowded_queries(ours.acquire),
                    "SELECT 1, 64 tasks on 10: asyncpg, reset left out": crowded_queries(peer.acquire),
                    "SELECT 1, 64 tasks on 10: asyncpg": crowded_queries(resetting.acquire),
                }
            )
        finally:
            await asyncio.gather(peer.close(), resetting.close(), held.close())


@contextmanager
def own_server() -> Iterator[str]:
    """A private PostgreSQL in a temporary folder: its URL."""
    from tests.support.postgres import Postgres, find_postgres

    binaries = find_postgres()
    if binaries is None:
        raise SystemExit("PostgreSQL is not installed")
    with tempfile.TemporaryDirectory(prefix="bench-pool-") as name:
        server = Postgres(Path(name), binaries)
        server.create()
        server.start()
        try:
            yield server.url()
        finally:
            server.destroy()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.micro.pool")
    parser.add_argument("url", nargs="?", help="of a PostgreSQL; default one of its own")
    parser.add_argument("--out", type=Path, metavar="FILE")
    options = parser.parse_args()
    if find_spec("psycopg_pool") is None:
        raise SystemExit(
            "the peers are not here: python benchmarks/setup_peers.py, then "
            ".venv-bench/bin/python -m benchmarks.micro.pool"
        )
    facts = machine_facts()
    # With the server on the same core: a query's time is then the work done, not where its process happened to wake up.
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    server = own_server() if options.url is None else nullcontext(options.url)
    with server as url, asyncio.Runner(loop_factory=new_event_loop) as runner:
        found = runner.run(compare(url))
    for name, microseconds in found.items():
        sys.stdout.write(f"{name:52}{microseconds:10.2f} us\n")
    if options.out is not None:
        tell({"kind": "pool", "facts": facts, "settings": {"rounds": ROUNDS}, "summary": found}, options.out)


if __name__ == "__main__":
    main()
