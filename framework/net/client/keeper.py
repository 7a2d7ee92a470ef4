"""What a client owns: the pools of all its origins, their timer, every open connection and every sending Task."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from framework.errors import LocalProtocolError
from framework.net.client.connect import Connector, SocketConnector
from framework.net.client.errors import PoolExhausted
from framework.net.client.link import ClientLink
from framework.net.client.origin import Origin
from framework.net.client.pool import OriginPool
from framework.net.client.settings import PoolSettings, Timeouts
from framework.net.wheel import TimerWheel
from framework.wire.leaves import Limits

__all__ = ["Pools"]

TICK: Final = 0.05


class Pools:
    """The pools of many origins. Belongs to the loop it is made in.

    Args:
        settings: of each pool.
        timeouts: of exchanges that bring none.
        connector: opens the connections.
        max_origins: pools kept; of one more, that which is unused longest goes, with its idle connections.
    """

    def __init__(
        self,
        settings: PoolSettings | None = None,
        timeouts: Timeouts | None = None,
        connector: Connector | None = None,
        *,
        max_origins: int = 256,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.settings = settings or PoolSettings()
        self.timeouts = timeouts or Timeouts()
        self.connector: Connector = connector or SocketConnector()
        self.limits = Limits(
            self.settings.max_head, self.settings.max_fields, min(8192, self.settings.max_head - 1)
        )
        self.wheel = TimerWheel(self.loop, self._broken, tick=TICK)
        self.is_closed = False
        self._max_origins = max_origins
        self._pools: dict[Origin, OriginPool] = {}
        self._connections: set[ClientLink] = set()
        self._senders: set[asyncio.Task[None]] = set()
        self._emptied: asyncio.Future[None] | None = None

    @property
    def connections(self) -> int:
        """How many sockets are open."""
        return len(self._connections)

    def pool(self, origin: Origin) -> OriginPool:
        """The pool of an origin, which is made when it is asked for first.

        Raises LocalProtocolError after ``aclose``; PoolExhausted when all ``max_origins`` are in use.
        """
        pool = self._pools.get(origin)
        if pool is None:
            if self.is_closed:
                raise LocalProtocolError("the client was closed")
            if len(self._pools) >= self._max_origins:
                self._make_room()
            pool = self._pools[origin] = OriginPool(origin, self)
        return pool

    def _make_room(self) -> None:
        for origin, pool in self._pools.items():
            if pool.open == pool.idle and not pool.waiting:
                pool.retire()
                del self._pools[origin]
                return
        raise PoolExhausted(f"connections to {len(self._pools)} origins are in use already")

    # -- what pools tell --------------------------------------------------------------------------------------------

    def opened(self, connection: ClientLink) -> None:
        """A connection is there that has to be closed in the end."""
        self._connections.add(connection)

    def closed(self, connection: ClientLink) -> None:
        """A connection's socket is gone."""
        self._connections.discard(connection)
        if not self._connections and self._emptied is not None and not self._emptied.done():
            self._emptied.set_result(None)

    def sends(self, task: asyncio.Task[None]) -> None:
        """A Task was started that has to have ended in the end."""
        self._senders.add(task)
        task.add_done_callback(self._senders.discard)

    def _broken(self, error: BaseException) -> None:
        logging.getLogger("framework.client").error("a connection broke inside the client", exc_info=error)

    # -- the end ----------------------------------------------------------------------------------------------------

    async def aclose(self, timeout: float = 2.0) -> None:
        """Cuts what is under way, closes what is idle, and waits until every socket is gone; no longer than
        ``timeout`` seconds for those that say good-bye (TLS), which are then cut as well."""
        self.is_closed = True
        for pool in self._pools.values():
            pool.retire()
        for connection in tuple(self._connections):
            connection.cut()
        if self._senders:
            await asyncio.wait(tuple(self._senders), timeout=timeout)
        if self._connections:
            self._emptied = self.loop.create_future()
            try:
                async with asyncio.timeout(timeout):
                    await asyncio.shield(self._emptied)
            except TimeoutError:
                for connection in tuple(self._connections):
                    connection.drop()
                await asyncio.sleep(0)
        self._pools.clear()
        self.wheel.close()
