"""Parked Tasks: the Tasks handlers run in, reused as long as nothing of a request sticks to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextvars import copy_context
from types import coroutine
from typing import Any, TypeAlias

from framework.net.step import Stepper, Suspended

__all__ = ["Job", "Resumed", "Runner", "Runners", "cancel_awaited"]

Job: TypeAlias = "Callable[[asyncio.CancelledError | None], Coroutine[Any, Any, None]]"
"""What a parked Task is given to do; it is told of a cancellation that came before its first step."""


class Resumed:
    """Awaits a coroutine that already took its first step: hands on what it yielded, then drives it to its end."""

    __slots__ = ("_coro", "_interrupt", "_yielded")

    def __init__(self, suspended: Suspended, interrupt: asyncio.CancelledError | None) -> None:
        self._coro = suspended.coro
        self._yielded = suspended.yielded
        self._interrupt = interrupt

    def __await__(self) -> Generator[Any, Any, Any]:
        coro = self._coro
        yielded = self._yielded
        torn_down = False
        try:
            if self._interrupt is not None and not cancel_awaited(yielded, self._interrupt):
                yielded = coro.throw(self._interrupt)
            while True:
                try:
                    value = yield yielded
                except GeneratorExit:  # the Task is being torn down: nothing may be awaited any more
                    torn_down = True
                    coro.close()
                    raise
                except BaseException as error:
                    yielded = coro.throw(error)
                else:
                    yielded = coro.send(value)
        except StopIteration as stop:
            return stop.value
        except GeneratorExit as error:
            if torn_down:
                raise
            raise RuntimeError("the handler raised GeneratorExit") from error


def cancel_awaited(awaited: Any, interrupt: asyncio.CancelledError) -> bool:
    """As Task.cancel() does, cancels what is awaited; False when there is nothing to cancel."""
    if getattr(awaited, "_asyncio_future_blocking", None) is None:
        return False
    return bool(awaited.cancel(msg=interrupt.args[0] if interrupt.args else None))


@coroutine
def _suspension() -> Generator[None, None, None]:
    yield


class Runner:
    """One parked Task and its Context. ``step`` takes first steps in it; ``hand_over`` gives it a job to finish."""

    __slots__ = ("_job", "_owner", "_wake", "context", "step", "task")

    def __init__(self, owner: Runners) -> None:
        self._owner = owner
        self.context = owner.context.copy()
        self._wake: asyncio.Future[None] = owner.loop.create_future()
        self._job: Job | None = None
        # A Task that is cancelled ahead of its first step never enters its coroutine, and the job would be lost:
        # so this one is inside already.
        coro = self._run()
        coro.send(None)
        self.task = owner.loop.create_task(coro, context=self.context)
        self.step = Stepper(owner.loop, self.task, self.context, owner.context).step

    @property
    def clean(self) -> bool:
        """Nothing is left behind that a request set in the Context or asked of the Task."""
        return self.context == self._owner.context and not self.task.cancelling()

    def hand_over(self, job: Job) -> None:
        """Runs ``job(interrupt)`` in the parked Task."""
        self._job = job
        if not self._wake.done():
            self._wake.set_result(None)

    async def _run(self) -> None:
        inside = False
        while True:
            interrupt = None
            try:
                if not inside:
                    inside = True
                    await _suspension()
                await self._wake
            except asyncio.CancelledError as error:
                # One that was taken back by uncancel() is none. Without a job it is a late one, meant for a request
                # that is over: the Task ends, and is found not to be clean.
                if self.task.cancelling():
                    if self._job is None:
                        raise
                    interrupt = error
            job, self._job = self._job, None
            self._wake = self._owner.loop.create_future()
            if job is None:
                continue
            try:
                await job(interrupt)
            except Exception as error:
                self._owner.on_error(error)
            finally:
                self._owner.release(self)
            job = None  # and with it the request
            if not self._owner.take_back(self):
                return


class Runners:
    """The parked Tasks of one server.

    ``spare`` is the one the next handler steps in, if it is clean; ``full`` says that ``max_active`` are at work. Those
    that were lent out for as long as a connection lives are not counted there, but stand in ``lent``.

    Args:
        on_error: told of what a job raises; a job is not meant to.
    """

    __slots__ = (
        "_idle",
        "_max_active",
        "_max_idle",
        "active",
        "context",
        "full",
        "lent",
        "loop",
        "on_error",
        "spare",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_error: Callable[[BaseException], None],
        *,
        max_active: int = 4096,
        max_idle: int = 256,
    ) -> None:
        self.loop = loop
        self.on_error = on_error
        self.context = copy_context()
        self._idle: list[Runner] = []
        self._max_active = max_active
        self._max_idle = max_idle
        self.active: set[Runner] = set()
        self.lent: set[Runner] = set()
        self.full = False
        self.spare = Runner(self)

    def take(self) -> Runner:
        """Takes the spare away for a job and puts another in its place."""
        runner = self.spare
        self.spare = self._idle.pop() if self._idle else Runner(self)
        self.active.add(runner)
        self.full = len(self.active) >= self._max_active
        return runner

    def fresh(self) -> Runner:
        """A Task besides the spare, which may be taking some other handler's first step right now."""
        runner = Runner(self)
        self.active.add(runner)
        self.full = len(self.active) >= self._max_active
        return runner

    def lend(self, runner: Runner) -> None:
        """Counts a runner no longer among the active ones: its job may last as long as a connection, and those have
        a limit of their own."""
        self.active.discard(runner)
        self.full = len(self.active) >= self._max_active
        self.lent.add(runner)

    def renew(self) -> Runner:
        """Replaces a spare that is not clean."""
        while not self.spare.clean:
            self.spare.task.cancel()
            self.spare = self._idle.pop() if self._idle else Runner(self)
        return self.spare

    def release(self, runner: Runner) -> None:
        """Takes note that a runner's job is done."""
        self.active.discard(runner)
        if self.lent:
            self.lent.discard(runner)
        self.full = len(self.active) >= self._max_active

    def take_back(self, runner: Runner) -> bool:
        """Parks a Task whose job is done; False when it had better end."""
        if len(self._idle) >= self._max_idle or not runner.clean:
            return False
        self._idle.append(runner)
        return True

    @property
    def parked(self) -> int:
        """Tasks without a job."""
        return len(self._idle) + 1

    async def close(self, timeout: float) -> int:
        """Ends every Task, the active ones by cancelling them; returns how many have not ended within ``timeout``."""
        tasks = {runner.task for runner in (self.spare, *self._idle, *self.active, *self.lent)}
        self._idle.clear()
        for task in tasks:
            task.cancel()
        _, left = await asyncio.wait(tasks, timeout=timeout)
        return len(left)
