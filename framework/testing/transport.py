"""A transport in memory: one end of a connection, with the buffers, the pauses and the ends of a socket's."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import deque
from typing import Any, Final

__all__ = ["MemoryTransport"]

_HIGH: Final = 65_536


class MemoryTransport(asyncio.Transport):
    """Behaves as a socket's transport does: buffers what is not taken, pauses and resumes its protocol, half-closes.

    A subclass says where bytes go: ``room`` is how many it takes now, ``carry`` takes them, ``carry_eof`` is the end.
    Once there is more room it calls ``drain``. What comes from the other side is given to ``feed``, ``feed_eof`` and
    ``reset``, which call the protocol at once: call them in callbacks of the loop, as a selector does.

    Args:
        extra: of ``get_extra_info``.
        high: the write buffer's high watermark; the low one is a quarter of it.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol: asyncio.BaseProtocol | None = None,
        *,
        high: int = _HIGH,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(extra)
        self.loop = loop
        self._protocol: Any = protocol
        self._high, self._low = high, high // 4
        self._buffer = bytearray()
        self._arrived: deque[bytes] = deque()  # came while reading was paused; b"" is the end
        self._reading = True
        self._closing = self._paused = self._ended = self._told = self._lost = False

    # -- where it goes ----------------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def room(self) -> int:
        """How many bytes are taken now."""

    @abstractmethod
    def carry(self, data: bytes) -> None:
        """Takes bytes, as many as there was room for."""

    @abstractmethod
    def carry_eof(self) -> None:
        """Takes the end of what is written."""

    def consumed(self, size: int) -> None:
        """The protocol has got ``size`` bytes that were fed."""

    def drain(self) -> None:
        """Passes on what there is room for."""
        while self._buffer and (room := self.room) > 0:
            data = bytes(self._buffer[:room])
            del self._buffer[:room]
            self.carry(data)
        if self._paused and len(self._buffer) <= self._low and not self._lost:
            self._paused = False
            self._protocol.resume_writing()
        if not self._buffer and self._ended and not self._told:
            self._told = True
            self.carry_eof()
        if not self._buffer and self._closing:
            self.loop.call_soon(self.lose, None)

    # -- the protocol's side ----------------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if self._ended:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._closing or not data:
            return
        self._buffer += data
        self.drain()
        if len(self._buffer) > self._high and not self._paused:
            self._paused = True
            self._protocol.pause_writing()

    def get_write_buffer_size(self) -> int:
        return len(self._buffer)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = (_HIGH if low is None else 4 * low) if high is None else high
        self._low = self._high // 4 if low is None else low

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if not self._closing and not self._ended:
            self._ended = True
            self.drain()

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._reading = False
            self.drain()

    def abort(self) -> None:
        self._buffer.clear()
        self._closing = True
        self._reading = False
        self.loop.call_soon(self.lose, None)

    def lose(self, error: Exception | None) -> None:
        """The connection has ended, if it had not before."""
        if not self._lost:
            self._lost = self._closing = True
            self._reading = False
            self._buffer.clear()
            self._protocol.connection_lost(error)

    def is_reading(self) -> bool:
        return self._reading

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        if not self._closing and not self._reading:
            self._reading = True
            self.loop.call_soon(self._deliver)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    # -- the other side ---------------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """Bytes arrive; delivered once the protocol reads."""
        if data:
            self._arrived.append(data)
            self._deliver()

    def feed_eof(self) -> None:
        """The other side will send no more."""
        self._arrived.append(b"")
        self._deliver()

    def reset(self) -> None:
        """The other side is gone, and the network says so."""
        self.lose(ConnectionResetError(104, "Connection reset by peer"))

    def _deliver(self) -> None:
        while self._arrived and self._reading:
            data = self._arrived.popleft()
            if data:
                self._receive(data)
                self.consumed(len(data))
            elif not self._protocol.eof_received():
                self.close()

    def _receive(self, data: bytes) -> None:
        if not isinstance(self._protocol, asyncio.BufferedProtocol):
            self._protocol.data_received(data)
            return
        while data and not self._lost:
            space = memoryview(self._protocol.get_buffer(len(data))).cast("B")
            size = min(len(space), len(data))
            space[:size] = data[:size]
            self._protocol.buffer_updated(size)
            data = data[size:]
