"""Who is asked for numbers, and what is answered."""

from __future__ import annotations

from framework.net.brain import NEVER
from framework.net.census import Census
from framework.net.tally import Family, Sample, Tally


def tally(count: float) -> Tally:
    return Tally((Family("c", "counter", "", "", "each", (Sample("c_total", (), count),)),))


class Desk:
    """A census with its hands noted: ``asked`` are the workers told to count, ``answers`` the totals given out."""

    def __init__(self, *workers: int) -> None:
        self.asked: list[int] = []
        self.answers: list[tuple[int, int, float]] = []
        self.census = Census(self.asked.append, self._answer, patience=1.0)
        for worker in workers:
            self.census.joined(worker)

    def _answer(self, worker: int, ticket: int, total: Tally) -> None:
        count = total.families[0].samples[0].value if total.families else 0
        self.answers.append((worker, ticket, count))


def test_all_count_and_the_one_who_asked_is_told() -> None:
    desk = Desk(1, 2)
    desk.census.asked(1, 7, now=0)
    assert desk.asked == [1, 2]
    desk.census.counted(2, tally(5), now=0)
    assert desk.answers == []
    desk.census.counted(1, tally(3), now=0)
    assert desk.answers == [(1, 7, 8)]
    assert desk.census.tick(100) == NEVER


def test_who_asks_meanwhile_is_told_of_another_count() -> None:
    desk = Desk(1, 2)
    desk.census.asked(1, 1, now=0)
    desk.census.counted(1, tally(1), now=0)
    desk.census.asked(2, 1, now=0)
    desk.census.counted(2, tally(1), now=0)
    assert desk.answers == [(1, 1, 2)]
    assert desk.asked == [1, 2, 1, 2]
    desk.census.counted(1, tally(2), now=0)
    desk.census.counted(2, tally(2), now=0)
    assert desk.answers == [(1, 1, 2), (2, 1, 4)]


def test_of_one_who_does_not_answer_the_last_numbers_hold() -> None:
    desk = Desk(1, 2)
    desk.census.asked(1, 1, now=0)
    desk.census.counted(1, tally(1), now=0)
    desk.census.counted(2, tally(10), now=0)
    desk.census.asked(1, 2, now=5)
    desk.census.counted(1, tally(2), now=5)
    assert desk.census.tick(5.5) == 6
    assert desk.census.tick(6) == NEVER
    assert desk.answers[-1] == (1, 2, 12)


def test_one_who_has_not_answered_yet_is_not_told_again() -> None:
    desk = Desk(1, 2)
    desk.census.asked(1, 1, now=0)
    desk.census.counted(1, tally(1), now=0)
    desk.census.tick(1)
    desk.census.asked(1, 2, now=2)
    assert desk.asked == [1, 2, 1]
    desk.census.counted(1, tally(1), now=2)
    desk.census.counted(2, tally(1), now=2)
    assert desk.answers[-1] == (1, 2, 2)


def test_the_counts_of_a_dead_worker_are_kept() -> None:
    desk = Desk(1, 2)
    desk.census.asked(1, 1, now=0)
    desk.census.counted(1, tally(1), now=0)
    desk.census.counted(2, tally(10), now=0)
    desk.census.gone(2, now=1)
    desk.census.joined(3)
    desk.census.asked(1, 2, now=2)
    desk.census.counted(1, tally(2), now=2)
    desk.census.counted(3, tally(1), now=2)
    assert desk.answers[-1] == (1, 2, 13)


def test_nobody_waits_for_a_worker_that_ends() -> None:
    desk = Desk(1, 2)
    desk.census.asked(1, 1, now=0)
    desk.census.counted(1, tally(1), now=0)
    desk.census.counted(2, tally(4), now=0)  # its last numbers, told on its way out
    desk.census.asked(1, 2, now=1)
    desk.census.counted(1, tally(1), now=1)
    desk.census.gone(2, now=1)
    assert desk.answers == [(1, 1, 5), (1, 2, 5)]


def test_a_worker_that_asked_and_ended_is_told_nothing() -> None:
    desk = Desk(1, 2)
    desk.census.asked(1, 1, now=0)
    desk.census.asked(2, 1, now=0)
    desk.census.gone(1, now=0)
    desk.census.counted(2, tally(3), now=0)
    assert desk.answers == [(2, 1, 3)]
    desk.census.gone(2, now=0)
    assert desk.census.tick(9) == NEVER


def test_a_worker_that_is_not_there_yet_is_answered_at_once() -> None:
    desk = Desk()
    desk.census.asked(1, 1, now=0)
    assert desk.answers == [(1, 1, 0)]
