"""What the wire asks of a compression extension, without knowing one; ``deflate.py`` has it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol

__all__ = ["Compression", "Deflater", "Inflater", "Negotiator", "Offerer"]


class Inflater(Protocol):
    """Inflates the frames of compressed messages, one after the other."""

    def inflate(self, payload: bytes, first: bool, final: bool, room: int, /) -> bytes:
        """What is in the frame ``payload``, the ``first`` or ``final`` one of its message or both.

        Raises WebSocketError: 1009 for more than ``room`` bytes, 1007 for what does not inflate.
        """
        ...


class Deflater(Protocol):
    """Compresses what one connection sends."""

    @property
    def key(self) -> Hashable | None:
        """The same for all connections to which the same compressed bytes may go; None if only to this one."""
        ...

    def deflate(self, data: bytes, /) -> bytes | None:
        """``data`` compressed as a message of its own, or None where it had better go as it is."""
        ...


class Compression(Inflater, Deflater, Protocol):
    """Both ways of one connection."""


class Negotiator(Protocol):
    """The server's side of the negotiation."""

    def accept(self, offers: str, /) -> tuple[str, Compression] | None:
        """The answer to the value of Sec-WebSocket-Extensions, None without one. Raises RemoteProtocolError."""
        ...


class Offerer(Protocol):
    """The client's side of the negotiation."""

    def offer(self) -> str:
        """The value of Sec-WebSocket-Extensions for the request."""
        ...

    def confirm(self, answer: str, /) -> Compression:
        """What the server's value agrees to. Raises RemoteProtocolError."""
        ...
