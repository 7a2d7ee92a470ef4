"""Cancels a task at its k-th suspension, deterministically, wherever that is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from types import coroutine
from typing import Any


class Saboteur:
    """Makes a task and cancels it at the k-th suspension of it or of any task made while it runs.

    The loop's task factory is replaced meanwhile, so that clean-ups in tasks of their own count too.
    """

    def __init__(self, k: int) -> None:
        self.k = k
        self.seen = 0
        self.victim: asyncio.Task[Any] | None = None

    async def run(self, work: Coroutine[Any, Any, Any]) -> BaseException | None:
        """Runs ``work`` to its end; returns what it raised."""
        loop = asyncio.get_running_loop()
        before = loop.get_task_factory()
        loop.set_task_factory(self._make)
        try:
            self.victim = loop.create_task(work)
            done, _ = await asyncio.wait((self.victim,))
        finally:
            loop.set_task_factory(before)
        (task,) = done
        return asyncio.CancelledError() if task.cancelled() else task.exception()

    def _make(self, loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
        return asyncio.Task(self._step(work), loop=loop, **options)

    @coroutine
    def _step(self, work: Any) -> Generator[Any, Any, Any]:
        error: BaseException | None = None
        while True:
            try:
                signal = work.send(None) if error is None else work.throw(error)
            except StopIteration as stop:
                return stop.value
            self.seen += 1
            if self.seen == self.k and self.victim is not None:
                self.victim.cancel()
            try:
                yield signal
                error = None
            except BaseException as thrown:
                error = thrown


async def cancel_at_every_suspension(
    scenario: Callable[[], Coroutine[Any, Any, Any]], check: Callable[[int, BaseException | None], None]
) -> int:
    """Runs ``scenario`` anew for each k until it has fewer suspensions; ``check`` sees k and what was raised.

    Returns how many of the runs were cancelled.
    """
    k = 1
    while True:
        saboteur = Saboteur(k)
        raised = await saboteur.run(scenario())
        check(k, raised)
        if saboteur.seen < k:
            return k - 1
        k += 1
