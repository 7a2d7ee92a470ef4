"""One connection to a chat: typed requests and their replies, and what the server pushes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar
from urllib.parse import urlsplit, urlunsplit

import msgspec

from framework.errors import WebSocketClosed
from framework.net.client import HTTPClient
from framework.net.client.websocket import ClientWebSocket
from framework.plugins.chat.errors import ChatError
from framework.plugins.chat.protocol import ClientFrame, CloseCode, Error, Hello, ServerFrame, Typing, Welcome

__all__ = ["Guest", "Link", "comes_back", "endpoints", "enter_as_guest", "linked"]

SUBPROTOCOL: Final = "chat.v1.msgpack"
REPLY_TIMEOUT: Final = 30.0
_NETWORK: Final = frozenset({1001, 1006, 1012, 1013})

T = TypeVar("T")
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final[msgspec.msgpack.Decoder[ServerFrame | list[ServerFrame]]] = msgspec.msgpack.Decoder(
    ServerFrame | list[ServerFrame]
)


class Guest(msgspec.Struct, frozen=True):
    """What the chat gave a guest. ``expires_in``: seconds; 0 is never."""

    token: str
    user: str
    name: str
    expires_in: float = 0


def endpoints(url: str) -> tuple[str, str]:
    """The WebSocket's URL, and the URL of the other routes, of what a user typed: an origin, a prefix, or the whole.

    Raises:
        ValueError: another scheme than http, https, ws or wss, or no host.
    """
    parts = urlsplit(url if "://" in url else f"http://{url}")
    secure = {"http": False, "ws": False, "https": True, "wss": True}.get(parts.scheme)
    if secure is None or not parts.hostname:
        raise ValueError(f"{url!r} is no URL of a chat: http://host:port, or ws://host:port/chat/ws")
    path = parts.path.rstrip("/").removesuffix("/ws") or "/chat"
    base = (parts.netloc, path, "", "")
    return (
        urlunsplit(("wss" if secure else "ws", parts.netloc, f"{path}/ws", parts.query, "")),
        urlunsplit(("https" if secure else "http", *base)),
    )


def comes_back(code: int) -> bool:
    """Whether a client may connect again, as it is, after a close with ``code``; see the protocol's close codes."""
    return code in _NETWORK or code >= CloseCode.REPLACED


async def enter_as_guest(client: HTTPClient, base: str, name: str) -> Guest:
    """Raises ChatError: what the chat said instead of a token."""
    response = await client.post(f"{base}/guest", json={"name": name})
    if response.status // 100 != 2:
        after = response.headers.get("retry-after") or ""
        # Delay in seconds or a date (RFC 9110, section 10.2.3); a date is no use for a program that waits.
        wait = float(after) if after.isascii() and after.isdigit() else None
        code = {429: "limit", 503: "unavailable"}.get(response.status, "forbidden")
        raise ChatError(code, f"the chat lets no guests in: HTTP {response.status}", wait)
    return msgspec.json.decode(await response.read(), type=Guest)


class Link:
    """Requests over one WebSocket; ``read`` has to run beside them.

    Args:
        pushed: is told each frame that answers no request.
    """

    def __init__(self, ws: ClientWebSocket, pushed: Callable[[ServerFrame], None]) -> None:
        self._ws = ws
        self._pushed = pushed
        self._last = 0
        self._waiting: dict[int, asyncio.Future[ServerFrame]] = {}

    @property
    def close_code(self) -> int:
        """How the connection ended; 1006 where it broke, and while it has not."""
        return self._ws.close_code or 1006

    @property
    def close_reason(self) -> str:
        """The text that came with it."""
        return self._ws.close_reason

    async def read(self) -> None:
        """Takes what comes, until the WebSocket is closed; whoever waits for a reply then gets WebSocketClosed."""
        try:
            async for message in self._ws:
                frames = _DECODER.decode(message if isinstance(message, bytes) else message.encode())
                for frame in frames if isinstance(frames, list) else (frames,):
                    self._take(frame)
        finally:
            error = WebSocketClosed(self.close_code, self.close_reason)
            waiting, self._waiting = self._waiting, {}
            for future in waiting.values():
                if not future.done():
                    future.set_exception(error)
                    future.exception()  # Nobody may be there any more to hear it.

    def _take(self, frame: ServerFrame) -> None:
        number = getattr(frame, "id", None)
        future = self._waiting.pop(number, None) if isinstance(number, int) else None
        if future is None:
            self._pushed(frame)
        elif future.done():
            pass
        elif isinstance(frame, Error):
            future.set_exception(ChatError(frame.code, frame.text, frame.retry_after))
        else:
            future.set_result(frame)

    async def ask(self, reply: type[T], make: Callable[[int], ClientFrame]) -> T:
        """Sends a request, made with its id, and waits for its reply.

        Raises:
            ChatError: what the server answered instead.
            WebSocketClosed: the connection ended first.
            TimeoutError: no reply within 30 seconds.
        """
        self._last += 1
        number = self._last
        future: asyncio.Future[ServerFrame] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            await self._ws.send_bytes(_ENCODER.encode(make(number)))
            async with asyncio.timeout(REPLY_TIMEOUT):
                frame = await future
        finally:
            self._waiting.pop(number, None)
        if not isinstance(frame, reply):
            raise ChatError("internal", f"the server answered by {type(frame).__name__}")
        return frame

    def say_typing(self, room: str, *, on: bool) -> None:
        """Not a request: nothing comes back."""
        self._ws.write_bytes(_ENCODER.encode(Typing(room, on)))


@asynccontextmanager
async def linked(
    client: HTTPClient, url: str, token: str, pushed: Callable[[ServerFrame], None]
) -> AsyncGenerator[tuple[Link, Welcome, asyncio.Task[None]]]:
    """A connection that was welcomed, for the length of the block, and the task that reads it: it ends with the
    connection.

    Raises:
        ChatError: the token was refused.
        WebSocketClosed, and whatever connecting raises.
    """
    async with client.websocket(url, subprotocols=(SUBPROTOCOL,)) as ws:
        link = Link(ws, pushed)
        reading = asyncio.create_task(link.read())
        try:
            welcome = await link.ask(Welcome, lambda number: Hello(number, token))
            yield link, welcome, reading
        finally:
            if not ws.closed:
                ws.start_closing(1000)
            reading.cancel()
            await asyncio.wait((reading,))
            if not reading.cancelled():
                reading.exception()
