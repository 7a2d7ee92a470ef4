"""Clean-ups: order, exceptions, cancellation."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncGenerator, Callable, Generator
from types import AsyncGeneratorType, GeneratorType
from typing import Any

import pytest

from framework.di.exits import Exits

from .driver import cancel_at_every_suspension

pytestmark = pytest.mark.anyio


class Log:
    """Resources that note when they open and close."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.errors: list[BaseException | None] = []

    @property
    def left_open(self) -> set[str]:
        opened = {event.removeprefix("open ") for event in self.events if event.startswith("open ")}
        return opened - {event.removeprefix("close ") for event in self.events if event.startswith("close ")}

    def sync(self, name: str, fail: BaseException | None = None) -> GeneratorType[str, Any, Any]:
        def resource() -> Generator[str, None, None]:
            self.events.append(f"open {name}")
            try:
                yield name
            except BaseException as error:
                self.errors.append(error)
                raise
            finally:
                self.events.append(f"close {name}")
                if fail is not None:
                    raise fail

        return resource()  # type: ignore[return-value]

    def slow(
        self, name: str, fail: BaseException | None = None, pauses: int = 2
    ) -> AsyncGeneratorType[str, Any]:
        async def resource() -> AsyncGenerator[str, None]:
            for _ in range(pauses):
                await asyncio.sleep(0)
            self.events.append(f"open {name}")
            try:
                yield name
            except BaseException as error:
                self.errors.append(error)
                raise
            finally:
                for _ in range(pauses):
                    await asyncio.sleep(0)
                self.events.append(f"close {name}")
                if fail is not None:
                    raise fail

        return resource()  # type: ignore[return-value]


async def test_cleans_up_in_reverse_order() -> None:
    log = Log()
    exits = Exits()
    assert exits.enter(log.sync("a")) == "a"
    assert await exits.enter_async(log.slow("b")) == "b"
    assert exits.enter(log.sync("c")) == "c"
    await exits.close()
    assert log.events == ["open a", "open b", "open c", "close c", "close b", "close a"]
    assert exits.is_empty


async def test_closing_twice_cleans_up_once() -> None:
    log = Log()
    exits = Exits()
    exits.enter(log.sync("a"))
    await exits.close()
    await exits.close()
    assert log.events == ["open a", "close a"]


async def test_an_exception_is_thrown_into_every_generator() -> None:
    log = Log()
    exits = Exits()
    exits.enter(log.sync("a"))
    await exits.enter_async(log.slow("b"))
    error = ValueError("the handler's")
    await exits.close(error)
    assert log.errors == [error, error]


async def test_a_generator_that_swallows_the_exception_hides_it_from_nobody() -> None:
    seen: list[BaseException] = []

    def swallowing() -> Generator[str, None, None]:
        try:
            yield "a"
        except ValueError as error:
            seen.append(error)

    log = Log()
    exits = Exits()
    exits.enter(log.sync("outer"))
    exits.enter(swallowing())  # type: ignore[arg-type]
    error = ValueError()
    await exits.close(error)
    assert seen == [error]
    assert log.errors == [error]


@pytest.mark.parametrize("error", [StopIteration(), StopAsyncIteration()])
async def test_an_exception_that_ends_iterations_is_passed_on_like_any_other(error: Exception) -> None:
    log = Log()
    exits = Exits()
    exits.enter(log.sync("a"))
    await exits.enter_async(log.slow("b"))
    await exits.close(error)
    assert log.errors == [error, error]


async def test_a_failing_clean_up_never_stops_the_others() -> None:
    log = Log()
    exits = Exits()
    exits.enter(log.sync("a"))
    exits.enter(log.sync("b", ValueError("b")))
    await exits.enter_async(log.slow("c", KeyError("c")))
    exits.enter(log.sync("d", OSError("d")))
    with pytest.raises(ExceptionGroup) as raised:
        await exits.close()
    assert [type(error) for error in raised.value.exceptions] == [OSError, KeyError, ValueError]
    assert not log.left_open


