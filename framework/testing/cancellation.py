"""Cancels a coroutine everywhere it can be cancelled, and looks each time whether the books still balance.

A coroutine can be cancelled wherever it waits. Most code is right about the waits its author thought of. This harness
runs a scenario once undisturbed to see where it waits, and then again and again, each time with a cancellation at
another point::

    async def scenario(trial: Trial) -> None:
        pool = await open_pool()
        await trial(use(pool))              # this is what gets cancelled
        assert pool.borrowed == 0           # and this must hold whatever happened
        await pool.close()

    report = cancel_everywhere(scenario)

A *point* is a suspension of the coroutine and a turn of the loop during it. Turn 0 is the suspension itself, before
anybody else ran. The last turn is the one that tells the most: what was waited for has come, but the coroutine has not
yet gone on, so that whatever it was handed is lost unless it hands it back.
"""

from __future__ import annotations

import asyncio
import random
import traceback
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextvars import Context
from types import CoroutineType, FrameType
from typing import Any, Final, Generic, NamedTuple, TypeVar, TypeVarTuple

from framework.testing.clock import VirtualTimeLoop
from framework.testing.suspension import Watched, line_of, place_of, short_path

__all__ = [
    "CancellationReport",
    "CancellationsLost",
    "Fault",
    "Outcome",
    "Point",
    "Trial",
    "cancel_everywhere",
]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Scenario = Callable[["Trial"], Coroutine[Any, Any, None]]

_SHOWN: Final = 10
_ENDLESS: Final = 100_000
_MANY: Final = 64


class Point(NamedTuple):
    """Where a cancellation arrives: at a suspension, counted from 0, and so many turns of the loop later."""

    suspension: int
    turn: int


class Outcome(NamedTuple, Generic[T]):
    """How the coroutine under trial ended: with a result or cancelled. Errors are raised, not returned."""

    cancelled: bool
    result: T | None


class Fault(NamedTuple):
    """A run that went wrong. ``plan`` says where it was cancelled; ``places`` are the source lines of those points."""

    plan: tuple[Point, ...]
    places: tuple[str, ...]
    again: bool
    problem: str

    def __str__(self) -> str:
        if not self.plan:
            return f"without any cancellation: {self.problem}"
        where = ", then ".join(
            f"at suspension {point.suspension} ({place}){f', {point.turn} turns later' if point.turn else ''}"
            for point, place in zip(self.plan, self.places, strict=True)
        )
        return f"cancelled {where}{' and at each one after' if self.again else ''}: {self.problem}"


class CancellationReport(NamedTuple):
    """What was covered.

    Attributes:
        suspensions: how often the coroutine waits when nobody disturbs it.
        points: the points at which it was cancelled once: each suspension, at each turn of the loop it lasted.
        places: the lines of source it waits at, clean-up after a cancellation included.
        lines: those, and the lines that called them: ``file:line`` of each ``await`` it was suspended in.
        runs: how many times the scenario ran.
    """

    suspensions: int
    points: int
    places: tuple[str, ...]
    lines: frozenset[str]
    runs: int

    def __str__(self) -> str:
        return (
            f"{self.suspensions} suspension points at {len(self.places)} places, "
            f"{self.points} moments to cancel at, {self.runs} runs"
        )


class CancellationsLost(AssertionError):
    """The scenario does not survive being cancelled. ``faults`` has each run that went wrong, in order."""

    def __init__(self, faults: Sequence[Fault], report: CancellationReport) -> None:
        self.faults = tuple(faults)
        self.report = report
        super().__init__(self.faults, report)

    def __str__(self) -> str:
        lines = [f"{len(self.faults)} of {self.report.runs} runs went wrong ({self.report})"]
        lines += [f"  {fault}" for fault in self.faults[:_SHOWN]]
        if len(self.faults) > _SHOWN:
            lines.append(f"  and {len(self.faults) - _SHOWN} more")
        return "\n".join(lines)


