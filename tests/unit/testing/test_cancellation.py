"""The harness that cancels everywhere: it finds planted bugs, passes what is right, and counts what it covered."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from framework.testing.cancellation import CancellationsLost, Outcome, Point, Trial, cancel_everywhere

pytest_plugins = ["pytester"]


class Slots:
    """A little pool of one slot, whose ``acquire`` is given by the test: some are wrong."""

    def __init__(self) -> None:
        self.free = 1
        self.waiters: deque[asyncio.Future[None]] = deque()

    def release(self) -> None:
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self.free += 1


Acquire = Callable[[Slots], Coroutine[Any, Any, None]]


async def acquire_rightly(slots: Slots) -> None:
    if slots.free:
        slots.free -= 1
        return
    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    slots.waiters.append(waiter)
    try:
        await waiter
    except asyncio.CancelledError:
        if waiter.done() and not waiter.cancelled():
            slots.release()
        raise


async def acquire_and_lose(slots: Slots) -> None:
    """P1: a slot that was handed over in the moment of the cancellation is gone."""
    if slots.free:
        slots.free -= 1
        return
    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    slots.waiters.append(waiter)
    await waiter


async def acquire_and_swallow(slots: Slots) -> None:
    """P5: the cancellation is taken for a reason to try again."""
    while True:
        try:
            return await acquire_rightly(slots)
        except asyncio.CancelledError:
            continue


def slots_scenario(acquire: Acquire) -> Callable[[Trial], Coroutine[Any, Any, None]]:
    async def borrow(slots: Slots) -> None:
        await acquire(slots)
        try:
            await asyncio.sleep(1)
        finally:
            slots.release()

    async def scenario(trial: Trial) -> None:
        slots = Slots()
        other = asyncio.create_task(borrow(slots))
        await asyncio.sleep(0.5)
        await trial(borrow(slots))
        await other
        assert slots.free == 1, f"{slots.free} slots are free"

    return scenario


def test_right_code_passes_and_is_counted() -> None:
    report = cancel_everywhere(slots_scenario(acquire_rightly))
    assert report.suspensions == 2  # in the queue, and in the sleep
    assert len(report.places) == 2
    assert "acquire_rightly" in "".join(report.places)
    assert report.points > report.suspensions
    assert report.runs > report.points


def test_a_slot_lost_in_the_hand_over_is_found() -> None:
    with pytest.raises(CancellationsLost) as caught:
        cancel_everywhere(slots_scenario(acquire_and_lose))
    (fault,) = [each for each in caught.value.faults if len(each.plan) == 1]
    assert "0 slots are free" in fault.problem
    assert fault.plan[0].suspension == 0
    assert fault.plan[0].turn > 0  # only between the hand-over and the resumption
    assert "acquire_and_lose" in str(caught.value)


def test_a_swallowed_cancellation_is_found() -> None:
    with pytest.raises(CancellationsLost, match="swallowed the cancellation"):
        cancel_everywhere(slots_scenario(acquire_and_swallow), twice=False)


def test_clean_up_that_a_second_cancellation_interrupts_is_found() -> None:
    async def scenario(trial: Trial) -> None:
        is_open = True

        async def use() -> None:
            nonlocal is_open
            try:
                await asyncio.sleep(1)
            finally:
                await asyncio.sleep(0.1)  # says good-bye
                is_open = False

        await trial(use())
        assert not is_open, "it is still open"

    with pytest.raises(CancellationsLost) as caught:
        cancel_everywhere(scenario)
    twice = [each for each in caught.value.faults if len(each.plan) == 2]
    assert twice
    assert any(each.again for each in caught.value.faults)
    single = [each.plan for each in caught.value.faults if len(each.plan) == 1 and not each.again]
    assert all(plan[0].suspension == 1 for plan in single)  # in the good-bye itself
    assert "and at each one after" in str(caught.value)


def test_tasks_left_behind_are_found() -> None:
    async def scenario(trial: Trial) -> None:
        async def parent() -> None:
            child = asyncio.create_task(asyncio.sleep(3600), name="child")
            await asyncio.sleep(1)
            child.cancel()
            await asyncio.wait([child])

        await trial(parent())

    with pytest.raises(CancellationsLost, match="1 tasks were left behind: sleep"):
        cancel_everywhere(scenario, twice=False)


def test_timers_left_behind_are_found_unless_they_are_allowed() -> None:
    async def scenario(trial: Trial) -> None:
        async def wait() -> None:
            timer = asyncio.get_running_loop().call_later(60, print)
            await asyncio.sleep(1)
            timer.cancel()

        await trial(wait())

    with pytest.raises(CancellationsLost, match="1 timers were left behind"):
        cancel_everywhere(scenario, twice=False)
    assert cancel_everywhere(scenario, allow_timers=True).suspensions == 1


def test_errors_that_nobody_retrieves_are_found() -> None:
    async def scenario(trial: Trial) -> None:
        def fail() -> None:
            raise ValueError("lost")

        async def wait() -> None:
            asyncio.get_running_loop().call_soon(fail)
            await asyncio.sleep(0)
            await asyncio.sleep(0)

        await trial(wait())

    with pytest.raises(CancellationsLost, match=r"an error reached nobody.*lost"):
        cancel_everywhere(scenario, twice=False)


def test_a_wait_without_end_is_found() -> None:
    async def scenario(trial: Trial) -> None:
        gate = asyncio.Event()

        async def opens() -> None:
            await asyncio.sleep(0)
            gate.set()

        await trial(opens())
        await gate.wait()

    with pytest.raises(CancellationsLost, match="Stuck"):
        cancel_everywhere(scenario, twice=False, patience=0.05)


def test_a_scenario_that_fails_undisturbed_says_so() -> None:
    async def scenario(trial: Trial) -> None:
        await trial(asyncio.sleep(0))
        raise ValueError("wrong")

    with pytest.raises(CancellationsLost, match="without any cancellation: ValueError: wrong"):
        cancel_everywhere(scenario)


def test_an_error_of_the_coroutine_is_one_of_the_scenario() -> None:
    async def scenario(trial: Trial) -> None:
        async def fail_when_cancelled() -> None:
            try:
                await asyncio.sleep(0)
            finally:
                raise OSError("the clean-up failed")

        with pytest.raises(OSError, match="clean-up"):
            await trial(fail_when_cancelled())

    assert cancel_everywhere(scenario).suspensions == 1


def test_a_scenario_without_a_trial_is_refused() -> None:
    async def scenario(trial: Trial) -> None:
        await asyncio.sleep(0)

    with pytest.raises(CancellationsLost, match="did not call its trial"):
        cancel_everywhere(scenario)


def test_a_second_coroutine_is_refused() -> None:
    async def scenario(trial: Trial) -> None:
        await trial(asyncio.sleep(0))
        await trial(asyncio.sleep(0))

    with pytest.raises(CancellationsLost, match="a trial is of one coroutine"):
        cancel_everywhere(scenario)


def test_what_differs_from_run_to_run_is_told_apart_from_a_fault() -> None:
    runs = iter(range(100))

    async def scenario(trial: Trial) -> None:
        await trial(asyncio.sleep(1 if next(runs) == 0 else 0))

    with pytest.raises(CancellationsLost, match="did not come to that point"):
        cancel_everywhere(scenario, twice=False)


def test_a_coroutine_that_waits_for_ever_is_stopped() -> None:
    async def scenario(trial: Trial) -> None:
        async def spin() -> None:
            while True:  # noqa: ASYNC110 - the point of it
                await asyncio.sleep(0)

        await trial(spin())

    with pytest.raises(CancellationsLost, match="there is no end to it"):
        cancel_everywhere(scenario, twice=False)


def test_the_number_of_runs_is_bounded() -> None:
    async def scenario(trial: Trial) -> None:
        await trial(asyncio.sleep(1))

    with pytest.raises(RuntimeError, match="more than 3 runs"):
        cancel_everywhere(scenario, max_runs=3)


def test_all_runs_are_the_same_each_time() -> None:
    assert cancel_everywhere(slots_scenario(acquire_rightly)) == cancel_everywhere(
        slots_scenario(acquire_rightly)
    )


def test_timeouts_and_groups_work_under_trial() -> None:
    async def scenario(trial: Trial) -> None:
        async def work() -> str:
            try:
                async with asyncio.timeout(0.5):
                    await asyncio.sleep(3600)
            except TimeoutError:
                pass
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(1))
                group.create_task(asyncio.sleep(2))
            return "done"

        outcome = await trial(work())
        assert outcome in (Outcome(True, None), Outcome(False, "done"))

    assert cancel_everywhere(scenario).suspensions == 2


def test_async_generators_and_managers_are_seen_through() -> None:
    @asynccontextmanager
    async def opened() -> AsyncGenerator[int]:
        await asyncio.sleep(0.1)
        yield 1
        await asyncio.sleep(0.2)

    async def scenario(trial: Trial) -> None:
        async def use() -> None:
            async with opened():
                await asyncio.sleep(0.3)

        await trial(use())

    report = cancel_everywhere(scenario)
    assert report.suspensions == 3
    assert len(report.places) == 3
    assert sum("opened" in place for place in report.places) == 2


def test_a_scenario_may_act_while_the_coroutine_runs() -> None:
    seen: set[bool] = set()

    async def scenario(trial: Trial) -> None:
        gate = asyncio.Event()
        task = trial.start(gate.wait())
        await asyncio.sleep(1)
        gate.set()
        await asyncio.wait([task])
        seen.add(task.cancelled())

    assert cancel_everywhere(scenario).suspensions == 1
    assert seen == {False, True}


def test_points_have_an_order() -> None:
    assert Point(0, 3) < Point(1, 0) < Point(1, 1)


def test_the_fixture_reports_what_was_covered(pytester: pytest.Pytester) -> None:
    pytester.makeconftest('pytest_plugins = ["framework.testing.plugin"]')
    pytester.makepyfile(
        """
        import asyncio


        def test_sleep(cancel_everywhere):
            async def scenario(trial):
                await trial(asyncio.sleep(1))

            assert cancel_everywhere(scenario).suspensions == 1
        """
    )
    result = pytester.runpytest_subprocess("-v", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*cancelled everywhere*", "*test_sleep: 1 suspension points*"])
