from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.net.wheel import NEVER, TimerWheel
from framework.testing import VirtualTimeLoop, virtual_loop

TICK = 0.25


class Entry:
    """Looks at its own deadline, as a connection does."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        self.due = NEVER
        self.deadline = NEVER
        self.fired: list[float] = []
        self.looks = 0
        self._loop = loop

    def on_due(self, now: float) -> float:
        self.looks += 1
        assert now == self._loop.time()
        if now >= self.deadline:
            self.deadline = NEVER
            self.fired.append(now)
        return self.deadline


def no_error(error: BaseException) -> None:
    raise AssertionError("nothing may fail here") from error


def expect(wheel: TimerWheel, entry: Entry, due: float) -> None:
    entry.deadline = due
    wheel.watch(entry, due)


@given(
    st.lists(st.floats(0.0, 20.0), min_size=1, max_size=20),
    st.floats(0.0, 1.0),
)
def test_an_entry_is_late_by_a_tick_at_most_and_never_early(delays: list[float], start: float) -> None:
    with virtual_loop() as loop:
        loop.advance(start)
        wheel = TimerWheel(loop, no_error, tick=TICK)
        began = loop.time()
        entries = [Entry(loop) for _ in delays]
        for entry, delay in zip(entries, delays, strict=True):
            expect(wheel, entry, began + delay)
        loop.advance(30)
        for entry, delay in zip(entries, delays, strict=True):
            (fired,) = entry.fired
            assert began + delay <= fired <= began + delay + TICK + 1e-6
        assert not wheel.turning


def test_pushing_a_deadline_away_costs_no_call() -> None:
    with virtual_loop() as loop:
        wheel = TimerWheel(loop, no_error, tick=TICK)
        entry = Entry(loop)
        expect(wheel, entry, loop.time() + 1)
        began = loop.time()
        for _ in range(100):
            loop.advance(0.05)
            entry.deadline = loop.time() + 1
        assert entry.looks <= 6, "about one for each second, not for each push"
        loop.advance(2)
        (fired,) = entry.fired
        assert fired == pytest.approx(began + 6, abs=TICK)


def test_a_nearer_deadline_moves_the_entry() -> None:
    with virtual_loop() as loop:
        wheel = TimerWheel(loop, no_error, tick=TICK)
        entry = Entry(loop)
        began = loop.time()
        expect(wheel, entry, began + 100)
        expect(wheel, entry, began + 1)
        loop.advance(5)
        assert entry.looks == 1
        assert len(entry.fired) == 1
        loop.advance(200)
        assert entry.looks == 1, "nothing is left in the slot it stood in first"


def test_one_may_be_watched_again_by_its_own_call() -> None:
    with virtual_loop() as loop:
        wheel = TimerWheel(loop, no_error, tick=TICK)

        class Again(Entry):
            def on_due(self, now: float) -> float:
                super().on_due(now)
                wheel.watch(self, now + 5)
                return now + 1

        entry = Again(loop)
        wheel.watch(entry, loop.time())
        loop.advance(3)
        assert entry.looks == 3
        wheel.close()


def test_a_forgotten_entry_is_not_looked_at_and_not_kept() -> None:
    with virtual_loop() as loop:
        wheel = TimerWheel(loop, no_error, tick=TICK)
        entry = Entry(loop)
        expect(wheel, entry, loop.time() + 50)
        wheel.forget(entry)
        wheel.forget(entry)
        loop.advance(1)
        assert not wheel.turning, "an empty wheel stops ticking, at once and not when the slot comes"
        assert entry.looks == 0
        expect(wheel, entry, loop.time() + 1)
        loop.advance(2)
        assert len(entry.fired) == 1


def test_one_entry_may_forget_another_of_the_same_tick() -> None:
    with virtual_loop() as loop:
        wheel = TimerWheel(loop, no_error, tick=TICK)
        entries: list[Entry] = []

        class Jealous(Entry):
            def on_due(self, now: float) -> float:
                for other in entries:
                    if other is not self:
                        wheel.forget(other)
                return super().on_due(now)

        entries += [Jealous(loop) for _ in range(5)]
        for entry in entries:
            expect(wheel, entry, loop.time() + 1)
        loop.advance(3)
        assert sum(entry.looks for entry in entries) == 1


def test_one_that_fails_stops_neither_the_others_nor_the_wheel() -> None:
    errors: list[BaseException] = []
    with virtual_loop() as loop:
        wheel = TimerWheel(loop, errors.append, tick=TICK)

        class Broken(Entry):
            def on_due(self, now: float) -> float:
                raise ValueError

        others = [Entry(loop) for _ in range(4)]
        for entry in (*others, Broken(loop)):
            expect(wheel, entry, loop.time() + 1)
        later = Entry(loop)
        expect(wheel, later, loop.time() + 2)
        loop.advance(4)
        assert all(len(entry.fired) == 1 for entry in (*others, later))
        assert [type(error) for error in errors] == [ValueError]


def test_the_time_of_a_wheel_that_slept_is_made_true_by_waking_it() -> None:
    with virtual_loop() as loop:
        ticks: list[float] = []
        wheel = TimerWheel(loop, no_error, tick=TICK, on_tick=lambda: ticks.append(loop.time()))
        loop.advance(1000)
        assert ticks == []
        assert wheel.now < loop.time()
        wheel.wake()
        assert wheel.now == loop.time()
        assert ticks == [loop.time()]
        wheel.wake()
        assert len(ticks) == 1
        loop.advance(10)
        assert len(ticks) == 2, "nothing is watched: it sleeps again"


def test_on_tick_runs_ahead_of_the_entries() -> None:
    seen: list[str] = []
    with virtual_loop() as loop:
        wheel = TimerWheel(loop, no_error, tick=TICK, on_tick=lambda: seen.append("tick"))

        class Told(Entry):
            def on_due(self, now: float) -> float:
                seen.append("entry")
                return NEVER

        wheel.watch(Told(loop), loop.time())
        loop.advance(1)
    assert seen == ["tick", "tick", "entry"]


def test_close_drops_everything() -> None:
    with virtual_loop() as loop:
        wheel = TimerWheel(loop, no_error, tick=TICK)
        entry = Entry(loop)
        expect(wheel, entry, loop.time() + 1)
        wheel.close()
        assert entry.due is NEVER or math.isinf(entry.due)
        loop.advance(5)
        assert entry.looks == 0
