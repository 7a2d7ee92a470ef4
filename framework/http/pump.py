"""An async iterable that runs ahead: what is ready is taken at once, and the wait for more can end without it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from typing import Any, Generic, TypeVar

__all__ = ["Pump"]

T = TypeVar("T")


class Pump(Generic[T]):
    """Steps ``source`` in a task of its own.

    The source starts, goes on and is closed in that one task, so that it may hold a task group or a timeout across
    its yields; and nobody who stops waiting for it interrupts it or loses an item.

    Args:
        source: begun at the first ``take``. Closed (``aclose``) by ``close``, where it can be.
        ahead: items it may be ahead of whoever takes them; then it is not stepped.
    """

    __slots__ = ("_ahead", "_entered", "_items", "_room", "_source", "_taker", "_task")

    def __init__(self, source: AsyncIterable[T], ahead: int = 32) -> None:
        self._source = source
        self._ahead = ahead
        self._items: list[T] = []
        self._task: asyncio.Task[None] | None = None
        self._taker: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._entered = False

    async def take(self, timeout: float | None = None) -> list[T] | None:
        """All items that are ready, when there is one; [] after ``timeout`` seconds or a ``wake``; None at the end.

        Raises:
            Exception: what the source raised, once the items before it were taken.
        """
        task = self._task
        if task is None:
            task = self._task = asyncio.get_running_loop().create_task(self._run())
            task.add_done_callback(self._ended)
        if not self._items and not task.done():
            await self._wait(timeout)
        if self._items:
            items, self._items = self._items, []
            _release(self._room)
            return items
        if task.done():
            task.result()
            return None
        return []

    async def _wait(self, timeout: float | None) -> None:
        loop = asyncio.get_running_loop()
        self._taker = loop.create_future()
        timer = None if timeout is None else loop.call_later(timeout, self.wake)
        try:
            await self._taker
        finally:
            self._taker = None
            if timer is not None:
                timer.cancel()

    def wake(self) -> None:
        """Ends the wait of a ``take`` that is under way, with what is ready."""
        _release(self._taker)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.wake()

    async def _run(self) -> None:
        self._entered = True
        loop = asyncio.get_running_loop()
        try:
            async for item in self._source:
                self._items.append(item)
                self.wake()
                while len(self._items) >= self._ahead:
                    self._room = loop.create_future()
                    await self._room
        finally:
            await _close(self._source)

    async def close(self) -> None:
        """Cancels the source where it is and returns when it is over; asyncio logs what its clean-up raises."""
        task = self._task
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait({task})
        if not self._entered:
            await _close(self._source)


def _release(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)


async def _close(source: AsyncIterable[Any]) -> None:
    close = getattr(source, "aclose", None)
    if close is not None:
        await close()
