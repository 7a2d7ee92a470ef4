"""The first step of a handler, without a Task of its own.

A Task per request costs more than the rest of the request. Instead a parked Task is *entered* (``_enter_task``, which
asyncio exports for other event loops), the handler's coroutine takes its first step in that Task's Context, and the
Task is left again. Most handlers finish there. One that suspends is handed to the parked Task (``runner.py``), so
``current_task()`` is the same before and after its first await, and ``asyncio.timeout``, ``TaskGroup`` and
cancellation work as in any Task.
"""

from __future__ import annotations

import os
from asyncio.tasks import _enter_task, _leave_task  # type: ignore[attr-defined]
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task
    from contextvars import Context

__all__ = ["NOT_STARTED", "first_step"]

NOT_STARTED: Final = object()
"""Yielded, so to speak, by a coroutine that could not be started because some other Task is running."""


def _first_step(
    loop: AbstractEventLoop,
    task: Task[Any],
    context: Context,
    coro: Coroutine[Any, Any, Any],
    not_started: object,
) -> tuple[bool, Any]:
    """Runs ``coro`` to its first suspension: (True, its result) or (False, what it yielded); raises what it raises."""
    try:
        _enter_task(loop, task)
    except RuntimeError:
        return False, not_started
    try:
        return False, context.run(coro.send, None)
    except StopIteration as stop:
        return True, stop.value
    finally:
        _leave_task(loop, task)


def _choose() -> Callable[..., tuple[bool, Any]]:
    if os.environ.get("FRAMEWORK_PURE") == "1":
        return _first_step
    try:
        from framework.net._step import first_step as compiled
    except ImportError:
        return _first_step
    return compiled  # type: ignore[no-any-return]


first_step = _choose()
