"""What the connections of one worker share: the runtime, the timer wheel, the parked Tasks, the encoder, the counts."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Protocol, cast

from framework.errors import LocalProtocolError
from framework.http.endpoint import Endpoint
from framework.http.forwarded import TrustedProxies
from framework.http.problem import PROBLEM_JSON, problem
from framework.http.request import Request
from framework.http.response import Response
from framework.net.background import Background
from framework.net.encoder import ResponseEncoder
from framework.net.runner import Runners
from framework.net.settings import ServerSettings
from framework.net.wheel import TimerWheel
from framework.wire.leaves import Limits

__all__ = ["Core", "Runtime", "Shuttable"]

MAX_TURNED_AWAY = 256


class Shuttable(Protocol):
    """A connection, as the server's shutdown sees it."""

    def shut_down(self) -> None:
        """Goes away now if idle, else after the response under way."""
        ...

    def cancel(self) -> None:
        """Cancels the handler under way."""
        ...

    def abort(self) -> None:
        """Closes at once."""
        ...


class Runtime(Protocol):
    """The built app, as the server sees it."""

    def find(self, request: Request) -> Endpoint:
        """The endpoint that answers ``request``, whose ``params`` it sets; never raises."""
        ...

    def failed(self, request: Request, error: BaseException) -> Response:
        """The one map from error to response; never raises."""
        ...

    def started(self, core: Core) -> None:
        """A server runs it now; ``core`` is what its connections share."""
        ...


class Core:
    """One worker's shared state. ``draining`` ends keep-alive; ``idle_by`` is when a connection that falls idle now is
    closed; ``refused`` counts by status what was turned away before it became a request.

    ``connections`` are those that are open or have a handler under way, ``turned_away`` those among them that found
    no room and only wait for their client to notice. ``websockets`` counts those that have become WebSockets.
    """

    __slots__ = (
        "background",
        "connections",
        "draining",
        "encoder",
        "find",
        "idle_by",
        "limits",
        "log",
        "loop",
        "on_empty",
        "proxies",
        "refused",
        "render",
        "runners",
        "settings",
        "turned_away",
        "turns",
        "websockets",
        "wheel",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, runtime: Runtime, settings: ServerSettings) -> None:
        self.loop = loop
        self.settings = settings
        self.find = runtime.find
        self.render = runtime.failed
        self.log = logging.getLogger("framework.server")
        self.limits = Limits(settings.max_head, settings.max_fields, settings.max_target)
        self.encoder = ResponseEncoder()
        self.turns = settings.max_pipelined_per_turn
        self.idle_by = loop.time() + settings.keep_alive_timeout
        self.wheel = TimerWheel(loop, self._broken, on_tick=self._tick)
        self.runners = Runners(loop, self._broken, max_active=settings.max_active_requests)
        self.background = Background(self._background_failed, max_tasks=settings.max_background_tasks)
        self.proxies = TrustedProxies(settings.trusted_proxies) if settings.trusted_proxies else None
        self.connections: set[Shuttable] = set()
        self.turned_away: set[Shuttable] = set()
        self.refused: Counter[int] = Counter()
        self.websockets = 0
        self.draining = False
        self.on_empty: asyncio.Future[None] | None = None

    def enter(self, connection: Shuttable) -> bool:
        """Puts a new connection on the books; False when there is no room for it."""
        self.connections.add(connection)
        self.wheel.wake()
        if len(self.connections) - len(self.turned_away) > self.settings.max_connections:
            self.turned_away.add(connection)
            return False
        return True

    def leave(self, connection: Shuttable) -> None:
        """Takes a closed connection off the books; wakes a shutdown that waits for the last one."""
        self.connections.discard(connection)
        self.turned_away.discard(connection)
        if self.on_empty is not None and not self.connections and not self.on_empty.done():
            self.on_empty.set_result(None)

    def _tick(self) -> None:
        """What the connections need to know about the time, worked out once a tick for all of them."""
        self.encoder.refresh()
        self.idle_by = self.wheel.now + self.settings.keep_alive_timeout

    def failed(self, request: Request, error: BaseException) -> Response:
        """The app's response to an error; a bare 500 where even that fails."""
        try:
            response = cast("object", self.render(request, error))
            if isinstance(response, Response):
                return response
            raise not_a_response(response)
        except Exception as failure:
            failure.__context__ = error
            self.log.exception("no response could be made of an error")
            return self.bare_failure()

    def bare_failure(self) -> Response:
        """What answers when nothing else does."""
        return Response(problem(500), 500, media_type=PROBLEM_JSON)

    def _background_failed(self, error: BaseException) -> None:
        self.log.error("background work failed", exc_info=error)

    def _broken(self, error: BaseException) -> None:
        self.log.error("a connection broke inside the server", exc_info=error)

    async def close(self, timeout: float) -> int:
        """Ends the parked Tasks and the timer; returns how many handlers still run after ``timeout`` seconds."""
        self.wheel.close()
        return await self.runners.close(timeout)


def not_a_response(value: object) -> LocalProtocolError:
    """What is wrong with a handler that returned ``value``."""
    return LocalProtocolError(f"the handler returned {type(value).__qualname__}, not a Response")
