"""A network inside the process: transports with latency, small windows, cuts and resets, all from one seed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final, TypeVar

from framework.testing.transport import MemoryTransport

__all__ = ["Conditions", "Link", "Network", "PipeTransport"]

P = TypeVar("P", bound=asyncio.BaseProtocol)
_SMOOTH: Final = 0.1  # seconds; a narrow line brings no more at once than it carries in this time


@dataclass(frozen=True, slots=True)
class Conditions:
    """How bad the network is.

    Args:
        latency: the least and the most seconds a piece takes one way; pieces never overtake each other.
        max_piece: writes are cut into pieces of 1 to this many bytes; None hands them on whole.
        window: bytes under way in one direction before the sender's transport buffers, then pauses its protocol.
        bandwidth: bytes per second one way; None is no limit. A slow peer has few.
    """

    latency: tuple[float, float] = (0.0, 0.0)
    max_piece: int | None = None
    window: int = 65_536
    bandwidth: float | None = None


class PipeTransport(MemoryTransport):
    """One end of a link: what it writes arrives at the other end, as soon and as whole as the network lets it."""

    def __init__(
        self, network: Network, conditions: Conditions, address: tuple[str, int], peer: tuple[str, int]
    ) -> None:
        super().__init__(network.loop, extra={"sockname": address, "peername": peer})
        self._network = network
        self._conditions = conditions
        self._other: PipeTransport = self
        self._sky: deque[bytes | None] = deque()  # under way, in order; b"" is the end, None a reset
        self._flying = 0  # its bytes, and those the other end has not read yet
        self._next_arrival = 0.0
        self._unread = False

    def join(self, other: PipeTransport, protocol: asyncio.BaseProtocol) -> None:
        """Ties this end to the other one and to its protocol."""
        self._other = other
        self._protocol = protocol

    @property
    def room(self) -> int:
        """What the window, and the size of a piece, leave."""
        return self._network.piece_size(self._conditions, self._conditions.window - self._flying)

    def carry(self, data: bytes) -> None:
        """Sends a piece on its way."""
        self._flying += len(data)
        self._send(data)

    def carry_eof(self) -> None:
        """Sends the end after all pieces."""
        self._send(b"")

    def consumed(self, size: int) -> None:
        """Opens the other end's window."""
        self._other._flying -= size
        self.loop.call_soon(self._other.drain)

    def _send(self, piece: bytes | None) -> None:
        if self._network.is_cut:
            return
        self._sky.append(piece)
        now = self.loop.time()
        if piece and self._conditions.bandwidth is not None:
            self._next_arrival = max(self._next_arrival, now) + len(piece) / self._conditions.bandwidth
        self._next_arrival = max(self._next_arrival, now + self._network.delay(self._conditions))
        # Timers of one moment fire in any order, so each lands whatever is first in the sky.
        self.loop.call_at(self._next_arrival, self._land)

    def _land(self) -> None:
        piece, other = self._sky.popleft(), self._other
        if self._network.is_cut:
            return
        if piece is None:
            other.reset()
        elif not piece:
            other.feed_eof()
        elif other._lost:
            other._send(None)  # bytes to a closed end are answered by a reset, as a kernel does
        elif other._closing:
            other._unread = True
        else:
            other.feed(piece)

    def abort(self) -> None:
        """Ends the connection here at once; the other end is reset."""
        self._unread = True
        super().abort()

    def lose(self, error: Exception | None) -> None:
        """The connection has ended here. The other end sees the end of the bytes, or a reset where some stay unread."""
        if not self._lost and error is None:
            if self._unread or any(self._arrived):
                self._send(None)
            elif not self._told:
                self._send(b"")
        super().lose(error)


class Link:
    """The two ends of one connection."""

    def __init__(self, client: PipeTransport, server: PipeTransport) -> None:
        self.client = client
        self.server = server

    def reset(self) -> None:
        """Breaks the connection for both ends, as if a router had sent RST."""
        for end in (self.client, self.server):
            end.loop.call_soon(end.reset)


class Network:
    """Connects protocols inside the process.

    Args:
        conditions: how bad it is, unless a connection has conditions of its own.
        seed: decides every latency and every cut of a write.

    Attributes:
        links: every connection, in the order they were made.
        is_cut: nothing arrives.
    """

    def __init__(self, conditions: Conditions | None = None, *, seed: int = 0) -> None:
        self.loop = asyncio.get_running_loop()
        self.conditions = conditions or Conditions()
        self.links: list[Link] = []
        self.is_cut = False
        self._random = Random(seed)
        self._port = 49_152
        self._listeners: dict[int, Callable[[], asyncio.BaseProtocol]] = {}

    def delay(self, conditions: Conditions) -> float:
        """Seconds the next piece takes."""
        return self._random.uniform(*conditions.latency)

    def piece_size(self, conditions: Conditions, room: int) -> int:
        """How many bytes travel in the next piece, where there is room for ``room``."""
        most = room if conditions.max_piece is None else min(room, conditions.max_piece)
        if conditions.bandwidth is not None:
            most = min(most, max(1, int(conditions.bandwidth * _SMOOTH)))
        return most if conditions.max_piece is None or most <= 0 else self._random.randint(1, most)

    def cut(self) -> None:
        """From here on nothing arrives anywhere, and nobody is told."""
        self.is_cut = True

    def mend(self) -> None:
        """Pieces arrive again; what was sent meanwhile is lost."""
        self.is_cut = False

    def listen(self, port: int, server: Callable[[], asyncio.BaseProtocol]) -> None:
        """Makes ``server()`` for each connection that ``dial`` opens to ``port``."""
        self._listeners[port] = server

    def close(self, port: int) -> None:
        """Nobody listens on ``port`` any more. Connections go on."""
        self._listeners.pop(port, None)

    async def dial(
        self, port: int, client: Callable[[], P], *, conditions: Conditions | None = None
    ) -> tuple[PipeTransport, P]:
        """As ``loop.create_connection``: takes a round trip, and for ever while the network is cut.

        Raises:
            ConnectionRefusedError: nobody listens on ``port``.
        """
        here = conditions or self.conditions
        await asyncio.sleep(self.delay(here) + self.delay(here))
        if self.is_cut:
            await self.loop.create_future()
        server = self._listeners.get(port)
        if server is None:
            raise ConnectionRefusedError(111, f"nobody listens on port {port}")
        link, protocol = self.connect(client, server, conditions=conditions, port=port)
        return link.client, protocol

    def connect(
        self,
        client: Callable[[], P],
        server: Callable[[], asyncio.BaseProtocol],
        *,
        conditions: Conditions | None = None,
        host: str = "127.0.0.1",
        port: int = 80,
    ) -> tuple[Link, P]:
        """A new connection between a client's and a server's protocol, there at once.

        Args:
            conditions: of this connection, in place of the network's.
            host: where the client is.
            port: which the server listens on, for its address.
        """
        self._port += 1
        here, there = (host, self._port), ("127.0.0.1", port)
        chosen = conditions or self.conditions
        ends = PipeTransport(self, chosen, here, there), PipeTransport(self, chosen, there, here)
        protocols = client(), server()
        ends[0].join(ends[1], protocols[0])
        ends[1].join(ends[0], protocols[1])
        protocols[1].connection_made(ends[1])
        protocols[0].connection_made(ends[0])
        link = Link(*ends)
        self.links.append(link)
        return link, protocols[0]
