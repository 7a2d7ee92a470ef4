"""The WebSocket as handlers, listeners and channels see it: one class for both styles."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Generic, Protocol, cast

from framework.codec import encode_json
from framework.errors import CodecError, HTTPError, WebSocketClosed
from framework.http.request import Request
from framework.net.websocket.session import Message, Session
from framework.wire.websocket.compression import Deflater
from framework.wire.websocket.leaves import encode_binary, encode_text

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    In = TypeVar("In", default=str | bytes)
    Out = TypeVar("Out", default=Any)
else:
    from typing import TypeVar

    In = TypeVar("In")
    Out = TypeVar("Out")

__all__ = ["Scope", "Socket", "WebSocket"]


class Scope(Protocol):
    """An open scope of dependencies, such as that of one message."""

    async def get(self, key: Any) -> Any: ...


class Socket:
    """One WebSocket, of either side. Writing never waits and ``send`` may; see ``docs/websockets.md``.

    Attributes:
        subprotocol: the one agreed on, None without one.
    """

    __slots__ = ("_callbacks", "_session", "subprotocol")

    def __init__(self, session: Session, subprotocol: str | None = None) -> None:
        self._session = session
        self._callbacks: list[Callable[[Any], None]] | None = None
        self.subprotocol = subprotocol

    @property
    def closed(self) -> bool:
        """Nothing can be sent any more: one of the sides has begun to close, or the connection is lost."""
        return self._session.over

    @property
    def close_code(self) -> int | None:
        """The code of the close once there is one (RFC 6455 section 7.4): 1005 where the peer gave none, 1006 where the
        connection broke without a close."""
        return self._session.code or None

    @property
    def close_reason(self) -> str:
        """The text that came with it."""
        return self._session.reason

    # -- writing ----------------------------------------------------------------------------------------------------

    def write_text(self, text: str) -> bool:
        """Writes a text message without waiting; False, and nothing is written, once the WebSocket is closed.

        What a peer does not read waits in memory: ``send_text`` waits for it, ``buffered`` tells how much it is, and a
        peer for whom more than ``max_unsent`` bytes wait is cut off.

        Raises:
            LocalProtocolError: a lone surrogate.
        """
        session = self._session
        if session.over:
            return False
        if session.plain:
            session.write_frames(encode_text(text))
        else:
            session.write_message(text)
        return True

    def write_bytes(self, data: bytes) -> bool:
        """As ``write_text``, for a binary message."""
        session = self._session
        if session.over:
            return False
        if session.plain:
            session.write_frames(encode_binary(data))
        else:
            session.write_message(data)
        return True

    async def send_text(self, text: str) -> None:
        """Sends a text message; waits while more waits for the peer than the high watermark (``write_limit``).

        Raises:
            WebSocketClosed: the WebSocket is closed, before or meanwhile.
            LocalProtocolError: a lone surrogate.
        """
        session = self._session
        if not self.write_text(text):
            raise session.closed()
        if session.congested:
            await session.sent()

    async def send_bytes(self, data: bytes) -> None:
        """As ``send_text``, for a binary message."""
        session = self._session
        if not self.write_bytes(data):
            raise session.closed()
        if session.congested:
            await session.sent()

    async def send_json(self, value: Any) -> None:
        """Sends ``value`` as JSON in a text message. Raises as ``send_text``, and CodecError where it is no JSON."""
        await self.send_text(encode_json(value).decode())

    # -- for channels -----------------------------------------------------------------------------------------------

    def write_frames(self, data: bytes) -> None:
        """Writes whole frames, encoded already for this connection's ``deflater``; dropped once it is closed."""
        self._session.write_frames(data)

    @property
    def buffered(self) -> int:
        """Bytes that the peer has not taken yet, as far as this process knows."""
        return self._session.buffered

    @property
    def deflater(self) -> Deflater | None:
        """What compresses for this connection; its ``key`` groups those that take the same frames."""
        return cast("Deflater | None", self._session.deflater)

    def on_closed(self, callback: Callable[[Any], None]) -> None:
        """Calls back with this WebSocket, once, when nothing can be sent any more; at once when that is so already."""
        session = self._session
        if session.over:
            callback(self)
            return
        if self._callbacks is None:
            self._callbacks = []
            session.on_end = self._tell
        self._callbacks.append(callback)

    def _tell(self) -> None:
        callbacks, self._callbacks = self._callbacks or [], None
        for callback in callbacks:
            try:
                callback(self)
            except Exception as error:
                self._session.callback_failed(error)

    def on_drained(self, callback: Callable[[], None]) -> None:
        """Calls back once: when what waits for the peer is below the low watermark, or the connection is gone."""
        self._session.on_drained(callback)

    # -- closing ----------------------------------------------------------------------------------------------------

    def start_closing(self, code: int = 1000, reason: str = "") -> None:
        """Sends a close, for which the peer has ``close_timeout``, and waits for nothing. Only the first one counts.

        Raises:
            LocalProtocolError: a code that must not be sent, or a reason of more than 123 bytes of UTF-8.
        """
        self._session.start_closing(code, reason)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Closes the WebSocket, and waits for the end of the connection: at most ``close_timeout``, and what
        the peer needs to take what was written before. Raises as ``start_closing`` does."""
        session = self._session
        session.start_closing(code, reason)
        await session.wait_closed()

    def abort(self) -> None:
        """Cuts the connection; what was written may be lost, and the peer sees 1006."""
        self._session.abort()


class WebSocket(Socket, Generic[In, Out]):
    """A WebSocket that a server has accepted.

    ``async for`` yields its messages until it is closed, by whichever side; ``close_code`` tells how it ended. Messages
    are str and bytes. ``WebSocket[In, Out]`` in a handler's annotation decodes what comes and encodes what ``send``
    is given.

    Attributes:
        request: that of the opening handshake.
    """

    __slots__ = ("_decode", "_encode", "_on_invalid", "_scopes", "request")

    def __init__(self, session: Session, request: Request, subprotocol: str | None = None) -> None:
        super().__init__(session, subprotocol)
        self.request = request
        self._decode: Callable[[Message], Any] | None = None
        self._encode: Callable[[Any], Message] | None = None
        self._on_invalid: Callable[[Any, Exception], object] | None = None
        self._scopes: Callable[[Any], AbstractAsyncContextManager[Scope]] | None = None

    def typed(
        self,
        decode: Callable[[Message], Any] | None,
        encode: Callable[[Any], Message],
        on_invalid: Callable[[Any, Exception], object],
    ) -> None:
        """Reads and writes values in place of messages; ``on_invalid`` is called for what ``decode`` refuses."""
        self._decode = decode
        self._encode = encode
        self._on_invalid = on_invalid

    def decoded(self, message: Message) -> Any:
        """A message's value. Raises what ``decode`` does."""
        return message if self._decode is None else self._decode(message)

    def invalid(self, error: Exception) -> None:
        """Does what the endpoint says of a message that was refused."""
        if self._on_invalid is None:
            raise error
        self._on_invalid(self, error)

    def scoped(self, enter: Callable[[Any], AbstractAsyncContextManager[Scope]]) -> None:
        """What ``scope`` does."""
        self._scopes = enter

    def __aiter__(self) -> WebSocket[In, Out]:
        return self

    async def __anext__(self) -> In:
        session = self._session
        message = session.next()
        while True:
            try:
                while message is None:
                    waiter = session.wait()
                    try:
                        await waiter
                    finally:
                        session.waiter = None
                    message = session.next()
            except WebSocketClosed:
                raise StopAsyncIteration from None
            if self._decode is None:
                return cast("In", message)
            try:
                return cast("In", self._decode(message))
            except (CodecError, HTTPError) as error:
                self.invalid(error)
            message = session.next()

    async def receive(self) -> In:
        """The next message. A call that is cancelled loses none.

        Raises:
            WebSocketClosed: the WebSocket is closed, and every message that came before was received.
            RuntimeError: another Task receives already.
        """
        message = self._session.next()
        if message is None:
            message = await self._session.receive()
        if self._decode is None:
            return cast("In", message)
        while True:
            try:
                return cast("In", self._decode(message))
            except (CodecError, HTTPError) as error:
                self.invalid(error)
            message = await self._session.receive()

    async def send(self, value: Out) -> None:
        """Sends a message as the annotation ``WebSocket[In, Out]`` says; without one str is sent as text, bytes as
        a binary message, and anything else as JSON. Raises as ``send_text`` does, and CodecError."""
        if self._encode is not None:
            message = self._encode(value)
        elif isinstance(value, (str, bytes)):
            message = value
        else:
            message = encode_json(value).decode()
        await self._session.send(message)

    def scope(self) -> AbstractAsyncContextManager[Scope]:
        """A scope of dependencies for one message: ``async with ws.scope() as scope: repo = await scope.get(Repo)``.

        It is a REQUEST scope inside the connection's own; what it made is cleaned up at its end.

        Raises:
            RuntimeError: the WebSocket was opened by no app.
        """
        if self._scopes is None:
            raise RuntimeError("this WebSocket belongs to no app")
        return self._scopes(self)
