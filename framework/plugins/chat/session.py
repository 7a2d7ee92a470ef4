"""One connection: who it is, what it asks for and in which order that is done, what it is answered."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable
from math import isfinite
from secrets import token_hex
from typing import Any, Final

from framework.errors import DeadlineExceeded, ResourceError, TransportError
from framework.net.websocket.listener import WebSocketListener
from framework.net.websocket.socket import WebSocket
from framework.plugins.chat.actions import ALONE, ENTRIES, READS, Action, append
from framework.plugins.chat.codec import JSON, Codec, Faulty, codec_of
from framework.plugins.chat.errors import ChatError
from framework.plugins.chat.hub import Hub
from framework.plugins.chat.protocol import (
    Auth,
    ClientFrame,
    CloseCode,
    Done,
    Error,
    Expiring,
    Hello,
    Ping,
    Pong,
    ServerFrame,
    Typing,
    Welcome,
)
from framework.plugins.chat.rooms import LiveRoom
from framework.plugins.chat.tokens import Identity

__all__ = ["Session"]

_LOG: Final = logging.getLogger("framework.chat")
MAX_FAULTS: Final = 50
NEVER: Final = float("inf")


class Session(WebSocketListener):
    """One connection of a client.

    Requests that become entries are begun in the order of their coming, and may be under way at once: the store keeps
    their order, and a commit takes many of them. Requests that only read are begun in that order too, and hold up
    nothing. All others wait for the entries before them, and what comes behind waits for them.
    """

    __slots__ = (
        "_alone",
        "_entering",
        "_faults",
        "_hub",
        "_notice",
        "_queue",
        "_reading",
        "_slow",
        "_space",
        "codec",
        "due",
        "expires",
        "follows",
        "name",
        "shown",
        "user",
        "ws",
    )

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.ws: WebSocket[Any, Any]
        self.name = token_hex(8)
        self.user = ""
        self.shown = ""
        self.codec: Codec = JSON
        self.follows: dict[str, LiveRoom] = {}
        self.due = NEVER
        self.expires = NEVER
        self._notice = False
        self._slow = NEVER
        self._faults = 0
        self._queue: deque[ClientFrame] | None = None
        self._entering = 0
        self._reading = 0
        self._alone = False
        self._space: asyncio.Future[None] | None = None

    # -- the WebSocket ----------------------------------------------------------------------------------------------

    def on_open(self, ws: WebSocket[Any, Any]) -> None:
        """A connection more."""
        self.ws = ws
        self.codec = codec_of(ws.subprotocol)
        self._hub.opened(self)

    def on_message(self, ws: WebSocket[Any, Any], message: str | bytes) -> Awaitable[None] | None:
        """Begins what the client asks for; waits only when too much is under way."""
        hub = self._hub
        limits = hub.limits
        over = limits.bytes.consume_now(self.name, len(message))
        try:
            requests = self.codec.decode(message, hub.settings.max_batch)
        except ChatError as error:
            self._faulty(Faulty(None, error.code, error.text))
            return None
        for request in requests:
            decision = over if not over.allowed else limits.requests.consume_now(self.name)
            if not decision.allowed:
                self._refuse(request, decision.retry_after)
            elif isinstance(request, Faulty):
                self._faulty(request)
            elif self._queue is not None:
                self._queue.append(request)
            else:
                self._begin(request)
            if ws.closed:
                return None
        return self._wait() if self._outstanding >= hub.settings.max_in_flight else None

    def on_close(self, ws: WebSocket[Any, Any], code: int, reason: str) -> None:
        """It is gone; what was begun goes on."""
        self._queue = None
        self._make_space()
        self._hub.left(self)

    def push(self, frame: ServerFrame) -> None:
        """Sends a frame; nothing happens once the connection is closed."""
        data = self.codec.encode(frame)
        if isinstance(data, str):
            self.ws.write_text(data)
        else:
            self.ws.write_bytes(data)

    def close(self, code: int, reason: str) -> None:
        """Closes the connection; it is of no room any more at once."""
        self.ws.start_closing(code, reason)
        self._queue = None
        self._hub.left(self)

    # -- what cannot be done ----------------------------------------------------------------------------------------

    def _faulty(self, fault: Faulty) -> None:
        self.push(Error(fault.id, fault.code, fault.text))
        self._faults += 1
        if self._faults >= MAX_FAULTS:
            self.close(CloseCode.PROTOCOL, "too much that is not this protocol")

    def _refuse(self, request: ClientFrame | Faulty, retry_after: float) -> None:
        hub = self._hub
        hub.stats.refused += 1
        if not isinstance(request, Typing):
            self.push(_limit(request.id, retry_after))
        self._strike()

    def _strike(self) -> None:
        hub = self._hub
        if not hub.limits.strikes.consume_now(self.name).allowed and not self.ws.closed:
            hub.stats.floods += 1
            self.close(CloseCode.FLOOD, "far too much at once")

    # -- order ------------------------------------------------------------------------------------------------------

    @property
    def _outstanding(self) -> int:
        queued = 0 if self._queue is None else len(self._queue)
        return self._entering + self._reading + self._alone + queued

    async def _wait(self) -> None:
        """Until there is space again; the client is not read meanwhile."""
        while self._outstanding >= self._hub.settings.max_in_flight and not self.ws.closed:
            self._space = self._hub.loop.create_future()
            await self._space

    def _make_space(self) -> None:
        space, self._space = self._space, None
        if space is not None and not space.done():
            space.set_result(None)

    def _begin(self, request: ClientFrame) -> bool:
        """Begins a request, or makes it wait; says whether further ones may be begun."""
        if isinstance(request, Ping):
            self.push(Pong(request.id, int(self._hub.clock() * 1000)))
            return True
        if not self.user and not isinstance(request, Hello):
            if not isinstance(request, Typing):
                self.push(Error(request.id, "unauthenticated", "say hello first"))
            return True
        if isinstance(request, Typing):
            self._hub.typing(self, request.room, request.on)
            return True
        kind = type(request)
        if kind in ENTRIES:
            self._entering += 1
            self._run(request, append, 0)
            return True
        action = READS.get(kind)
        if action is not None:
            self._reading += 1
            self._run(request, action, 1)
            return True
        if self._entering:
            self._queue = self._queue or deque()
            self._queue.appendleft(request)
            return False
        if self._queue is None:
            self._queue = deque()
        self._alone = True
        self._run(request, _AUTH.get(kind) or ALONE[kind], 2)
        return False

    def _pump(self) -> None:
        while self._queue and not self._alone:
            if not self._begin(self._queue.popleft()):
                return
        if not self._alone and not self._queue:
            self._queue = None

    def _run(self, request: Any, action: Action, kind: int) -> None:
        self._hub.spawn(self._running(request, action, kind), "chat request")

    async def _running(self, request: Any, action: Action, kind: int) -> None:
        try:
            reply = await action(self._hub, self, request)
        except ChatError as error:
            reply = Error(request.id, error.code, error.text, _finite(error.retry_after))
            if error.code == "limit":
                self._strike()
        except (DeadlineExceeded, ResourceError, TransportError) as error:
            _LOG.warning("chat: %s failed: %s", type(request).__name__, error)
            reply = Error(request.id, "unavailable", "that cannot be done now", 1.0)
        except Exception:
            self._hub.stats.errors += 1
            _LOG.exception("chat: %s failed", type(request).__name__)
            reply = Error(request.id, "internal", "that failed, and it is not your fault")
        finally:
            if kind == 0:
                self._entering -= 1
            elif kind == 1:
                self._reading -= 1
            else:
                self._alone = False
        if reply is not None:
            self.push(reply)
        if self._queue is not None and not self._entering:
            self._pump()
        if self._space is not None and self._outstanding < self._hub.settings.max_in_flight:
            self._make_space()

    # -- deadlines --------------------------------------------------------------------------------------------------

    def lagging(self, until: float) -> None:
        """See ``Follower``."""
        if self._slow == NEVER:
            self._slow = until
            self._set_due()

    def caught_up(self) -> None:
        """See ``Follower``."""
        self._slow = NEVER

    def known(self, identity: Identity) -> int:
        """Its token is good; returns for how many seconds."""
        hub = self._hub
        left = max(0.0, identity.until - hub.clock())
        self.user, self.shown = identity.user, identity.name
        self.expires = hub.loop.time() + left
        self._notice = False
        self._set_due()
        return int(left)

    def _set_due(self) -> None:
        notice = NEVER if self._notice else self.expires - self._hub.settings.expiry_notice
        self._hub.deadlines.set(self, min(self._slow, self.expires, max(notice, self._hub.loop.time())))

    def overdue(self, now: float) -> None:
        """See ``Follower``."""
        if self.ws.closed:
            return
        if not self.user:
            self.close(CloseCode.TOKEN, "no token within the time")
        elif now >= self._slow:
            self.close(CloseCode.SLOW, "too slow")
        elif now >= self.expires:
            self.close(CloseCode.TOKEN, "the token has expired")
        else:
            if not self._notice and now >= self.expires - self._hub.settings.expiry_notice:
                self._notice = True
                self.push(Expiring(max(0, round(self.expires - now))))
            self._set_due()


async def _hello(hub: Hub, session: Any, request: Hello) -> ServerFrame | None:
    if session.user:
        raise ChatError("forbidden", "hello was said before; a fresh token goes into auth")
    try:
        identity = hub.tokens.verify(request.token)
    except ChatError as error:
        session.push(Error(request.id, error.code, error.text))
        session.close(CloseCode.TOKEN, error.text)
        return None
    await hub.welcome(session, identity.user, identity.name)
    left = session.known(identity)
    settings = hub.settings
    return Welcome(
        request.id,
        identity.user,
        identity.name,
        session.name,
        left,
        max_text=settings.max_text,
        version=hub.version,
    )


async def _auth(hub: Hub, session: Any, request: Auth) -> ServerFrame | None:
    identity = hub.tokens.verify(request.token)
    if identity.user != session.user:
        raise ChatError("token", "that is the token of somebody else")
    session.known(identity)
    return Done(request.id)


_AUTH: Final[dict[type, Action]] = {Hello: _hello, Auth: _auth}


def _limit(number: int | None, retry_after: float) -> Error:
    return Error(number, "limit", "too much at once", _finite(retry_after))


def _finite(seconds: float | None) -> float | None:
    return None if seconds is None or not isfinite(seconds) else round(seconds, 3)
