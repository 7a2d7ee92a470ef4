"""What the connections of one worker share: the runtime, the timer wheel, the parked Tasks, the encoder, the counts."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Protocol

from framework.http.endpoint import Endpoint
from framework.http.forwarded import TrustedProxies
from framework.http.request import Request
from framework.http.response import Response
from framework.net.background import Background
from framework.net.encoder import ResponseEncoder
from framework.net.runner import Runners
from framework.net.settings import ServerSettings
from framework.net.wheel import TimerWheel
from framework.wire.leaves import Limits

__all__ = ["Core", "Runtime", "Shuttable"]


class Shuttable(Protocol):
    """A connection, as the server's shutdown sees it."""

    def shut_down(self) -> None:
        """Goes away now if idle, else after the response under way."""

    def cancel(self) -> None:
        """Cancels the handler under way."""

    def abort(self) -> None:
        """Closes at once."""



class Runtime(Protocol):
    """The built app, as the server sees it."""

    def find(self, request: Request) -> Endpoint:
        """The endpoint that answers ``request``, whose ``params`` it sets; never raises."""

    def failed(self, request: Request, error: BaseException) -> Response:
        """The one map from error to response; never raises."""

    def started(self, core: Core) -> None:
        """A server runs it now; ``core`` is what its connections share."""


class Core:
    """One worker's shared state. ``draining`` ends keep-alive; ``idle_by`` is when a connection that falls
    idle now is closed; ``refused`` counts by status what was turned away before it became a request."""

    __slots__ = (
        "background",
        "connections",
        "draining",
        "encoder",
        "failed",
        "find",
        "idle_by",
        "limits",
        "log",
        "loop",
        "on_empty",
        "proxies",
        "refused",
        "runners",
        "settings",
        "turns",
        "wheel",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, runtime: Runtime, settings: ServerSettings) -> None:
        self.loop = loop
        self.settings = settings
        self.find = runtime.find
        self.failed = runtime.failed
        self.log = logging.getLogger("framework.server")
        self.limits = Limits(settings.max_head, settings.max_fields, settings.max_target)
        self.encoder = ResponseEncoder()
        self.turns = settings.max_pipelined_per_turn
        self.idle_by = loop.time() + settings.keep_alive_timeout
        self.wheel = TimerWheel(loop, on_tick=self._tick)
        self.runners = Runners(loop, max_active=settings.max_active_requests)
        self.background = Background(self._background_failed)
        self.proxies = TrustedProxies(settings.trusted_proxies) if settings.trusted_proxies else None
        self.connections: set[Shuttable] = set()
        self.refused: Counter[int] = Counter()
        self.draining = False
        self.on_empty: asyncio.Future[None] | None = None

    def leave(self, connection: Shuttable) -> None:
        """Takes a closed connection off the books; wakes a shutdown that waits for the last one."""
        self.connections.discard(connection)
        if self.on_empty is not None and not self.connections and not self.on_empty.done():
            self.on_empty.set_result(None)

    def _tick(self) -> None:
        """What the connections need to know about the time, worked out once a tick for all of them."""
        self.encoder.refresh()
        self.idle_by = self.wheel.now + self.settings.keep_alive_timeout

    def _background_failed(self, error: BaseException) -> None:
        self.log.error("background work failed", exc_info=error)

    async def close(self) -> None:
        """Ends the parked Tasks and the timer."""
        self.wheel.close()
        await self.runners.close()
