"""Connections to a server that is made up, in whatever time and with whatever misfortune a test wants.

The server counts what it sees, apart from the books of whoever connects to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import wraps
from itertools import count
from typing import Any

from framework.plugins.pool import Condition, ConnectionPool, PoolSettings, Resource
from framework.testing import run_virtual

__all__ = ["Network", "Pool", "Wire", "WireLost", "hold", "now", "opened", "virtual"]


class WireLost(Exception):
    """The connection is gone."""


class Wire:
    """A connection. ``user`` is set by tests that check that nobody else has it."""

    def __init__(self, network: Network, number: int) -> None:
        self.network = network
        self.number = number
        self.is_open = True
        self.is_dirty = False
        self.is_mid_exchange = False
        self.generation = network.generation
        self.user: object = None
        self.queries = 0

    @property
    def is_lost(self) -> bool:
        """The server has gone away since, whether that shows or not."""
        return self.generation != self.network.generation

    async def query(self, seconds: float = 0.0) -> int:
        """Asks and is answered; returns the connection's number."""
        assert self.is_open, "a query on a connection that is closed"
        assert not self.is_mid_exchange, "a query on a connection whose last answer is still to come"
        self.is_mid_exchange = True
        await self.network.travel(self, seconds)
        self.is_mid_exchange = False
        self.queries += 1
        return self.number


class Network(Resource[Wire]):
    """Opens connections.

    Attributes:
        open, ...: the connections the server has.
        most_open, most_connecting: the largest numbers there ever were at once.
        connects: when each attempt began.
        refuses: attempts to connect fail.
        is_black_hole: nothing is ever answered.
        shows_loss: a connection whose server has gone shows that by itself, as a socket that was closed does.
    """

    def __init__(
        self,
        *,
        connect: float = 0.0,
        check: float = 0.0,
        reset: float = 0.0,
        close: float = 0.0,
        resets: bool = False,
    ) -> None:
        self.connect_seconds = connect
        self.check_seconds = check
        self.reset_seconds = reset
        self.close_seconds = close
        self.resets = resets
        self.refuses = False
        self.is_black_hole = False
        self.shows_loss = True
        self.generation = 0
        self.wires: set[Wire] = set()
        self.connecting = 0
        self.most_open = self.most_connecting = 0
        self.connects: list[float] = []
        self.checks = self.reset_count = self.closes = self.terminations = 0
        self._numbers = count(1)

    @property
    def open_count(self) -> int:
        """Connections the server has, those included that are being opened."""
        return len(self.wires) + self.connecting

    def restart(self) -> None:
        """Loses every connection."""
        self.generation += 1
        self.wires.clear()

    async def travel(self, wire: Wire, seconds: float) -> None:
        """There and back."""
        if self.is_black_hole:
            await asyncio.sleep(1e9)
        await asyncio.sleep(seconds)
        if wire.is_lost:
            wire.is_open = False
            raise WireLost(f"connection {wire.number}")

    async def open(self) -> Wire:
        self.connects.append(asyncio.get_running_loop().time())
        self.connecting += 1
        self.most_connecting = max(self.most_connecting, self.connecting)
        self.most_open = max(self.most_open, self.open_count)
        try:
            if self.is_black_hole:
                await asyncio.sleep(1e9)
            await asyncio.sleep(self.connect_seconds)
            if self.refuses:
                raise ConnectionRefusedError("refused")
        finally:
            self.connecting -= 1
        wire = Wire(self, next(self._numbers))
        self.wires.add(wire)
        return wire

    async def check(self, connection: Wire) -> None:
        self.checks += 1
        await connection.query(self.check_seconds)

    async def reset(self, connection: Wire) -> None:
        self.reset_count += 1
        await connection.query(self.reset_seconds)
        connection.is_dirty = False

    async def close(self, connection: Wire) -> None:
        self.closes += 1
        if self.is_black_hole:
            await asyncio.sleep(1e9)
        await asyncio.sleep(self.close_seconds)
        connection.is_open = False
        self.wires.discard(connection)

    def terminate(self, connection: Wire) -> None:
        self.terminations += 1
        connection.is_open = False
        self.wires.discard(connection)

    def condition(self, connection: Wire) -> Condition:
        if not connection.is_open or connection.is_mid_exchange or (connection.is_lost and self.shows_loss):
            return Condition.BROKEN
        return Condition.DIRTY if self.resets or connection.is_dirty else Condition.CLEAN


Pool = ConnectionPool[Wire]


@asynccontextmanager
async def opened(network: Network, **settings: Any) -> AsyncGenerator[Pool]:
    """A pool, closed in the end; then the server must have no connection left."""
    pool = ConnectionPool(network, PoolSettings(**settings), seed=1)
    async with pool:
        yield pool
    assert not network.open_count, f"{network.open_count} connections are left"
    assert pool.stats().size == 0


async def hold(pool: Pool, timeout: float | None = None, seconds: float = 0.0) -> None:
    """Borrows a connection for a while."""
    async with pool.acquire(timeout):
        await asyncio.sleep(seconds)


def virtual(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Runs a test in virtual time."""

    @wraps(test)
    def run() -> None:
        run_virtual(test(), patience=0.1)

    return run


def now() -> float:
    """The virtual time."""
    return asyncio.get_running_loop().time()
