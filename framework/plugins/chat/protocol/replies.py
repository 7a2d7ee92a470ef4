"""What the server sends: replies, which have their request's id, and pushes, which have none."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from framework.plugins.chat.events import Entry, Message, Role, RoomKind

__all__ = [
    "Added",
    "Done",
    "Draining",
    "Error",
    "Events",
    "Expiring",
    "Found",
    "Hit",
    "Joined",
    "Member",
    "Members",
    "Notice",
    "Page",
    "Pong",
    "Presence",
    "Removed",
    "Resync",
    "Room",
    "Rooms",
    "ServerFrame",
    "TypingUsers",
    "Welcome",
]


class _Frame(Struct, frozen=True, tag_field="t", omit_defaults=True):
    pass


class Room(Struct, frozen=True, omit_defaults=True):
    """A room as one user sees it.

    Attributes:
        epoch, offset: the position of its last entry.
        first: offset of the first entry that is kept.
        role: the user's; None where it is no member.
        read: up to which offset the user has read.
        unread: messages of others behind that.
        with_user: of a direct room the other one.
        muted_until: milliseconds; 0 is not.
    """

    room: str
    kind: RoomKind
    name: str
    epoch: str
    offset: int
    topic: str = ""
    first: int = 1
    members: int = 0
    role: Role | None = None
    read: int = 0
    unread: int = 0
    last: Message | None = None
    with_user: str | None = None
    muted_until: int = 0


class Member(Struct, frozen=True, omit_defaults=True):
    """One member. ``read``: up to which offset it has read, known only to members."""

    user: str
    name: str
    role: Role
    online: bool = False
    read: int = 0


class Welcome(_Frame, tag="welcome", frozen=True):
    """The token is good.

    Attributes:
        user, name: who the client is.
        session: names this connection, in logs and to operators.
        expires_in: seconds until the token expires; the client is told again shortly before. 0: never.
        ping_interval: seconds after which a client that heard nothing should ask by ``ping``.
        max_text: graphemes of a message.
        version: of the server.
    """

    id: int
    user: str
    name: str
    session: str
    expires_in: int = 0
    ping_interval: int = 25
    max_text: int = 4000
    version: str = ""


class Pong(_Frame, tag="pong", frozen=True):
    """``at``: the server's time in milliseconds."""

    id: int
    at: int


class Done(_Frame, tag="done", frozen=True):
    """The request was done.

    Attributes:
        room, offset, at: of the entry that was made of it, where one was.
        again: it had been done before; the entry is the first one's.
    """

    id: int
    room: str | None = None
    offset: int = 0
    at: int = 0
    again: bool = False


class Joined(_Frame, tag="joined", frozen=True):
    """The room is followed from behind ``room.offset`` on; everything up to there is in here, or can be asked for.

    Attributes:
        complete: ``entries`` are all since the position that the client gave. Else forget what you have of the room:
            ``messages`` are its latest.
        present: users that are there now, at most some hundreds.
        count: how many are there now.
    """

    id: int
    room: Room
    complete: bool = False
    entries: list[Entry] = []
    messages: list[Message] = []
    present: list[str] = []
    count: int = 0


class Page(_Frame, tag="page", frozen=True):
    """Messages by rising offset, as they are at ``asof``. ``more``: there are further ones in the direction asked."""

    id: int
    room: str
    messages: list[Message]
    asof: int
    more: bool = False


class Hit(Struct, frozen=True, omit_defaults=True):
    """A message that was found, and where."""

    room: str
    message: Message


class Found(_Frame, tag="found", frozen=True):
    """What a search found, newest first. ``more``: ask again with ``before`` the last one's ``at``."""

    id: int
    hits: list[Hit]
    more: bool = False


class Rooms(_Frame, tag="rooms", frozen=True):
    """The rooms that were asked for, those with the latest entries first."""

    id: int
    rooms: list[Room]


class Members(_Frame, tag="members", frozen=True):
    """Members by name."""

    id: int
    room: str
    members: list[Member]
    more: bool = False


class Error(_Frame, tag="error", frozen=True):
    """The request was not done, and nothing of it.

    Attributes:
        id: of the request; None where the frame was too broken to have one.
        code: ``malformed`` ``unknown_type`` ``too_large`` ``unauthenticated`` ``token`` ``forbidden`` ``no_room``
            ``room_exists`` ``no_message`` ``no_user`` ``muted`` ``banned`` ``bad_text`` ``bad_position`` ``limit``
            ``unavailable`` ``internal``.
        retry_after: seconds, for ``limit`` and ``unavailable``.
    """

    id: int | None
    code: str
    text: str
    retry_after: float | None = None


class Events(_Frame, tag="events", frozen=True):
    """New entries of a followed room, by offset, joined where several came at once."""

    room: str
    entries: list[Entry]


class Presence(_Frame, tag="presence", frozen=True):
    """Who came and went since the last one, the last word of each only. ``count``: how many are there now."""

    room: str
    count: int
    joined: list[str] = []
    left: list[str] = []


class TypingUsers(_Frame, tag="typing", frozen=True):
    """All who are typing now."""

    room: str
    users: list[str]


class Resync(_Frame, tag="resync", frozen=True):
    """Events of the room were not sent to you, because you did not read or the server lost its bus. Ask by ``join``
    with your position; until then no events of the room come."""

    room: str


class Removed(_Frame, tag="removed", frozen=True):
    """You follow the room no more. ``why``: ``deleted`` ``kicked`` ``banned`` ``quit``."""

    room: str
    why: str


class Added(_Frame, tag="added", frozen=True):
    """Somebody else made you a member of the room: it was an invitation, or a direct room that was opened with you."""

    room: str


class Notice(_Frame, tag="notice", frozen=True):
    """An operator has something to say to everybody."""

    text: str


class Expiring(_Frame, tag="expiring", frozen=True):
    """The token expires in so many seconds: send ``auth`` with a new one, or be closed with 4401."""

    seconds: int


class Draining(_Frame, tag="draining", frozen=True):
    """This server goes away: 1012 follows. Come back after a random part of ``within`` seconds."""

    within: float


ServerFrame: TypeAlias = (
    Welcome
    | Pong
    | Done
    | Joined
    | Page
    | Found
    | Rooms
    | Members
    | Error
    | Events
    | Presence
    | TypingUsers
    | Resync
    | Removed
    | Added
    | Notice
    | Expiring
    | Draining
)
