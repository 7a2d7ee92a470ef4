"""One WebSocket as an ASGI application sees it: ``receive`` and ``send`` on a session of this server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, Final, cast

from framework.asgi.exchange import HTTPExchange, is_told
from framework.asgi.pieces import Changes
from framework.asgi.types import ClientDisconnected, Message
from framework.errors import WebSocketClosed
from framework.http.request import Request
from framework.http.response import Response
from framework.http.upgrade import Taken, Upgrade
from framework.net.upgrade import TakenLink
from framework.net.websocket.session import Session
from framework.net.websocket.settings import WebSocketSettings
from framework.wire.websocket.handshake import Accepted

__all__ = ["SocketExchange"]

_LOG: Final = logging.getLogger("framework.asgi")
_FAILED: Final = 1011
_DENIAL: Final = "websocket."


class SocketExchange:
    """Receives and sends for one call of an application with a ``websocket`` scope.

    Attributes:
        request: the handshake.
        response: the answer to it, as soon as it is known: an upgrade, or a denial.
        lost: the client went away during the handshake.
        over: the application has returned, or raised ``error``.
        offered: the subprotocols that the client speaks.
    """

    __slots__ = (
        "_accepted",
        "_changes",
        "_closed",
        "_connected",
        "_denial",
        "_session",
        "_settings",
        "_task",
        "error",
        "lost",
        "offered",
        "over",
        "request",
        "response",
    )

    def __init__(self, request: Request, accepted: Accepted, settings: WebSocketSettings) -> None:
        self.request = request
        self.response: Response | None = None
        self.error: BaseException | None = None
        self.lost = False
        self.over = False
        self.offered = accepted.offered
        self._accepted = accepted
        self._settings = settings
        self._changes = Changes()
        self._connected = False
        self._closed = False
        self._session: Session | None = None
        self._denial: HTTPExchange | None = None
        self._task: asyncio.Task[Any] | None = None

    # -- the application's side -------------------------------------------------------------------------------------

    async def receive(self) -> Message:
        """``websocket.connect``, then a ``websocket.receive`` for each message, then ``websocket.disconnect``."""
        if not self._connected:
            self._connected = True
            return {"type": "websocket.connect"}
        if self._denial is not None:
            await self._denial.receive()
            return {"type": "websocket.disconnect", "code": 1006, "reason": ""}
        while self._session is None and not self.lost:
            await self._changes.wait()
        if self._session is None:
            return {"type": "websocket.disconnect", "code": 1006, "reason": ""}
        try:
            message = await self._session.receive()
        except WebSocketClosed as closed:
            return {"type": "websocket.disconnect", "code": closed.code, "reason": closed.reason}
        return {"type": "websocket.receive", "text" if isinstance(message, str) else "bytes": message}

    async def send(self, message: Message) -> None:
        """Takes the next message of the application. ``websocket.accept`` waits for the handshake, ``websocket.send``
        while more waits for the client than the high watermark allows.

        Raises:
            ClientDisconnected: the client has closed, or gone.
            RuntimeError: a message that is none, or out of its turn.
            LocalProtocolError: a code of a close that must not be sent, or a reason that is too long.
        """
        kind = message["type"]
        session = self._session
        if session is not None and kind == "websocket.send":
            await self._send(session, message)
        elif session is not None and kind == "websocket.close":
            self._closed = True
            session.start_closing(message.get("code", 1000), message.get("reason") or "")
        elif self._denial is not None and kind.startswith("websocket.http.response."):
            await self._denial.send({**message, "type": kind.removeprefix(_DENIAL)})
        elif self.response is not None or session is not None:
            raise RuntimeError(f"{kind!r} from the application, which is out of its turn")
        elif self.lost:
            raise ClientDisconnected
        elif kind == "websocket.accept":
            await self._accept(message.get("subprotocol"), message.get("headers") or ())
        elif kind == "websocket.close":
            self._answered(Response(b"", 403))
        elif kind == "websocket.http.response.start":
            self._denial = HTTPExchange(self.request)
            self._denial.goes_alone()
            await self._denial.send({**message, "type": kind.removeprefix(_DENIAL)})
            self._changes.tell()
        else:
            raise RuntimeError(
                f"expected websocket.accept or websocket.close from the application, not {kind!r}"
            )

    async def _send(self, session: Session, message: Message) -> None:
        if self._closed:
            raise RuntimeError("'websocket.send' from the application behind its websocket.close")
        text: str | None = message.get("text")
        data: bytes | None = message.get("bytes")
        if text is None and data is not None:
            content: str | bytes = bytes(data)
        elif text is not None and data is None:
            content = text
        else:
            raise RuntimeError("a websocket.send has either text or bytes")
        try:
            await session.send(content)
        except WebSocketClosed as closed:
            raise ClientDisconnected from closed

    async def _accept(self, subprotocol: str | None, headers: Iterable[tuple[bytes, bytes]]) -> None:
        accepted = self._accepted
        if subprotocol is not None and subprotocol not in accepted.offered:
            raise RuntimeError(f"the subprotocol {subprotocol!r} was not offered: {accepted.offered}")
        fields = [(bytes(name).decode("latin-1"), bytes(value).decode("latin-1")) for name, value in headers]
        fields.append(("sec-websocket-accept", accepted.accept))
        if subprotocol is not None:
            fields.append(("sec-websocket-protocol", subprotocol))
        if accepted.extensions is not None:
            fields.append(("sec-websocket-extensions", accepted.extensions))
        self._answered(_Upgrade(self, fields))
        while self._session is None and not self.lost:
            await self._changes.wait()
        if self._session is None:
            raise ClientDisconnected

    def _answered(self, response: Response) -> None:
        self.response = response
        self._changes.tell()

    # -- the server's side ------------------------------------------------------------------------------------------

    def connect(self, link: Taken) -> None:
        """The handshake is over."""
        session = Session(link.core, self._settings, compression=self._accepted.compression)
        session.receiver = _Owner(self)
        self._session = session
        self.response = None  # which knows us: no circle is left behind
        session.open(cast("TakenLink", link))
        if self.over:  # it did not wait for this
            session.start_closing(_FAILED)
            session.leave()
        self._changes.tell()

    def goes_alone(self) -> None:
        """From now on the application runs in a Task of its own."""

    async def answer(self) -> Response:
        """Waits for the answer to the handshake. Raises what the application raised in place of one."""
        while self.response is None and self._denial is None and not self.over:
            await self._changes.wait()
        if self._denial is not None:
            return await self._denial.answer()
        return self.answered()

    def answered(self) -> Response:
        """The answer of an application that has made one, or is over."""
        if self.response is None:
            raise self.error or RuntimeError("the application returned without an answer to the handshake")
        return self.response

    def ended(self, error: BaseException | None) -> None:
        """The application has returned, or raised ``error``: "if the application dies the socket should be closed"."""
        self.over = True
        session = self._session
        if self._denial is not None:
            self._denial.ended(error)
        elif session is None and self.response is None:
            self.error = error
        elif error is not None and not is_told(error):
            what = "the application failed on a WebSocket at %s", self.request.raw_path
            _LOG.error(*what, exc_info=error, extra={"request": self.request})
        if session is not None:
            session.start_closing(1000 if error is None else _FAILED)
            session.leave()
        self._changes.tell()

    async def until_over(self) -> None:
        """Waits for the application's end."""
        while not self.over:
            await self._changes.wait()

    def lose(self) -> None:
        """The client went away during the handshake."""
        if self._session is not None:
            return
        self.lost = True
        if self._denial is not None:
            self._denial.lose()
        self._changes.tell()

    def keeps(self, task: asyncio.Task[Any]) -> bool:
        """Whether a session takes care of the application's Task from here on."""
        self._task = task
        return isinstance(self.response, _Upgrade)

    def leave(self) -> None:
        """The connection is gone: so is the session, if the application has ended."""
        if self.over and self._session is not None:
            self._session.leave()

    def cancel(self) -> None:
        """Cancels the application, which goes on though its WebSocket is closed."""
        if self._task is not None and not self.over:
            self._task.cancel()


