"""The client's side of a WebSocket: the opening handshake by HTTP, then the same session as a server's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple, cast

from framework.codec import encode_json
from framework.errors import LocalProtocolError, SetupError, WebSocketClosed
from framework.http.endpoint import Endpoint
from framework.http.headers import Headers
from framework.http.request import Address, Request
from framework.http.response import Response
from framework.net.client.incoming import RawResponse
from framework.net.core import Core
from framework.net.settings import ServerSettings
from framework.net.upgrade import TakenLink
from framework.net.websocket.session import Message, Session
from framework.net.websocket.settings import WebSocketSettings
from framework.net.websocket.socket import Socket
from framework.wire.websocket.compression import Offerer
from framework.wire.websocket.handshake_client import check_upgrade_response, make_key, upgrade_request_fields

__all__ = ["ClientWebSocket", "Handshake", "WebSocketHome"]

INTERNAL_ERROR: Final = 1011


class Handshake(NamedTuple):
    """What one opening handshake offers, and so what its answer is checked against."""

    key: str
    subprotocols: tuple[str, ...]
    deflation: Offerer | None
    fields: list[tuple[str, str]]

    @classmethod
    def offering(
        cls, subprotocols: tuple[str, ...], compression: bool | Offerer, origin: str | None
    ) -> Handshake:
        """Raises SetupError where ``compression`` needs a package that is not installed."""
        deflation = _deflation() if compression is True else compression or None
        key = make_key()
        fields = upgrade_request_fields(key, subprotocols=subprotocols, deflation=deflation, origin=origin)
        return cls(key, subprotocols, deflation, fields)


class ClientWebSocket(Socket):
    """A WebSocket that a client has opened.

    ``async for`` yields its messages (str and bytes) until it is closed, by whichever side; ``close_code`` tells how it
    ended.

    Attributes:
        headers: of the response that opened it.
    """

    __slots__ = ("headers",)

    def __init__(self, session: Session, subprotocol: str | None, headers: Headers) -> None:
        super().__init__(session, subprotocol)
        self.headers = headers

    def __aiter__(self) -> ClientWebSocket:
        return self

    async def __anext__(self) -> Message:
        try:
            return await self._session.receive()
        except WebSocketClosed:
            raise StopAsyncIteration from None

    async def receive(self) -> Message:
        """The next message. A call that is cancelled loses none.

        Raises:
            WebSocketClosed: the WebSocket is closed, and every message that came before was received.
            RuntimeError: another Task receives already.
        """
        return await self._session.receive()

    async def send(self, value: Any) -> None:
        """Sends str as text, bytes as a binary message, and anything else as JSON. Raises as ``send_text`` does, and
        CodecError."""
        message = value if isinstance(value, (str, bytes)) else encode_json(value).decode()
        await self._session.send(message)


class WebSocketHome:
    """What the WebSockets of one client share, and what ends them."""

    def __init__(self, write_timeout: float) -> None:
        settings = ServerSettings(write_timeout=write_timeout)
        self._core = Core(asyncio.get_running_loop(), _NoRuntime(), settings)

    @asynccontextmanager
    async def opened(
        self, raw: RawResponse, handshake: Handshake, settings: WebSocketSettings
    ) -> AsyncGenerator[ClientWebSocket]:
        """The WebSocket that a response to ``handshake`` opens, closed at the end of the block: with 1000, or, where
        that fails, with 1011 and without waiting.

        Raises UpgradeRefused for another response than 101, RemoteProtocolError for one that does not fit.
        """
        try:
            agreed = check_upgrade_response(
                raw.head,
                handshake.key,
                subprotocols=handshake.subprotocols,
                deflation=handshake.deflation,
            )
            tunnel = raw.detach()
        except BaseException:
            raw.close()
            raise
        session = Session(self._core, settings, side="client", compression=agreed.compression)
        ws = ClientWebSocket(session, agreed.subprotocol, Headers(raw.head.fields()))
        tunnel.transport.resume_reading()
        session.open(TakenLink(self._core, tunnel.transport, tunnel.received, peer=_peer(tunnel.transport)))
        try:
            yield ws
        except BaseException:
            session.start_closing(INTERNAL_ERROR)
            session.abort()
            raise
        try:
            await ws.close()
        except BaseException:
            session.abort()
            raise

    async def aclose(self, timeout: float) -> None:
        """Cuts every WebSocket that is still open."""
        for session in tuple(self._core.connections):
            session.abort()
        if self._core.connections:
            self._core.on_empty = asyncio.get_running_loop().create_future()
            await asyncio.wait((self._core.on_empty,), timeout=timeout)
        await self._core.close(timeout)


class _NoRuntime:
    """A client serves nothing."""

    def find(self, request: Request) -> Endpoint:
        raise LocalProtocolError("a client serves no requests")

    def failed(self, request: Request, error: BaseException) -> Response:
        return Response(b"", 500)

    def started(self, core: Core) -> None:
        pass


def _deflation() -> Offerer:
    try:
        from framework.wire.websocket.deflate import ClientDeflation
    except ImportError as error:
        raise SetupError("compression needs the extra: pip install framework[deflate]") from error
    return ClientDeflation()


def _peer(transport: asyncio.Transport) -> Address | None:
    name = transport.get_extra_info("peername")
    if not isinstance(name, tuple):
        return None
    host, port = cast("tuple[str, int]", name[:2])
    return Address(host, port)
