"""The pool: lends connections, and keeps as many of them as are needed."""

from __future__ import annotations

import random
from types import TracebackType
from typing import Generic, TypeVar

from framework.http.request import Request
from framework.plugins.pool.errors import PoolClosed
from framework.plugins.pool.keeper import Keeper
from framework.plugins.pool.lease import Lease
from framework.plugins.pool.report import Holder, PoolStats, holders, stats
from framework.plugins.pool.resource import Resource
from framework.plugins.pool.settings import PoolSettings

__all__ = ["ConnectionPool"]

T = TypeVar("T")


class ConnectionPool(Generic[T]):
    """Lends connections of one kind, first come, first served.

    ::

        async with ConnectionPool(resource, PoolSettings(max_size=20)) as pool:
            async with pool.acquire() as connection:
                ...

    It belongs to the loop that it is opened on, and can be opened once.

    Args:
        resource: opens and closes the connections.
        settings: sizes and durations.
        name: in errors, logs and metrics.
        seed: makes what is random about it (when connections are replaced, when attempts are made) repeatable.

    Attributes:
        keeper: the pool's inside, for other modules of this package.
    """

    def __init__(
        self,
        resource: Resource[T],
        settings: PoolSettings | None = None,
        *,
        name: str = "pool",
        seed: int | None = None,
    ) -> None:
        self.name = name
        self.settings = settings or PoolSettings()
        self.keeper = Keeper(resource, self.settings, name, random.Random(seed).random)
        self._core = self.keeper.core
        self._opened = False

    # -- life -------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Opens the pool; with ``required``, once there is a connection.

        Raises:
            PoolTimeout: ``required``, and none could be opened within ``connect_timeout``. The pool is closed then.
            RuntimeError: it was opened before.
        """
        if self._opened:
            raise RuntimeError(f"pool {self.name} can be opened only once")
        self._opened = True
        self.keeper.start()
        if not self.settings.required:
            return
        try:
            async with self.acquire(self.settings.connect_timeout):
                pass
        except BaseException:
            self.terminate()
            raise

    async def close(self, timeout: float = 10.0) -> None:
        """Refuses new borrowers and those who wait, waits for what is lent, and closes all connections.

        What is not back after ``timeout`` seconds is terminated under its borrower's hands. When the wait is cancelled
        that happens at once. Closing a closed pool does nothing.
        """
        keeper = self.keeper
        if not self._opened:
            return
        now = keeper.now()
        self._core.close(now)
        keeper.perform()
        keeper.cancel_opens()
        try:
            await keeper.emptied(now + timeout)
        finally:
            keeper.stop()
        await keeper.finished()

    def terminate(self) -> None:
        """Closes the pool at once, without waiting for anybody."""
        if self._opened:
            self._core.close(self.keeper.now())
            self.keeper.stop()

    async def __aenter__(self) -> ConnectionPool[T]:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    # -- use --------------------------------------------------------------------------------------------------------

    def acquire(self, timeout: float | None = None, *, request: Request | None = None) -> Lease[T]:
        """Borrows a connection: ``async with pool.acquire() as connection``, or ``await`` it for the Lease.

        Args:
            timeout: seconds to wait for one; the pool's ``acquire_timeout`` unless given.
            request: whose budget of time is not to be exceeded, and who is named when the connection is not returned.
        """
        return Lease(self.keeper, timeout, request)

    def try_acquire(self, *, request: Request | None = None) -> Lease[T] | None:
        """A connection if there is one that is idle and fresh, else None. ``async with`` the lease, or release it."""
        lease: Lease[T] = Lease(self.keeper, 0.0, request)
        return lease if lease.take() else None

    # -- operation --------------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Lends nothing more: whoever asks waits, until ``resume`` or the end of their time."""
        self._core.pause()

    def resume(self) -> None:
        """Lends again after a pause."""
        self._core.resume(self.keeper.now())
        self.keeper.perform()

    async def returned(self, timeout: float) -> bool:
        """Waits until nothing is lent, at most ``timeout`` seconds; whether nothing is. After ``pause``, say."""
        return await self.keeper.returned(self.keeper.now() + timeout)

    def drain(self) -> None:
        """Replaces every connection, idle ones now and others when they are returned: after a failover, say, or when
        credentials have changed."""
        self._core.drain(self.keeper.now())
        self.keeper.perform()

    def resize(self, min_size: int, max_size: int) -> None:
        """Changes the limits while the pool is in use.

        Raises:
            ValueError: they are below 0, or the first is more than the second.
        """
        if not 0 <= min_size <= max_size or max_size == 0:
            raise ValueError(f"a pool cannot have {min_size} to {max_size} connections")
        self._core.resize(min_size, max_size, self.keeper.now())
        self.keeper.tick()

    # -- reports ----------------------------------------------------------------------------------------------------

    def stats(self) -> PoolStats:
        """State and counts as of now."""
        return stats(self.name, self._core)

    def holders(self) -> list[Holder]:
        """Who has borrowed a connection, the longest first."""
        return holders(self._core, self.keeper.now())

    async def probe(self) -> None:
        """Borrows a connection, checks it, and returns it: a health check.

        Raises:
            PoolTimeout, PoolExhausted, PoolClosed: there is none to be had.
            Exception: what the check raised.
        """
        if self._core.is_closed:
            raise PoolClosed(self.name)
        async with self.acquire() as connection:
            await self.keeper.resource.check(connection)
