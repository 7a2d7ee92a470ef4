"""The worker processes of a supervisor: how they are started, heard, told and ended. What to do, the brain decides."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from framework.net.brain import Ending
from framework.net.control import Accept, Begin, Count, Failed, Gathered, Report, Stop, to_worker
from framework.net.numbers import new_file, read_file, write_file
from framework.net.tally import Tally, pack, unpack

__all__ = ["Crew", "Job", "WorkerProcess"]

_MAX_WORDS: Final = 60


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What the workers do.

    Attributes:
        entry: "module:function", called in each worker with ``arguments``; returns a ``worker.Host``.
        arguments: plain data, as JSON has it.
        label: names the app in ``ps``.
        beat_interval: seconds between signs of life.
    """

    entry: str
    arguments: dict[str, Any]
    label: str
    beat_interval: float = 1.0


class WorkerProcess:
    """One worker. Raises OSError when no process can be had."""

    def __init__(self, job: Job, slot: int, sockets: Sequence[socket.socket], accept: Sequence[int]) -> None:
        self.slot = slot
        self.failure: Failed | None = None
        self.ready = False
        ours, theirs = socket.socketpair()
        self.channel = to_worker(ours)
        self._words = new_file("last words")
        self._own_numbers, self._all_numbers = new_file("own numbers"), new_file("all numbers")
        shared = [self._words, self._own_numbers, self._all_numbers]
        descriptors = [sock.fileno() for sock in sockets]
        begin = Begin(
            entry=job.entry,
            arguments=job.arguments,
            sockets=descriptors,
            accept=list(accept),
            words=self._words,
            path=[entry or os.getcwd() for entry in sys.path],
            beat_interval=job.beat_interval,
            own_numbers=self._own_numbers,
            all_numbers=self._all_numbers,
        )
        command = [
            sys.executable,
            "-m",
            "framework.net.worker",
            str(theirs.fileno()),
            f"{job.label}[{slot + 1}]",
        ]
        try:
            with theirs:
                self.process = subprocess.Popen(command, pass_fds=[theirs.fileno(), *shared, *descriptors])
        except BaseException:
            self.close()
            raise
        self.channel.send(begin)

    def signal(self, number: int) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)

    def ending(self) -> Ending | None:
        """How the process ended; None while it runs."""
        code = self.process.poll()
        if code is None:
            return None
        words = self.failure.problems if self.failure is not None else self._last_words()
        return Ending(code, tuple(words), setup=self.failure is not None and self.failure.setup)

    def _last_words(self) -> list[str]:
        """What faulthandler wrote when a signal ended the process."""
        text = os.pread(self._words, 65_536, 0).decode(errors="replace")
        return text.splitlines()[:_MAX_WORDS]

    def numbers(self, size: int) -> Tally:
        """What the worker has written. One that writes nonsense is ended."""
        try:
            tally = unpack(read_file(self._own_numbers, size))
        except msgspec.DecodeError:
            self.signal(signal.SIGKILL)
            return Tally()
        return Tally(tally.families, worker=str(self.slot + 1))

    def tell(self, ticket: int, numbers: Tally) -> None:
        """Tells the worker the numbers of all."""
        data = pack(numbers)
        write_file(self._all_numbers, data)
        self.channel.send(Gathered(ticket, len(data)))

    def close(self) -> None:
        self.channel.close()
        for descriptor in (self._words, self._own_numbers, self._all_numbers):
            os.close(descriptor)


class Crew:
    """All workers of a supervisor, by number; the ``Hands`` of its brain.

    Attributes:
        stillborn: workers for which no process could be had.
    """

    def __init__(
        self,
        job: Job,
        sockets: Sequence[socket.socket],
        shares: Sequence[Sequence[int]],
        *,
        on_spawn: Callable[[int, WorkerProcess], None],
        on_serving: Callable[[], None],
    ) -> None:
        self.members: dict[int, WorkerProcess] = {}
        self.stillborn: list[tuple[int, Ending]] = []
        self._job = job
        self._sockets = sockets
        self._shares = shares
        self._on_spawn = on_spawn
        self._on_serving = on_serving

    def spawn(self, worker: int, slot: int) -> None:
        try:
            process = WorkerProcess(self._job, slot, self._sockets, self._shares[slot])
        except OSError as error:
            self.stillborn.append((worker, Ending(1, (f"no process can be had: {error.strerror}",))))
            return
        self.members[worker] = process
        self._on_spawn(worker, process)

    def stop(self, worker: int) -> None:
        process = self.members.get(worker)
        if process is not None:
            process.channel.send(Stop())
            if not process.ready:  # it may not have come to its loop yet, and hear nothing but this
                process.signal(signal.SIGTERM)

    def dump(self, worker: int) -> None:
        """faulthandler, which needs no loop, answers this signal with the stacks of all threads."""
        self._signal(worker, signal.SIGABRT)

    def kill(self, worker: int) -> None:
        self._signal(worker, signal.SIGKILL)

    def accept(self, worker: int, sockets: Sequence[int]) -> None:
        process = self.members.get(worker)
        if process is not None:
            process.channel.send(Accept(list(sockets)))

    def serving(self) -> None:
        self._on_serving()

    def count(self, worker: int) -> None:
        """Has a worker tell its numbers."""
        process = self.members.get(worker)
        if process is not None:
            process.channel.send(Count())

    def answer(self, worker: int, ticket: int, numbers: Tally) -> None:
        """Tells a worker the numbers of all."""
        process = self.members.get(worker)
        if process is not None:
            process.tell(ticket, numbers)

    def _signal(self, worker: int, number: int) -> None:
        process = self.members.get(worker)
        if process is not None:
            process.signal(number)


def reports(process: WorkerProcess) -> list[Report]:
    """What a worker said since the last call. One that talks nonsense is ended."""
    try:
        return process.channel.receive()
    except msgspec.DecodeError:
        process.signal(signal.SIGKILL)
        return []
