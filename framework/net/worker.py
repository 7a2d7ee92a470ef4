"""One worker process: serves what its supervisor tells it to, on sockets that were opened before it was born.

``python -m framework.net.worker DESCRIPTOR LABEL``, started by ``crew`` only; the label is for readers of ``ps``.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from importlib import import_module
from typing import Any, Final, Protocol, cast

from framework.errors import SetupError
from framework.http.endpoint import Endpoint
from framework.http.request import Request
from framework.net.collector import collecting_seldom
from framework.net.control import (
    Accept,
    Beat,
    Begin,
    Channel,
    Count,
    Failed,
    Gathered,
    Leaving,
    Order,
    Ready,
    Stop,
    to_supervisor,
)
from framework.net.core import Runtime
from framework.net.loop import run
from framework.net.numbers import Numbers, WorkerNumbers
from framework.net.server import Server
from framework.net.settings import ServerSettings
from framework.net.tls import TLS, renewing

__all__ = ["Host", "Worker", "main"]

_MAX_TRACE: Final = 40


class Host(Runtime, Protocol):
    """What a worker serves: a built app."""

    numbers: Numbers

    @property
    def server_settings(self) -> ServerSettings: ...

    def running(self) -> AbstractAsyncContextManager[Any]:
        """Opens what the app needs, and closes it in the end."""
        ...

    def not_ready(self) -> None:
        """The shutdown begins."""


class _Counting:
    """A runtime that counts its requests."""

    __slots__ = ("_find", "failed", "requests", "started")

    def __init__(self, runtime: Runtime) -> None:
        self.requests = 0
        self._find = runtime.find
        self.failed = runtime.failed
        self.started = runtime.started

    def find(self, request: Request) -> Endpoint:
        self.requests += 1
        return self._find(request)


class _Uncounted:
    """Costs a request nothing, where no limit asks for their number."""

    __slots__ = ("failed", "find", "requests", "started")

    def __init__(self, runtime: Runtime) -> None:
        self.requests = 0
        self.find = runtime.find
        self.failed = runtime.failed
        self.started = runtime.started


class Worker:
    """Serves a host until its supervisor says stop, or is gone.

    SIGTERM from somebody else is passed on: the worker serves until its successor is ready. SIGINT and SIGHUP, which
    a terminal sends to every process, are the supervisor's matter.
    """

    def __init__(
        self, host: Host, channel: Channel[Order], begin: Begin, sockets: Sequence[socket.socket]
    ) -> None:
        self._host = host
        self._channel = channel
        self._beat_interval = begin.beat_interval
        self._sockets = sockets
        self._wanted = set(begin.accept)
        self._listeners: dict[int, asyncio.Server] = {}
        self._server: Server | None = None
        self._listening: asyncio.Task[None] | None = None
        settings = host.server_settings
        self._tls = TLS.of(settings)
        counts = settings.max_requests is not None
        self._counter = _Counting(host) if counts else _Uncounted(host)
        self._numbers = WorkerNumbers(host.numbers, channel, begin.own_numbers, begin.all_numbers)

    async def serve(self) -> None:
        """Returns when the last connection is gone and the app is closed. A stop before the worker is ready cancels
        the start."""
        loop = asyncio.get_running_loop()
        task = cast("asyncio.Task[None]", asyncio.current_task())
        loop.add_reader(self._channel.socket, self._hear, task)
        loop.add_signal_handler(signal.SIGTERM, self._told_to_go, task)
        try:
            async with self._host.running(), renewing(self._tls):
                server = Server(
                    self._counter,
                    self._host.server_settings,
                    sockets=[],
                    on_not_ready=self._host.not_ready,
                    tls=self._tls,
                    shared=True,
                )
                with collecting_seldom(self._host.server_settings.gc_threshold):
                    await server.start()
                    self._server = server
                    await self._match(server)
                    self._channel.send(Ready())
                    self._beat(loop)
                    await server.run(signals=())
                    self._numbers.last()
        finally:
            loop.remove_reader(self._channel.socket)

    def _hear(self, task: asyncio.Task[None]) -> None:
        for order in self._channel.receive():
            match order:
                case Accept():
                    self._wanted = set(order.sockets)
                    self._rematch()
                case Stop():
                    self._stop(task)
                case Count():
                    self._numbers.count()
                case Gathered():
                    self._numbers.gathered(order)
                case Begin():
                    pass  # it was the first, read before the loop began
        if self._channel.closed:
            asyncio.get_running_loop().remove_reader(self._channel.socket)
            self._stop(task)

    def _stop(self, task: asyncio.Task[None]) -> None:
        if self._server is None:
            task.cancel()
        else:
            self._server.stop()

    def _told_to_go(self, task: asyncio.Task[None]) -> None:
        if self._server is None:
            task.cancel()
        else:
            self._channel.send(Leaving())

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._channel.closed:
            self._channel.send(Beat(self._counter.requests, resident_memory()))
            loop.call_later(self._beat_interval, self._beat, loop)

    # -- sockets ----------------------------------------------------------------------------------------------------

    def _rematch(self) -> None:
        server = self._server
        if server is not None and (self._listening is None or self._listening.done()):
            self._listening = asyncio.get_running_loop().create_task(self._match(server))

    async def _match(self, server: Server) -> None:
        """Accepts on the wanted sockets and on no others, through copies: closing one leaves the socket as it is."""
        while self._wanted != self._listeners.keys() and not server.core.draining:
            await server.ignore(
                *[self._listeners.pop(index) for index in self._listeners.keys() - self._wanted]
            )
            for index in self._wanted - self._listeners.keys():
                self._listeners[index] = await server.listen(self._sockets[index].dup())


def resident_memory() -> int:
    """Bytes of this process in memory; the most it ever had where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main(arguments: Sequence[str]) -> int:
    """Runs the worker at the end of a supervisor's channel; returns its exit code."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    channel = to_supervisor(socket.socket(fileno=int(arguments[0])))
    begin = _first_order(channel)
    if begin is None:
        return 0
    for descriptor in (begin.words, begin.own_numbers, begin.all_numbers):
        os.set_inheritable(descriptor, False)
    faulthandler.enable(begin.words)
    sockets = [_adopted(descriptor) for descriptor in begin.sockets]
    sys.path[:] = begin.path
    made = False
    try:
        worker = Worker(_make(begin), channel, begin, sockets)
        made = True
        run(worker.serve())
    except SetupError as error:
        return _failed(channel, error.problems, setup=True)
    except asyncio.CancelledError:
        return 0
    except BaseException as error:
        lines = "".join(traceback.format_exception(error)).splitlines()
        return _failed(channel, lines[-_MAX_TRACE:], setup=not made)
    return 0


def _first_order(channel: Channel[Order]) -> Begin | None:
    while not channel.closed:
        select.select([channel.socket], [], [])
        for order in channel.receive():
            if isinstance(order, Begin):
                return order
    return None


def _adopted(descriptor: int) -> socket.socket:
    os.set_inheritable(descriptor, False)
    return socket.socket(fileno=descriptor)


def _make(begin: Begin) -> Host:
    module, _, name = begin.entry.partition(":")
    return cast("Host", getattr(import_module(module), name)(**begin.arguments))


def _failed(channel: Channel[Order], problems: Sequence[str], *, setup: bool) -> int:
    """Tells the supervisor why, which shows it; without one, the terminal."""
    if not channel.send(Failed(list(problems), setup)):
        sys.stderr.writelines(f"{line}\n" for line in problems)
    return 2 if setup else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
