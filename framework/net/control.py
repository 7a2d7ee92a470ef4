"""What a supervisor and its workers say to each other: JSON lines on a socket pair, one per worker.

The end of the channel is news too: to the supervisor that the worker is gone, to the worker that its supervisor is.
"""

from __future__ import annotations

import socket
from typing import Any, Final, Generic, TypeVar

import msgspec

__all__ = [
    "Accept",
    "Beat",
    "Begin",
    "Channel",
    "Count",
    "Counted",
    "Failed",
    "Gather",
    "Gathered",
    "Leaving",
    "Order",
    "Ready",
    "Report",
    "Stop",
    "to_supervisor",
    "to_worker",
]

_MAX_UNSENT: Final = 262_144
_READ: Final = 65_536

M = TypeVar("M")


class Begin(msgspec.Struct, frozen=True, kw_only=True, tag="begin"):
    """The first order: what to serve, and where.

    Attributes:
        entry: "module:function" that makes what is served.
        arguments: what it is called with, by name.
        sockets: the descriptors of all listening sockets.
        accept: which of them to accept on, by index.
        words: descriptor that the last words of a dying process go to.
        path: ``sys.path`` of the supervisor.
        beat_interval: seconds between signs of life.
        own_numbers: descriptor of the file that the worker writes its numbers into.
        all_numbers: descriptor of the file in which it finds those of all.
    """

    entry: str
    arguments: dict[str, Any]
    sockets: list[int]
    accept: list[int]
    words: int
    path: list[str]
    beat_interval: float
    own_numbers: int
    all_numbers: int


class Accept(msgspec.Struct, frozen=True, tag="accept"):
    """Accept on exactly these sockets from now on."""

    sockets: list[int]


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """Go away in the server's phases; the second time: without waiting."""


class Count(msgspec.Struct, frozen=True, tag="count"):
    """Write your numbers."""


class Gathered(msgspec.Struct, frozen=True, tag="gathered"):
    """The numbers of all are written, in ``size`` bytes."""

    ticket: int
    size: int


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The worker accepts connections."""


class Beat(msgspec.Struct, frozen=True, tag="beat"):
    """The worker's loop turns. ``rss`` is its resident memory in bytes."""

    requests: int
    rss: int


class Leaving(msgspec.Struct, frozen=True, tag="leaving"):
    """Somebody told the worker itself to go (SIGTERM): it serves until it is replaced."""


class Counted(msgspec.Struct, frozen=True, tag="counted"):
    """The worker's numbers are written, in ``size`` bytes."""

    size: int


class Gather(msgspec.Struct, frozen=True, tag="gather"):
    """The worker wants the numbers of all."""

    ticket: int


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """Why the worker ends. ``setup``: the app or a setting is wrong, so that another try would fail too."""

    problems: list[str]
    setup: bool


Order = Begin | Accept | Stop | Count | Gathered
Report = Ready | Beat | Leaving | Counted | Gather | Failed


class Channel(Generic[M]):
    """One end. Never waits: what the other end does not take is kept, up to a limit, and sent with the next message.

    Attributes:
        closed: the other end is gone.
    """

    __slots__ = ("_decoder", "_encoder", "_partial", "_unsent", "closed", "socket")

    def __init__(self, sock: socket.socket, decoder: msgspec.json.Decoder[M]) -> None:
        sock.setblocking(False)
        self.socket = sock
        self.closed = False
        self._decoder = decoder
        self._encoder = msgspec.json.Encoder()
        self._partial = b""
        self._unsent = b""

    def send(self, message: msgspec.Struct) -> bool:
        """Returns False when the message is dropped: the other end is gone, or has not read for very long."""
        self._flush()
        if self.closed or len(self._unsent) > _MAX_UNSENT:
            return False
        self._unsent += self._encoder.encode(message) + b"\n"
        self._flush()
        return not self.closed

    def _flush(self) -> None:
        while self._unsent and not self.closed:
            try:
                sent = self.socket.send(self._unsent)
            except BlockingIOError:
                return
            except OSError:
                self.closed = True
                return
            self._unsent = self._unsent[sent:]

    def receive(self) -> list[M]:
        """The messages that have come; sets ``closed`` at the end. Raises msgspec.DecodeError for what is none."""
        data = self._partial
        while not self.closed:
            try:
                piece = self.socket.recv(_READ)
            except BlockingIOError:
                break
            except OSError:
                piece = b""
            if not piece:
                self.closed = True
            data += piece
        *lines, self._partial = data.split(b"\n")
        return [self._decoder.decode(line) for line in lines]

    def close(self) -> None:
        self.closed = True
        self.socket.close()


def to_worker(sock: socket.socket) -> Channel[Report]:
    """The supervisor's end: it hears reports."""
    return Channel(sock, msgspec.json.Decoder(Report))


def to_supervisor(sock: socket.socket) -> Channel[Order]:
    """The worker's end: it hears orders."""
    return Channel(sock, msgspec.json.Decoder(Order))
