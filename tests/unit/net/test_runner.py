from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Generator
from contextlib import contextmanager
from types import coroutine
from typing import Any

import pytest

from framework.net.runner import Job, Resumed, Runner, Runners
from framework.net.step import Suspended
from framework.testing import VirtualTimeLoop, virtual_loop

NUMBER: contextvars.ContextVar[int] = contextvars.ContextVar("number", default=0)


@contextmanager
def runners(**limits: int) -> Generator[tuple[VirtualTimeLoop, Runners, list[BaseException]]]:
    errors: list[BaseException] = []
    with virtual_loop() as loop:
        made: list[Runners] = []
        loop.call(lambda: made.append(Runners(loop, errors.append, **limits)))
        try:
            yield loop, made[0], errors
        finally:
            assert loop.run(made[0].close(1.0)) == 0


def a_runner(loop: VirtualTimeLoop, pool: Runners, *, started: bool) -> Runner:
    """One whose Task has had its first step, or not yet."""
    if started:
        loop.settle()
    return pool.take() if started else pool.fresh()


def job(seen: list[Any], wait: float = 0.0) -> Job:
    async def run(interrupt: asyncio.CancelledError | None) -> None:
        seen.append(interrupt)
        if wait:
            await asyncio.sleep(wait)
        seen.append("done")

    return run


def test_a_job_runs_in_the_parked_task_and_its_context() -> None:
    seen: list[object] = []

    async def work(interrupt: asyncio.CancelledError | None) -> None:
        seen.append((asyncio.current_task(), NUMBER.get()))

    with runners() as (loop, pool, _):
        runner = pool.take()
        runner.context.run(NUMBER.set, 7)
        runner.hand_over(work)
        loop.settle()
        assert seen == [(runner.task, 7)]


def test_a_clean_task_is_used_again_a_dirty_one_ends() -> None:
    with runners() as (loop, pool, _):
        first = pool.spare
        pool.take().hand_over(job([]))
        loop.settle()
        second = pool.spare
        pool.take().hand_over(job([]))
        assert pool.spare is first
        first.context.run(NUMBER.set, 1)
        pool.take().hand_over(job([]))
        loop.settle()
        pool.take()
        assert pool.spare is second
        assert first.task.done()
        assert not second.task.done()


def test_a_spare_that_is_not_clean_is_renewed() -> None:
    with runners() as (loop, pool, _):
        first = pool.spare
        assert pool.spare.clean
        first.context.run(NUMBER.set, 1)
        assert not first.clean
        assert pool.renew() is pool.spare is not first
        assert pool.spare.clean
        second = pool.spare
        second.task.cancel()
        assert not second.clean
        assert pool.renew() is not second
        loop.settle()
        assert first.task.done()
        assert second.task.done()


def test_renewing_passes_over_parked_tasks_that_were_cancelled() -> None:
    with runners() as (loop, pool, _):
        taken = [pool.take() for _ in range(3)]
        loop.settle()
        for runner in taken:
            runner.hand_over(job([]))
        loop.settle()
        taken[2].task.cancel()
        pool.spare.task.cancel()
        assert pool.renew() is taken[1]


@pytest.mark.parametrize("started", [False, True])
def test_a_cancel_ahead_of_the_jobs_first_step_is_told_to_it(started: bool) -> None:
    """Also when the Task itself has not had its first step."""
    seen: list[Any] = []
    with runners() as (loop, pool, _):
        runner = a_runner(loop, pool, started=started)
        runner.hand_over(job(seen))
        runner.task.cancel("why")
        loop.settle()
        assert [type(each) for each in seen] == [asyncio.CancelledError, str]
        assert seen[0].args == ("why",)
        assert runner.task.done(), "it was cancelled, so nobody gets it again"
        assert not pool.active


@pytest.mark.parametrize("started", [False, True])
def test_a_cancel_that_is_taken_back_ahead_of_the_first_step_is_none(started: bool) -> None:
    seen: list[Any] = []
    with runners() as (loop, pool, _):
        runner = a_runner(loop, pool, started=started)
        runner.task.cancel()
        runner.task.uncancel()
        runner.hand_over(job(seen))
        loop.settle()
        assert seen == [None, "done"]


@pytest.mark.parametrize("started", [False, True])
def test_a_parked_task_survives_a_cancel_that_is_taken_back(started: bool) -> None:
    seen: list[Any] = []
    with runners() as (loop, pool, _):
        runner = a_runner(loop, pool, started=started)
        runner.task.cancel()
        runner.task.uncancel()
        loop.settle()
        assert not runner.task.done()
        runner.hand_over(job(seen))
        loop.settle()
        assert seen == [None, "done"]


