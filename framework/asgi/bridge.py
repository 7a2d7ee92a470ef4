"""A WebSocket of another server under a session of ours: a transport whose bytes become messages of ASGI, and back.

Sessions speak frames, and all that stands on them (handlers, listeners, channels, deadlines) stands on sessions; so the
messages of the other server are framed for ours, and its frames taken apart. Pings stay between the two.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Any, Final

from framework.asgi.pieces import Changes
from framework.asgi.types import Message, Receive, Send
from framework.wire.websocket.events import Close, Event, Ping, is_close_code
from framework.wire.websocket.frames import Masks, encode_close, encode_pong
from framework.wire.websocket.leaves import FrameParser, encode_binary, encode_text

__all__ = ["Bridge"]

_HIGH: Final = 65_536
_UNBOUNDED: Final = 2**40
_BARE_CLOSE: Final = b"\x88\x80\0\0\0\0"
"""A close frame without a code, masked by nothing."""
_BROKEN: Final = 1006
_FAILED: Final = 1011


class Bridge(asyncio.Transport):
    """The transport of a session, from ``websocket.accept`` on.

    Args:
        loop: what the session runs in.
        context: what it is called in: that of no request.
        sockname: the address that was connected to.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, context: Context, sockname: Any) -> None:
        super().__init__({"sockname": sockname})
        self._loop = loop
        self._context = context
        self._parser = FrameParser(
            "client", max_frame=_UNBOUNDED, max_message=_UNBOUNDED, max_fragments=_UNBOUNDED
        )
        self._masks = Masks()
        self._protocol: Any = None
        self._changes = Changes()
        self._queue: deque[Message] = deque()
        self._size = 0
        self._high = _HIGH
        self._paused = False
        self._reading = True
        self._closing = self._lost = self._gone = False

    # -- what a session calls ---------------------------------------------------------------------------------------

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def write(self, data: Any) -> None:
        """Takes frames; dropped once the client has gone."""
        if self._closing or self._gone:
            return
        for event in self._parser.feed(bytes(data)):
            self._take(event)
        self._changes.tell()
        if self._size > self._high and not self._paused:
            self._paused = True
            self._protocol.pause_writing()

    def _take(self, event: Event) -> None:
        if isinstance(event, str):
            self._size += len(event)
            self._queue.append({"type": "websocket.send", "text": event})
        elif isinstance(event, bytes):
            self._size += len(event)
            self._queue.append({"type": "websocket.send", "bytes": event})
        elif isinstance(event, Close):
            code = event.code if is_close_code(event.code) else 1000
            self._queue.append({"type": "websocket.close", "code": code, "reason": event.reason})
        elif isinstance(event, Ping):
            self._feed(encode_pong(event.data, self._masks.take()))

    def get_write_buffer_size(self) -> int:
        return self._size

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._high // 4, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = _HIGH if high is None else high

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        self._changes.tell()

    def is_reading(self) -> bool:
        return self._reading

    def can_write_eof(self) -> bool:
        return False

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._closing = True
        self._changes.tell()

    def abort(self) -> None:
        self._queue.clear()
        if not self._closing and not self._gone:
            self._queue.append({"type": "websocket.close", "code": _FAILED, "reason": ""})
        self.close()

    # -- the other server's side ------------------------------------------------------------------------------------

    async def run(self, receive: Receive, send: Send, connect: Callable[[], None]) -> None:
        """Carries messages until one side has closed.

        Args:
            connect: opens the session.
        """
        self._loop.call_soon(connect, context=self._context)
        reader = self._loop.create_task(self._read(receive))
        reader.add_done_callback(self._heard_all)
        try:
            await self._write(send, reader)
        finally:
            await _end(reader)
            self._lose()

    def _heard_all(self, reader: asyncio.Task[None]) -> None:
        """Nothing is received any more. What that raised is the other server's to log; here the client has gone."""
        if not reader.cancelled():
            reader.exception()
            self._gone = True
            self._changes.tell()

    async def _write(self, send: Send, reader: asyncio.Task[None]) -> None:
        while True:
            while self._queue:
                message = self._queue.popleft()
                if message["type"] == "websocket.close":
                    await _end(reader)  # Granian does not close while somebody receives
                try:
                    await send(message)
                except OSError:
                    self._gone = True
                    return
                if message["type"] == "websocket.close":
                    self._gone = True
                    self._feed(encode_close(message["code"], "", self._masks.take()))
                    return
                self._size -= len(message.get("text") or message.get("bytes") or b"")
                if self._paused and self._size <= self._high // 4:
                    self._paused = False
                    self._loop.call_soon(self._protocol.resume_writing, context=self._context)
            if self._closing or self._gone:
                return
            await self._changes.wait()

    async def _read(self, receive: Receive) -> None:
        while not self._gone:
            message = await receive()
            while not self._reading and not self._closing:
                await self._changes.wait()
            if message["type"] == "websocket.receive":
                text = message.get("text")
                mask = self._masks.take()
                self._feed(encode_binary(message["bytes"], mask) if text is None else encode_text(text, mask))
            else:
                self._queue.clear()
                self._gone = True
                code, reason = message.get("code", 1005), message.get("reason") or ""
                if code == 1005:
                    self._feed(_BARE_CLOSE)
                elif code != _BROKEN and is_close_code(code):
                    self._feed(encode_close(code, reason, self._masks.take()))
                self._changes.tell()

    def _feed(self, frames: bytes) -> None:
        """Soon, and not in this Task: a session takes first steps of handlers, which run in Tasks of their own."""
        self._loop.call_soon(self._fed, frames, context=self._context)

    def _fed(self, frames: bytes) -> None:
        if self._protocol is not None and not self._lost:
            self._protocol.data_received(frames)

    def _lose(self) -> None:
        """Behind what was fed."""
        self._closing = True

        def lose() -> None:
            if self._protocol is not None and not self._lost:
                self._lost = True
                self._protocol.connection_lost(None)

        self._loop.call_soon(lose, context=self._context)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait((task,))
