"""The connections to one origin: those kept, those in use, and who waits for one.

A slot is the right to have one connection open. Whoever holds a slot without a connection is connecting; a waiter is
given a connection, or a bare slot to connect by itself. Slots never get lost: a waiter that was cancelled in the very
moment it was served passes on what it got.
"""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

from framework.errors import LocalProtocolError
from framework.net.client.connect import Connector
from framework.net.client.connection import ClientConnection
from framework.net.client.errors import ExchangeDeadline, PoolExhausted, StaleConnection
from framework.net.client.incoming import RawResponse
from framework.net.client.link import ClientLink
from framework.net.client.origin import Origin
from framework.net.client.outgoing import OutgoingRequest, is_replayable
from framework.net.client.settings import PoolSettings, Timeouts
from framework.net.wheel import NEVER, TimerWheel
from framework.wire.leaves import Limits

__all__ = ["OriginPool", "Shared"]


class Shared(Protocol):
    """What the pools of one client share."""

    loop: asyncio.AbstractEventLoop
    wheel: TimerWheel
    settings: PoolSettings
    limits: Limits
    timeouts: Timeouts
    connector: Connector
    is_closed: bool

    def opened(self, connection: ClientConnection) -> None:
        """A connection is there that has to be closed in the end."""
        ...

    def closed(self, connection: ClientLink) -> None:
        """A connection's socket is gone."""
        ...

    def sends(self, task: asyncio.Task[None]) -> None:
        """A Task was started that has to have ended in the end."""
        ...


class _Waiter:
    """Somebody who waits for a connection, with the deadline."""

    __slots__ = ("_late", "due", "future")

    def __init__(self, future: asyncio.Future[ClientConnection | None], late: ExchangeDeadline) -> None:
        self._late = late
        self.future = future
        self.due = NEVER

    def on_due(self, now: float) -> float:
        if not self.future.done():
            self.future.set_exception(self._late)
        return NEVER


