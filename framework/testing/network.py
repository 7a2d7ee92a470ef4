"""A network inside the process: transports with latency, small windows, cuts and resets, all from one seed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

__all__ = ["Conditions", "Link", "Network", "PipeTransport"]

P = TypeVar("P", bound=asyncio.BaseProtocol)


@dataclass(frozen=True, slots=True)
class Conditions:
    """How bad the network is.

    Args:
        latency: the least and the most seconds a piece takes one way; pieces never overtake each other.
        max_piece: writes are cut into pieces of 1 to this many bytes; None hands them on whole.
        window: bytes under way in one direction before the sender's transport buffers, then pauses its protocol.
    """

    latency: tuple[float, float] = (0.0, 0.0)
    max_piece: int | None = None
    window: int = 65_536


class PipeTransport(asyncio.Transport):
    """One end of a link. Behaves as a socket's transport does: buffers, watermarks, half close, abort."""

    def __init__(self, network: Network, address: tuple[str, int], peer: tuple[str, int]) -> None:
        super().__init__({"sockname": address, "peername": peer})
        self._network = network
        self._loop = network.loop
        self._protocol: asyncio.BaseProtocol | None = None
        self._other: PipeTransport | None = None
        self._buffer: deque[bytes] = deque()  # written, not yet under way
        self._buffered = 0
        self._sky: deque[bytes | None] = deque()  # under way to the other end, in order
        self._flying = 0  # its bytes
        self._arrived: deque[bytes | None] = deque()  # came while reading was paused; None is the end
        self._reading = True
        self._paused = False
        self._closing = False
        self._ended = False
        self._lost = False
        self._high, self._low = 65_536, 16_384
        self._next_arrival = 0.0

    def join(self, other: PipeTransport, protocol: asyncio.BaseProtocol) -> None:
        """Ties this end to the other one and to its protocol."""
        self._other = other
        self._protocol = protocol

    # -- writing ----------------------------------------------------------------------------------------------------

    def write(self, data: Any) -> None:
        if self._lost or self._closing or self._ended:
            return
        if data:
            self._buffer.append(bytes(data))
            self._buffered += len(data)
            self._pump()
            if self._buffered > self._high and not self._paused:
                self._paused = True
                self._call("pause_writing")

    def _pump(self) -> None:
        """Sends what the window has room for."""
        while self._buffer and self._flying < self._network.conditions.window:
            data = self._buffer.popleft()
            room = self._network.conditions.window - self._flying
            piece = self._network.piece(data[:room])
            if len(piece) < len(data):
                self._buffer.appendleft(data[len(piece) :])
            self._buffered -= len(piece)
            self._flying += len(piece)
            self._send(piece)
        if self._paused and self._buffered <= self._low:
            self._paused = False
            self._call("resume_writing")
        if not self._buffer and self._ended:
            self._ended = False
            self._send(None)
        if not self._buffer and self._closing and not self._lost:
            self._lose(None)

    def _send(self, piece: bytes | None) -> None:
        other = self._other
        if other is None or self._network.is_cut:
            return
        self._sky.append(piece)
        self._next_arrival = max(self._next_arrival, self._loop.time() + self._network.delay())
        # Timers of one moment fire in any order, so each lands whatever is first in the sky.
        self._loop.call_at(self._next_arrival, self._land)

    def _land(self) -> None:
        piece = self._sky.popleft()
        other = self._other
        if other is not None and not other._lost and not self._network.is_cut:
            other._arrived.append(piece)
            other._deliver()

    def _deliver(self) -> None:
        other = self._other
        while self._arrived and self._reading and not self._lost:
            piece = self._arrived.popleft()
            if piece is None:
                if not self._call("eof_received"):
                    self.close()
                continue
            if other is not None:
                other._flying -= len(piece)
                self._loop.call_soon(other._pump)
            self._call("data_received", piece)

    def _call(self, method: str, *args: Any) -> Any:
        return getattr(self._protocol, method)(*args)

    # -- the transport's face ---------------------------------------------------------------------------------------

    def get_write_buffer_size(self) -> int:
        return self._buffered

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = 65_536 if high is None else high
        self._low = self._high // 4 if low is None else low

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if not self._closing and not self._lost:
            self._ended = True
            self._pump()

    def is_closing(self) -> bool:
        return self._closing or self._lost

    def is_reading(self) -> bool:
        return self._reading

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        self._loop.call_soon(self._deliver)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        assert self._protocol is not None
        return self._protocol

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._pump()

    def abort(self) -> None:
        self._closing = True
        self._buffer.clear()
        self._buffered = 0
        self._lose(None, error_there=ConnectionResetError("the peer reset the connection"))

    def reset(self) -> None:
        """The connection breaks for both ends, as if a router had sent RST."""
        for end in (self, self._other):
            if end is not None:
                end._buffer.clear()
                end._lose(ConnectionResetError("connection reset"))

    def _lose(self, error_here: Exception | None, error_there: Exception | None = None) -> None:
        if self._lost:
            return
        self._lost = self._closing = True
        other = self._other
        self._loop.call_soon(self._call, "connection_lost", error_here)
        if other is None or other._lost or self._network.is_cut:
            return
        if error_there is not None:
            at = self._loop.time() + self._network.delay()
            self._loop.call_at(at, lambda: other._lose(error_there))
        else:
            self._send(None)


class Link:
    """The two ends of one connection."""

    def __init__(self, client: PipeTransport, server: PipeTransport) -> None:
        self.client = client
        self.server = server

    def reset(self) -> None:
        """Breaks the connection for both ends."""
        self.client.reset()


class Network:
    """Connects protocols inside the process.

    Args:
        conditions: how bad it is.
        seed: decides every latency and every cut of a write.
    """

    def __init__(self, conditions: Conditions | None = None, *, seed: int = 0) -> None:
        self.loop = asyncio.get_running_loop()
        self.conditions = conditions or Conditions()
        self.links: list[Link] = []
        self.is_cut = False
        self._random = Random(seed)
        self._port = 49152

    def delay(self) -> float:
        """Seconds the next piece takes."""
        least, most = self.conditions.latency
        return self._random.uniform(least, most)

    def piece(self, data: bytes) -> bytes:
        """As much of ``data`` as travels in one piece."""
        most = self.conditions.max_piece
        return data if most is None else data[: self._random.randint(1, most)]

    def cut(self) -> None:
        """From here on nothing arrives anywhere, and nobody is told."""
        self.is_cut = True

    def mend(self) -> None:
        """Pieces arrive again; what was sent meanwhile is lost."""
        self.is_cut = False

    def connect(self, client: Callable[[], P], server: Callable[[], asyncio.BaseProtocol]) -> tuple[Link, P]:
        """A new connection between a client's and a server's protocol."""
        self._port += 1
        here, there = ("10.0.0.2", self._port), ("10.0.0.1", 80)
        ends = PipeTransport(self, here, there), PipeTransport(self, there, here)
        protocols = client(), server()
        ends[0].join(ends[1], protocols[0])
        ends[1].join(ends[0], protocols[1])
        protocols[1].connection_made(ends[1])
        protocols[0].connection_made(ends[0])
        link = Link(*ends)
        self.links.append(link)
        return link, protocols[0]
