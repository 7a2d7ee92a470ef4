"""The fleet's decisions under virtual time: starts, crashes, hangs, the end. No process is started here."""

from __future__ import annotations

import signal

import pytest

from framework.net.brain import Ending
from tests.support.fleet import CRASH, REFUSED, Recorder, limits, make, running


@pytest.fixture
def hands() -> Recorder:
    return Recorder()


def test_the_first_worker_starts_alone_and_the_others_when_it_is_ready(hands: Recorder) -> None:
    fleet = make(hands, 3)
    fleet.start(0.0)
    assert hands.take() == [("spawn", 1, 0)]
    fleet.ready(1, 1.0)
    assert hands.take() == [("spawn", 2, 1), ("spawn", 3, 2), ("accept", 1, 0, 1, 2)]
    fleet.ready(3, 2.0)
    assert hands.take() == [("accept", 1, 0, 1)]
    fleet.ready(2, 3.0)
    assert hands.take() == [("accept", 1, 0), ("serving",)]


def test_a_wrong_app_is_given_up_at_once(hands: Recorder, caplog: pytest.LogCaptureFixture) -> None:
    fleet = make(hands)
    fleet.start(0.0)
    fleet.exited(1, 1.0, Ending(2, ("server.tls_key: no such file",), setup=True))
    assert fleet.code == 2
    assert "server.tls_key: no such file" in caplog.text
    assert hands.take() == [("spawn", 1, 0)]