class OriginPool:
    """The connections to one origin.

    Attributes:
        open: slots in use: connections that are busy, idle or on their way up.
        name: the origin, for error messages.
        is_retired: it keeps no connections any more.
    """

    __slots__ = (
        "_idle",
        "_shared",
        "_waiting",
        "is_retired",
        "limits",
        "loop",
        "name",
        "open",
        "origin",
        "settings",
        "wheel",
    )

    def __init__(self, origin: Origin, shared: Shared) -> None:
        self.origin = origin
        self.name = str(origin)
        self.loop = shared.loop
        self.wheel = shared.wheel
        self.settings = shared.settings
        self.limits = shared.limits
        self.open = 0
        self.is_retired = False
        self._shared = shared
        self._idle: dict[ClientLink, None] = {}
        self._waiting: dict[_Waiter, None] = {}

    @property
    def idle(self) -> int:
        """Connections that wait for use."""
        return len(self._idle)

    @property
    def waiting(self) -> int:
        """How many wait for a connection."""
        return len(self._waiting)

    # -- exchanges --------------------------------------------------------------------------------------------------

    async def exchange(self, request: OutgoingRequest) -> RawResponse:
        """Sends a request, and returns its response when its head is there; read it to the end, or close it.

        A kept connection that turns out to be closed is replaced once, unseen, where the request may be sent twice.

        Raises:
            ConnectError: no connection could be made; nothing was sent.
            PoolExhausted: too many wait already.
            ExchangeDeadline: ``phase`` tells which.
            PeerClosed, RemoteProtocolError: as ``ClientConnection.exchange``.
        """
        timeouts = request.timeouts or self._shared.timeouts
        by, began = request.deadline, 0.0
        if timeouts.total is not None or by != NEVER:
            began = self.loop.time()
            if timeouts.total is not None:
                by = min(by, began + timeouts.total)
        connection = self._take()
        if connection is None:
            connection = await self._acquire(timeouts, by, began)
        try:  # as ``ClientConnection.exchange``, but for its coroutine
            waiter = connection.begin(request, timeouts, by, began)
            sender = connection.sender
            try:
                return await waiter
            except BaseException:
                await connection.abandon(waiter, sender)
                raise
        except StaleConnection:
            if not is_replayable(request):
                raise
        connection = await self._acquire(timeouts, by, began, fresh=True)
        return await connection.exchange(request, timeouts, by, began)

    def _take(self) -> ClientConnection | None:
        """The connection that was used last, if it can be used again."""
        idle = self._idle
        while idle:
            connection, _ = idle.popitem()
            if connection.usable:
                return cast("ClientConnection", connection)
            connection.drop()
        return None

    async def _acquire(
        self, timeouts: Timeouts, by: float, began: float, *, fresh: bool = False
    ) -> ClientConnection:
        """A connection to use; a ``fresh`` one is new, or was in use a moment ago."""
        while True:
            connection = None if fresh else self._take()
            if connection is None and self._reserve(fresh=fresh):
                return await self._connect(timeouts, by, began)
            if connection is None:
                connection = await self._wait(timeouts, by, began)
            if connection is None:
                return await self._connect(timeouts, by, began)
            if connection.usable:
                return connection

    def _reserve(self, *, fresh: bool) -> bool:
        """Takes a slot, if there is one, or if one can be had for an idle connection."""
        if self.open >= self.settings.max_connections and fresh and self._idle:
            next(iter(self._idle)).drop()  # the one that was idle longest
        if self.open >= self.settings.max_connections:
            return False
        self.open += 1
        return True

    async def _wait(self, timeouts: Timeouts, by: float, began: float) -> ClientConnection | None:
        """Waits in the queue; returns a connection, or None with a slot to open one."""
        if len(self._waiting) >= self.settings.max_waiting:
            raise PoolExhausted(f"{len(self._waiting)} wait for a connection to {self.name} already")
        now = self.loop.time()
        due = min(by, now + timeouts.acquire)
        what = f"waiting for a free connection to {self.name}"
        if due == by:
            late = ExchangeDeadline("total", what, by - began)
        else:
            late = ExchangeDeadline("acquire", what, timeouts.acquire)
        future: asyncio.Future[ClientConnection | None] = self.loop.create_future()
        waiter = _Waiter(future, late)
        self._waiting[waiter] = None
        self.wheel.watch(waiter, due)
        try:
            return await future
        except BaseException:
            if future.done() and not future.cancelled() and future.exception() is None:
                self._pass_on(future.result())
            raise
        finally:
            self._waiting.pop(waiter, None)
            self.wheel.forget(waiter)

    async def _connect(self, timeouts: Timeouts, by: float, began: float) -> ClientConnection:
        """Opens a connection for the slot that is held; gives the slot back where that fails."""
        now = self.loop.time()
        due = min(by, now + timeouts.connect)
        try:
            if self._shared.is_closed:
                raise LocalProtocolError("the client was closed")
            async with asyncio.timeout_at(due):
                connection = await self._shared.connector.connect(self.origin, self._made)
        except TimeoutError as error:
            self._free()
            what = f"connecting to {self.name}"
            if due == by:
                raise ExchangeDeadline("total", what, by - began) from error
            raise ExchangeDeadline("connect", what, timeouts.connect) from error
        except BaseException:
            self._free()
            raise
        if not connection.adopt():
            self._free()
            raise StaleConnection(f"{self.name} closed the connection as soon as it was there")
        self._shared.opened(connection)
        if self._shared.is_closed:  # meanwhile
            connection.drop()
            raise LocalProtocolError("the client was closed")
        return connection

    def _made(self) -> ClientConnection:
        return ClientConnection(self)

    # -- the books --------------------------------------------------------------------------------------------------

    def released(self, connection: ClientLink) -> None:
        """An exchange is over: the connection goes to who waits longest, or is kept."""
        if self.is_retired:
            connection.close()
            return
        if self._waiting:
            for waiter in self._waiting:
                if not waiter.future.done():
                    waiter.future.set_result(cast("ClientConnection", connection))
                    return
        if len(self._idle) >= self.settings.max_idle:
            connection.close()
        else:
            self._idle[connection] = None

    def lost(self, connection: ClientLink) -> None:
        """A connection will not be used again: its slot is free."""
        self._idle.pop(connection, None)
        self._free()

    def _pass_on(self, given: ClientConnection | None) -> None:
        """What a waiter got and cannot use."""
        if given is None:
            self._free()
        elif given.usable:
            self.released(given)

    def _free(self) -> None:
        """A slot for who waits longest, or for nobody."""
        for waiter in self._waiting:
            if not waiter.future.done():
                waiter.future.set_result(None)
                return
        self.open -= 1

    def closed(self, connection: ClientLink) -> None:
        """A connection's socket is gone."""
        self._shared.closed(connection)

    def sends(self, task: asyncio.Task[None]) -> None:
        """A Task was started that sends a body."""
        self._shared.sends(task)

    def retire(self) -> None:
        """Another pool takes its place: closes what nobody uses, and keeps nothing any more."""
        self.is_retired = True
        for connection in tuple(self._idle):
            connection.close()