async def test_failures_after_the_scope_failed_come_with_that_failure_as_their_context() -> None:
    log = Log()
    exits = Exits()
    exits.enter(log.sync("a", OSError("while closing")))
    first = ValueError("the handler's")

    async def handler() -> None:
        try:
            raise first
        except ValueError as error:
            await exits.close(error)
            raise

    with pytest.raises(ExceptionGroup) as raised:
        await handler()
    assert raised.value.__context__ is first


async def test_closing_leaves_the_traceback_of_the_exception_alone() -> None:
    log = Log()
    exits = Exits()
    exits.enter(log.sync("a"))
    await exits.enter_async(log.slow("b"))
    with pytest.raises(KeyError) as raised:
        raise KeyError
    before = raised.value.__traceback__
    await exits.close(raised.value)
    assert raised.value.__traceback__ is before


async def test_a_generator_that_never_yields_is_named() -> None:
    def empty_handed() -> Generator[str, None, None]:
        return
        yield ""

    async def empty_handed_too() -> AsyncGenerator[str, None]:
        return
        yield ""

    exits = Exits()
    with pytest.raises(RuntimeError, match="empty_handed ended without yielding"):
        exits.enter(empty_handed())  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="empty_handed_too ended without yielding"):
        await exits.enter_async(empty_handed_too())  # type: ignore[arg-type]
    assert exits.is_empty


async def test_a_second_yield_is_a_fault_and_still_cleans_up() -> None:
    closed: list[str] = []

    def twice() -> Generator[str, None, None]:
        try:
            yield "a"
            yield "b"
        finally:
            closed.append("sync")

    async def twice_slowly() -> AsyncGenerator[str, None]:
        try:
            yield "a"
            yield "b"
        finally:
            await asyncio.sleep(0)
            closed.append("async")

    exits = Exits()
    exits.enter(twice())  # type: ignore[arg-type]
    await exits.enter_async(twice_slowly())  # type: ignore[arg-type]
    with pytest.raises(ExceptionGroup) as raised:
        await exits.close()
    assert closed == ["async", "sync"]
    assert [str(error).rpartition(".")[2] for error in raised.value.exceptions] == [
        "twice_slowly yielded more than once",
        "twice yielded more than once",
    ]


async def test_a_generator_that_ignores_being_closed_is_a_fault() -> None:
    def stubborn() -> Generator[str, None, None]:
        yield "a"
        try:
            yield "b"
        except GeneratorExit:
            yield "c"

    async def stubborn_too() -> AsyncGenerator[str, None]:
        yield "a"
        try:
            yield "b"
        except GeneratorExit:
            yield "c"

    exits = Exits()
    exits.enter(stubborn())  # type: ignore[arg-type]
    await exits.enter_async(stubborn_too())  # type: ignore[arg-type]
    with pytest.raises(ExceptionGroup) as raised:
        await exits.close()
    assert all("ignored GeneratorExit" in str(error) for error in raised.value.exceptions)
    assert len(raised.value.exceptions) == 2


async def test_a_generator_fails_before_its_yield_and_is_not_kept() -> None:
    async def failing() -> AsyncGenerator[str, None]:
        raise OSError("no file")
        yield ""

    exits = Exits()
    with pytest.raises(OSError, match="no file"):
        await exits.enter_async(failing())  # type: ignore[arg-type]
    assert exits.is_empty


async def test_absorbed_clean_ups_run_before_the_older_ones() -> None:
    log = Log()
    exits, other = Exits(), Exits()
    exits.enter(log.sync("a"))
    other.enter(log.sync("b"))
    exits.absorb(other)
    assert other.is_empty
    await exits.close()
    assert log.events[2:] == ["close b", "close a"]


async def test_synchronous_clean_ups_run_in_the_closing_task_and_context() -> None:
    variable = contextvars.ContextVar("variable", default="")

    def bound() -> Generator[str, None, None]:
        token = variable.set("bound")
        yield "a"
        variable.reset(token)

    exits = Exits()
    exits.enter(bound())  # type: ignore[arg-type]
    assert variable.get() == "bound"
    await exits.close()
    assert variable.get() == ""


