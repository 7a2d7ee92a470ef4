"""The server of one process: listens, serves, and goes away in phases, each with its deadline."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from framework.net.connection import Connection
from framework.net.core import Core, Runtime
from framework.net.listener import bind, describe
from framework.net.settings import ServerSettings
from framework.net.tls import TLS

__all__ = ["Server"]

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Server:
    """Serves a runtime on sockets.

    Shutdown goes: not ready (``on_not_ready`` is called, then ``not_ready_timeout`` passes for load balancers to
    notice), stop accepting, drain (for ``idle_grace`` idle connections may bring one more request, then they close;
    busy ones after their response), cancel the handlers that are left, abort. ``drain_timeout`` and
    ``cancel_timeout`` bound the last two.

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
        self._listeners: list[asyncio.Server] = []
        self._core: Core | None = None
        self._stop = asyncio.Event()
        self._force = asyncio.Event()
        self._on_not_ready = on_not_ready
        self._tls = tls
        self._shared = shared

    @property
    def core(self) -> Core:
        """The shared state of the connections; there once ``start`` has returned."""
        if self._core is None:
            raise RuntimeError("the server has not been started")
        return self._core

    @property
    def urls(self) -> list[str]:
        """Where it can be reached."""
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
        self._core = Core(loop, self._runtime, self.settings)
        self._runtime.started(self._core)
        for sock in self._sockets:
            await self.listen(sock)

    async def listen(self, sock: socket.socket) -> asyncio.Server:
        """Accepts on one more socket, until the result is closed or the server shuts down."""
        listener = await self._listen(sock)
        if self.core.draining:
            listener.close()
        self._listeners.append(listener)
        return listener

    async def _listen(self, sock: socket.socket) -> asyncio.Server:
        core, tls = self.core, self._tls
        factory = partial(Connection, core) if tls is None else tls.factory(core)
        options: dict[str, Any] = {} if tls is None else tls.options()
        if sock.family != socket.AF_UNIX:
            return await core.loop.create_server(factory, sock=sock, backlog=self.settings.backlog, **options)
        if sys.version_info >= (3, 13):
            options["cleanup_socket"] = False
        options["backlog"] = self.settings.backlog
        return await core.loop.create_unix_server(factory, sock=sock, **options)

    def stop(self) -> None:
        """Asks ``run`` to shut down; a second call cuts its waits short."""
        if self._stop.is_set():
            self._force.set()
        self._stop.set()

    async def run(self, signals: Sequence[signal.Signals] = STOP_SIGNALS) -> None:
        """Serves until ``stop`` is called or one of the signals comes, then shuts down. ``start`` comes first."""
        with self._signals(signals):
            await self._stop.wait()
            await self.shutdown()

    @contextmanager
    def _signals(self, signals: Sequence[signal.Signals]) -> Generator[None]:
        loop = asyncio.get_running_loop()
        taken: list[signal.Signals] = []
        for number in signals:
            try:
                loop.add_signal_handler(number, self.stop)
            except (ValueError, RuntimeError, NotImplementedError):
                continue  # not the main thread, or a platform without signals: stop() is the way then
            taken.append(number)
        try:
            yield
        finally:
            for number in taken:
                loop.remove_signal_handler(number)

    async def shutdown(self) -> None:
        """The phases described above; returns when no connection and no handler is left."""
        core, settings = self.core, self.settings
        self._stop.set()
        if self._on_not_ready is not None:
            self._on_not_ready()
        await self._pause(settings.not_ready_timeout)
        await self._stop_accepting()
        core.draining = True
        await self._let_in()
        await self._emptied(settings.idle_grace)
        for connection in list(core.connections):
            connection.shut_down()
        await self._emptied(settings.drain_timeout)
        for connection in list(core.connections):
            connection.cancel()
        await self._emptied(settings.cancel_timeout)
        for connection in list(core.connections):
            connection.abort()
        await self._emptied(1.0)
        cancelled = await core.background.drain(0.0 if self._force.is_set() else settings.cancel_timeout)
        if cancelled:
            core.log.warning("cancelled %d background tasks that outlived the drain deadline", cancelled)
        await core.close()

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

    async def _stop_accepting(self) -> None:
        await self.ignore(*self._listeners)
        self._close_sockets()

    def _close_sockets(self) -> None:
        for sock in self._sockets or ():
            name = sock.getsockname() if sock.family == socket.AF_UNIX and sock.fileno() >= 0 else None
            sock.close()
            if isinstance(name, str) and os.path.exists(name) and not self._shared:
                os.unlink(name)

    async def _let_in(self) -> None:
        """What the loop has accepted becomes a connection some turns later, after its handshake if there is one."""
        await _turns()
        if self._tls is None:
            return
        handshakes, wait = self._tls.handshakes, 0.05
        limit = min(self.settings.tls_handshake_timeout, self.settings.drain_timeout)
        while handshakes and limit > 0 and not self._force.is_set():
            await self._unless_forced(handshakes.emptied(), min(wait, limit))
            handshakes.sweep()
            limit -= wait
            wait *= 2

    async def _pause(self, seconds: float) -> None:
        if seconds > 0:
            try:
                await asyncio.wait_for(self._force.wait(), seconds)
            except TimeoutError:
                pass

    async def _emptied(self, timeout: float) -> None:
        """Waits until no connection is left, ``timeout`` seconds at most."""
        core = self.core
        deadline = core.loop.time() + timeout
        while core.connections and not self._force.is_set():
            left = deadline - core.loop.time()
            if left <= 0:
                return
            core.on_empty = empty = core.loop.create_future()
            try:
                await self._unless_forced(empty, left)
            finally:
                core.on_empty = None

    async def _unless_forced(self, event: asyncio.Future[None], timeout: float) -> None:
        """Waits for ``event`` until the time is up or ``stop`` is called again."""
        force: asyncio.Future[Any] = asyncio.ensure_future(self._force.wait())
        try:
            await asyncio.wait((event, force), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            force.cancel()


async def _turns() -> None:
    """As many turns of the loop as an accepted connection needs to get from one callback to the next."""
    for _ in range(3):
        await asyncio.sleep(0)
