"""Typed events inside one process: whoever is interested in a class of events hears of each, none hides another.

A bus belongs to one app and to one event loop; nothing here is shared between apps. Events are of any class; a
listener for a class hears of its subclasses too. For more than one process there is the message queue.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from inspect import isasyncgenfunction, isgeneratorfunction
from types import TracebackType
from typing import Any, TypeVar, cast, overload

from framework.errors import DeadlineExceeded, ResourceError

__all__ = ["ErrorHandler", "EventBus", "Listener", "Subscription"]

E = TypeVar("E")
R = TypeVar("R")

Listener = Callable[[E], object]
"""Called with the event. When it returns an awaitable, as a coroutine function does, the bus awaits that."""

_Failures = list[tuple["Subscription", Exception]]

ErrorHandler = Callable[[Exception, object, "Subscription"], None]
"""Called with a failure that nobody waits for, its event, and the subscription whose listener failed."""


class Subscription:
    """One listener's interest in one class of events, until ``off()``."""

    __slots__ = ("_bus", "active", "event_type", "listener", "once")

    def __init__(self, bus: EventBus, event_type: type, listener: Listener[Any], *, once: bool) -> None:
        self._bus = bus
        self.event_type = event_type
        self.listener = listener
        self.once = once
        self.active = True

    def off(self) -> None:
        """Ends it; harmless when it has ended. A delivery in progress that has not reached it leaves it out."""
        self._bus.off(self)

    def __repr__(self) -> str:
        state = "" if self.active else ", ended"
        return f"Subscription({self.event_type.__name__}, {_name(self.listener)}{state})"


