"""The process above the workers: it holds the listening sockets, starts and watches workers, and serves nothing itself.

It runs no event loop, loads no app and starts no thread: there is little in it that could fail. Signals:

- SIGTERM, SIGINT: all workers go in the server's phases; a second one cuts the waits short, a third kills.
- SIGHUP: the workers are replaced one at a time. On a terminal that is gone it ends the server.
- SIGUSR2: the program is started anew with the same sockets; this one goes when the new one serves.

The sockets stay open here as long as it lives, so that the kernel never drops a connection that waits to be accepted.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final

from framework.net.brain import NEVER, Brain, Hands
from framework.net.census import Census
from framework.net.control import Beat, Counted, Failed, Gather, Leaving, Ready
from framework.net.crew import Crew, Job, WorkerProcess, reports
from framework.net.systemd import Notifier
from framework.net.takeover import Predecessor, Program, Successor

__all__ = ["Supervisor"]

_HANDLED: Final = tuple(
    getattr(signal, name)
    for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR2", "SIGCHLD")
    if hasattr(signal, name)
)


class Supervisor:
    """Runs a brain over real processes.

    Args:
        job: what each worker does.
        sockets: bound and listening; closed at the end.
        shares: for each worker, the sockets that are its own, by index.
        brain: makes what decides, given its hands.
        status: said of the service when it is up.
        program: what SIGUSR2 starts; its own command line when not given.
        changes: a socket on which a watcher of files writes the names of those that changed, one a line.
        on_serving: called when all is up for the first time, instead of saying so.

    Attributes:
        handed_over: another process has taken the sockets.
    """

    def __init__(
        self,
        job: Job,
        sockets: Sequence[socket.socket],
        shares: Sequence[Sequence[int]],
        brain: Callable[[Hands], Brain],
        *,
        status: str,
        log: logging.Logger,
        notifier: Notifier | None = None,
        predecessor: Predecessor | None = None,
        program: Program | None = None,
        changes: socket.socket | None = None,
        on_serving: Callable[[], None] | None = None,
    ) -> None:
        self.handed_over = False
        self._sockets = list(sockets)
        self._selector = selectors.DefaultSelector()
        self._crew = Crew(job, sockets, shares, on_spawn=self._spawned, on_serving=self._serving)
        self._brain = brain(self._crew)
        self._census = Census(self._crew.count, self._crew.answer)
        self._status = status
        self._log = log
        self._notifier = notifier or Notifier()
        self._predecessor = predecessor or Predecessor()
        self._program = program or Program()
        self._successor: Successor | None = None
        self._failed_successor: Successor | None = None
        self._environment: Mapping[str, str] = dict(os.environ)
        self._on_terminal = sys.stderr.isatty()
        self._on_serving = on_serving
        self._alive_at = NEVER if self._notifier.watchdog_interval is None else 0.0
        if changes is not None:
            self._selector.register(changes, selectors.EVENT_READ, partial(self._changed, changes))

    def run(self) -> int:
        """Returns the exit code, once every worker has ended. For the main thread, whose signals it handles."""
        with self._signals():
            try:
                self._brain.start(time.monotonic())
                while self._brain.code is None:
                    self._turn()
                return self._brain.code
            finally:
                self._close()

    @contextmanager
    def _signals(self) -> Generator[None]:
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        self._selector.register(reader, selectors.EVENT_READ, partial(self._signalled, reader))
        before = {number: signal.signal(number, _noted) for number in _HANDLED}
        wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)
            reader.close()
            writer.close()

    def _turn(self) -> None:
        now = time.monotonic()
        due = min(self._brain.tick(now), self._census.tick(now), self._sign_of_life(now))
        if self._crew.stillborn:
            due = now
        # What has come is read before anybody is judged by the clock: this process may have been the one that slept.
        for key, _ in self._selector.select(None if due == NEVER else max(0.0, due - now)):
            key.data()
        self._reap()

    def _reap(self) -> None:
        now = time.monotonic()
        self._reap_successor()
        stillborn, self._crew.stillborn = self._crew.stillborn, []
        for worker, why in stillborn:
            self._brain.exited(worker, now, why)
        for worker, process in list(self._crew.members.items()):
            ending = process.ending()
            if ending is None:
                continue
            if not process.channel.closed:
                self._hear(worker, process)
                ending = process.ending() or ending
            self._forget(process.channel.socket)
            process.close()
            del self._crew.members[worker]
            self._census.gone(worker, now)
            self._brain.exited(worker, now, ending)

    def _sign_of_life(self, now: float) -> float:
        """Tells the service manager's watchdog that all is well while a worker serves."""
        interval = self._notifier.watchdog_interval
        if interval is not None and now >= self._alive_at:
            if self._brain.healthy:
                self._notifier.alive()
            self._alive_at = now + interval
        return self._alive_at

    # -- workers ----------------------------------------------------------------------------------------------------

    def _spawned(self, worker: int, process: WorkerProcess) -> None:
        self._selector.register(
            process.channel.socket, selectors.EVENT_READ, partial(self._hear, worker, process)
        )

    def _hear(self, worker: int, process: WorkerProcess) -> None:
        now = time.monotonic()
        for message in reports(process):
            match message:
                case Ready():
                    process.ready = True
                    self._census.joined(worker)
                    self._brain.ready(worker, now)
                case Beat():
                    self._brain.beat(worker, now, message.requests, message.rss)
                case Leaving():
                    self._brain.leaving(worker, now)
                case Counted():
                    self._census.counted(worker, process.numbers(message.size), now)
                case Gather():
                    self._census.asked(worker, message.ticket, now)
                case Failed():
                    process.failure = message
        if process.channel.closed:
            self._forget(process.channel.socket)

    def _forget(self, sock: socket.socket) -> None:
        try:
            self._selector.unregister(sock)
        except (KeyError, ValueError):
            pass  # it was forgotten when its end was read

    def _serving(self) -> None:
        on_serving, self._on_serving = self._on_serving, None
        if on_serving is not None:
            on_serving()
        else:
            self._log.info("serving: %s", self._status)
        self._predecessor.serving()
        self._notifier.ready(self._status)

    # -- orders -----------------------------------------------------------------------------------------------------

    def _signalled(self, reader: socket.socket) -> None:
        try:
            numbers = reader.recv(4096)
        except BlockingIOError:
            return
        for number in numbers:
            if number in (signal.SIGTERM, signal.SIGINT):
                self._stop()
            elif number == signal.SIGHUP:
                self._hang_up()
            elif number == signal.SIGUSR2:
                self._take_over()

    def _stop(self) -> None:
        if not self.handed_over:
            self._notifier.stopping()
        if self._successor is not None:
            os.kill(self._successor.pid, signal.SIGTERM)
        self._brain.stop(time.monotonic())

    def _hang_up(self) -> None:
        if self._on_terminal and not sys.stderr.isatty():
            self._stop()
            return
        if not self.handed_over:
            self._notifier.reloading()
        self._brain.reload(time.monotonic())

    def _changed(self, changes: socket.socket) -> None:
        data = changes.recv(65_536)
        if data:
            self._brain.changed(data.decode(errors="replace").splitlines(), time.monotonic())
        else:
            self._forget(changes)

    def _take_over(self) -> None:
        if self.handed_over or self._successor is not None:
            self._log.warning("SIGUSR2: a new program is being started already")
            return
        if os.getpid() == 1:
            self._log.error(
                "SIGUSR2: this is process 1, whose end ends its container; SIGHUP reloads the app"
            )
            return
        environment = {**self._environment, **self._notifier.environment}
        try:
            self._successor = successor = self._program.start(self._sockets, environment)
        except OSError as error:
            self._log.error("SIGUSR2: the new program cannot be started: %s", error.strerror)
            return
        self._log.info("SIGUSR2: the program was started anew as process %d", successor.pid)
        self._selector.register(
            successor.channel, selectors.EVENT_READ, partial(self._heard_of_successor, successor)
        )

    def _heard_of_successor(self, successor: Successor) -> None:
        self._forget(successor.channel)
        if successor.has_taken_over():
            self._log.info("process %d serves; this one goes", successor.pid)
            self.handed_over = True
            self._notifier.successor(successor.pid)
            self._brain.stop(time.monotonic())
            self._successor = None
        else:
            self._failed_successor = successor  # until its exit code is known, which comes a moment later
        successor.close()

    def _reap_successor(self) -> None:
        code = None if self._failed_successor is None else self._failed_successor.exit_code()
        if code is not None:
            self._log.error("the new program ended before it served (exit code %d); this one goes on", code)
            self._failed_successor = self._successor = None

    def _close(self) -> None:
        for process in self._crew.members.values():
            process.signal(signal.SIGKILL)
            process.process.wait()
            process.close()
        for sock in self._sockets:
            sock.close()
        self._selector.close()
        self._notifier.close()


def _noted(number: int, frame: object) -> None:
    """The handler of every signal: the wake-up descriptor has its number, the loop acts on it."""
