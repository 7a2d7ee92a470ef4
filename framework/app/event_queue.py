"""A bounded queue with a worker of its own; knows nothing of listeners, hands each event to one function."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from framework.errors import DeadlineExceeded, ResourceError

__all__ = ["EventQueue"]


class EventQueue:
    """Delivers events in the background, one after the other, in the order in which they came.

    Args:
        deliver: called with each event. It must not raise, but for the worker's own cancellation.
        max_queued: how many events may wait.
        stop_timeout: seconds in which ``stop`` delivers what is queued, and then waits for the worker to end.
    """

    def __init__(
        self, deliver: Callable[[object], Awaitable[None]], *, max_queued: int, stop_timeout: float
    ) -> None:
        self._deliver = deliver
        self._max_queued = max_queued
        self._stop_timeout = stop_timeout
        self._queue: deque[object] = deque()
        # Events that found the queue full, in order, each by the future on which its sender waits.
        self._waiting: dict[asyncio.Future[None], object] = {}
        self._worker: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._closed = False

    def post(self, event: object) -> None:
        """See ``EventBus.post``."""
        self._check_open()
        if len(self._queue) >= self._max_queued:
            raise ResourceError(f"the event queue is full ({self._max_queued} events)")
        self._queue.append(event)
        self._idle.clear()
        self._wake.set()

    async def put(self, event: object, timeout: float | None) -> None:
        """See ``EventBus.put``."""
        if len(self._queue) < self._max_queued or self._by_worker():
            self.post(event)
            return
        self._check_open()
        place = asyncio.get_running_loop().create_future()
        self._waiting[place] = event
        deadline = asyncio.timeout(timeout)
        try:
            async with deadline:
                await place
        except TimeoutError:
            # When the place came in the same turn as the deadline, the event is queued and all is well.
            if place.cancelled():
                raise DeadlineExceeded("a place in the event queue", timeout or 0.0) from None
        finally:
            self._waiting.pop(place, None)

    async def drain(self, timeout: float | None) -> None:
        """See ``EventBus.drain``."""
        self._not_by_worker("drain")
        if self._worker is None:
            if self._queue:
                raise ResourceError("events are queued, but the event bus is not running")
            return
        try:
            async with asyncio.timeout(timeout):
                await self._idle.wait()
        except TimeoutError:
            count = 1 + len(self._queue) + len(self._waiting)
            raise DeadlineExceeded(f"delivery of {count} queued events", timeout or 0.0) from None

    def start(self) -> None:
        """Starts the worker in the running loop.

        Raises:
            RuntimeError: it is running.
        """
        if self._worker is not None:
            raise RuntimeError("the event bus is already running")
        self._closed = False
        # An asyncio.Event belongs to the first loop that waits on it; a bus may start again in another.
        self._wake, self._idle = asyncio.Event(), asyncio.Event()
        self._wake.set()
        self._worker = asyncio.get_running_loop().create_task(self._work(), name="event queue")

    async def stop(self) -> None:
        """See ``EventBus.stop``."""
        self._not_by_worker("stop")
        self._closed = True
        worker = self._worker
        if worker is None:
            return
        try:
            await self.drain(self._stop_timeout)
        finally:
            worker.cancel()
            self._worker = None
            self._queue.clear()
            for place in self._waiting:
                if not place.done():
                    place.set_exception(ResourceError("the event bus is stopped"))
            await asyncio.wait([worker], timeout=self._stop_timeout)

    async def _work(self) -> None:
        # A listener may have swallowed the cancellation by stop, which then is seen by the worker's absence.
        me = asyncio.current_task()
        while self._worker is me:
            if not self._queue:
                self._idle.set()
                self._wake.clear()
                await self._wake.wait()
            # What is posted meanwhile waits for the next turn, so that events that post events starve nobody.
            for _ in range(len(self._queue)):
                if self._worker is me:
                    event = self._queue.popleft()
                    self._admit()
                    await self._deliver(event)
            await asyncio.sleep(0)

    def _admit(self) -> None:
        """Gives the free place to the sender who has waited longest, before any other can take it."""
        for place in self._waiting:
            if not place.done():
                self._queue.append(self._waiting.pop(place))
                place.set_result(None)
                return

    def _by_worker(self) -> bool:
        return self._worker is not None and asyncio.current_task() is self._worker

    def _check_open(self) -> None:
        # While it stops, what listeners still post belongs to the events being delivered.
        if self._closed and not self._by_worker():
            raise ResourceError("the event bus is stopped")

    def _not_by_worker(self, what: str) -> None:
        if self._by_worker():
            raise RuntimeError(f"a listener of a queued event cannot {what} the bus, which waits for it")
