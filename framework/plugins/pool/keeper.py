"""Does what the core decides: opens and closes connections, wakes those who wait, keeps the one timer there is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextvars import Context
from math import inf
from typing import Any, Final

from framework.plugins.pool.core import Core
from framework.plugins.pool.report import describe
from framework.plugins.pool.resource import Condition, Resource
from framework.plugins.pool.settings import PoolSettings
from framework.plugins.pool.slots import Close, Grant, Open, Reason, Refuse, Report, Slot, Terminate

__all__ = ["LOG", "Keeper"]

_BROKEN: Final = Condition.BROKEN
LOG: Final = logging.getLogger("framework.pool")
_GRAIN: Final = 0.002  # seconds that a timer may come too early: uvloop counts in whole milliseconds


class Keeper:
    """The shell around a core; what has to wait for a connection runs in tasks of its own, never a borrower's.

    Every task ends by itself, within the resource's deadlines, and tells the core how it ended.

    Attributes:
        now: the loop's clock, from when the pool is opened.
        condition: the resource's, looked up once.
        must_reset: whether there is anything to reset: most resources do not say so.
        watchers: those who wait for the pool to be empty, or unused; while there are any, ``perform`` is to be called
            after each return.
        knows_condition: whether the resource tells broken connections apart.
    """

    def __init__(
        self, resource: Resource[Any], settings: PoolSettings, name: str, jitter: Callable[[], float]
    ) -> None:
        self.resource = resource
        self.settings = settings
        self.name = name
        self.core: Core = Core(settings, jitter)
        self.condition: Callable[[Any], Condition] = resource.condition
        self.must_reset = _overrides(resource, "reset")
        self.knows_condition = _overrides(resource, "condition")
        if not _overrides(resource, "check"):
            self.core.check_after = inf
        self.loop: asyncio.AbstractEventLoop
        self.now: Callable[[], float] = _not_open
        self._opens: dict[asyncio.Task[Any], Slot] = {}
        self._closes: dict[asyncio.Task[None], Slot] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf
        self.watchers: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    def start(self) -> None:
        """Begins, on the running loop."""
        self.loop = asyncio.get_running_loop()
        self.now = self.loop.time
        self.core.start(self.now())
        self.perform()

    def perform(self) -> None:
        """Does what the core wants done, until it wants nothing more. Raises nothing and does not wait."""
        core = self.core
        while core.actions:
            actions, core.actions = core.actions, []
            for action in actions:
                match action:
                    case Grant(waiter) | Refuse(waiter):
                        if not waiter.future.done():
                            waiter.future.set_result(None)
                    case Open(slot):
                        self._start_open(slot)
                    case Close(slot):
                        self._start_close(slot)
                    case Terminate(slot):
                        self.terminate(slot)
                        core.gone(slot, self.now())
                    case Report(slot):
                        LOG.warning("pool %s: not returned: %s", self.name, describe(slot, self.now()))
        if core.wake < self._timer_at:
            self._arm()
        for condition, future in self.watchers:
            if condition() and not future.done():
                future.set_result(None)

    def terminate(self, slot: Slot) -> None:
        """Ends a connection at once, whatever state it is in."""
        try:
            self.resource.terminate(slot.connection)
        except Exception:
            LOG.exception("pool %s: terminate() failed", self.name)

    def condition_of(self, connection: Any) -> Condition:
        """What the resource says of a connection. One that cannot tell is not to be trusted: BROKEN."""
        try:
            return self.condition(connection)
        except Exception:
            LOG.exception("pool %s: condition() failed", self.name)
            return _BROKEN

    def is_broken(self, connection: Any) -> bool:
        """Whether the connection is known not to work."""
        return self.condition_of(connection) is _BROKEN

    def discard_broken(self, slot: Slot) -> None:
        """Ends a connection that was lent, and found broken before it was used."""
        self.core.discard(slot, Reason.BROKEN, self.now())
        self.perform()

    def stop(self) -> None:
        """Ends at once what is under way: connections are terminated, tasks cancelled."""
        for slot in self.core.kill(self.now()):
            LOG.warning("pool %s: terminated while it was lent: connection %d", self.name, slot.number)
        self.cancel_opens()
        for task, slot in self._closes.items():
            task.cancel()
            self.terminate(slot)
        self.perform()
        self._disarm()

    def cancel_opens(self) -> None:
        """Gives up the connections that are being opened."""
        for task in self._opens:
            task.cancel()

    async def emptied(self, deadline: float) -> None:
        """Waits until there is no connection left, or until the deadline."""
        await self.wait_until(lambda: not self.core.slots, deadline)

    async def returned(self, deadline: float) -> bool:
        """Waits until no connection is lent, or until the deadline; whether none is."""
        return await self.wait_until(lambda: not self.core.lent, deadline)

    async def wait_until(self, condition: Callable[[], bool], deadline: float) -> bool:
        if condition():
            return True
        watcher = condition, self.loop.create_future()
        self.watchers.append(watcher)
        try:
            async with asyncio.timeout_at(deadline):
                await watcher[1]
        except TimeoutError:
            pass
        finally:
            self.watchers.remove(watcher)
        return condition()

    async def finished(self) -> None:
        """Waits for the tasks, which have been cancelled or are at their end."""
        tasks = {*self._opens, *self._closes}
        if tasks:
            await asyncio.wait(tasks, timeout=self.settings.close_timeout)

    # -- tasks ------------------------------------------------------------------------------------------------------

    # The core is told by a callback of the task, not by the coroutine: a task that is cancelled before its first step
    # never runs any of it. They run in no request's context: the connection is not that of whoever needed it first.

    def _start_open(self, slot: Slot) -> None:
        task = self.loop.create_task(self._open(), context=Context())
        self._opens[task] = slot
        task.add_done_callback(self._open_ended)

    async def _open(self) -> Any:
        async with asyncio.timeout(self.settings.connect_timeout):
            return await self.resource.open()

    def _open_ended(self, task: asyncio.Task[Any]) -> None:
        slot = self._opens.pop(task)
        if task.cancelled():
            self.core.open_failed(slot, None, self.now())
        elif (error := task.exception()) is not None:
            LOG.warning("pool %s: cannot connect: %s: %s", self.name, type(error).__name__, error)
            self.core.open_failed(slot, error, self.now())
        else:
            self.core.opened(slot, task.result(), self.now())
        self.perform()

    def _start_close(self, slot: Slot) -> None:
        task = self.loop.create_task(self._close(slot), context=Context())
        self._closes[task] = slot
        task.add_done_callback(self._close_ended)

    async def _close(self, slot: Slot) -> None:
        async with asyncio.timeout(self.settings.close_timeout):
            await self.resource.close(slot.connection)

    def _close_ended(self, task: asyncio.Task[None]) -> None:
        slot = self._closes.pop(task)
        if task.cancelled():
            self.terminate(slot)
        elif (error := task.exception()) is not None:
            LOG.info("pool %s: closing failed: %s: %s", self.name, type(error).__name__, error)
            self.terminate(slot)
        self.core.gone(slot, self.now())
        self.perform()

    # -- the timer --------------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        self._disarm()
        self._timer_at = self.core.wake
        if self._timer_at < inf:
            self._timer = self.loop.call_at(self._timer_at, self._ring)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = None, inf

    def _ring(self) -> None:
        self._timer, self._timer_at = None, inf
        self.tick()

    def tick(self) -> None:
        """Lets the core see what time it is."""
        now = self.now()
        # A timer may be called a little early, and would then be set for the same moment again and again.
        self.core.tick(self.core.wake if now < self.core.wake < now + _GRAIN else now)
        self.perform()


def _overrides(resource: object, method: str) -> bool:
    return getattr(type(resource), method, None) is not getattr(Resource, method)


def _not_open() -> float:
    return 0.0
