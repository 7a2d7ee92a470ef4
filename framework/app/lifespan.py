"""What an app opens when it starts and closes when it ends, in order and in reverse.

Enter and leave a stack in the same task: the cancel scopes of anyio's task groups, which a lifespan may hold
open, belong to the task that entered them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from inspect import iscoroutinefunction
from types import TracebackType
from typing import Any, Protocol, TypeGuard, cast, runtime_checkable

from framework.errors import DeadlineExceeded, SetupError

__all__ = ["Lifespan", "LifespanStack", "StartStop"]


@runtime_checkable
class StartStop(Protocol):
    """An object with a life of its own. ``stop`` is called only when ``start`` has returned."""

    async def start(self) -> Any:
        """Opens it."""
        ...

    async def stop(self) -> Any:
        """Closes it."""
        ...


_Manager = AbstractAsyncContextManager[Any, Any]

Lifespan = _Manager | StartStop | Callable[[Any], _Manager | StartStop | AsyncGenerator[Any, None]]
"""A manager, a StartStop, or a function of the app: an async generator, or one that returns either."""


class LifespanStack:
    """Enters lifespans in order and leaves them in reverse, as nested ``async with`` statements would.

    A lifespan is told of the error that ends its time; a generator has it raised at its ``yield`` and cleans
    up in ``finally``. An enter that fails or is cancelled leaves those entered before it. All are left,
    whatever the others do, each within its deadline.

    Args:
        app: what generator functions and other functions are called with.
        lifespans: what to enter.
        exit_timeout: seconds that each may take to leave; then it is cancelled.

    Raises:
        SetupError: something among the lifespans is none.
    """

    def __init__(self, app: Any, lifespans: Iterable[Lifespan] = (), *, exit_timeout: float = 10.0) -> None:
        self._app = app
        self._exit_timeout = exit_timeout
        self._lifespans = list(lifespans)
        self._entered: list[tuple[str, _Manager]] = []
        problems = [problem for each in self._lifespans if (problem := _fault(each))]
        if problems:
            raise SetupError(problems)

    async def __aenter__(self) -> LifespanStack:
        """Enters all.

        Raises:
            RuntimeError: it is entered already.
            ExceptionGroup: an enter failed, and so did leaving what had been entered. The error of an enter
                alone is raised as it is.
        """
        if self._entered:
            raise RuntimeError("the lifespans are entered already")
        try:
            for lifespan in self._lifespans:
                manager = _manager(lifespan, self._app)
                await manager.__aenter__()
                self._entered.append((_name(lifespan), manager))
        except BaseException as error:
            ending = await self._leave(error)
            ending.raise_failures(error)
            if ending.body is None:
                # As in a nested async with, a lifespan may swallow the error; but no app has come to be.
                raise RuntimeError("the start was given up: a lifespan swallowed its error") from error
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Leaves all.

        Raises:
            ExceptionGroup: what failed in leaving, once all have been left, and the error that ended the body
                if there was one. A cancellation is raised as such, with the group as its cause.
        """
        ending = await self._leave(error)
        ending.raise_failures(error)
        return error is not None and ending.body is None

    async def _leave(self, error: BaseException | None) -> _Ending:
        ending = _Ending(error)
        while self._entered:
            name, manager = self._entered.pop()
            cancels = _cancels()
            try:
                if await self._exit(name, manager, ending.told):
                    ending.swallowed()
            except GeneratorExit:
                # The coroutine is being closed and may not wait any more.
                raise
            except asyncio.CancelledError as cancelled:
                if _cancels() or cancelled is ending.told:
                    ending.cancelled(cancelled)
                else:
                    # Nobody asked this task to end: the lifespan waited for a task that it had cancelled.
                    ending.failed(RuntimeError(f"leaving {name} raised CancelledError"), consumed=False)
            except Exception as failure:
                ending.failed(failure, consumed=_cancels() < cancels)
            except BaseException as interrupt:
                ending.cancelled(interrupt)
        return ending

    async def _exit(self, name: str, manager: _Manager, error: BaseException | None) -> bool | None:
        # Not anyio's fail_after, whose scope would have to close before the scopes that this exit closes.
        deadline = asyncio.timeout(self._exit_timeout)
        kind, trace = (None, None) if error is None else (type(error), error.__traceback__)
        swallowed: bool | None = None
        try:
            async with deadline:
                swallowed = await manager.__aexit__(kind, error, trace)
        except TimeoutError:
            if not deadline.expired():
                raise
        if deadline.expired():
            raise DeadlineExceeded(f"leaving {name}", self._exit_timeout)
        return swallowed


class _Ending:
    """How the time of the lifespans ends.

    Attributes:
        body: the error that ended it, unless a lifespan swallowed that; or a cancellation during the leaving.
        told: what the next lifespan to leave is told: the body's error, or the failure of the one before.
        failures: what went wrong in leaving.
    """

    def __init__(self, body: BaseException | None) -> None:
        self.body = body
        self.told = body
        self.failures: list[Exception] = []

    def swallowed(self) -> None:
        if self.told is self.body:
            self.body = None
        self.told = None

    def failed(self, failure: Exception, *, consumed: bool) -> None:
        """``consumed``: a task group raised this in place of the cancellation by which the body ended."""
        if failure is self.told:
            return
        if consumed and not isinstance(self.body, Exception):
            self.body = None
        self.failures.append(failure)
        self.told = failure

    def cancelled(self, error: BaseException) -> None:
        if isinstance(self.body, Exception):
            self.failures.insert(0, self.body)
        self.body = self.told = error

    def raise_failures(self, given: BaseException | None) -> None:
        """Raises what must be raised; returns when it is only the given error, or nothing."""
        if self.failures:
            body = [self.body] if isinstance(self.body, Exception) else []
            group = ExceptionGroup("lifespans failed", [*body, *self.failures])
            if self.body is None or body:
                raise group from None
            raise self.body from group
        if self.body is not None and self.body is not given:
            raise self.body


def _cancels() -> int:
    """How many requests to cancel the running task are pending."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


def _fault(lifespan: Any) -> str:
    if iscoroutinefunction(lifespan):
        return f"lifespan {_name(lifespan)} is a coroutine function: it lacks the yield between start and end"
    if _is_manager(lifespan) or isinstance(lifespan, StartStop) or callable(lifespan):
        return ""
    return f"{_name(lifespan)} is no lifespan"


def _is_manager(subject: object) -> TypeGuard[_Manager]:
    return isinstance(subject, AbstractAsyncContextManager)


def _manager(lifespan: Lifespan, app: Any) -> _Manager:
    if _is_manager(lifespan):
        return lifespan
    # A class has the methods of its instances, but is called for one.
    if isinstance(lifespan, StartStop) and not isinstance(lifespan, type):
        return _started(lifespan)
    made: object = cast("Callable[[Any], Any]", lifespan)(app)
    if isinstance(made, AsyncGenerator):
        return asynccontextmanager(lambda: cast("AsyncGenerator[Any, None]", made))()
    if _is_manager(made):
        return made
    if isinstance(made, StartStop):
        return _started(made)
    raise SetupError(f"lifespan {_name(lifespan)} returned {type(made).__name__}, which cannot be entered")


@asynccontextmanager
async def _started(subject: StartStop) -> AsyncGenerator[StartStop, None]:
    await subject.start()
    try:
        yield subject
    finally:
        await subject.stop()


def _name(lifespan: Any) -> str:
    return getattr(lifespan, "__qualname__", None) or type(lifespan).__qualname__
