"""The pure twin of the compiled first step. ``step.py`` is the door and says why this is sound."""

from __future__ import annotations

from asyncio.tasks import _enter_task, _leave_task  # pyright: ignore[reportPrivateUsage]
from collections.abc import Awaitable, Callable, Coroutine
from inspect import iscoroutine
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task
    from contextvars import Context

__all__ = ["NOT_STARTED", "UNCLEAN", "Stepper", "Suspended", "as_coroutine"]


class Suspended:
    """What a first step returns in a response's place: the coroutine that suspended, and what it yielded."""

    __slots__ = ("coro", "yielded")

    def __init__(self, coro: Coroutine[Any, Any, Any], yielded: Any) -> None:
        self.coro = coro
        self.yielded = yielded


NOT_STARTED: Final = object()
"""Nothing was run, because some other Task is running."""

UNCLEAN: Final = object()
"""Nothing was run, because an earlier request left something in the Context, or a cancellation in the Task."""


def as_coroutine(awaitable: Awaitable[Any]) -> Coroutine[Any, Any, Any]:
    """What a handler returned, as something that can be stepped. Raises TypeError for what cannot be awaited."""
    if iscoroutine(awaitable):
        return awaitable
    if not hasattr(awaitable, "__await__"):
        raise TypeError(f"the handler returned {type(awaitable).__qualname__}, which cannot be awaited")

    async def wait() -> Any:
        return await awaitable

    return wait()


class Stepper:
    """Takes first steps in one parked Task and its Context, which is to equal ``pristine`` ahead of each."""

    __slots__ = ("_context", "_loop", "_pristine", "_task")

    def __init__(self, loop: AbstractEventLoop, task: Task[Any], context: Context, pristine: Context) -> None:
        self._loop = loop
        self._task = task
        self._context = context
        self._pristine = pristine

    def step(
        self,
        hooks: tuple[Callable[[Any], Any], ...],
        call: Callable[[Any], Any],
        request: object,
        is_async: bool,
        respond: Callable[[Any], Any] | None,
    ) -> Any:
        """Runs the hooks, and unless one of them answers the handler, to its end or its first suspension.

        Returns the hook's answer, or what the handler returned, through ``respond`` if there is one; Suspended when
        it waits for something; NOT_STARTED; UNCLEAN. Raises what they raise.
        """
        try:
            _enter_task(self._loop, self._task)
        except RuntimeError:
            return NOT_STARTED
        try:
            if self._context != self._pristine or self._task.cancelling():
                return UNCLEAN
            return self._context.run(_step, hooks, call, request, is_async, respond)
        finally:
            _leave_task(self._loop, self._task)


def _step(
    hooks: tuple[Callable[[Any], Any], ...],
    call: Callable[[Any], Any],
    request: object,
    is_async: bool,
    respond: Callable[[Any], Any] | None,
) -> Any:
    for hook in hooks:
        response = hook(request)
        if response is not None:
            return response
    value = call(request)
    if is_async:
        coro = as_coroutine(value)
        try:
            return Suspended(coro, coro.send(None))
        except StopIteration as stop:
            value = stop.value
    return value if respond is None else respond(value)