class _Owner:
    """What a session tells of itself. Messages are not handed over: ``receive`` takes them."""

    __slots__ = ("_exchange",)

    def __init__(self, exchange: SocketExchange) -> None:
        self._exchange = exchange

    def opened(self) -> None:
        """Messages may come."""

    def awaited(self, result: object) -> None:
        """Nothing is delivered."""

    def failed(self, error: BaseException) -> None:
        """Nothing is delivered."""

    def arrived(self) -> bool:
        """``receive`` finds out by itself."""
        return False

    def lost(self) -> None:
        """The connection is gone; the application has its time to end."""
        self._exchange.leave()

    def overdue(self) -> None:
        """The application has had its time."""
        self._exchange.cancel()

    def cancel(self) -> None:
        """The server's patience is over."""
        self._exchange.cancel()


class _Upgrade(Upgrade):
    """The 101 that an application has accepted with."""

    __slots__ = ("_exchange",)

    def __init__(self, exchange: SocketExchange, fields: list[tuple[str, str]]) -> None:
        super().__init__("websocket", exchange.connect, headers=fields)
        self._exchange: SocketExchange | None = exchange

    def dropped(self) -> None:
        exchange, self._exchange = getattr(self, "_exchange", None), None
        if exchange is not None:
            exchange.lose()
        super().dropped()
