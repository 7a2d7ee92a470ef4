"""What goes over a bus, in MessagePack. ``node`` is who sends: a name that each process makes anew at its start."""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from framework.plugins.chat.events import Entry

__all__ = [
    "BusMessage",
    "Came",
    "Closed",
    "Gone",
    "Here",
    "Invited",
    "Present",
    "Said",
    "Told",
    "Typed",
    "Who",
    "decode_message",
    "encode_message",
]


class _Message(Struct, frozen=True, tag_field="k", array_like=True):
    node: str


class Told(_Message, tag="told", frozen=True):
    """New entries of a room; none, where they are too large for the bus: then they are read from the log, up to
    ``last``."""

    room: str
    epoch: str
    last: int
    entries: list[Entry]


class Gone(_Message, tag="gone", frozen=True):
    """The room was deleted."""

    room: str


class Came(_Message, tag="came", frozen=True):
    """Who came to a room at that node, and who went. ``version`` counts up by one from message to message about that
    room; whoever misses one asks ``Who``."""

    room: str
    version: int
    joined: list[str]
    left: list[str]


class Present(_Message, tag="present", frozen=True):
    """Everybody who is in a room at that node, as of ``version``."""

    room: str
    version: int
    users: list[str]


class Who(_Message, tag="who", frozen=True):
    """Asks ``whom`` ("" is everybody) who is in the rooms."""

    whom: str
    rooms: list[str]


class Here(_Message, tag="here", frozen=True):
    """The node lives, and has people in these rooms, as of these versions. Without it, it is forgotten."""

    rooms: dict[str, int]


class Typed(_Message, tag="typed", frozen=True):
    """A user types in a room, or no longer."""

    room: str
    user: str
    on: bool


class Invited(_Message, tag="invited", frozen=True):
    """A user is in a direct room that somebody else opened."""

    user: str
    room: str


class Closed(_Message, tag="closed", frozen=True):
    """An operator closes a user's connections (or one, by its session)."""

    user: str
    session: str


class Said(_Message, tag="said", frozen=True):
    """A notice of an operator to everybody."""

    text: str


BusMessage: TypeAlias = Told | Gone | Came | Present | Who | Here | Typed | Invited | Closed | Said

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(BusMessage)


def encode_message(message: BusMessage) -> bytes:
    """As it goes over the bus."""
    return _encoder.encode(message)


def decode_message(data: bytes) -> BusMessage:
    """As it came. Raises msgspec.DecodeError."""
    message: BusMessage = _decoder.decode(data)
    return message
