"""The lifespan stack: order, failures, deadlines, and a cancellation at every await."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import anyio
import pytest

from framework.app.lifespan import Lifespan, LifespanStack
from framework.errors import DeadlineExceeded, SetupError

pytestmark = pytest.mark.anyio

Log = list[str]


def part(
    log: Log,
    name: str,
    *,
    enter: BaseException | None = None,
    leave: BaseException | None = None,
    turns: int = 0,
) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """A lifespan that logs, takes turns of the loop, and fails as told."""

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        for _turn in range(turns):
            await asyncio.sleep(0)
        if enter is not None:
            raise enter
        log.append(f"+{name}")
        try:
            yield
        finally:
            for _turn in range(turns):
                await asyncio.sleep(0)
            log.append(f"-{name}")
            if leave is not None:
                raise leave

    return lifespan


def messages(group: BaseExceptionGroup[Any]) -> list[str]:
    return [str(error) for error in group.exceptions]


async def test_every_kind_of_lifespan_enters_in_order_and_leaves_in_reverse() -> None:
    log: Log = []

    async def generator(app: str) -> AsyncGenerator[None, None]:
        log.append(f"+generator {app}")
        yield
        log.append("-generator")

    class Generator:
        async def __call__(self, app: str) -> AsyncGenerator[None, None]:
            log.append(f"+callable {app}")
            yield
            log.append("-callable")

    class Service:
        def __init__(self, app: str = "ready made") -> None:
            self.app = app

        async def start(self) -> None:
            log.append(f"+service {self.app}")

        async def stop(self) -> None:
            log.append(f"-service {self.app}")

    class Manager:
        def __init__(self, app: str = "ready made") -> None:
            self.app = app

        async def __aenter__(self) -> None:
            log.append(f"+manager {self.app}")

        async def __aexit__(self, *_: object) -> None:
            log.append(f"-manager {self.app}")

    @asynccontextmanager
    async def decorated(app: str) -> AsyncIterator[None]:
        log.append(f"+decorated {app}")
        yield
        log.append("-decorated")

    functions: list[Lifespan] = [generator, partial(generator), Generator(), decorated]
    async with LifespanStack("app", [*functions, Service(), Service, Manager(), Manager]):
        entered, log[:] = log[:], []
    assert entered == [
        "+generator app",
        "+generator app",
        "+callable app",
        "+decorated app",
        "+service ready made",
        "+service app",
        "+manager ready made",
        "+manager app",
    ]
    assert log == [
        "-manager app",
        "-manager ready made",
        "-service app",
        "-service ready made",
        "-decorated",
        "-callable",
        "-generator",
        "-generator",
    ]


def test_what_is_no_lifespan_is_refused_at_once() -> None:
    async def no_yield(_: Any) -> None: ...

    with pytest.raises(SetupError) as caught:
        LifespanStack(None, [5, no_yield, part([], "a")])  # type: ignore[list-item]
    assert caught.value.problems == (
        "int is no lifespan",
        f"lifespan {no_yield.__qualname__} is a coroutine function: it lacks the yield between start and end",
    )


async def test_a_function_that_returns_no_lifespan_unwinds() -> None:
    log: Log = []
    with pytest.raises(SetupError, match="returned int, which cannot be entered"):
        await LifespanStack(None, [part(log, "a"), lambda _: 5]).__aenter__()  # type: ignore[list-item,return-value]
    assert log == ["+a", "-a"]


async def test_a_generator_that_does_not_yield_once() -> None:
    log: Log = []

    async def never(_: Any) -> AsyncGenerator[None, None]:
        return
        yield

    async def twice(_: Any) -> AsyncGenerator[None, None]:
        yield
        yield

    with pytest.raises(RuntimeError, match="didn't yield"):
        await LifespanStack(None, [part(log, "a"), never]).__aenter__()
    with pytest.raises(ExceptionGroup) as caught:
        async with LifespanStack(None, [part(log, "b"), twice]):
            pass
    assert messages(caught.value) == ["generator didn't stop"]
    assert log == ["+a", "-a", "+b", "-b"]


async def test_a_stack_can_be_entered_again_but_not_twice() -> None:
    log: Log = []
    stack = LifespanStack(None, [part(log, "a")])
    async with stack:
        with pytest.raises(RuntimeError, match="entered already"):
            await stack.__aenter__()
    async with stack:
        pass
    assert log == ["+a", "-a", "+a", "-a"]


async def test_a_failed_enter_unwinds_those_entered_and_is_raised_as_it_is() -> None:
    log: Log = []
    broken = ValueError("no database")
    with pytest.raises(ValueError, match="no database") as caught:
        await LifespanStack(None, [part(log, "a"), part(log, "b"), part(log, "c", enter=broken)]).__aenter__()
    assert caught.value is broken
    assert log == ["+a", "+b", "-b", "-a"]


async def test_a_failed_enter_and_a_failed_exit_are_both_told() -> None:
    log: Log = []
    parts = [part(log, "a", leave=OSError("stuck")), part(log, "b", enter=ValueError("no database"))]
    with pytest.raises(ExceptionGroup) as caught:
        await LifespanStack(None, parts).__aenter__()
    assert messages(caught.value) == ["no database", "stuck"]


async def test_exit_errors_are_collected_after_all_have_left() -> None:
    log: Log = []
    parts = [part(log, "a", leave=OSError("1")), part(log, "b"), part(log, "c", leave=OSError("2"))]
    with pytest.raises(ExceptionGroup) as caught:
        async with LifespanStack(None, parts):
            pass
    assert messages(caught.value) == ["2", "1"]
    assert log == ["+a", "+b", "+c", "-c", "-b", "-a"]


async def test_the_body_s_error_goes_through_or_leads_the_group() -> None:
    log: Log = []
    crash = ValueError("crash")
    with pytest.raises(ValueError, match="crash") as plain:
        async with LifespanStack(None, [part(log, "a")]):
            raise crash
    assert plain.value is crash
    with pytest.raises(ExceptionGroup) as caught:
        async with LifespanStack(None, [part(log, "b", leave=OSError("stuck")), part(log, "c")]):
            raise crash
    assert messages(caught.value) == ["crash", "stuck"]


async def test_an_error_that_a_lifespan_passes_on_counts_once() -> None:
    class PassesOn:
        async def __aenter__(self) -> None: ...

        async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
            if error is not None:
                raise error

    crash = ValueError("crash")
    with pytest.raises(ValueError, match="crash") as caught:
        async with LifespanStack(None, [PassesOn(), PassesOn()]):
            raise crash
    assert caught.value is crash
    with pytest.raises(ExceptionGroup) as group:
        async with LifespanStack(None, [PassesOn(), part([], "a", leave=OSError("stuck"))]):
            pass
    assert messages(group.value) == ["stuck"]


async def test_a_lifespan_is_told_what_ended_its_time() -> None:
    seen: list[BaseException | None] = []

    class Watch:
        async def __aenter__(self) -> None: ...

        async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
            seen.append(error)

    crash, stuck = ValueError("crash"), OSError("stuck")
    with pytest.raises(ExceptionGroup):
        async with LifespanStack(None, [Watch(), part([], "a", leave=stuck), Watch()]):
            raise crash
    async with LifespanStack(None, [Watch()]):
        pass
    assert seen == [crash, stuck, None]


class Swallow:
    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *_: object) -> bool:
        return True


async def test_a_lifespan_may_swallow_the_body_s_error_but_not_an_exit_s() -> None:
    async with LifespanStack(None, [Swallow()]):
        raise ValueError
    with pytest.raises(ExceptionGroup) as caught:
        async with LifespanStack(None, [Swallow(), part([], "a", leave=OSError("stuck"))]):
            pass
    assert messages(caught.value) == ["stuck"]


async def test_a_start_whose_error_is_swallowed_does_not_go_on() -> None:
    broken = ValueError("no database")
    with pytest.raises(RuntimeError, match="given up") as caught:
        await LifespanStack(None, [Swallow(), part([], "a", enter=broken)]).__aenter__()
    assert caught.value.__cause__ is broken


async def test_stop_is_called_only_after_start_has_returned() -> None:
    log: Log = []

    class Service:
        async def start(self) -> None:
            raise ValueError("no port")

        async def stop(self) -> None:
            log.append("stop")

    with pytest.raises(ValueError, match="no port"):
        await LifespanStack(None, [Service()]).__aenter__()
    assert log == []


class Stuck:
    """Never leaves by itself; cancelled, it ends as told."""

    def __init__(self, log: Log, *, swallow: bool = False) -> None:
        self.log = log
        self.swallow = swallow

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *_: object) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            self.log.append("cancelled")
            if not self.swallow:
                raise


@pytest.mark.parametrize("swallow", [False, True])
async def test_each_exit_has_a_deadline(*, swallow: bool) -> None:
    log: Log = []
    parts: list[Lifespan] = [
        part(log, "a"),
        Stuck(log, swallow=swallow),
        Stuck(log, swallow=swallow),
        part(log, "b"),
    ]
    with pytest.raises(ExceptionGroup) as caught:
        async with LifespanStack(None, parts, exit_timeout=0.0):
            pass
    assert log == ["+a", "+b", "-b", "cancelled", "cancelled", "-a"]
    assert messages(caught.value) == ["leaving Stuck took longer than 0 s"] * 2
    assert all(isinstance(error, DeadlineExceeded) for error in caught.value.exceptions)


async def test_a_timeout_of_the_lifespan_s_own_is_its_own_error() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with LifespanStack(None, [part([], "a", leave=TimeoutError("mine"))]):
            pass
    assert messages(caught.value) == ["mine"]


async def test_waiting_for_a_task_that_was_cancelled_is_no_cancellation_of_the_app() -> None:
    log: Log = []

    class Sloppy:
        async def start(self) -> None:
            self.task = asyncio.ensure_future(asyncio.sleep(3600))

        async def stop(self) -> None:
            self.task.cancel()
            await self.task

    with pytest.raises(ExceptionGroup) as caught:
        async with LifespanStack(None, [part(log, "a"), Sloppy()]):
            pass
    assert messages(caught.value) == [f"leaving {Sloppy.__qualname__} raised CancelledError"]
    assert log == ["+a", "-a"]


async def cancelled_at(turn: int, run: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
    """The task of a coroutine that was cancelled after so many turns of the loop, once it has ended."""
    task = asyncio.get_running_loop().create_task(run())
    for _ in range(turn):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    return task


async def test_a_cancellation_at_every_await_leaves_all_that_was_entered() -> None:
    turn = 0
    ran_through = False
    while not ran_through:
        log: Log = []

        async def run(log: Log = log) -> None:
            parts = [part(log, name, turns=2) for name in "abc"]
            async with LifespanStack(None, parts):
                await asyncio.sleep(0)
                log.append("body")
                await asyncio.sleep(0)

        task = await cancelled_at(turn, run)
        entered = [entry[1] for entry in log if entry[0] == "+"]
        left = [entry[1] for entry in log if entry[0] == "-"]
        ran_through = not task.cancelled()
        # The lifespan whose own exit the cancellation hits ends there; all the others leave in full.
        assert len(entered) - len(left) <= (1 if "body" in log else 0)
        assert left == [name for name in reversed(entered) if name in left]
        turn += 1
    assert turn > 14
    assert log == ["+a", "+b", "+c", "body", "-c", "-b", "-a"]


async def test_a_cancellation_is_raised_as_such_with_the_exit_errors_as_its_cause() -> None:
    async def run() -> None:
        async with LifespanStack(
            None, [part([], "a", leave=OSError("1")), part([], "b", leave=OSError("2"))]
        ):
            await asyncio.get_running_loop().create_future()

    task = asyncio.ensure_future(run())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert task.cancelled()
    causes: list[str] = []
    error: BaseException | None = caught.value
    while error is not None:
        causes += messages(error) if isinstance(error, BaseExceptionGroup) else []
        error = error.__cause__ or error.__context__
    assert causes[:2] == ["2", "1"]


async def test_a_cancellation_during_the_leaving_keeps_the_body_s_error() -> None:
    log: Log = []
    started = asyncio.Event()

    class Slow:
        async def __aenter__(self) -> None: ...

        async def __aexit__(self, *_: object) -> None:
            started.set()
            await asyncio.get_running_loop().create_future()

    async def run() -> None:
        with pytest.raises(asyncio.CancelledError) as caught:
            async with LifespanStack(None, [part(log, "a"), Slow()]):
                raise ValueError("crash")
        log.append(repr(caught.value.__cause__))

    task = asyncio.ensure_future(run())
    await started.wait()
    task.cancel()
    await task
    assert log == ["+a", "-a", "ExceptionGroup('lifespans failed', [ValueError('crash')])"]


async def test_a_cancellation_during_a_clean_leaving_is_raised() -> None:
    log: Log = []

    async def run() -> None:
        async with LifespanStack(None, [part(log, "a"), Stuck(log)]):
            pass

    task = await cancelled_at(1, run)
    assert task.cancelled()
    assert log == ["+a", "cancelled", "-a"]


async def test_an_interrupt_while_leaving_does_not_keep_the_others_from_it() -> None:
    log: Log = []
    with pytest.raises(KeyboardInterrupt):
        async with LifespanStack(None, [part(log, "a"), part(log, "b", leave=KeyboardInterrupt())]):
            pass
    assert log == ["+a", "+b", "-b", "-a"]


async def test_a_coroutine_that_is_closed_does_not_go_on_waiting() -> None:
    log: Log = []
    stack = LifespanStack(None, [part(log, "a", turns=1), Stuck(log)])
    with contextlib.suppress(StopIteration):
        coroutine = stack.__aenter__()
        while True:
            coroutine.send(None)
    leaving = stack.__aexit__(None, None, None)
    leaving.send(None)
    leaving.close()
    assert log == ["+a"]


async def test_a_task_group_may_be_held_open_and_its_crash_ends_the_body() -> None:
    log: Log = []

    async def crash() -> None:
        raise ValueError("child")

    async def workers(_: Any) -> AsyncGenerator[None, None]:
        async with anyio.create_task_group() as group:
            group.start_soon(crash)
            yield

    with pytest.raises(ExceptionGroup) as caught:
        async with LifespanStack(None, [part(log, "a"), workers, part(log, "b", turns=1)]):
            await asyncio.get_running_loop().create_future()
    assert caught.value.split(ValueError)[1] is None
    assert log[0] == "+a"
    assert log[-1] == "-a"
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_an_asyncio_task_group_s_crash_ends_the_body_too() -> None:
    async def crash() -> None:
        raise ValueError("child")

    async def workers(_: Any) -> AsyncGenerator[None, None]:
        async with asyncio.TaskGroup() as group:
            group.create_task(crash())
            yield

    with pytest.raises(ExceptionGroup) as caught:
        async with LifespanStack(None, [workers]):
            await asyncio.get_running_loop().create_future()
    assert caught.value.split(ValueError)[1] is None


async def test_a_task_group_leaves_within_the_deadline() -> None:
    async def workers(_: Any) -> AsyncGenerator[None, None]:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep_forever)
            yield

    with pytest.raises(ExceptionGroup) as caught:
        async with LifespanStack(None, [workers], exit_timeout=0.0):
            pass
    assert messages(caught.value) == [f"leaving {workers.__qualname__} took longer than 0 s"]


async def test_a_scope_held_open_may_end_the_body_quietly() -> None:
    async def limited(_: Any) -> AsyncGenerator[None, None]:
        with anyio.CancelScope() as scope:
            scope.cancel()
            yield

    async with LifespanStack(None, [limited]):
        await asyncio.get_running_loop().create_future()
    await asyncio.sleep(0)
