"""Plain handlers in the worker threads of the loop's executor, which bounds them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any

__all__ = ["in_thread"]


async def in_thread(handler: Callable[..., Any], abandon: bool, /, *args: Any, **kwargs: Any) -> Any:
    """Calls ``handler`` in a worker thread.

    A thread cannot be interrupted. The executor, unlike anyio's limiter, counts one whose request was cancelled for
    as long as it runs, so that clients who come and go cannot start threads without bound.

    Args:
        abandon: a cancelled request ends at once and leaves the thread to itself; else it waits for the thread,
            which may still use what would be closed.
    """
    is_wanted = True

    def work() -> Any:
        return context.run(partial(handler, *args, **kwargs)) if is_wanted else None

    context = copy_context()
    running = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        is_wanted = False
        if abandon:
            running.cancel()
        while not running.done():
            try:
                await asyncio.wait((running,))
            except asyncio.CancelledError:
                continue  # told already; the thread must end first
        raise
