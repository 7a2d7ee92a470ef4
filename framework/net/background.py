"""Work that outlives its request, with an owner: bounded, logged when it fails, waited for at shutdown."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from contextvars import Context
from typing import Any

from framework.errors import ResourceError

__all__ = ["Background"]


class Background:
    """The owner of background tasks.

    Args:
        on_error: told of every failure; nothing is swallowed.
        max_tasks: how many may be under way at once; one more is refused with ResourceError.
    """

    __slots__ = ("_max_tasks", "_on_error", "_tasks")

    def __init__(self, on_error: Callable[[BaseException], None], *, max_tasks: int = 10_000) -> None:
        self._on_error = on_error
        self._max_tasks = max_tasks
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, function: Callable[..., Any], *args: Any, context: Context | None = None) -> None:
        """Runs ``function(*args)``, sync or async, in a Task of its own; ``context`` is the caller's unless given.

        Raises ResourceError when ``max_tasks`` are under way.
        """
        if len(self._tasks) >= self._max_tasks:
            raise ResourceError(f"{self._max_tasks} background tasks are under way")
        task = asyncio.get_running_loop().create_task(self._guard(function, args), context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guard(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        try:
            result = function(*args)
            if inspect.isawaitable(result):
                await result
        except Exception as error:
            self._on_error(error)

    async def drain(self) -> None:
        """Waits until nothing is under way."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    def cancel(self) -> int:
        """Cancels what is under way and returns how many that were; ``drain`` waits for their ends."""
        for task in self._tasks:
            task.cancel()
        return len(self._tasks)
