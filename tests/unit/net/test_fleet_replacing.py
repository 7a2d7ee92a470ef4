"""The fleet's replacements under virtual time: reloads, limits, workers that were told to go."""

from __future__ import annotations

import logging

import pytest

from framework.net.brain import Ending
from tests.support.fleet import CRASH, REFUSED, Recorder, limits, make, running


@pytest.fixture
def hands() -> Recorder:
    return Recorder()


def test_a_reload_replaces_one_worker_after_the_other(hands: Recorder) -> None:
    fleet = running(hands)
    fleet.reload(1.0)
    assert hands.take() == [("spawn", 3, 0)]
    fleet.ready(3, 2.0)
    assert hands.take() == [("stop", 1)], "the old one goes when the new one serves"
    assert not [each for each in hands.take() if each[0] == "spawn"], (
        "memory holds one more worker, not twice as many"
    )
    fleet.exited(1, 5.0, Ending(0))
    assert hands.take() == [("spawn", 4, 1)]
    fleet.ready(4, 6.0)
    assert hands.take() == [("stop", 2)]
    fleet.exited(2, 7.0, Ending(0))
    assert hands.take() == [("serving",)]


def test_a_new_worker_that_does_not_start_ends_the_reload_and_the_old_ones_go_on(
    hands: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    fleet = running(hands)
    fleet.reload(1.0)
    hands.take()
    fleet.exited(3, 2.0, Ending(2, ("SyntaxError: invalid syntax",), setup=True))
    assert hands.take() == [("serving",)]
    assert "the old workers go on" in caplog.text
    assert "SyntaxError" in caplog.text
    assert fleet.tick(2.0) > 2.0
    fleet.reload(3.0)
    assert hands.take() == [("spawn", 4, 0)], "the next reload begins anew"


def test_a_reload_during_a_reload_replaces_all_again(hands: Recorder) -> None:
    fleet = running(hands)
    fleet.reload(1.0)
    fleet.reload(1.5)
    fleet.ready(3, 2.0)
    fleet.exited(1, 3.0, Ending(0))
    assert hands.take() == [("spawn", 3, 0), ("stop", 1), ("spawn", 4, 0)]
    fleet.ready(4, 4.0)
    fleet.exited(3, 5.0, Ending(0))
    fleet.ready(5, 6.0)
    fleet.exited(2, 7.0, Ending(0))
    assert hands.take() == [("stop", 3), ("spawn", 5, 1), ("stop", 2), ("serving",)]


def test_a_reload_starts_a_worker_at_once_that_waits_to_be_tried_again(hands: Recorder) -> None:
    fleet = make(hands, 1)
    fleet.start(0.0)
    for worker in (1, 2, 3):
        fleet.exited(worker, 0.0, REFUSED)
        if worker < 3:
            fleet.tick(fleet.tick(0.0))
    hands.take()
    fleet.reload(0.1)
    fleet.tick(0.1)
    assert hands.take()[-1] == ("spawn", 4, 0)


def test_a_worker_that_starts_during_a_reload_may_hold_old_code_and_is_replaced_too(hands: Recorder) -> None:
    fleet = make(hands, 1)
    fleet.start(0.0)
    fleet.reload(0.5)
    assert hands.take() == [("spawn", 1, 0)]
    fleet.ready(1, 1.0)
    assert hands.take() == [("spawn", 2, 0), ("serving",)]


def test_a_crash_of_the_old_worker_during_its_replacement_starts_no_third(hands: Recorder) -> None:
    fleet = running(hands)
    fleet.reload(1.0)
    fleet.exited(1, 1.5, CRASH)
    fleet.tick(1.5)
    assert hands.take() == [("spawn", 3, 0), ("accept", 2, 1, 0)]
    fleet.ready(3, 2.0)
    assert hands.take() == [("accept", 2, 1), ("spawn", 4, 1)]


def test_a_worker_is_replaced_after_its_requests_and_serves_until_then(hands: Recorder) -> None:
    fleet = running(hands, rules=limits(max_requests=1000, max_requests_jitter=0.1), chance=0.5)
    fleet.beat(1, 20.0, 1049, 0)
    assert hands.take() == []
    fleet.beat(1, 21.0, 1050, 0)
    assert hands.take() == [("spawn", 3, 0)]
    fleet.beat(1, 22.0, 1100, 0)
    assert hands.take() == []
    fleet.ready(3, 23.0)
    assert hands.take() == [("stop", 1)]


def test_a_worker_is_replaced_when_it_holds_too_much_memory(
    hands: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    fleet = running(hands, rules=limits(max_rss=200 << 20))
    fleet.beat(2, 20.0, 0, 199 << 20)
    assert hands.take() == []
    fleet.beat(2, 21.0, 0, 210 << 20)
    assert hands.take() == [("spawn", 3, 1)]
    assert "holds 210 MiB" in caplog.text


def test_a_limit_below_what_every_worker_needs_does_not_replace_without_end(hands: Recorder) -> None:
    fleet = running(hands, 1, rules=limits(max_rss=1, settle_time=10.0))
    for second in range(10):
        fleet.beat(1, float(second), 0, 100)
    assert hands.take() == []
    fleet.beat(1, 10.0, 0, 100)
    assert hands.take() == [("spawn", 2, 0)]


def test_one_replacement_at_a_time_when_several_reach_a_limit(hands: Recorder) -> None:
    fleet = running(hands, rules=limits(max_requests=10, max_requests_jitter=0.0))
    fleet.beat(1, 20.0, 11, 0)
    fleet.beat(2, 20.0, 11, 0)
    assert hands.take() == [("spawn", 3, 0)]
    fleet.ready(3, 21.0)
    fleet.exited(1, 22.0, Ending(0))
    assert hands.take() == [("stop", 1), ("spawn", 4, 1)]


def test_a_worker_over_its_limit_whose_successor_does_not_start_serves_on(hands: Recorder) -> None:
    fleet = running(hands, 1, rules=limits(max_requests=10, max_requests_jitter=0.0))
    fleet.beat(1, 20.0, 11, 0)
    fleet.exited(2, 20.5, REFUSED)
    hands.take()
    fleet.beat(1, 20.6, 11, 0)
    assert hands.take() == []
    fleet.beat(1, 21.1, 11, 0)
    assert hands.take() == [("spawn", 3, 0)]


def test_a_worker_told_to_go_by_somebody_else_is_replaced_first(hands: Recorder) -> None:
    fleet = running(hands)
    fleet.leaving(2, 1.0)
    assert hands.take() == [("spawn", 3, 1)]
    fleet.ready(3, 2.0)
    assert hands.take() == [("stop", 2)]
