"""The server of one process: listens, serves, and goes away in phases, each with its deadline."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from framework.net.connection import Connection
from framework.net.core import Core, Runtime
from framework.net.link import Link, as_protocol
from framework.net.listener import SocketFile, bind, describe, socket_file
from framework.net.settings import ServerSettings
from framework.net.tls import TLS

__all__ = ["Server"]

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
ABORT_TIMEOUT: Final = 1.0


class Server:
    """Serves a runtime on sockets.

    Shutdown goes: not ready (``on_not_ready`` is called, then ``not_ready_timeout`` passes for load balancers to
    notice), stop accepting, drain (for ``idle_grace`` idle connections may bring one more request, then they close;
    busy ones after their response), cancel the handlers that are left, abort. ``drain_timeout`` and
    ``cancel_timeout`` bound drain and cancel, background work included.

    Args:
        runtime: the built app.
        sockets: bound and listening; made from ``settings`` when not given. The server closes them.
        on_not_ready: told first of all at shutdown.
        tls: for encrypted connections.
        shared: other processes listen on the sockets too, so that the file of a unix socket stays when this one goes.
    """

    def __init__(
        self,
        runtime: Runtime,
        settings: ServerSettings | None = None,
        *,
        sockets: Sequence[socket.socket] | None = None,
        on_not_ready: Callable[[], None] | None = None,
        tls: TLS | None = None,
        shared: bool = False,
    ) -> None:
        self.settings = settings or ServerSettings()
        self._runtime = runtime
        self._sockets = list(sockets) if sockets is not None else None
        self._files: list[SocketFile] = []
        self._listeners: list[asyncio.Server] = []
        self._core: Core | None = None
        self._stop = asyncio.Event()
        self._force = asyncio.Event()
        self._on_not_ready = on_not_ready
        self._tls = tls
        self._shared = shared

    @property
    def core(self) -> Core:
        """The shared state of the connections; there once ``start`` has been called."""
        if self._core is None:
            raise RuntimeError("the server has not been started")
        return self._core

    @property
    def urls(self) -> list[str]:
        """Where it can be reached, one URL for each socket, until it shuts down."""
        return [describe(sock, secure=self._tls is not None) for sock in self._sockets or ()]

    @property
    def port(self) -> int:
        """The port of the first TCP socket."""
        for sock in self._sockets or ():
            if sock.family != socket.AF_UNIX:
                return int(sock.getsockname()[1])
        raise RuntimeError("the server has no TCP socket")

    async def start(self) -> None:
        """Begins to accept. Raises SetupError when an address cannot be had."""
        loop = asyncio.get_running_loop()
        if self._sockets is None:
            self._sockets = bind(self.settings)
        if not self._shared:
            self._files = [file for sock in self._sockets if (file := socket_file(sock)) is not None]
        try:
            self._core = Core(loop, self._runtime, self.settings)
            self._runtime.started(self._core)
            for sock in self._sockets:
                await self.listen(sock)
        except BaseException:
            for listener in self._listeners:
                listener.close()
            self._close_sockets()
            if self._core is not None:
                await self._core.close(ABORT_TIMEOUT)
            raise

    async def listen(self, sock: socket.socket) -> asyncio.Server:
        """Accepts on one more socket, until the result is closed or the server shuts down."""
        listener = await self._listen(sock)
        if self.core.draining:
            listener.close()
        self._listeners.append(listener)
        return listener

    async def _listen(self, sock: socket.socket) -> asyncio.Server:
        core, tls = self.core, self._tls
        make: Callable[[], Link] = partial(Connection, core) if tls is None else tls.factory(core)

        def factory() -> asyncio.Protocol:
            return as_protocol(make())

        options: dict[str, Any] = {} if tls is None else tls.options()
        if sock.family != socket.AF_UNIX:
            return await core.loop.create_server(factory, sock=sock, backlog=self.settings.backlog, **options)
        if sys.version_info >= (3, 13):
            options["cleanup_socket"] = False
        options["backlog"] = self.settings.backlog
        return await core.loop.create_unix_server(factory, sock=sock, **options)

    def stop(self) -> None:
        """Asks ``run`` to shut down; a second call cuts its waits short. From another thread call it by
        ``loop.call_soon_threadsafe``."""
        if self._stop.is_set():
            self._force.set()
        self._stop.set()

    async def run(self, signals: Sequence[signal.Signals] = STOP_SIGNALS) -> None:
        """Serves until ``stop`` is called or one of the signals comes, then shuts down. ``start`` comes first.

        When it is cancelled it shuts down without waiting for anybody.
        """
        with self._signals(signals):
            try:
                await self._stop.wait()
            except asyncio.CancelledError:
                self._force.set()
                raise
            finally:
                await self.shutdown()

    @contextmanager
    def _signals(self, signals: Sequence[signal.Signals]) -> Generator[None]:
        loop = asyncio.get_running_loop()
        before: dict[signal.Signals, Any] = {}
        for number in signals:
            handler = signal.getsignal(number)
            try:
                loop.add_signal_handler(number, self.stop)
            except (ValueError, RuntimeError, NotImplementedError):
                continue  # not the main thread, or a platform without signals: stop() is the way then
            before[number] = handler
        try:
            yield
        finally:
            for number, handler in before.items():
                loop.remove_signal_handler(number)
                if handler is not None:
                    signal.signal(number, handler)

    async def shutdown(self) -> None:
        """The phases described above; returns when no connection and no handler is left, but for handlers that
        ignore their cancellation."""
        core, settings = self.core, self.settings
        self._stop.set()
        try:
            if self._on_not_ready is not None:
                self._on_not_ready()
            if settings.not_ready_timeout > 0:
                await _first_of(settings.not_ready_timeout, self._forced())
        finally:
            core.draining = True
            await (
                _turns()
            )  # in which the loop accepts what waits in the kernel's queue, and would be reset there
            await self.ignore(*self._listeners)
            self._close_sockets()
        await self._let_in()
        await self._unless_forced(self._emptied(), settings.idle_grace)
        for connection in tuple(core.connections):
            connection.shut_down()
        await self._unless_forced(self._emptied(), settings.drain_timeout)
        for connection in tuple(core.connections):
            connection.cancel()
        cancelled = core.background.cancel()
        if cancelled:
            core.log.warning("cancelled %d background tasks that outlived the drain deadline", cancelled)
        await self._unless_forced(self._emptied(), settings.cancel_timeout)
        for connection in tuple(core.connections):
            connection.abort()
        await _first_of(ABORT_TIMEOUT, self._emptied())
        left = await core.close(ABORT_TIMEOUT)
        if left:
            core.log.error("%d handlers ignore their cancellation; they were left behind", left)

    async def ignore(self, *listeners: asyncio.Server) -> None:
        """Accepts no more on what ``listen`` returned, and closes its socket. What was accepted is served."""
        loop = self.core.loop
        if isinstance(loop, asyncio.SelectorEventLoop):
            # asyncio drops a connection that it has accepted, but made no transport for, when its Server is closed.
            for listener in listeners:
                for sock in listener.sockets:
                    loop.remove_reader(sock.fileno())
            await _turns()
        for listener in listeners:
            listener.close()

    def _close_sockets(self) -> None:
        for sock in self._sockets or ():
            sock.close()
        for file in self._files:
            file.remove()

    async def _let_in(self) -> None:
        """What the loop has accepted becomes a connection some turns later, after its handshake if there is one."""
        await _turns()
        if self._tls is None:
            return
        handshakes, wait = self._tls.handshakes, 0.05
        limit = min(self.settings.tls_handshake_timeout, self.settings.drain_timeout)
        while handshakes and limit > 0 and not self._force.is_set():
            await self._unless_forced(_wait_for(handshakes.emptied()), min(wait, limit))
            handshakes.sweep()
            limit -= wait
            wait *= 2

    async def _emptied(self) -> None:
        """Waits until no connection and no background work is left."""
        core = self.core
        while core.connections:
            core.on_empty = core.loop.create_future()
            await core.on_empty
        await core.background.drain()

    async def _forced(self) -> None:
        await self._force.wait()

    async def _unless_forced(self, event: Coroutine[Any, Any, None], timeout: float) -> None:
        """Waits for ``event`` until the time is up or ``stop`` is called again."""
        await _first_of(timeout, event, self._forced())


async def _wait_for(future: asyncio.Future[None]) -> None:
    await asyncio.wait((future,))


async def _first_of(timeout: float, *events: Coroutine[Any, Any, None]) -> None:
    waits = [asyncio.ensure_future(event) for event in events]
    try:
        await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


async def _turns() -> None:
    """As many turns of the loop as an accepted connection needs to get from one callback to the next."""
    for _ in range(3):
        await asyncio.sleep(0)
