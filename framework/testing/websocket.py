"""The client's side of a WebSocket for tests, on the framework's own session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from framework.codec import decode_json
from framework.errors import WebSocketClosed
from framework.http.endpoint import Endpoint
from framework.http.headers import Headers
from framework.http.request import Request
from framework.http.response import Response
from framework.net.core import Core
from framework.net.settings import ServerSettings
from framework.net.upgrade import TakenLink
from framework.net.websocket.session import Message, Session
from framework.net.websocket.settings import WebSocketSettings
from framework.net.websocket.socket import Socket
from framework.testing.answer import Answer
from framework.testing.composing import HeaderFields, join_fields
from framework.testing.exchange import ClientConnection
from framework.wire.websocket.compression import Offerer
from framework.wire.websocket.handshake_client import (
    check_upgrade_response,
    make_key,
    upgrade_request_fields,
)

__all__ = ["Handshake", "SocketClient", "WebSocketDenied"]

_QUIET = WebSocketSettings(ping_interval=None)


class WebSocketDenied(Exception):
    """The server answered the opening handshake with something else than 101: ``answer``."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        super().__init__(answer)

    def __str__(self) -> str:
        return f"the WebSocket was denied: {self.answer.status} {self.answer.text[:200]}"


class SocketClient(Socket):
    """A WebSocket as its client has it: ``send_text`` and the like, ``receive``, ``async for``, ``close``.

    Attributes:
        headers: those of the server's 101.
        session: what carries it.
    """

    __slots__ = ("headers", "session")

    def __init__(self, session: Session, headers: Headers, subprotocol: str | None) -> None:
        super().__init__(session, subprotocol)
        self.session = session
        self.headers = headers

    def __aiter__(self) -> SocketClient:
        return self

    async def __anext__(self) -> Message:
        try:
            return await self.session.receive()
        except WebSocketClosed:
            raise StopAsyncIteration from None

    async def receive(self) -> Message:
        """The next message. Raises WebSocketClosed after the last."""
        return await self.session.receive()

    async def receive_json(self) -> Any:
        """The next message as JSON."""
        message = await self.session.receive()
        return decode_json(message.encode() if isinstance(message, str) else message)

    async def wait_closed(self) -> int:
        """Waits until the connection is gone; returns the code of the close."""
        await self.session.wait_closed()
        return self.session.code


class Handshake:
    """One opening handshake."""

    def __init__(self, subprotocols: tuple[str, ...], *, compression: bool, origin: str | None) -> None:
        self._key = make_key()
        self._subprotocols = subprotocols
        self._origin = origin
        self._deflation: Offerer | None = None
        if compression:
            from framework.wire.websocket.deflate import ClientDeflation

            self._deflation = ClientDeflation()

    def fields(self, more: HeaderFields | None) -> list[tuple[str, str]]:
        """The fields of the request; ``more`` overrides them."""
        own = upgrade_request_fields(
            self._key,
            subprotocols=self._subprotocols,
            deflation=self._deflation,
            origin=self._origin,
        )
        return join_fields(dict(own), more or {})

    @asynccontextmanager
    async def complete(
        self, connection: ClientConnection, headers: Headers, settings: WebSocketSettings | None
    ) -> AsyncGenerator[SocketClient]:
        """The WebSocket behind a 101. Raises RemoteProtocolError where the answer does not fit the request."""
        transport, head, received = connection.give_away()
        core: Core | None = None
        try:
            agreed = check_upgrade_response(
                head, self._key, subprotocols=self._subprotocols, deflation=self._deflation
            )
            core = Core(asyncio.get_running_loop(), _Nothing(), ServerSettings())
            session = Session(core, settings or _QUIET, side="client", compression=agreed.compression)
            session.open(TakenLink(core, transport, received))
            socket = SocketClient(session, headers, agreed.subprotocol)
            yield socket
            await socket.close()
        finally:
            transport.abort()
            if core is not None:
                await core.close(1.0)


class _Nothing:
    """Of a core on which no request ever comes."""

    def find(self, request: Request) -> Endpoint:
        raise NotImplementedError

    def failed(self, request: Request, error: BaseException) -> Response:
        raise error

    def started(self, core: Core) -> None: ...
