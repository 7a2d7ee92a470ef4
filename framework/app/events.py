"""Typed events inside one process: who wants to hear of a class of events does; no listener hides another.

A bus belongs to one app and to one event loop; nothing here is shared between apps. Events are of any class;
a listener for a class hears of its subclasses too. For more than one process there is the message queue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from inspect import isasyncgenfunction, isgeneratorfunction
from types import TracebackType
from typing import Any, TypeVar, cast, overload

from framework.app.event_queue import EventQueue
from framework.errors import DeadlineExceeded

__all__ = ["ErrorHandler", "EventBus", "Listener", "Subscription"]

E = TypeVar("E")
R = TypeVar("R")

Listener = Callable[[E], object]
"""Called with the event. When it returns an awaitable, as a coroutine function does, the bus awaits that."""

ErrorHandler = Callable[[Exception, object, "Subscription"], None]
"""Called with a failure that nobody waits for, its event, and the subscription whose listener failed."""

_Failures = list[tuple["Subscription", Exception]]


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
        """Ends it; harmless when it has ended. A delivery that has not reached the listener leaves it out."""
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
        listener_timeout: seconds that the worker waits for one async listener, None for no limit. ``emit``
            sets none: there the caller's own deadline holds.
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
        self._listener_timeout = listener_timeout
        self._on_error = on_error or _log
        self._queue = EventQueue(self._deliver_queued, max_queued=max_queued, stop_timeout=stop_timeout)
        self._subscriptions: list[Subscription] = []
        # The listeners of each class of events seen so far, those to its bases included.
        self._audiences: dict[type, tuple[Subscription, ...]] = {}

    @overload
    def on(self, event_type: type[E], listener: Listener[E]) -> Subscription: ...
    @overload
    def on(self, event_type: type[E]) -> Callable[[Callable[[E], R]], Callable[[E], R]]: ...
    def on(self, event_type: type[E], listener: Listener[E] | None = None) -> Any:
        """Calls ``listener`` with every event of the class; ``@bus.on(EventType)`` returns the function.

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
        """As ``on``, for one event only, even when several are emitted at once or the listener fails."""
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

    async def emit(self, event: object, *, raise_errors: bool = True) -> None:
        """Delivers to every listener and waits for each; no failure keeps the event from the next.

        Args:
            event: what happened.
            raise_errors: False hands failures to the bus's error handler.

        Raises:
            ExceptionGroup: what the listeners raised, after all of them have run. A cancellation is raised at
                once, and the failures so far go to the error handler.
        """
        failures = await self._deliver(event, in_background=False)
        if failures:
            self._settle(event, failures, raise_errors=raise_errors)

    def emit_nowait(self, event: object, *, raise_errors: bool = True) -> None:
        """As ``emit``, without a coroutine, for events whose listeners are plain functions.

        Raises:
            ExceptionGroup: what the listeners raised, after all of them have run. A coroutine function does
                not run; it counts as a listener that raised TypeError.
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
            self._settle(event, failures, raise_errors=raise_errors)

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
            self._settle(event, failures, raise_errors=False)
            raise
        return failures

    async def _within_deadline(self, result: Awaitable[object], subscription: Subscription) -> None:
        deadline = asyncio.timeout(self._listener_timeout)
        try:
            async with deadline:
                await result
        except TimeoutError:
            if not deadline.expired():
                raise
            raise DeadlineExceeded(f"{subscription!r}", self._listener_timeout or 0.0) from None

    async def _deliver_queued(self, event: object) -> None:
        self._settle(event, await self._deliver(event, in_background=True), raise_errors=False)

    def _settle(self, event: object, failures: _Failures, *, raise_errors: bool) -> None:
        if raise_errors:
            message = f"listeners of {type(event).__name__} failed"
            raise ExceptionGroup(message, [error for _, error in failures])
        for each, error in failures:
            try:
                self._on_error(error, event, each)
            except Exception as broken:
                _log(error, event, each)
                _log(broken, event, each)

    def post(self, event: object) -> None:
        """Queues the event for the background worker, which delivers in the order of posting.

        Before ``start`` the queue only fills. Failures of listeners go to the error handler.

        Raises:
            ResourceError: the queue is full, or the bus is stopped.
        """
        self._queue.post(event)

    async def put(self, event: object, *, timeout: float | None = None) -> None:
        """As ``post``, but waits while the queue is full; senders get their turn in the order they came.

        A put that is cancelled just after its event got a place is cancelled, and the event is delivered.

        Args:
            event: what happened.
            timeout: seconds to wait for a place, None for no limit.

        Raises:
            ResourceError: the bus is stopped, or stops meanwhile; or the queue is full and the sender is a
                listener of a queued event, which would wait for itself.
            DeadlineExceeded: no place within the timeout; the event is not queued.
        """
        await self._queue.put(event, timeout)

    async def drain(self, timeout: float | None = None) -> None:
        """Waits until every queued event is delivered, those included that listeners post meanwhile.

        Args:
            timeout: seconds, None for no limit.

        Raises:
            DeadlineExceeded: events are left after the timeout; they stay queued.
            ResourceError: events are queued and no worker runs.
            RuntimeError: called by a listener of a queued event, which would wait for itself.
        """
        await self._queue.drain(timeout)

    async def start(self) -> None:
        """Starts the worker, in the running loop; what was posted before is delivered now.

        Raises:
            RuntimeError: it is running.
        """
        self._queue.start()

    async def stop(self) -> None:
        """Delivers what is queued and ends the worker; only listeners may still post meanwhile.

        Raises:
            DeadlineExceeded: events were left after ``stop_timeout``; they are dropped.
            RuntimeError: called by a listener of a queued event, which would wait for itself.
        """
        await self._queue.stop()

    async def __aenter__(self) -> EventBus:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


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