def test_a_start_that_fails_is_tried_again_ever_later_and_given_up_in_the_end(
    hands: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    fleet = make(hands)
    fleet.start(0.0)
    now, waits = 0.0, []
    for worker in range(1, 6):
        assert hands.take() == [("spawn", worker, 0)]
        fleet.exited(worker, now, REFUSED)
        if fleet.code is None:
            due = fleet.tick(now)
            waits.append(due - now)
            fleet.tick(due - 0.01)
            assert hands.take() == []
            now = due
            fleet.tick(now)
    assert waits == [0.5, 1.0, 2.0, 4.0]
    assert fleet.code == 1
    assert "5 starts in a row failed" in caplog.text
    assert "no database" in caplog.text


def test_a_crashed_worker_comes_back_and_its_sockets_are_served_meanwhile(hands: Recorder) -> None:
    fleet = running(hands)
    fleet.exited(2, 100.0, CRASH)
    assert hands.take() == [("accept", 1, 0, 1)]
    fleet.beat(1, 100.0, 0, 0)
    fleet.tick(100.0)
    assert hands.take() == [("spawn", 3, 1)]
    fleet.ready(3, 101.0)
    assert hands.take() == [("accept", 1, 0)]


def test_a_worker_that_crashes_again_and_again_comes_back_ever_later(hands: Recorder) -> None:
    fleet = running(hands, rules=limits(max_delay=3.0))
    now, worker, waits = 0.0, 2, []
    for _ in range(5):
        fleet.exited(worker, now, CRASH)
        now = fleet.tick(now)
        fleet.tick(now)
        waits.append(now)
        worker += 1
        assert ("spawn", worker, 1) in hands.take()
        fleet.ready(worker, now)
    assert [after - before for before, after in zip([0.0, *waits], waits, strict=False)] == [
        0.5,
        1.0,
        2.0,
        3.0,
        3.0,
    ]
    fleet.exited(worker, now + 11.0, CRASH)
    fleet.tick(now + 11.0)
    assert hands.take()[-1] == ("spawn", worker + 1, 1), "it had settled, so it starts at once"
    assert fleet.code is None, "a fleet that once served is not given up for crashes"


def test_one_worker_that_cannot_start_does_not_end_those_that_serve(hands: Recorder) -> None:
    fleet = make(hands)
    fleet.start(0.0)
    fleet.ready(1, 0.0)
    now = 0.0
    for worker in range(2, 12):
        fleet.exited(worker, now, REFUSED)
        now = fleet.tick(now)
        fleet.beat(1, now, 0, 0)
        fleet.tick(now)
    assert fleet.code is None
    assert fleet.healthy
    assert hands.take().count(("serving",)) == 1, "the service is up, if not whole"


def test_when_no_worker_is_left_and_none_starts_all_is_given_up(hands: Recorder) -> None:
    fleet = running(hands, rules=limits(max_failed_starts=2, worker_timeout=None))
    fleet.exited(1, 50.0, CRASH)
    fleet.exited(2, 50.0, CRASH)
    now, worker = 50.0, 2
    while fleet.code is None:
        now = max(now, fleet.tick(now))
        fleet.tick(now)
        for spawned in [each for each in hands.take() if each[0] == "spawn"]:
            worker = int(str(spawned[1]))
            fleet.exited(worker, now, REFUSED)
    assert fleet.code == 1
    assert worker == 6, "two starts for each of two workers"


def test_another_accepts_in_place_of_a_worker_whose_loop_stands_still(hands: Recorder) -> None:
    fleet = running(hands, rules=limits(stale_time=3.0))
    fleet.beat(1, 2.0, 0, 0)
    assert fleet.tick(2.0) == 3.0
    fleet.tick(3.0)
    assert hands.take() == [("accept", 1, 0, 1)]
    assert fleet.tick(3.1) == 5.0
    fleet.beat(2, 4.0, 0, 0)
    assert hands.take() == [("accept", 1, 0)], "it was only slow"


def test_when_all_stand_still_nothing_changes_hands(hands: Recorder) -> None:
    fleet = running(hands, rules=limits(stale_time=3.0))
    fleet.tick(3.0)
    assert hands.take() == []
    fleet.beat(1, 3.5, 0, 0)
    fleet.beat(2, 3.5, 0, 0)
    assert hands.take() == [("accept", 1, 0, 1), ("accept", 1, 0)]


def test_a_hung_worker_shows_its_stacks_and_is_replaced(hands: Recorder) -> None:
    fleet = running(hands, rules=limits(worker_timeout=5.0, force_time=2.0))
    fleet.beat(1, 4.0, 0, 0)
    assert fleet.tick(4.0) == 5.0
    fleet.tick(5.0)
    assert hands.take() == [("dump", 2), ("accept", 1, 0, 1)]
    fleet.beat(1, 7.0, 0, 0)
    fleet.tick(7.0)
    assert hands.take() == [("kill", 2)]
    fleet.exited(2, 7.1, Ending(-signal.SIGKILL))
    fleet.tick(7.6)
    assert hands.take() == [("spawn", 3, 1)]


def test_a_supervisor_that_slept_itself_judges_nobody_whose_sign_of_life_waits_to_be_read(
    hands: Recorder,
) -> None:
    fleet = running(hands, rules=limits(worker_timeout=5.0))
    for worker in (1, 2):
        fleet.beat(worker, 60.0, 0, 0)
    assert fleet.tick(60.0) == 65.0
    assert hands.take() == []


def test_a_worker_that_does_not_get_ready_is_replaced(hands: Recorder) -> None:
    fleet = make(hands, rules=limits(start_timeout=10.0))
    fleet.start(0.0)
    assert fleet.tick(9.0) == 10.0
    fleet.tick(10.0)
    assert hands.take() == [("spawn", 1, 0), ("dump", 1)]
    fleet.exited(1, 10.1, Ending(-signal.SIGABRT))
    fleet.tick(fleet.tick(10.1))
    assert hands.take() == [("spawn", 2, 0)]


def test_stop_waits_for_all(hands: Recorder) -> None:
    fleet = running(hands)
    fleet.stop(1.0)
    assert hands.take() == [("stop", 1), ("stop", 2)]
    fleet.exited(1, 2.0, Ending(0))
    assert fleet.code is None
    fleet.exited(2, 3.0, Ending(0))
    assert fleet.code == 0
    assert hands.take() == []


def test_a_second_stop_forces_and_a_third_kills(hands: Recorder) -> None:
    fleet = running(hands, 1, rules=limits(force_time=3.0))
    fleet.stop(1.0)
    fleet.stop(2.0)
    assert hands.take() == [("stop", 1), ("stop", 1)]
    assert fleet.tick(2.0) == 5.0
    fleet.stop(3.0)
    assert ("kill", 1) in hands.take()
    fleet.exited(1, 3.1, Ending(-signal.SIGKILL))
    assert fleet.code == 0


def test_a_worker_that_does_not_go_is_killed(hands: Recorder) -> None:
    fleet = running(hands, 1, rules=limits(stop_timeout=20.0, worker_timeout=None, force_time=3.0))
    fleet.stop(0.0)
    hands.take()
    assert fleet.tick(1.0) == 20.0
    fleet.tick(20.0)
    fleet.tick(23.0)
    assert hands.take() == [("dump", 1), ("kill", 1)]


def test_stop_during_a_start_and_a_reload_starts_nothing_more(hands: Recorder) -> None:
    fleet = running(hands)
    fleet.reload(1.0)
    fleet.exited(2, 1.0, CRASH)
    fleet.stop(1.1)
    hands.take()
    fleet.exited(3, 1.2, Ending(-signal.SIGTERM))
    fleet.exited(1, 1.3, Ending(0))
    fleet.tick(100.0)
    assert hands.take() == []
    assert fleet.code == 0


def test_stop_with_no_worker_alive_ends_at_once(hands: Recorder) -> None:
    fleet = make(hands, 1)
    fleet.start(0.0)
    fleet.exited(1, 0.0, REFUSED)
    fleet.stop(0.1)
    assert fleet.code == 0


def test_a_socket_shared_by_all_needs_no_other_to_take_it(hands: Recorder) -> None:
    fleet = make(hands, shared=True)
    fleet.start(0.0)
    fleet.ready(1, 0.0)
    fleet.ready(2, 0.0)
    fleet.exited(2, 100.0, CRASH)
    assert not [each for each in hands.take() if each[0] == "accept"]


@pytest.mark.parametrize(
    ("ending", "text"),
    [
        (Ending(3), "ended with exit code 3"),
        (Ending(-signal.SIGKILL), "was ended by SIGKILL"),
        (Ending(-200), "ended with exit code -200"),
    ],
)
def test_an_ending_says_how(ending: Ending, text: str) -> None:
    assert str(ending) == text
