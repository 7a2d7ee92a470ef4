"""Server processes: started pinned, waited for, measured from /proc with their children, stopped as one."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load.probe import ProbeError, exchange
from benchmarks.load.roster import ROOT, Server
from benchmarks.load.scenarios import SCENARIOS, Variant
from benchmarks.load.work import HOST, Settings

__all__ = [
    "Running",
    "StartError",
    "cpu_seconds",
    "free_port",
    "parse_stat",
    "pinned",
    "rss_kib",
    "serving",
    "tree",
]

START_TIMEOUT = 20.0
STOP_TIMEOUT = 5.0
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


class StartError(Exception):
    """The server did not come up; the text holds the end of what it printed."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def alive(self) -> bool:
        return self.process.poll() is None

    def last_words(self, limit: int = 600) -> str:
        return self.log.read_text(errors="replace")[-limit:].strip()


def pinned(core: int, command: list[str]) -> list[str]:
    return ["taskset", "-c", str(core), *command]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(server: Server, variant: Variant, *, core: int) -> Iterator[Running]:
    """Runs the server on one core and yields once it answers; stops it, and all it started, at the end.

    Raises:
        StartError: it ended, or did not answer within ``START_TIMEOUT`` seconds.
    """
    scratch = Path(tempfile.mkdtemp(prefix="bench-"))
    settings = Settings(free_port(), variant.routes, variant.onions)
    log = scratch / "output.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            pinned(core, server.command(settings, scratch)),
            cwd=ROOT,
            env={**os.environ, **settings.environment(), **server.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    running = Running(process, settings.port, log)
    try:
        _wait_until_it_answers(running)
        yield running
    finally:
        _stop(process)
        shutil.rmtree(scratch, ignore_errors=True)


def _wait_until_it_answers(running: Running) -> None:
    hello = SCENARIOS[0]
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if not running.alive():
            raise StartError(f"it ended with {running.process.returncode}: {running.last_words()}")
        try:
            exchange(running.port, hello, timeout=1.0)
        except (ProbeError, OSError):
            time.sleep(0.05)
        else:
            return
    raise StartError(f"no answer within {START_TIMEOUT:.0f} s: {running.last_words()}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ends the whole group: workers of a server that died by itself would disturb the next one."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT)
    process.wait()


def parse_stat(text: str) -> tuple[int, int]:
    """The parent and the CPU ticks (user and system, own and reaped children's) in a ``/proc/PID/stat``."""
    fields = text[text.rindex(")") + 2 :].split()
    return int(fields[1]), sum(int(value) for value in fields[11:15])


def _stats() -> dict[int, tuple[int, int]]:
    found: dict[int, tuple[int, int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                found[int(name)] = parse_stat(Path("/proc", name, "stat").read_text())
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found


def _descendants(root: int, parents: dict[int, int]) -> list[int]:
    members = [root]
    for member in members:
        members += [pid for pid, parent in parents.items() if parent == member]
    return members


def tree(root: int) -> list[int]:
    """The process and its living descendants."""
    return _descendants(root, {pid: parent for pid, (parent, _) in _stats().items()})


def cpu_seconds(root: int) -> float:
    """User and system time of the process and all it started, in seconds; in steps of a tick (10 ms)."""
    stats = _stats()
    members = _descendants(root, {pid: parent for pid, (parent, _) in stats.items()})
    return sum(stats[pid][1] for pid in members if pid in stats) / CLOCK_TICKS


def rss_kib(root: int) -> int:
    """Resident memory of the process and its descendants, in KiB (pages they share count in each)."""
    total = 0
    for pid in tree(root):
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_KIB
        except FileNotFoundError:
            continue
    return total