def test_full_is_told_at_the_limit() -> None:
    with runners(max_active=2) as (loop, pool, _):
        assert not pool.full
        pool.take().hand_over(job([], wait=1))
        assert not pool.full
        pool.fresh().hand_over(job([], wait=2))
        assert pool.full
        loop.advance(1)
        assert not pool.full
        loop.advance(1)
        assert not pool.active


def test_few_are_parked() -> None:
    with runners(max_idle=2) as (loop, pool, _):
        taken = [pool.take() for _ in range(5)]
        for runner in taken:
            runner.hand_over(job([]))
        loop.settle()
        assert sum(not runner.task.done() for runner in taken) == 2


def test_a_job_that_raises_is_told_of_and_its_task_goes_on() -> None:
    async def fails(interrupt: asyncio.CancelledError | None) -> None:
        raise ValueError

    with runners() as (loop, pool, errors):
        runner = pool.take()
        runner.hand_over(fails)
        loop.settle()
        assert [type(error) for error in errors] == [ValueError]
        assert not pool.active
        assert not runner.task.done()


def test_close_gives_up_on_what_will_not_end() -> None:
    async def stubborn(interrupt: asyncio.CancelledError | None) -> None:
        for _ in range(5):
            try:
                await asyncio.sleep(100)
            except asyncio.CancelledError:
                pass

    with virtual_loop() as loop:
        made: list[Runners] = []
        loop.call(lambda: made.append(Runners(loop, lambda error: None)))
        runner = made[0].take()
        runner.hand_over(stubborn)
        loop.settle()
        assert loop.run(made[0].close(1.0)) == 1
        loop.advance(1000)


# -- Resumed ----------------------------------------------------------------------------------------------------------


@coroutine
def yields(value: Any) -> Generator[Any, Any, Any]:
    return (yield value)


def stepped(coro: Any) -> Suspended:
    return Suspended(coro, coro.send(None))


def test_resumed_hands_on_what_was_yielded_and_then_drives() -> None:
    async def handler() -> list[Any]:
        return [await yields(1), await yields(2)]

    resumed = Resumed(stepped(handler()), None).__await__()
    assert resumed.send(None) == 1
    assert resumed.send("a") == 2
    with pytest.raises(StopIteration) as stop:
        resumed.send("b")
    assert stop.value.value == ["a", "b"]


def test_resumed_passes_errors_in_and_out() -> None:
    async def handler() -> str:
        try:
            await yields(1)
        except KeyError:
            await yields(2)
        raise ValueError("out")

    resumed = Resumed(stepped(handler()), None).__await__()
    assert resumed.send(None) == 1
    assert resumed.throw(KeyError()) == 2
    with pytest.raises(ValueError, match="out"):
        resumed.send(None)


def test_an_interrupt_cancels_what_is_awaited_or_is_thrown() -> None:
    with virtual_loop() as loop:
        future = loop.create_future()

        async def waits() -> str:
            try:
                await future
            except asyncio.CancelledError as error:
                return f"cancelled {error.args}"
            return "no"

        async def main(suspended: Suspended) -> object:
            return await Resumed(suspended, asyncio.CancelledError("why"))

        async def turns() -> str:
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError as error:
                return f"thrown {error.args}"
            return "no"

        assert loop.run(main(stepped(waits()))) == "cancelled ('why',)"
        assert future.cancelled()
        assert loop.run(main(stepped(turns()))) == "thrown ('why',)"


def test_an_interrupt_meets_a_future_that_is_done_already() -> None:
    """As in a Task: the future cannot be cancelled any more, so the coroutine gets the error."""
    with virtual_loop() as loop:
        future = loop.create_future()

        async def waits() -> object:
            try:
                return await future
            except asyncio.CancelledError:
                return "thrown"

        suspended = stepped(waits())
        future.set_result("result")

        async def main() -> object:
            return await Resumed(suspended, asyncio.CancelledError())

        assert loop.run(main()) == "thrown"


def test_generator_exit_of_the_handler_is_an_error_that_of_the_task_is_not() -> None:
    async def raises() -> None:
        await yields(1)
        raise GeneratorExit

    resumed = Resumed(stepped(raises()), None).__await__()
    resumed.send(None)
    with pytest.raises(RuntimeError, match="raised GeneratorExit"):
        resumed.send(None)

    closed: list[str] = []

    async def waits() -> None:
        try:
            await yields(1)
        finally:
            closed.append("finally")

    resumed = Resumed(stepped(waits()), None).__await__()
    resumed.send(None)
    resumed.close()
    assert closed == ["finally"]