class EventBus:
    """Delivers events to the listeners of one app.

    ``emit`` delivers now and waits for every listener, one after the other, in the order of registration.
    ``post`` queues for a background worker, which runs between ``start`` and ``stop`` (``async with bus``).

    Args:
        max_queued: how many posted events may wait for the worker.
        listener_timeout: seconds that the worker waits for one async listener, None for no limit. ``emit`` sets
            none: there the caller's own deadline holds.
        stop_timeout: seconds in which ``stop`` delivers what is queued.
        on_error: told of the failures that no caller waits for; by default they are logged.
    """

    def __init__(
        self,
        *,
        max_queued: int = 1024,
        listener_timeout: float | None = 60.0,
        stop_timeout: float = 10.0,
        on_error: ErrorHandler | None = None,
    ) -> None:
        self.max_queued = max_queued
        self.listener_timeout = listener_timeout
        self.stop_timeout = stop_timeout
        self._on_error = on_error or _log
        self._subscriptions: list[Subscription] = []
        # The listeners of each class of events seen so far, base classes' included; emptied by every on and off.
        self._audiences: dict[type, tuple[Subscription, ...]] = {}
        self._queue: deque[object] = deque()
        # Events that found the queue full, in order, each by the future on which its sender waits.
        self._waiting: dict[asyncio.Future[None], object] = {}
        self._worker: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._closed = False

    # Registration

    @overload
    def on(self, event_type: type[E], listener: Listener[E]) -> Subscription: ...
    @overload
    def on(self, event_type: type[E]) -> Callable[[Callable[[E], R]], Callable[[E], R]]: ...
    def on(self, event_type: type[E], listener: Listener[E] | None = None) -> Any:
        """Calls ``listener`` with every event of the class; as ``@bus.on(EventType)`` it returns the function.

        A listener registered while an event is being delivered hears of the next one.

        Raises:
            TypeError: the listener is a generator function, whose body would never run.
        """
        return self._register(event_type, listener, once=False)

    @overload
    def once(self, event_type: type[E], listener: Listener[E]) -> Subscription: ...
    @overload
    def once(self, event_type: type[E]) -> Callable[[Callable[[E], R]], Callable[[E], R]]: ...
    def once(self, event_type: type[E], listener: Listener[E] | None = None) -> Any:
        """As ``on``, but for the first event only, even when several are emitted at once or the listener fails."""
        return self._register(event_type, listener, once=True)

    @overload
    def off(self, subscription: Subscription, /) -> bool: ...
    @overload
    def off(self, event_type: type[E], listener: Listener[E], /) -> bool: ...
    def off(self, what: Subscription | type[Any], listener: Listener[Any] | None = None, /) -> bool:
        """Ends a subscription, or all of a listener to exactly this class. Says whether there was one."""
        ended = [
            each
            for each in self._subscriptions
            if each is what or (each.event_type is what and each.listener == listener)
        ]
        for each in ended:
            each.active = False
            self._subscriptions.remove(each)
        if ended:
            self._audiences.clear()
        return bool(ended)

    def _register(self, event_type: type[E], listener: Listener[E] | None, *, once: bool) -> Any:
        if listener is None:

            def decorate(function: Callable[[E], R]) -> Callable[[E], R]:
                self._register(event_type, function, once=once)
                return function

            return decorate
        if isgeneratorfunction(listener) or isasyncgenfunction(listener):
            raise TypeError(f"{_name(listener)} is a generator function: its body would never run")
        subscription = Subscription(self, event_type, listener, once=once)
        self._subscriptions.append(subscription)
        self._audiences.clear()
        return subscription

    def _audience(self, kind: type) -> tuple[Subscription, ...]:
        audience = self._audiences.get(kind)
        if audience is None:
            audience = tuple(each for each in self._subscriptions if each.event_type in kind.__mro__)
            self._audiences[kind] = audience
        return audience

    # Delivery now

    async def emit(self, event: object, *, raise_errors: bool = True) -> None:
        """Delivers to every listener and waits for each; no listener's failure keeps the event from the next.

        Args:
            event: what happened.
            raise_errors: False hands failures to the bus's error handler.

        Raises:
            ExceptionGroup: what the listeners raised, after all of them have run. A cancellation is raised at
                once, and the failures so far go to the error handler.
        """
        failures = await self._deliver(event, in_background=False)
        if failures:
            self._settle(event, failures, raise_errors)

    def emit_nowait(self, event: object, *, raise_errors: bool = True) -> None:
        """As ``emit``, without a coroutine, for events whose listeners are plain functions.

        Raises:
            ExceptionGroup: what the listeners raised, after all of them have run. A coroutine function does not
                run; it counts as a listener that raised TypeError.
        """
        failures: _Failures = []
        for each in self._audience(type(event)):
            if each.active:
                if each.once:
                    self.off(each)
                try:
                    result = each.listener(event)
                    if result is not None and isinstance(result, Awaitable):
                        _refuse(cast("Awaitable[object]", result), each)
                except Exception as error:
                    failures.append((each, error))
        if failures:
            self._settle(event, failures, raise_errors)

    async def _deliver(self, event: object, *, in_background: bool) -> _Failures:
        failures: _Failures = []
        try:
            for each in self._audience(type(event)):
                if each.active:
                    if each.once:
                        self.off(each)
                    try:
                        result = each.listener(event)
                        if result is not None and isinstance(result, Awaitable):
                            waited = cast("Awaitable[object]", result)
                            await (self._within_deadline(waited, each) if in_background else waited)
                    except Exception as error:
                        failures.append((each, error))
                    except asyncio.CancelledError as error:
                        if not in_background or _asked_to_end():
                            raise
                        failures.append((each, _cancelled(each, error)))
        except BaseException:
            # The cancellation goes on to the caller; what failed before it must not vanish behind it.
            for each, error in failures:
                self._report(error, event, each)
            raise
        return failures

    async def _within_deadline(self, result: Awaitable[object], subscription: Subscription) -> None:
        try:
            async with asyncio.timeout(self.listener_timeout) as deadline:
                await result
        except TimeoutError:
            if self.listener_timeout is None or not deadline.expired():
                raise
            raise DeadlineExceeded(f"{subscription!r}", self.listener_timeout) from None

    def _settle(self, event: object, failures: _Failures, raise_errors: bool) -> None:
        if raise_errors:
            count = f"{len(failures)} listener{'s' if len(failures) > 1 else ''}"
            raise ExceptionGroup(
                f"{count} of {type(event).__name__} failed", [error for _, error in failures]
            )
        for each, error in failures:
            self._report(error, event, each)

    def _report(self, error: Exception, event: object, subscription: Subscription) -> None:
        try:
            self._on_error(error, event, subscription)
        except Exception as broken:
            _log(error, event, subscription)
            _log(broken, event, subscription)

    # Delivery later

    def post(self, event: object) -> None:
        """Queues the event for the background worker, which delivers in the order of posting.

        Before ``start`` the queue only fills. Failures of listeners go to the error handler.

        Raises:
            ResourceError: the queue is full, or the bus is stopped.
        """
        self._check_open()
        if len(self._queue) >= self.max_queued:
            raise ResourceError(f"the queue of the event bus is full ({self.max_queued} events)")
        self._queue.append(event)
        self._wake.set()
        self._idle.clear()

    async def put(self, event: object, *, timeout: float | None = None) -> None:
        """As ``post``, but waits while the queue is full; senders get their turn in the order they came.

        A put that is cancelled just after its event got its place is cancelled, and the event is delivered.

        Args:
            event: what happened.
            timeout: seconds to wait for a place, None for no limit.

        Raises:
            ResourceError: the bus is stopped, or stops meanwhile; or a listener of a queued event is the sender and
                the queue is full, so that it would wait for itself.
            DeadlineExceeded: no place within the timeout; the event is not queued.
        """
        if len(self._queue) < self.max_queued or asyncio.current_task() is self._worker:
            self.post(event)
            return
        self._check_open()
        place = asyncio.get_running_loop().create_future()
        self._waiting[place] = event
        try:
            async with asyncio.timeout(timeout) as deadline:
                await place
        except TimeoutError:
            if timeout is None or not deadline.expired():
                raise
            if place.cancelled():
                raise DeadlineExceeded("a place in the queue of the event bus", timeout) from None
        finally:
            self._waiting.pop(place, None)

    async def drain(self, timeout: float | None = None) -> None:
        """Waits until every posted event is delivered, those included that listeners post meanwhile.

        Args:
            timeout: seconds, None for no limit.

        Raises:
            DeadlineExceeded: events are left after the timeout; they stay queued.
            ResourceError: events are queued and no worker runs.
            RuntimeError: called by a listener of a queued event, which would wait for itself.
        """
        self._not_by_worker("drain")
        if self._worker is None:
            if self._queue:
                raise ResourceError("the event bus is not running, and events are queued")
            return
        try:
            async with asyncio.timeout(timeout):
                await self._idle.wait()
        except TimeoutError:
            count = len(self._queue) + len(self._waiting) + 1
            raise DeadlineExceeded(f"delivery of {count} posted events", timeout or 0.0) from None

    async def start(self) -> None:
        """Starts the worker, in the running loop; what was posted before is delivered now.

        Raises:
            RuntimeError: it is running.
        """
        if self._worker is not None:
            raise RuntimeError("the event bus is already running")
        self._closed = False
        # An asyncio.Event belongs to the first loop that waits on it, and a bus may be started again in another.
        self._wake, self._idle = asyncio.Event(), asyncio.Event()
        self._wake.set()
        self._worker = asyncio.get_running_loop().create_task(self._work(), name="event bus")

    async def stop(self) -> None:
        """Delivers what is queued and ends the worker; only listeners may still post meanwhile.

        Raises:
            DeadlineExceeded: events were left after ``stop_timeout``, or a listener did not end; they are dropped.
            RuntimeError: called by a listener of a queued event, which would wait for itself.
        """
        self._not_by_worker("stop")
        worker = self._worker
        self._closed = True
        if worker is None:
            return
        try:
            await self.drain(self.stop_timeout)
        finally:
            worker.cancel()
            self._worker = None
            self._queue.clear()
            for place in self._waiting:
                if not place.done():
                    place.set_exception(ResourceError("the event bus is stopped"))
            await asyncio.wait([worker], timeout=self.stop_timeout)

    async def __aenter__(self) -> EventBus:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _work(self) -> None:
        while True:
            while self._queue:
                event = self._queue.popleft()
                self._admit()
                for each, error in await self._deliver(event, in_background=True):
                    self._report(error, event, each)
            self._idle.set()
            self._wake.clear()
            await self._wake.wait()

    def _admit(self) -> None:
        """Gives the place that came free to the sender who has waited longest, before any other can take it."""
        for place in self._waiting:
            if not place.done():
                self._queue.append(self._waiting.pop(place))
                place.set_result(None)
                return

    def _check_open(self) -> None:
        if self._closed and (self._worker is None or asyncio.current_task() is not self._worker):
            raise ResourceError("the event bus is stopped")

    def _not_by_worker(self, what: str) -> None:
        if self._worker is not None and asyncio.current_task() is self._worker:
            raise RuntimeError(f"a listener of a posted event cannot {what} the bus that waits for it")


def _asked_to_end() -> bool:
    """Whether the running task itself is being cancelled, rather than something it waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _cancelled(subscription: Subscription, error: asyncio.CancelledError) -> Exception:
    failure = RuntimeError(f"{subscription!r} waited for something that was cancelled")
    failure.__cause__ = error
    return failure


def _refuse(result: Awaitable[object], subscription: Subscription) -> None:
    if isinstance(result, Coroutine):
        cast("Coroutine[Any, Any, object]", result).close()
    raise TypeError(f"{subscription!r} is async; emit_nowait cannot wait for it")


def _name(listener: Listener[Any]) -> str:
    return getattr(listener, "__qualname__", None) or repr(listener)


def _log(error: Exception, event: object, subscription: Subscription) -> None:
    import logging

    logger = logging.getLogger("framework.events")
    logger.error("%r failed on a %s", subscription, type(event).__name__, exc_info=error)
