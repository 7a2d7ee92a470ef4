"""Parked Tasks: the Tasks handlers run in, reused as long as nothing of a request sticks to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextvars import copy_context
from typing import Any, Generic, TypeVar

from framework.net.step import Stepper

__all__ = ["Resumed", "Runner", "Runners"]

T = TypeVar("T")


class Resumed(Generic[T]):
    """Awaits a coroutine that may have taken its first step already: hands on what it yielded, then drives it.

    Args:
        yielded: what the first step yielded.
        interrupt: a cancellation that came since then.
        started: whether there was a first step.
    """

    __slots__ = ("_coro", "_interrupt", "_started", "_yielded")

    def __init__(
        self,
        coro: Coroutine[Any, Any, T],
        yielded: Any,
        interrupt: asyncio.CancelledError | None,
        *,
        started: bool = True,
    ) -> None:
        self._coro = coro
        self._yielded = yielded
        self._interrupt = interrupt
        self._started = started

    def __await__(self) -> Generator[Any, Any, T]:
        coro = self._coro
        yielded = self._yielded
        try:
            if not self._started:
                yielded = coro.send(None)
            # A cancel() that came between the hand-over and this step: as a Task does, pass it to what is awaited.
            if self._interrupt is not None and (yielded is None or not yielded.cancel()):
                yielded = coro.throw(self._interrupt)
            while True:
                try:
                    value = yield yielded
                except BaseException as error:
                    yielded = coro.throw(error)
                else:
                    yielded = coro.send(value)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]


class Runner:
    """One parked Task and its Context. ``hand_over`` gives it a coroutine to finish."""

    __slots__ = ("_job", "_loop", "_owner", "_wake", "context", "pristine", "step", "task")

    def __init__(self, owner: Runners, loop: asyncio.AbstractEventLoop) -> None:
        self._owner = owner
        self._loop = loop
        self.pristine = copy_context()
        self.context = self.pristine.copy()
        self._wake: asyncio.Future[None] = loop.create_future()
        self._job: Callable[[asyncio.CancelledError | None], Coroutine[Any, Any, None]] | None = None
        self.task = loop.create_task(self._run(), context=self.context)
        self.step = Stepper(loop, self.task, self.context, self.pristine).step

    @property
    def clean(self) -> bool:
        """Nothing a request set in the Context or asked of the Task is left behind."""
        return self.context == self.pristine and not self.task.cancelling()

    def hand_over(self, job: Callable[[asyncio.CancelledError | None], Coroutine[Any, Any, None]]) -> None:
        """Runs ``job(interrupt)`` in the parked Task; ``interrupt`` is a cancellation that came before its first step."""
        self._job = job
        if not self._wake.done():
            self._wake.set_result(None)

    async def _run(self) -> None:
        while True:
            interrupt = None
            try:
                await self._wake
            except asyncio.CancelledError as error:
                if self._job is None:
                    raise
                interrupt = error
            job = self._job
            assert job is not None
            try:
                await job(interrupt)
            except BaseException:
                self._owner.release(self)
                raise
            self._job = None
            self._wake = self._loop.create_future()
            if not self._owner.take_back(self):
                return

    def close(self) -> None:
        """Ends a parked Task that has no job."""
        self.task.cancel()


class Runners:
    """The parked Tasks of one server.

    ``spare`` is the one the next handler steps in; ``full`` says that ``max_active`` handlers are suspended.
    """

    __slots__ = ("_idle", "_loop", "_max_active", "_max_idle", "active", "full", "spare")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, *, max_active: int = 4096, max_idle: int = 256
    ) -> None:
        self._loop = loop
        self._idle: list[Runner] = []
        self._max_active = max_active
        self._max_idle = max_idle
        self.active: set[Runner] = set()
        self.full = False
        self.spare = Runner(self, loop)

    def take(self) -> Runner:
        """Takes the spare away for a handler that suspended and puts another in its place."""
        runner = self.spare
        self.active.add(runner)
        self.full = len(self.active) >= self._max_active
        self.spare = self._idle.pop() if self._idle else Runner(self, self._loop)
        return runner

    def fresh(self) -> Runner:
        """A Task besides the spare, which is taking some other handler's first step right now."""
        runner = Runner(self, self._loop)
        self.active.add(runner)
        self.full = len(self.active) >= self._max_active
        return runner

    def renew(self) -> None:
        """Replaces a spare that a handler left dirty."""
        self.spare.close()
        self.spare = self._idle.pop() if self._idle else Runner(self, self._loop)

    def take_back(self, runner: Runner) -> bool:
        """Parks a Task whose job is done; False ends it instead."""
        self.release(runner)
        if len(self._idle) >= self._max_idle or not runner.clean:
            return False
        self._idle.append(runner)
        return True

    def release(self, runner: Runner) -> None:
        self.active.discard(runner)
        self.full = len(self.active) >= self._max_active

    @property
    def parked(self) -> int:
        """Tasks without a job."""
        return len(self._idle) + 1

    async def close(self) -> None:
        """Ends every Task, the active ones by cancelling them."""
        runners = [self.spare, *self._idle, *self.active]
        self._idle.clear()
        for runner in runners:
            runner.close()
        await asyncio.gather(*(runner.task for runner in runners), return_exceptions=True)
