"""The slow ways to borrow a connection and to give it back: those that wait. Each wait may be the last.

A wait that is cancelled hands back what it has been given; a connection that something was under way on is terminated,
which needs no wait. So a cancellation, however often it comes, needs nothing that could be cancelled in turn.
"""

from __future__ import annotations

import asyncio
from typing import TypeVar

from framework.errors import PoolExhausted, PoolTimeout
from framework.http.request import Request
from framework.middleware.deadlines import time_left
from framework.plugins.pool.errors import PoolClosed
from framework.plugins.pool.keeper import LOG, Keeper
from framework.plugins.pool.nesting import refuse_deadlock
from framework.plugins.pool.report import longest
from framework.plugins.pool.resource import Condition
from framework.plugins.pool.slots import Reason, Slot, State

__all__ = ["borrow", "give_back"]

T = TypeVar("T")


async def borrow(keeper: Keeper, timeout: float | None, request: Request | None) -> Slot:
    """Borrows a connection that works, as far as can be known.

    Args:
        timeout: seconds to wait; None for the pool's. The request's budget may be shorter.
    """
    core = keeper.core
    begun = now = keeper.now()
    deadline = now + _budget(keeper, timeout, request)
    again = False
    while True:
        if core.is_closed:
            raise PoolClosed(keeper.name)
        # Without time there is none for a check either.
        slot = core.pick(now) if now < deadline else core.take(now)
        keeper.perform()
        if slot is None:
            slot = await _wait(keeper, begun, deadline, request, again=again)
            again = True
        else:
            slot.owner = asyncio.current_task()
            slot.request = request
        if slot.state is not State.CHECKING or await _check(keeper, slot, deadline):
            if not keeper.is_broken(slot.connection):
                return slot
            keeper.discard_broken(slot)
        now = keeper.now()


def _budget(keeper: Keeper, timeout: float | None, request: Request | None) -> float:
    seconds = keeper.settings.acquire_timeout if timeout is None else timeout
    if not seconds >= 0:
        raise ValueError(f"a timeout is at least 0, not {seconds}")
    return seconds if request is None else min(seconds, time_left(request))


async def _wait(
    keeper: Keeper, begun: float, deadline: float, request: Request | None, *, again: bool
) -> Slot:
    core, now = keeper.core, keeper.now()
    if now >= deadline:
        raise _too_late(keeper, begun)
    if not again and len(core.waiters) >= keeper.settings.max_waiting:
        core.counts.exhausted += 1
        raise PoolExhausted(keeper.name, waiting=len(core.waiters), holder=longest(core, now))
    owner = asyncio.current_task()
    refuse_deadlock(keeper, owner)
    waiter = core.enqueue(now, deadline, keeper.loop.create_future(), owner, request, again=again)
    keeper.perform()
    try:
        await waiter.future
    except BaseException:
        core.abandon(waiter, keeper.now())
        keeper.perform()
        raise
    slot = waiter.slot
    if slot is not None and slot.state in (State.LENT, State.CHECKING):
        return slot
    if core.is_closed:
        raise PoolClosed(keeper.name)
    raise _too_late(keeper, begun)


def _too_late(keeper: Keeper, begun: float) -> PoolTimeout:
    core, now = keeper.core, keeper.now()
    core.counts.timeouts += 1
    failure = core.backoff.error
    error = PoolTimeout(
        keeper.name,
        now - begun,
        waiting=len(core.waiters),
        holder=longest(core, now),
        failure=failure,
    )
    error.__cause__ = failure
    return error


async def _check(keeper: Keeper, slot: Slot, deadline: float) -> bool:
    """Asks the other side; whether the connection may be used. Never takes longer than the borrower has."""
    core = keeper.core
    until = keeper.now() + keeper.settings.check_timeout
    try:
        async with asyncio.timeout_at(min(until, deadline)):
            await keeper.resource.check(slot.connection)
    except Exception as error:
        if isinstance(error, TimeoutError) and deadline < until:
            core.discard(slot, Reason.CUT, keeper.now())  # there was no time to find out
        else:
            LOG.warning("pool %s: a check failed: %s: %s", keeper.name, type(error).__name__, error)
            core.check_failed(slot, keeper.now())
        keeper.perform()
        return False
    except BaseException:
        core.discard(slot, Reason.CUT, keeper.now())
        keeper.perform()
        raise
    core.checked(slot, keeper.now())
    return slot.state is State.LENT


async def give_back(keeper: Keeper, slot: Slot, condition: Condition, error: BaseException | None) -> None:
    """Takes a connection back that is not known to be clean. ``error`` is what ended the lease."""
    if slot.state is not State.LENT:
        return  # the pool was closed meanwhile, and the connection terminated
    core = keeper.core
    is_cut = isinstance(error, asyncio.CancelledError)
    if condition is Condition.BROKEN:
        core.discard(slot, Reason.CUT if is_cut else Reason.BROKEN, keeper.now())
    elif is_cut and not keeper.knows_condition:
        core.discard(slot, Reason.CUT, keeper.now())  # an exchange may be unfinished, and nobody can tell
    elif not keeper.must_reset or await _reset(keeper, slot):
        core.put(slot, keeper.now())
    keeper.perform()


async def _reset(keeper: Keeper, slot: Slot) -> bool:
    """Resets the connection for the next borrower; whether it may have it."""
    core = keeper.core
    try:
        async with asyncio.timeout(keeper.settings.reset_timeout):
            await keeper.resource.reset(slot.connection)
    except Exception as error:
        LOG.warning("pool %s: a reset failed: %s: %s", keeper.name, type(error).__name__, error)
        core.discard(slot, Reason.RESET, keeper.now())
        return False
    except BaseException:
        core.discard(slot, Reason.CUT, keeper.now())
        keeper.perform()
        raise
    if keeper.is_broken(slot.connection):
        core.discard(slot, Reason.RESET, keeper.now())
        return False
    return True
