"""The server's end of a connection whose client is the test: what it wrote, and how much of it the client takes."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from framework.testing import MemoryTransport

__all__ = ["FakeTransport"]


class FakeTransport(MemoryTransport):
    """Keeps what is written, as far as the client takes it.

    Attributes:
        received: what the client has got so far.
        writes: each ``write`` by itself.
        late: writes to a transport that was closing: a server must not count on them.
        client_room: bytes the client will still take; None is a client that always reads.
        eof: our side was closed for writing, and the client saw it.
        aborted: it was ended at once.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol, *, high: int = 65_536, **extra: Any
    ) -> None:
        names = {"peername": ("192.0.2.1", 40_000), "sockname": ("127.0.0.1", 8000)}
        super().__init__(loop, protocol, high=high, extra={**names, **extra})
        self.received = bytearray()
        self.writes: list[bytes] = []
        self.late: list[bytes] = []
        self.client_room: int | None = None
        self.eof = False
        self.aborted = False

    @property
    def lost(self) -> bool:
        """The protocol was told of the end."""
        return self._lost

    @property
    def reading(self) -> bool:
        """The protocol wants bytes."""
        return self.is_reading()

    def connect(self) -> None:
        """Tells the protocol; call it in a callback of the loop."""
        self._protocol.connection_made(self)

    @property
    def room(self) -> int:
        return sys.maxsize if self.client_room is None else self.client_room

    @room.setter
    def room(self, size: int | None) -> None:
        self.client_room = size

    def carry(self, data: bytes) -> None:
        self.received += data
        if self.client_room is not None:
            self.client_room -= len(data)

    def carry_eof(self) -> None:
        self.eof = True

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        assert isinstance(data, bytes), "a response is written as bytes"
        (self.late if self.is_closing() else self.writes).append(data)
        super().write(data)

    def abort(self) -> None:
        self.aborted = True
        super().abort()

    def take(self, size: int | None) -> None:
        """The client reads ``size`` bytes more; None lets it read for ever."""
        self.client_room = None if size is None else (self.client_room or 0) + size
        self.drain()
