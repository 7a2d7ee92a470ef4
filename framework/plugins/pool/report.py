"""What a pool tells of itself: who holds its connections and for how long, and its numbers."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar, cast

import msgspec

from framework.http.request import Request
from framework.plugins.pool.core import Core
from framework.plugins.pool.slots import Slot, State

__all__ = ["Holder", "PoolStats", "describe", "holder", "holders", "longest", "stats"]

T = TypeVar("T")
_Task: type[asyncio.Task[Any]] = asyncio.Task


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Who has borrowed a connection.

    Attributes:
        connection: its number.
        seconds: for how long.
        task: name and function of the task; "" when it was not borrowed in one.
        is_over: the task has ended, and has not given it back.
        route: method and pattern of the request it was borrowed for; "" without one.
        request_id: that request's.
    """

    connection: int
    seconds: float
    task: str
    is_over: bool
    route: str
    request_id: str

    def __str__(self) -> str:
        text = f"connection {self.connection}, for {self.seconds:.3g} s, by {self.task or 'no task'}"
        if self.is_over:
            text += " (which has ended)"
        return f"{text} for {self.route} (request {self.request_id})" if self.route else text


class PoolStats(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a pool and its counts since it was opened.

    Attributes:
        size: connections, those that are being opened or closed included.
        acquired: how often one was lent; ``waited`` of these had to wait, ``wait_seconds`` altogether.
        timeouts: acquires that got none in time; ``exhausted`` were not even let wait.
        abandoned: acquires that were cancelled while they waited.
        closed: ended connections by reason.
        generation: how often all connections were found stale.
        connect_seconds: how long connecting takes, on average; None before the first.
        hold_seconds: how long one is lent, on average; None before the first came back.
    """

    name: str
    size: int
    idle: int
    lent: int
    opening: int
    closing: int
    waiting: int
    min_size: int
    max_size: int
    acquired: int
    waited: int
    wait_seconds: float
    timeouts: int
    exhausted: int
    abandoned: int
    opened: int
    open_failures: int
    closed: dict[str, int]
    leaks: int
    generation: int
    connect_seconds: float | None
    hold_seconds: float | None


def stats(name: str, core: Core) -> PoolStats:
    """The numbers as of now."""
    counts = core.counts
    return PoolStats(
        name=name,
        size=len(core.slots),
        idle=len(core.idle),
        lent=core.lent,
        opening=core.opening,
        closing=core.closing,
        waiting=len(core.waiters),
        min_size=core.min_size,
        max_size=core.max_size,
        acquired=core.acquired,
        waited=counts.waited,
        wait_seconds=counts.wait_seconds,
        timeouts=counts.timeouts,
        exhausted=counts.exhausted,
        abandoned=counts.abandoned,
        opened=counts.opened,
        open_failures=counts.open_failures,
        closed={reason.value: count for reason, count in counts.closed.items() if count},
        leaks=counts.leaks,
        generation=core.generation,
        connect_seconds=core.connect.value,
        hold_seconds=core.hold,
    )


def holder(slot: Slot, now: float) -> Holder:
    """Who has borrowed the connection of a slot that is lent."""
    request = slot.request
    pattern = ""
    if isinstance(request, Request):
        pattern = f"{request.method} {request.endpoint.pattern or request.raw_path}"
    return Holder(
        connection=slot.number,
        seconds=now - slot.since,
        task=task_name(slot.owner),
        is_over=is_over(slot.owner),
        route=pattern,
        request_id=request.id if isinstance(request, Request) else "",
    )


def describe(slot: Slot, now: float) -> str:
    """``holder`` as text."""
    return str(holder(slot, now))


def holders(core: Core, now: float) -> list[Holder]:
    """Who has borrowed a connection, the longest first."""
    lent = [slot for slot in core.slots.values() if slot.state in (State.LENT, State.CHECKING)]
    return [holder(slot, now) for slot in sorted(lent, key=lambda slot: slot.since)]


def longest(core: Core, now: float) -> str | None:
    """Who has had a connection for longest, as text; None when nobody has one."""
    lent = [slot for slot in core.slots.values() if slot.state in (State.LENT, State.CHECKING)]
    return describe(min(lent, key=lambda slot: slot.since), now) if lent else None


def is_over(task: Any) -> bool:
    """Whether it is a task that has ended."""
    return isinstance(task, _Task) and task.done()


def task_name(task: Any) -> str:
    """``Task-7 (fetch_user)``: a task's name and its function's."""
    if not isinstance(task, _Task):
        return ""
    coroutine = cast("object", task.get_coro())
    function = getattr(coroutine, "__qualname__", type(coroutine).__qualname__)
    return f"{task.get_name()} ({function})"
