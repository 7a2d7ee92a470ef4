"""Development reload: the workbench under virtual time, the watcher on real files."""

from __future__ import annotations

import logging
import select
from pathlib import Path

import pytest

from framework.errors import SetupError
from framework.net.brain import Ending
from framework.net.reload import Watcher, Workbench
from tests.support.fleet import Recorder

FINE = Ending(0)
BROKEN = Ending(2, ("SyntaxError: invalid syntax",), setup=True)


@pytest.fixture
def hands() -> Recorder:
    return Recorder()


@pytest.fixture
def bench(hands: Recorder, caplog: pytest.LogCaptureFixture) -> Workbench:
    caplog.set_level(logging.INFO)
    bench = Workbench(hands, log=logging.getLogger("test.bench"))
    bench.start(0.0)
    bench.ready(1, 0.5)
    assert hands.take() == [("spawn", 1, 0), ("serving",)]
    return bench


def test_a_change_ends_the_worker_before_the_next_begins(bench: Workbench, hands: Recorder) -> None:
    bench.changed(["/elsewhere/app.py"], 1.0)
    assert hands.take() == [("stop", 1)]
    bench.changed(["/elsewhere/app.py"], 1.1)
    assert hands.take() == []
    bench.exited(1, 1.2, FINE)
    assert hands.take() == [("spawn", 2, 0)]
    bench.ready(2, 1.5)
    assert bench.healthy
    assert hands.take() == []


def test_the_changed_file_is_named(
    bench: Workbench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    bench.changed([str(tmp_path / "shop" / "app.py"), "/elsewhere/lib.py"], 1.0)
    assert "changed: shop/app.py, /elsewhere/lib.py" in caplog.text


def test_a_worker_that_clings_to_a_stream_is_hurried_and_then_killed(
    bench: Workbench, hands: Recorder
) -> None:
    bench.changed(["a.py"], 10.0)
    assert bench.tick(10.0) == 11.0
    bench.tick(11.0)
    assert hands.take() == [("stop", 1), ("stop", 1)]
    bench.tick(12.0)
    assert hands.take() == [("kill", 1)]


def test_an_app_that_does_not_start_shows_why_and_waits_for_the_next_change(
    bench: Workbench, hands: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    bench.changed(["a.py"], 1.0)
    bench.exited(1, 1.1, FINE)
    hands.take()
    bench.exited(2, 1.5, BROKEN)
    assert "waiting for a change" in caplog.text
    assert "SyntaxError: invalid syntax" in caplog.text
    assert bench.tick(100.0) == float("inf")
    assert hands.take() == []
    bench.changed(["a.py"], 101.0)
    assert hands.take() == [("spawn", 3, 0)]


def test_a_change_during_a_start_begins_anew(hands: Recorder) -> None:
    bench = Workbench(hands, log=logging.getLogger("test.bench"))
    bench.start(0.0)
    bench.changed(["a.py"], 0.1)
    bench.exited(1, 0.2, Ending(-15))
    assert hands.take() == [("spawn", 1, 0), ("stop", 1), ("spawn", 2, 0)]


def test_a_loop_that_stands_at_a_breakpoint_is_left_alone(bench: Workbench) -> None:
    assert bench.tick(10_000.0) == float("inf")


def test_stop_ends_it_and_a_second_one_kills(bench: Workbench, hands: Recorder) -> None:
    bench.stop(1.0)
    bench.stop(1.1)
    assert hands.take() == [("stop", 1), ("kill", 1)]
    bench.changed(["a.py"], 1.2)
    bench.exited(1, 1.3, Ending(-9))
    assert bench.code == 0
    assert hands.take() == []


def test_stop_while_it_waits_for_a_change_ends_at_once(bench: Workbench) -> None:
    bench.exited(1, 1.0, BROKEN)
    bench.stop(2.0)
    assert bench.code == 0


def test_the_watcher_tells_files_that_count_and_no_others(tmp_path: Path) -> None:
    watcher = Watcher([tmp_path])
    watcher.start()
    try:
        ready, told = False, ""
        while not ready or "app.py" not in told:  # the watch begins some moments after the thread
            (tmp_path / "users.sqlite").write_text("x")
            (tmp_path / "app.pyc").write_text("x")
            (tmp_path / "app.py").write_text("x")
            ready = bool(select.select([watcher.socket], [], [], 0.5)[0])
            if ready:
                told += watcher.socket.recv(65536).decode()
    finally:
        watcher.close()
    assert set(told.splitlines()) == {str(tmp_path / "app.py")}


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="nothing is no folder"):
        Watcher([tmp_path / "nothing"])


def test_without_watchfiles_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "watchfiles", None)
    with pytest.raises(SetupError, match="pip install watchfiles"):
        Watcher([tmp_path])
