"""Between the columns of a database and the chat's own types, for every engine."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from framework.plugins.chat.errors import ChatError
from framework.plugins.chat.events import Entry, Event, Message, Role, RoomKind
from framework.plugins.chat.protocol import Room

__all__ = [
    "MAX_UNREAD",
    "decode_reactions",
    "encode_event",
    "encode_reactions",
    "entry_of",
    "message_of",
    "no_room",
    "pair_of",
    "room_of",
]

MAX_UNREAD: Final = 1000
"""Unread messages are counted up to here."""

_encode: Final = msgspec.json.Encoder().encode
_event: Final = msgspec.json.Decoder(Event)
_reactions: Final = msgspec.json.Decoder(dict[str, list[str]])


def no_room() -> ChatError:
    """The error for a room that is not there, or that this user may not know of."""
    return ChatError("no_room", "there is no such room, or you are not in it")


def encode_event(body: Event) -> bytes:
    """An event as it is stored."""
    return _encode(body)


def encode_reactions(reactions: dict[str, list[str]]) -> bytes:
    """Reactions as they are stored."""
    return _encode(reactions)


def decode_reactions(data: bytes | str) -> dict[str, list[str]]:
    """Reactions as they were stored."""
    return _reactions.decode(data)


def entry_of(row: Any) -> Entry:
    """Of offset, at, user, mid, body."""
    offset, at, user, mid, body = row
    return Entry(offset, at, user, mid, _event.decode(body))


def message_of(row: Any) -> Message:
    """Of offset, changed, at, user, mid, text, reply_to, edited, deleted, reactions."""
    offset, changed, at, user, mid, text, reply_to, edited, deleted, reactions = row
    return Message(
        offset, changed, at, user, mid, text, reply_to, edited, bool(deleted), _reactions.decode(reactions)
    )


def room_of(row: Any, user: str) -> Room:
    """Of room, kind, name, topic, epoch, first, last, pair, members, role, read, muted_until, unread, and the columns
    of its last message, NULL where it has none."""
    room, kind, name, topic, epoch, first, last, pair, members, role, read, muted, unread, *message = row
    return Room(
        room=room,
        kind=RoomKind(kind),
        name=name,
        epoch=epoch,
        offset=last,
        topic=topic,
        first=first,
        members=members,
        role=None if role is None else Role(role),
        read=read or 0,
        unread=unread or 0,
        last=None if message[0] is None else message_of(message),
        with_user=None if pair is None else next((each for each in pair.split() if each != user), user),
        muted_until=muted or 0,
    )


def pair_of(one: str, other: str) -> str:
    """What a direct room of two is found by, whoever asks."""
    return " ".join(sorted((one, other)))