class _Loop(VirtualTimeLoop):
    """Virtual time, with a call before each turn, and the timers that were set."""

    def __init__(self, patience: float) -> None:
        super().__init__(patience=patience)
        self.before_turn: Callable[[], None] | None = None
        self._timers: list[asyncio.TimerHandle] = []

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        timer = super().call_at(when, callback, *args, context=context)
        self._timers.append(timer)
        return timer

    def _run_once(self) -> None:
        if self.before_turn is not None:
            self.before_turn()
        super()._run_once()  # type: ignore[misc] # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue]
        if len(self._timers) > _MANY:
            self._timers = self.pending_timers()

    def pending_timers(self) -> list[asyncio.TimerHandle]:
        """Timers that are neither cancelled nor due."""
        return [timer for timer in self._timers if not timer.cancelled() and timer.when() > self.time()]


class Trial:
    """One run of the scenario. Call it, once, with the coroutine that is to be cancelled.

    The coroutine runs in a task of its own, which is cancelled as planned. The call returns how that ended.
    """

    def __init__(self, loop: _Loop, plan: tuple[Point, ...], *, again: bool) -> None:
        self.plan = plan
        self.again = again
        self.turns: list[int] = []
        self.places: list[str] = []
        self.lines: set[str] = set()
        self.cancelled_at: list[Point] = []
        self._loop = loop
        self.task: asyncio.Task[Any] | None = None
        self._suspended = False
        self._next = 0

    async def __call__(self, coroutine: Coroutine[Any, Any, T]) -> Outcome[T]:
        """Runs the coroutine to its end.

        Raises:
            AssertionError: it was cancelled, and ended as if it had not been.
            RuntimeError: the trial was called before.
            Exception: what the coroutine raised.
        """
        task = self.start(coroutine)
        await asyncio.wait([task])
        if task.cancelled():
            if not self.cancelled_at:
                raise AssertionError("it ended cancelled, and nobody had cancelled it")
            return Outcome(True, None)
        result = task.result()
        if self.cancelled_at:
            raise AssertionError(f"it swallowed the cancellation and returned {result!r}")
        return Outcome(False, result)

    def start(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Starts the coroutine and returns its task, for scenarios that do something meanwhile.

        How the task ends is then theirs to check; it has to end before the scenario does.
        """
        if self.task is not None:
            coroutine.close()
            raise RuntimeError("a trial is of one coroutine")
        task = self._loop.create_task(self._watch(coroutine))
        self.task = task
        self._loop.before_turn = self._turn
        return task

    async def _watch(self, coroutine: Coroutine[Any, Any, T]) -> T:
        try:
            return await Watched(coroutine, self.suspended, self.resumed)
        finally:
            self._loop.before_turn = None

    def suspended(self, chain: list[FrameType]) -> None:
        """The coroutine is about to wait, in these frames, the innermost last."""
        if len(self.turns) == _ENDLESS:
            raise AssertionError(f"it waited {_ENDLESS} times, and there is no end to it")
        self.places.append(place_of(chain))
        self.lines.update(map(line_of, chain))
        self.turns.append(0)
        self._suspended = True
        self._arrive(Point(len(self.turns) - 1, 0))

    def resumed(self) -> None:
        """The coroutine goes on."""
        self._suspended = False

    def _turn(self) -> None:
        if self._suspended:
            self.turns[-1] += 1
            self._arrive(Point(len(self.turns) - 1, self.turns[-1]))

    def _arrive(self, here: Point) -> None:
        assert self.task is not None
        while self._next < len(self.plan) and self.plan[self._next] == here:
            self._next += 1
            self.cancelled_at.append(here)
            self.task.cancel()
        if self.again and self._next == len(self.plan) and here.turn == 0 and here > self.plan[-1]:
            self.task.cancel()

    def points(self) -> Iterator[Point]:
        """All points of the run."""
        for suspension, turns in enumerate(self.turns):
            for turn in range(turns + 1):
                yield Point(suspension, turn)


class _Harness:
    def __init__(
        self, scenario: Scenario, *, seed: int, patience: float, allow_timers: bool, max_runs: int
    ) -> None:
        self._scenario = scenario
        self._seed = seed
        self._patience = patience
        self._allow_timers = allow_timers
        self._max_runs = max_runs
        self.runs = 0
        self.faults: list[Fault] = []
        self.places: set[str] = set()
        self.lines: set[str] = set()

    def run(self, plan: tuple[Point, ...] = (), *, again: bool = False) -> Trial | None:
        """Runs the scenario once; None when it went wrong, which is noted."""
        if self.runs >= self._max_runs:
            raise RuntimeError(
                f"more than {self._max_runs} runs: make the scenario smaller, or raise max_runs"
            )
        self.runs += 1
        state = random.getstate()
        random.seed(self._seed)
        try:
            trial, problem = self._run(plan, again=again)
        finally:
            random.setstate(state)
        self.places.update(trial.places)
        self.lines |= trial.lines
        if problem is None and tuple(trial.cancelled_at) != plan:
            problem = (
                "it did not come to that point; is there something random, or of real time, in the scenario?"
            )
        if problem is None:
            return trial
        known = [
            trial.places[point.suspension] if point.suspension < len(trial.places) else "?" for point in plan
        ]
        self.faults.append(Fault(plan, tuple(known), again, problem))
        return None

    def _run(self, plan: tuple[Point, ...], *, again: bool) -> tuple[Trial, str | None]:
        loop = _Loop(self._patience)
        trial = Trial(loop, plan, again=again)
        problem: str | None = None
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            try:
                problem = runner.run(self._whole(trial, loop))
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:  # CancelledError too: the scenario itself was not to be cancelled
                problem = _told(error)
        if problem is None and loop.unhandled:
            failure = loop.unhandled[0]
            problem = f"an error reached nobody: {failure['message']} ({failure.get('exception')!r})"
        return trial, problem

    async def _whole(self, trial: Trial, loop: _Loop) -> str | None:
        await self._scenario(trial)
        if trial.task is None:
            return "the scenario did not call its trial"
        left = asyncio.all_tasks() - {asyncio.current_task()}
        left = {task for task in left if not task.done()}
        if left:
            names = ", ".join(sorted(_task_name(task) for task in left))
            return f"{len(left)} tasks were left behind: {names}"
        timers = loop.pending_timers()
        if timers and not self._allow_timers:
            return f"{len(timers)} timers were left behind: {timers[0]!r}"
        return None


def _task_name(task: asyncio.Task[Any]) -> str:
    coroutine = task.get_coro()
    return coroutine.__qualname__ if isinstance(coroutine, CoroutineType) else repr(coroutine)


def _told(error: BaseException) -> str:
    """An error with the line that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({short_path(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{where}"


def cancel_everywhere(
    scenario: Scenario,
    *,
    twice: bool = True,
    max_runs: int = 50_000,
    allow_timers: bool = False,
    seed: int = 0,
    patience: float = 5.0,
) -> CancellationReport:
    """Runs a scenario, in virtual time, with a cancellation at every point of the coroutine it tries.

    The scenario prepares what is needed, calls its trial with the coroutine, and asserts what must hold however that
    ended. Each run begins afresh, on a loop of its own. Besides the scenario's own assertions, these fail a run: a
    cancellation that did not end the coroutine; tasks or timers that outlive the scenario; an error nobody retrieved;
    a wait that would never end (``Stuck``).

    Args:
        scenario: an async function of the ``Trial``.
        twice: after each single cancellation, also a second one at each point that comes after it, and one run with
            a cancellation at every suspension after it, as a cancel scope of anyio does.
        max_runs: a bound; the number of runs grows with the square of the number of points.
        allow_timers: timers may be left on the loop when the scenario ends.
        seed: for the ``random`` module, which each run finds in the same state.
        patience: real seconds to wait for a thread or a real socket where nothing else is left.

    Returns:
        What was covered.

    Raises:
        CancellationsLost: some runs went wrong; an AssertionError that lists them.
        RuntimeError: the scenario needs more than ``max_runs``.
    """
    harness = _Harness(scenario, seed=seed, patience=patience, allow_timers=allow_timers, max_runs=max_runs)
    undisturbed = harness.run()
    points = [] if undisturbed is None else list(undisturbed.points())
    for first in points:
        once = harness.run((first,))
        if once is None or not twice:
            continue
        for second in once.points():
            if second >= first:
                harness.run((first, second))
        harness.run((first,), again=True)
    suspensions = 0 if undisturbed is None else len(undisturbed.turns)
    report = CancellationReport(
        suspensions, len(points), tuple(sorted(harness.places)), frozenset(harness.lines), harness.runs
    )
    if harness.faults:
        raise CancellationsLost(harness.faults, report)
    return report
