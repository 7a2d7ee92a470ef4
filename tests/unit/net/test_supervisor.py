"""The supervisor's loop: signals, its service manager, and workers that cannot be had. Real workers: test_workers."""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from framework.net import crew
from framework.net.brain import NEVER, Ending, Hands, Rules
from framework.net.crew import Job
from framework.net.fleet import Fleet
from framework.net.supervisor import Supervisor
from framework.net.systemd import Notifier

JOB = Job(entry="nowhere:nothing", arguments={}, label="test")
LOG = logging.getLogger("test.supervisor")


class Script:
    """A brain that notes what it is told, and plays a step of its script at each tick."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        self.code: int | None = None
        self.healthy = True
        self.told: list[object] = []
        self._steps = list(steps)

    def start(self, now: float) -> None:
        self.told.append("start")

    def ready(self, worker: int, now: float) -> None:
        self.told.append(("ready", worker))

    def beat(self, worker: int, now: float, requests: int, rss: int) -> None:
        self.told.append(("beat", worker))

    def leaving(self, worker: int, now: float) -> None:
        self.told.append(("leaving", worker))

    def exited(self, worker: int, now: float, ending: Ending) -> None:
        self.told.append(("exited", worker, ending))
        self.code = 3

    def reload(self, now: float) -> None:
        self.told.append("reload")

    def changed(self, files: Sequence[str], now: float) -> None:
        self.told.append(("changed", *files))
        self.code = 0

    def stop(self, now: float) -> None:
        self.told.append("stop")
        self.code = 0

    def tick(self, now: float) -> float:
        if self._steps:
            self._steps.pop(0)()
        return NEVER


def run(brain: Script, **more: object) -> int:
    return Supervisor(JOB, [], [], lambda hands: brain, status="all", log=LOG, **more).run()  # type: ignore[arg-type]


def send(number: signal.Signals) -> Callable[[], object]:
    return lambda: os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_reach_the_brain_and_handlers_are_put_back(number: signal.Signals) -> None:
    before = {
        each: signal.getsignal(each)
        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
    }
    brain = Script(send(signal.SIGHUP), send(number))
    assert run(brain) == 0
    assert brain.told == ["start", "reload", "stop"]
    assert {each: signal.getsignal(each) for each in before} == before


def test_changed_files_reach_the_brain() -> None:
    reader, writer = socket.socketpair()
    with reader, writer:
        writer.sendall("/a.py\n/b é.py\n".encode())
        brain = Script()
        assert run(brain, changes=reader) == 0
    assert brain.told == ["start", ("changed", "/a.py", "/b é.py")]


def test_the_manager_is_told_of_reload_and_stop(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(5)
        run(Script(send(signal.SIGHUP), send(signal.SIGTERM)), notifier=Notifier(str(tmp_path / "notify")))
        assert manager.recv(4096).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert manager.recv(4096).startswith(b"STOPPING=1")


def test_the_watchdog_hears_nothing_while_no_worker_serves(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        notifier = Notifier(str(tmp_path / "notify"), watchdog_interval=0.001)
        brain = Script(lambda: None, lambda: None, send(signal.SIGTERM))
        brain.healthy = False
        run(brain, notifier=notifier)
        assert manager.recv(4096).startswith(b"STOPPING=1")
        with pytest.raises(BlockingIOError):
            manager.recv(4096)


def test_a_process_that_cannot_be_had_is_a_start_that_failed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(crew.subprocess, "Popen", refuse)  # type: ignore[attr-defined]
    rules = Rules(first_delay=0.001, max_failed_starts=3)

    def brain(hands: Hands) -> Fleet:
        return Fleet(hands, rules, [()], log=LOG)

    assert Supervisor(JOB, [], [()], brain, status="all", log=LOG).run() == 1
    assert caplog.text.count("no process can be had: Resource temporarily unavailable") == 3


def test_a_new_program_that_cannot_be_started_leaves_all_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    class Never:
        command: Sequence[str] = ()
        folder = "/"

        def start(self, sockets: object, environment: object) -> object:
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    brain = Script(send(signal.SIGUSR2), send(signal.SIGTERM))
    assert run(brain, program=Never()) == 0
    assert "the new program cannot be started: Resource temporarily unavailable" in caplog.text
    assert brain.told == ["start", "stop"]
