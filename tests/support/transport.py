"""A socket's two ends in memory: the transport that a protocol writes to, and what its client does and sees."""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["FakeTransport"]


class FakeTransport(asyncio.Transport):
    """Behaves as a socket's transport does: buffers what the client does not take, pauses and resumes its protocol,
    half-closes, and tells of every end by a callback of its own.

    Attributes:
        received: what the client has got so far.
        writes: each ``write`` by itself.
        room: bytes the client will still take; None is a client that always reads.
        eof: our side was closed for writing, and the client saw it.
        lost: ``connection_lost`` was called.
        reading: the protocol wants bytes.
        late: writes to a transport that was closing: a server must not count on them.

    Args:
        high: the write buffer's high watermark; the low one is a quarter of it.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol: asyncio.Protocol,
        *,
        high: int = 65_536,
        **extra: Any,
    ) -> None:
        super().__init__({"peername": ("192.0.2.1", 40_000), "sockname": ("127.0.0.1", 8000), **extra})
        self._loop = loop
        self._protocol = protocol
        self._high, self._low = high, high // 4
        self._buffer = bytearray()
        self._arrived: list[bytes] = []
        self._closing = self._paused = self._eof_written = self._eof_arrived = False
        self.received = bytearray()
        self.writes: list[bytes] = []
        self.room: int | None = None
        self.eof = False
        self.lost = False
        self.aborted = False
        self.reading = True
        self.late: list[bytes] = []

    def connect(self) -> None:
        """Tells the protocol; call it in a callback of the loop."""
        self._protocol.connection_made(self)

    # -- the protocol's side ----------------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        assert isinstance(data, bytes), "a response is written as bytes"
        if self._eof_written:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._closing or self.lost:
            self.late.append(data)
            return
        self.writes.append(data)
        self._buffer += data
        self._drain()
        if len(self._buffer) > self._high and not self._paused:
            self._paused = True
            self._protocol.pause_writing()

    def _drain(self) -> None:
        taken = len(self._buffer) if self.room is None else min(self.room, len(self._buffer))
        self.received += self._buffer[:taken]
        del self._buffer[:taken]
        if self.room is not None:
            self.room -= taken
        if not self._buffer:
            self.eof = self._eof_written

    def get_write_buffer_size(self) -> int:
        return len(self._buffer)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if self._closing or self._eof_written:
            return
        self._eof_written = True
        self._drain()

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        self.reading = False
        if not self._buffer:
            self._loop.call_soon(self._lose, None)

    def abort(self) -> None:
        self._buffer.clear()
        self.aborted = True
        self._closing = True
        self.reading = False
        self._loop.call_soon(self._lose, None)

    def _lose(self, error: Exception | None) -> None:
        if not self.lost:
            self.lost = True
            self._protocol.connection_lost(error)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        if not self._closing and not self.reading:
            self.reading = True
            self._loop.call_soon(self._deliver)

    # -- the client's side, to be called in callbacks of the loop ------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """The client sends; delivered once the protocol reads."""
        self._arrived.append(data)
        self._deliver()

    def feed_eof(self) -> None:
        """The client closes its side."""
        self._eof_arrived = True
        self._deliver()

    def reset(self) -> None:
        """The client is gone, and the network says so."""
        self._closing = True
        self.reading = False
        self._lose(ConnectionResetError(104, "Connection reset by peer"))

    def take(self, size: int | None) -> None:
        """The client reads ``size`` bytes more; None lets it read for ever."""
        self.room = None if size is None else (self.room or 0) + size
        self._drain()
        if self._paused and len(self._buffer) <= self._low:
            self._paused = False
            self._protocol.resume_writing()
        if self._closing and not self._buffer:
            self._lose(None)

    def _deliver(self) -> None:
        while self._arrived and self.reading and not self.lost:
            self._protocol.data_received(self._arrived.pop(0))
        if self._eof_arrived and not self._arrived and self.reading and not self.lost:
            self._eof_arrived = False
            if not self._protocol.eof_received():
                self.close()
