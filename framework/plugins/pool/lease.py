"""A borrowed connection: what ``acquire`` returns, to be entered or awaited, and given back.

The quick way, an idle connection lent and returned, runs in here and in ``Core.take`` and ``Core.put`` from end to
end without waiting. All else is in ``borrowing``.
"""

from __future__ import annotations

from asyncio import current_task
from collections.abc import Awaitable, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from framework.http.request import Request
from framework.plugins.pool.borrowing import borrow, give_back
from framework.plugins.pool.keeper import Keeper
from framework.plugins.pool.resource import Condition
from framework.plugins.pool.slots import Ready, Slot

__all__ = ["Lease"]

T = TypeVar("T")
_CLEAN: Final = Condition.CLEAN
_DONE: Final = Ready(None)


class Loan:
    """What a Lease does, whatever the type of its connection; a class that is compiled cannot be generic.

    What ``async with`` awaits is a coroutine only where there is something to wait for: making one takes as long as
    lending does.
    """

    __slots__ = ("_keeper", "_request", "_slot", "_timeout")

    def __init__(self, keeper: Keeper, timeout: float | None, request: Request | None) -> None:
        self._keeper = keeper
        self._timeout = timeout
        self._request = request
        self._slot: Slot | None = None

    def __aenter__(self) -> Awaitable[Any]:
        """Borrows the connection, unless that is done already.

        Raises:
            PoolTimeout: none became free in time.
            PoolExhausted: too many wait already, or all holders wait for each other.
            PoolClosed: the pool is not open.
        """
        slot = self._slot
        if slot is None:
            slot = self._take()
            if slot is None:
                return self._borrow()
        return slot.ready

    def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Awaitable[None]:
        slot = self._slot
        if slot is None:
            return _DONE
        self._slot = None
        condition = self._put(slot)
        return _DONE if condition is _CLEAN else give_back(self._keeper, slot, condition, error)

    async def _borrow(self) -> Any:
        self._slot = await borrow(self._keeper, self._timeout, self._request)
        return self._slot.connection

    async def release(self) -> None:
        """Gives the connection back. A second time does nothing."""
        await self.__aexit__(None, None, None)

    def take(self) -> bool:
        """Borrows a connection if that can be done now, without waiting or asking it; whether it was."""
        return self._slot is not None or self._take() is not None

    def _take(self) -> Slot | None:
        keeper = self._keeper
        core = keeper.core
        while (slot := core.take(keeper.now())) is not None:
            if not keeper.is_broken(slot.ready.value):
                slot.owner = current_task(keeper.loop)
                slot.request = self._request
                self._slot = slot
                return slot
            keeper.discard_broken(slot)
        return None

    def _put(self, slot: Slot) -> Condition:
        """Takes the connection back if it is clean; what state it is in."""
        keeper = self._keeper
        condition = keeper.condition_of(slot.ready.value)
        if condition is _CLEAN:
            core = keeper.core
            core.put(slot, keeper.now())
            if core.actions or keeper.watchers:
                keeper.perform()
        return condition


class Lease(Loan, Generic[T]):
    """A connection, for as long as it is borrowed. Leaving the ``async with`` gives it back, whatever happened.

    ::

        async with pool.acquire() as connection: ...

        lease = await pool.acquire()        # where no with fits
        try: ...
        finally: await lease.release()
    """

    __slots__ = ()

    if TYPE_CHECKING:

        def __aenter__(self) -> Awaitable[T]: ...

    def __await__(self) -> Generator[Any, Any, Lease[T]]:
        yield from self.__aenter__().__await__()
        return self

    @property
    def connection(self) -> T:
        """The connection. Raises RuntimeError when it has been given back, or not been borrowed yet."""
        if self._slot is None:
            raise RuntimeError("the connection was given back, or not borrowed yet")
        connection: T = self._slot.connection
        return connection
