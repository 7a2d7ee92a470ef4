"""What a room's log consists of, and the messages that a reader makes of it.

A log is append-only. Its entries have dense offsets from 1, in the order in which they were made durable; the room's
epoch names this log among all that ever were under the room's name (a room restored from a backup has another one).
A pair of epoch and offset is a position: whoever has it knows what it has seen.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct

__all__ = [
    "Banned",
    "Deleted",
    "Edited",
    "Entered",
    "Entry",
    "Event",
    "Message",
    "Muted",
    "Posted",
    "Quit",
    "Reacted",
    "ReadUpTo",
    "Role",
    "RoleSet",
    "RoomKind",
    "RoomSet",
]


class Role(StrEnum):
    """What a member may do, each all that the one below may.

    READER reads; MEMBER posts, reacts, changes what is its own; MODERATOR deletes what others posted, mutes, bans,
    invites; OWNER sets roles, changes and deletes the room.
    """

    READER = "reader"
    MEMBER = "member"
    MODERATOR = "moderator"
    OWNER = "owner"


class RoomKind(StrEnum):
    """PUBLIC: whoever knows of it may enter; PRIVATE: whoever is invited; DIRECT: two people, for ever the same."""

    PUBLIC = "public"
    PRIVATE = "private"
    DIRECT = "direct"


class _Event(Struct, frozen=True, tag_field="e", omit_defaults=True):
    pass


class Posted(_Event, tag="posted", frozen=True):
    """A message. ``reply_to``: offset of the message it answers."""

    text: str
    reply_to: int | None = None


class Edited(_Event, tag="edited", frozen=True):
    """The message at offset ``target`` has another text."""

    target: int
    text: str


class Deleted(_Event, tag="deleted", frozen=True):
    """The message at offset ``target`` is gone; its text is taken out of the log as well."""

    target: int


class Reacted(_Event, tag="reacted", frozen=True):
    """The entry's user put ``emoji`` on the message at ``target``, or took it back."""

    target: int
    emoji: str
    on: bool = True


class ReadUpTo(_Event, tag="read", frozen=True):
    """The entry's user has read everything up to ``offset``."""

    offset: int


class Entered(_Event, tag="entered", frozen=True):
    """``user`` is a member now: by itself, or because the entry's user invited it."""

    user: str
    role: Role = Role.MEMBER


class Quit(_Event, tag="quit", frozen=True):
    """``user`` is no member any more: by itself, or because the entry's user removed it."""

    user: str


class RoleSet(_Event, tag="role", frozen=True):
    """``user`` has another role."""

    user: str
    role: Role


class Muted(_Event, tag="muted", frozen=True):
    """``user`` may not post until ``until`` (milliseconds, Unix time); 0 lets it again."""

    user: str
    until: int


class Banned(_Event, tag="banned", frozen=True):
    """``user`` was removed and may not come back until ``until`` (milliseconds, Unix time); 0 lets it again."""

    user: str
    until: int


class RoomSet(_Event, tag="room", frozen=True):
    """The room has another name or topic."""

    name: str
    topic: str = ""


Event: TypeAlias = (
    Posted | Edited | Deleted | Reacted | ReadUpTo | Entered | Quit | RoleSet | Muted | Banned | RoomSet
)


class Entry(Struct, frozen=True, omit_defaults=True):
    """One entry of a log.

    Attributes:
        offset: its place, from 1.
        at: when, in milliseconds of Unix time. Never used for order.
        user: who did it.
        mid: the id its maker gave it, unique among that user's entries in the room: sent again, it is no second one.
        body: what was done.
    """

    offset: int
    at: int
    user: str
    mid: str
    body: Event


class Message(Struct, frozen=True, omit_defaults=True):
    """A message as it is after all that happened to it up to offset ``changed``.

    Attributes:
        offset: of the entry that posted it.
        changed: offset of the last entry that changed it; an event with a lower one is in here already.
        text: "" once it is deleted.
        edited: when it was edited last, in milliseconds; 0 never.
        reactions: who put which emoji on it, in the order of their coming.
    """

    offset: int
    changed: int
    at: int
    user: str
    mid: str
    text: str
    reply_to: int | None = None
    edited: int = 0
    deleted: bool = False
    reactions: dict[str, list[str]] = {}
