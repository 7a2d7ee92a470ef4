"""Tasks that hold a connection and wait for another: with enough of them at once nobody ever gets one."""

from __future__ import annotations

import traceback

from framework.errors import PoolExhausted
from framework.plugins.pool.keeper import LOG, Keeper
from framework.plugins.pool.report import describe, longest
from framework.plugins.pool.slots import State

__all__ = ["refuse_deadlock"]

_FRAMES = 12


def refuse_deadlock(keeper: Keeper, owner: object) -> None:
    """Called before a task waits. Warns of a nested acquire; refuses one that completes a deadlock.

    Whether a task holds a connection is told by who borrowed it: one that was handed on to another task counts for the
    first, which is why ``nested = "allow"`` exists.

    Raises:
        PoolExhausted: all connections are held by tasks that wait for one, this one included.
    """
    policy = keeper.settings.nested
    core = keeper.core
    if policy == "allow" or owner is None or len(core.slots) < core.max_size or core.opening or core.closing:
        return
    held = [slot for slot in core.slots.values() if slot.owner is owner]
    if not held:
        return
    lent = [slot for slot in core.slots.values() if slot.state in (State.LENT, State.CHECKING)]
    now = keeper.now()
    waiting = {waiter.owner for waiter in core.waiters}
    stuck = all(slot.owner is owner or slot.owner in waiting for slot in lent)
    if stuck or policy == "refuse":
        core.counts.exhausted += 1
        why = (
            "all who hold a connection wait for another" if stuck else "this task holds a connection already"
        )
        raise PoolExhausted(keeper.name, waiting=len(core.waiters), holder=longest(core, now), why=why)
    LOG.warning(
        "pool %s: a task waits for a connection and holds one: %s\n%s",
        keeper.name,
        "; ".join(describe(slot, now) for slot in held),
        "".join(traceback.format_stack(limit=_FRAMES)),
    )
