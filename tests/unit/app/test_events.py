"""The event bus: delivery now. The queue behind ``post`` has its own tests."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from framework.app.events import EventBus, Subscription
from framework.errors import DeadlineExceeded

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Event:
    name: str = "e"


class Special(Event):
    pass


class Other:
    pass


async def turns(count: int = 1) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def raising(error: BaseException) -> Any:
    def listener(_: object) -> None:
        raise error

    return listener


def errors_of(group: BaseExceptionGroup[Any]) -> list[str]:
    return [str(error) for error in group.exceptions]


async def test_sync_and_async_listeners_run_in_the_order_of_registration() -> None:
    bus, log = EventBus(), list[str]()

    @bus.on(Event)
    async def slow(event: Event) -> None:
        await turns(3)
        log.append(f"slow {event.name}")

    bus.on(Event, lambda event: log.append(f"quick {event.name}"))

    class Callable:
        async def __call__(self, event: Event) -> None:
            await turns()
            log.append(f"object {event.name}")

    bus.on(Event, Callable())
    bus.on(Event, partial(slow))
    await bus.emit(Event("x"))
    assert log == ["slow x", "quick x", "object x", "slow x"]
    await slow(Event("called as a function"))


async def test_a_listener_for_a_class_hears_of_its_subclasses() -> None:
    bus, log = EventBus(), list[str]()
    bus.on(Special, lambda _: log.append("special"))
    bus.on(Event, lambda _: log.append("event"))
    bus.on(object, lambda _: log.append("any"))
    await bus.emit(Special())
    await bus.emit(Event())
    await bus.emit(Other())
    assert log == ["special", "event", "any", "event", "any", "any"]


async def test_nobody_listens() -> None:
    bus = EventBus()
    await bus.emit(Event())
    bus.emit_nowait(Event())


async def test_two_buses_do_not_meet() -> None:
    first, second, log = EventBus(), EventBus(), list[str]()
    first.on(Event, lambda _: log.append("first"))
    second.on(Event, lambda _: log.append("second"))
    await first.emit(Event())
    assert log == ["first"]


async def test_emit_with_sync_listeners_makes_no_task_and_does_not_suspend() -> None:
    bus, log = EventBus(), list[Event]()
    for _ in range(3):
        bus.on(Event, log.append)
    tasks = asyncio.all_tasks()
    emitting = bus.emit(Event())
    with pytest.raises(StopIteration):
        emitting.send(None)
    assert len(log) == 3
    assert asyncio.all_tasks() == tasks


async def test_an_awaitable_that_a_plain_function_returns_is_awaited() -> None:
    bus, log = EventBus(), list[str]()

    async def later() -> None:
        log.append("later")

    bus.on(Event, lambda _: later())
    bus.on(Event, lambda _: asyncio.ensure_future(later()))
    bus.on(Event, lambda _: "not awaitable")
    await bus.emit(Event())
    assert log == ["later", "later"]


async def test_trap_one_failing_listener_stops_the_others_and_the_emitter() -> None:
    bus, log = EventBus(), list[str]()

    async def broken(_: Event) -> None:
        await turns()
        raise OSError("async")

    bus.on(Event, raising(ValueError("sync")))
    bus.on(Event, lambda _: log.append("between"))
    bus.on(Event, broken)
    bus.on(Event, lambda _: log.append("last"))
    with pytest.raises(ExceptionGroup, match="listeners of Event failed") as caught:
        await bus.emit(Event())
    assert errors_of(caught.value) == ["sync", "async"]
    assert log == ["between", "last"]


async def test_without_raising_failures_go_to_the_error_handler() -> None:
    told: list[tuple[str, object, str]] = []
    bus = EventBus(on_error=lambda error, event, each: told.append((str(error), event, repr(each))))
    bus.on(Event, raising(ValueError("1")))
    bus.on(Event, raising(ValueError("2")))
    await bus.emit(Event(), raise_errors=False)
    bus.emit_nowait(Event(), raise_errors=False)
    name = "Subscription(Event, raising.<locals>.listener)"
    assert told == [("1", Event(), name), ("2", Event(), name)] * 2


async def test_failures_are_logged_by_default_and_when_the_handler_fails(
    caplog: pytest.LogCaptureFixture,
) -> None:
    quiet = EventBus()
    quiet.on(Event, raising(ValueError("boom")))
    await quiet.emit(Event(), raise_errors=False)
    broken = EventBus(on_error=lambda *_: raising(OSError("handler"))(None))
    broken.on(Event, raising(ValueError("boom")))
    await broken.emit(Event(), raise_errors=False)
    records = [record for record in caplog.records if record.name == "framework.events"]
    assert [record.levelno for record in records] == [logging.ERROR] * 3
    assert [str(record.exc_info[1]) for record in records if record.exc_info] == ["boom", "boom", "handler"]
    assert records[0].getMessage() == "Subscription(Event, raising.<locals>.listener) failed on a Event"


async def test_trap_a_listener_that_unsubscribes_while_an_event_is_being_delivered() -> None:
    bus, log = EventBus(), list[str]()

    def itself(_: Event) -> None:
        log.append("itself")
        mine.off()

    mine = bus.on(Event, itself)
    bus.on(Event, lambda _: log.append("next"))
    await bus.emit(Event())
    await bus.emit(Event())
    assert log == ["itself", "next", "next"]


async def test_a_listener_taken_off_during_delivery_does_not_run_any_more() -> None:
    bus, log = EventBus(), list[str]()

    async def first(_: Event) -> None:
        log.append("first")
        await turns()
        second.off()

    bus.on(Event, first)
    second = bus.on(Event, lambda _: log.append("second"))
    bus.on(Event, lambda _: log.append("third"))
    await bus.emit(Event())
    assert log == ["first", "third"]


async def test_a_listener_put_on_during_delivery_hears_of_the_next_event() -> None:
    bus, log = EventBus(), list[str]()

    def first(_: Event) -> None:
        log.append("first")
        bus.off(Event, late)
        bus.on(Event, late)

    def late(_: Event) -> None:
        log.append("late")

    bus.on(Event, first)
    bus.on(Event, late)
    await bus.emit(Event())
    assert log == ["first"]
    await bus.emit(Event())
    assert log == ["first", "first"]


async def test_off_by_subscription_and_by_listener() -> None:
    bus, log = EventBus(), list[Event]()
    kept = bus.on(Special, log.append)
    once = bus.on(Event, log.append)
    bus.on(Event, log.append)
    assert repr(once) == "Subscription(Event, list.append)"
    assert bus.off(once)
    assert not bus.off(once)
    assert repr(once) == "Subscription(Event, list.append, ended)"
    assert bus.off(Event, log.append)
    assert not bus.off(Event, log.append)
    await bus.emit(Event())
    assert log == []
    await bus.emit(Special())
    assert len(log) == 1
    kept.off()
    kept.off()
    await bus.emit(Special())
    assert len(log) == 1


async def test_once_hears_of_one_event() -> None:
    bus, log = EventBus(), list[str]()

    @bus.once(Event)
    def decorated(event: Event) -> None:
        log.append(f"decorated {event.name}")

    subscription = bus.once(Event, lambda event: log.append(f"plain {event.name}"))
    await bus.emit(Event("1"))
    await bus.emit(Event("2"))
    assert log == ["decorated 1", "plain 1"]
    assert not subscription.active


async def test_once_runs_once_under_concurrent_and_nested_emits() -> None:
    bus, log = EventBus(), list[str]()

    async def listener(event: Event) -> None:
        log.append(event.name)
        await turns(2)
        await bus.emit(Event("nested"))

    bus.once(Event, listener)
    await asyncio.gather(*(bus.emit(Event(str(number))) for number in range(5)))
    assert log == ["0"]


async def test_once_is_used_up_by_a_failure() -> None:
    bus = EventBus()
    bus.once(Event, raising(ValueError("boom")))
    with pytest.raises(ExceptionGroup):
        bus.emit_nowait(Event())
    bus.emit_nowait(Event())


async def test_a_listener_may_emit() -> None:
    bus, log = EventBus(), list[str]()

    async def chain(event: Event) -> None:
        log.append(event.name)
        if len(log) < 3:
            await bus.emit(Event(event.name + "e"))

    bus.on(Event, chain)
    await bus.emit(Event())
    assert log == ["e", "ee", "eee"]


async def test_a_cancellation_is_never_swallowed_and_hides_no_failure() -> None:
    told: list[str] = []
    bus = EventBus(on_error=lambda error, *_: told.append(str(error)))

    async def forever(_: Event) -> None:
        await asyncio.get_running_loop().create_future()

    bus.on(Event, raising(ValueError("before")))
    bus.on(Event, forever)
    bus.on(Event, raising(ValueError("after")))
    task = asyncio.ensure_future(bus.emit(Event()))
    await turns()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert told == ["before"]


async def test_a_cancellation_at_every_await_reaches_the_emitter() -> None:
    bus, log = EventBus(), list[str]()

    async def slow(_: Event) -> None:
        await turns(2)
        log.append("slow")

    bus.on(Event, slow)
    bus.on(Event, slow)
    for turn in range(5):
        log.clear()
        task = asyncio.ensure_future(bus.emit(Event()))
        await turns(turn)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert len(log) == max(0, turn - 1) // 2
    await bus.emit(Event())


async def test_emit_nowait_delivers_to_plain_functions() -> None:
    bus, log = EventBus(), list[str]()
    bus.on(Event, lambda event: log.append(event.name))
    bus.on(Event, raising(ValueError("boom")))
    bus.once(Event, lambda _: log.append("once"))
    with pytest.raises(ExceptionGroup) as caught:
        bus.emit_nowait(Event())
    assert errors_of(caught.value) == ["boom"]
    assert log == ["e", "once"]


async def test_emit_nowait_leaves_out_a_listener_taken_off_during_delivery() -> None:
    bus, log = EventBus(), list[str]()

    @bus.on(Event)
    def first(_: Event) -> None:
        bus.off(Event, second)

    @bus.on(Event)
    def second(_: Event) -> None:
        log.append("second")

    bus.emit_nowait(Event())
    assert log == []


async def test_emit_nowait_refuses_what_it_cannot_wait_for() -> None:
    bus, log = EventBus(), list[str]()

    async def waits(_: Event) -> None:
        log.append("never")

    bus.on(Event, waits)
    bus.on(Event, lambda _: asyncio.get_running_loop().create_future())
    bus.on(Event, lambda _: log.append("plain"))
    with pytest.raises(ExceptionGroup) as caught:
        bus.emit_nowait(Event())
    assert [type(error) for error in caught.value.exceptions] == [TypeError, TypeError]
    assert "emit_nowait cannot wait" in errors_of(caught.value)[0]
    assert log == ["plain"]


def test_a_generator_function_would_never_run() -> None:
    def generator(_: Event) -> Iterator[None]:
        yield

    async def agenerator(_: Event) -> AsyncIterator[None]:
        yield

    bus = EventBus()
    for listener in (generator, agenerator):
        with pytest.raises(TypeError, match="its body would never run"):
            bus.on(Event, listener)


async def test_posted_events_reach_the_listeners_in_order() -> None:
    log = list[str]()
    async with EventBus() as bus:

        @bus.on(Event)
        async def slow(event: Event) -> None:
            await turns(2)
            log.append(event.name)

        for number in range(3):
            bus.post(Event(str(number)))
        await bus.put(Event("3"))
        assert log == []
        await bus.drain(timeout=10)
        assert log == ["0", "1", "2", "3"]
        bus.post(Event("4"))
    assert log == ["0", "1", "2", "3", "4"]


async def test_failures_of_posted_events_go_to_the_error_handler() -> None:
    told: list[tuple[str, object]] = []
    log = list[str]()
    async with EventBus(on_error=lambda error, event, _: told.append((str(error), event))) as bus:
        bus.on(Event, raising(ValueError("boom")))
        bus.on(Event, lambda event: log.append(event.name))
        bus.post(Event("1"))
        bus.post(Event("2"))
    assert told == [("boom", Event("1")), ("boom", Event("2"))]
    assert log == ["1", "2"]


async def test_what_a_listener_awaits_may_be_cancelled_without_ending_the_worker() -> None:
    told: list[Exception] = []
    log = list[str]()
    async with EventBus(on_error=lambda error, *_: told.append(error)) as bus:

        async def waits_for_the_dead(_: Event) -> None:
            dead = asyncio.ensure_future(turns(10))
            dead.cancel()
            await dead

        bus.on(Event, waits_for_the_dead)
        bus.on(Event, lambda event: log.append(event.name))
        bus.post(Event("1"))
        bus.post(Event("2"))
    assert log == ["1", "2"]
    assert [type(error) for error in told] == [RuntimeError, RuntimeError]
    assert "waited for something that was cancelled" in str(told[0])
    assert isinstance(told[0].__cause__, asyncio.CancelledError)


async def test_a_stuck_listener_does_not_stop_the_queue() -> None:
    told: list[Exception] = []
    log = list[str]()
    async with EventBus(listener_timeout=0.0, on_error=lambda error, *_: told.append(error)) as bus:

        async def stuck(_: Event) -> None:
            await asyncio.get_running_loop().create_future()

        async def own_timeout(_: Event) -> None:
            raise TimeoutError("mine")

        bus.on(Event, stuck)
        bus.on(Event, lambda event: log.append(event.name))
        bus.on(Special, own_timeout)
        bus.post(Special("1"))
        bus.post(Event("2"))
    assert log == ["1", "2"]
    assert [type(error) for error in told] == [DeadlineExceeded, TimeoutError, DeadlineExceeded]
    assert "stuck) took longer than 0 s" in str(told[0])


def test_a_subscription_says_what_it_is() -> None:
    class Quiet:
        def __call__(self, _: Event) -> None: ...

        def __repr__(self) -> str:
            return "Quiet()"

    bus = EventBus()
    subscription = bus.on(Event, Quiet())
    assert isinstance(subscription, Subscription)
    assert repr(subscription) == "Subscription(Event, Quiet())"
