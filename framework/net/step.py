"""The first step of a handler, without a Task of its own.

A Task per request costs more than the rest of the request. Instead a parked Task is *entered* (``_enter_task``, which
asyncio exports for other event loops), the handler's coroutine takes its first step in that Task's Context, and the
Task is left again. Most handlers finish there. One that suspends is handed to the parked Task (``runner.py``), so
``current_task()`` is the same before and after its first await, and ``asyncio.timeout``, ``TaskGroup`` and
cancellation work as in any Task.
"""

from __future__ import annotations

import os
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task
    from contextvars import Context

__all__ = ["DONE", "REFUSED", "STAINED", "SUSPENDED", "Stepper"]

SUSPENDED: Final = 0
"""The coroutine awaits something; the value is what it yielded."""
DONE: Final = 1
"""It has returned the value."""
STAINED: Final = 2
"""It has returned the value, but left something behind in the Context or a cancellation in the Task."""
REFUSED: Final = 3
"""It was not started, because some other Task is running right now."""


class _PureStepper:
    """Takes first steps in one parked Task and its Context."""

    __slots__ = ("_context", "_loop", "_pristine", "_task")

    def __init__(self, loop: AbstractEventLoop, task: Task[Any], context: Context, pristine: Context) -> None:
        self._loop = loop
        self._task = task
        self._context = context
        self._pristine = pristine

    def step(self, coro: Coroutine[Any, Any, Any]) -> tuple[int, Any]:
        """Runs ``coro`` to its first suspension or its end; returns how that went and the value. Raises what it
        raises."""
        try:
            _enter_task(self._loop, self._task)
        except RuntimeError:
            return REFUSED, None
        try:
            return SUSPENDED, self._context.run(coro.send, None)
        except StopIteration as stop:
            clean = self._context == self._pristine and not self._task.cancelling()
            return DONE if clean else STAINED, stop.value
        finally:
            _leave_task(self._loop, self._task)


def _choose() -> type[_PureStepper]:
    if os.environ.get("FRAMEWORK_PURE") == "1":
        return _PureStepper
    try:
        from framework.net._step import Stepper as Compiled
    except ImportError:
        return _PureStepper
    return Compiled


Stepper = _choose()