async def test_a_deadline_inside_a_clean_up_works() -> None:
    timed_out: list[bool] = []

    async def patient() -> AsyncGenerator[str, None]:
        yield "a"
        try:
            async with asyncio.timeout(0):
                await asyncio.get_running_loop().create_future()
        except TimeoutError:
            timed_out.append(True)

    exits = Exits()
    await exits.enter_async(patient())  # type: ignore[arg-type]
    await exits.close()
    assert timed_out == [True]


async def test_cancelling_the_closer_waits_for_the_clean_ups_and_is_not_lost() -> None:
    log = Log()

    async def scenario() -> None:
        exits = Exits()
        for name in "abc":
            await exits.enter_async(log.slow(name))
        closing.set()
        await exits.close()

    closing = asyncio.Event()
    task = asyncio.create_task(scenario())
    await closing.wait()
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not log.left_open


async def test_an_outer_deadline_is_kept_after_the_clean_ups() -> None:
    log = Log()
    exits = Exits()
    await exits.enter_async(log.slow("a", pauses=20))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await exits.close()
    assert not log.left_open


async def test_a_close_cancelled_at_its_kth_suspension_leaves_nothing_open() -> None:
    log = Log()

    async def scenario() -> None:
        exits = Exits()
        exits.enter(log.sync("a"))
        await exits.enter_async(log.slow("b", pauses=0))
        exits.enter(log.sync("c"))
        await exits.enter_async(log.slow("d", pauses=0))
        await exits.close()

    def check(k: int, raised: BaseException | None) -> None:
        assert not log.left_open
        log.events.clear()

    assert await cancel_at_every_suspension(scenario, check) > 0


@pytest.mark.parametrize("error", [None, ValueError(), asyncio.CancelledError()])
async def test_a_slow_close_cancelled_at_its_kth_suspension_leaves_nothing_open(
    error: BaseException | None,
) -> None:
    log = Log()

    async def scenario() -> None:
        exits = Exits()
        for name in "ab":
            await exits.enter_async(log.slow(name))
        entered.append(name)
        await exits.close(error)

    entered: list[str] = []
    outcomes: list[BaseException | None] = []

    def check(k: int, raised: BaseException | None) -> None:
        if entered:
            assert log.left_open == set()
            outcomes.append(raised)
        log.events.clear()
        entered.clear()

    assert await cancel_at_every_suspension(scenario, check) > len("ab") * 2
    assert all(isinstance(raised, asyncio.CancelledError) for raised in outcomes[:-1])
    assert outcomes[-1] is None


async def test_a_clean_up_task_cancelled_before_it_began_loses_nothing() -> None:
    log = Log()
    exits = Exits()
    await exits.enter_async(log.slow("a"))
    task = asyncio.create_task(exits.close())
    before = asyncio.all_tasks()
    await asyncio.sleep(0)
    for other in asyncio.all_tasks() - before:
        other.cancel()
    await task
    assert not log.left_open


class Unhandled:
    """What reached the loop's exception handler."""

    def __init__(self) -> None:
        self.contexts: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        before = loop.get_exception_handler()
        loop.set_exception_handler(lambda _, context: self.contexts.append(context))
        self.restore: Callable[[], None] = lambda: loop.set_exception_handler(before)


async def test_a_failing_clean_up_does_not_replace_a_cancellation() -> None:
    log = Log()
    exits = Exits()
    exits.enter(log.sync("a", OSError("while closing")))
    unhandled = Unhandled()
    try:
        await exits.close(asyncio.CancelledError())
    finally:
        unhandled.restore()
    (context,) = unhandled.contexts
    assert [str(error) for error in context["exception"].exceptions] == ["while closing"]


@pytest.mark.parametrize("control", [KeyboardInterrupt(), SystemExit(), asyncio.CancelledError()])
async def test_a_clean_up_that_ends_the_program_does_so_after_the_others(control: BaseException) -> None:
    log = Log()
    exits = Exits()
    exits.enter(log.sync("a"))
    await exits.enter_async(log.slow("b", control))
    with pytest.raises(type(control)) as raised:
        await exits.close(ValueError())
    assert raised.value is control
    assert not log.left_open
