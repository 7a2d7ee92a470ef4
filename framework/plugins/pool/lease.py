"""A borrowed connection: what ``acquire`` returns, to be entered or awaited, and given back.

The quick way, an idle connection lent and returned, runs in here and in ``Core.take`` and ``Core.put`` from end to
end without waiting. All else is in ``borrowing``.
"""

from __future__ import annotations

from asyncio import current_task
from collections.abc import Generator
from types import TracebackType
from typing import Any, Final, Generic, TypeVar

from framework.http.request import Request
from framework.plugins.pool.borrowing import borrow, give_back
from framework.plugins.pool.keeper import LOG, Keeper
from framework.plugins.pool.resource import Condition
from framework.plugins.pool.slots import Slot

__all__ = ["Lease"]

T = TypeVar("T")
_CLEAN: Final = Condition.CLEAN
_BROKEN: Final = Condition.BROKEN


class Lease(Generic[T]):
    """A connection, for as long as it is borrowed. Leaving the ``async with`` gives it back, whatever happened.

    ::

        async with pool.acquire() as connection: ...

        lease = await pool.acquire()        # where no with fits
        try: ...
        finally: await lease.release()
    """

    __slots__ = ("_keeper", "_request", "_slot", "_timeout")

    def __init__(self, keeper: Keeper[T], timeout: float | None, request: Request | None) -> None:
        self._keeper = keeper
        self._timeout = timeout
        self._request = request
        self._slot: Slot[T] | None = None

    async def __aenter__(self) -> T:
        """Borrows the connection, unless that is done already.

        Raises:
            PoolTimeout: none became free in time.
            PoolExhausted: too many wait already, or all holders wait for each other.
            PoolClosed: the pool is not open.
        """
        if self._slot is not None:
            return self._slot.connection
        keeper = self._keeper
        slot = keeper.core.take(keeper.now())
        if slot is None:
            slot = await borrow(keeper, self._timeout, self._request)
        else:
            try:
                broken = keeper.condition(slot.connection) is _BROKEN
            except Exception:
                LOG.exception("pool %s: condition() failed", keeper.name)
                broken = True
            if broken:
                slot = await borrow(keeper, self._timeout, self._request, broken=slot)
            else:
                slot.owner = current_task(keeper.loop)
                slot.request = self._request
        self._slot = slot
        return slot.connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        slot = self._slot
        if slot is None:
            return
        self._slot = None
        keeper = self._keeper
        try:
            condition = keeper.condition(slot.connection)
        except Exception:
            LOG.exception("pool %s: condition() failed", keeper.name)
            condition = _BROKEN
        if condition is _CLEAN:
            core = keeper.core
            core.put(slot, keeper.now())
            if core.actions or keeper.watchers:
                keeper.perform()
        else:
            await give_back(keeper, slot, condition, error)

    def __await__(self) -> Generator[Any, Any, Lease[T]]:
        yield from self.__aenter__().__await__()
        return self

    @property
    def connection(self) -> T:
        """The connection. Raises RuntimeError when it has been given back, or not been borrowed yet."""
        if self._slot is None:
            raise RuntimeError("the connection was given back, or not borrowed yet")
        return self._slot.connection

    async def release(self) -> None:
        """Gives the connection back. A second time does nothing."""
        await self.__aexit__(None, None, None)

    def take(self) -> bool:
        """Borrows a connection if that can be done now, without waiting or asking it; whether it was."""
        keeper = self._keeper
        while self._slot is None:
            slot = keeper.core.take(keeper.now())
            if slot is None:
                return False
            if keeper.is_broken(slot.connection):
                keeper.discard_broken(slot)
                continue
            slot.owner = current_task(keeper.loop)
            slot.request = self._request
            self._slot = slot
        return True
