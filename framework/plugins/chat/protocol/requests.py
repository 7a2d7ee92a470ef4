"""What clients send."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from msgspec import Meta, Struct

from framework.plugins.chat.events import Role, RoomKind

__all__ = [
    "Auth",
    "Ban",
    "ClientFrame",
    "Create",
    "Delete",
    "DeleteRoom",
    "Edit",
    "Hello",
    "History",
    "Invite",
    "Join",
    "Kick",
    "Leave",
    "ListMembers",
    "ListRooms",
    "Mute",
    "Ping",
    "Post",
    "QuitRoom",
    "React",
    "Read",
    "Search",
    "SetRole",
    "SetRoom",
    "Typing",
]

MAX_TEXT_BYTES: Final = 16_384

Name = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.~-]*$")]
"""Names of rooms and users."""
Mid = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[!-~]+$")]
"""Ids that clients make: visible ASCII, best a UUID or ULID."""
Text = Annotated[str, Meta(max_length=MAX_TEXT_BYTES)]
Offset = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Limit = Annotated[int, Meta(ge=1, le=200)]
Id = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Millis = Annotated[int, Meta(ge=0, le=2**53 - 1)]


class _Request(Struct, frozen=True, tag_field="t", forbid_unknown_fields=True):
    id: Id


class Hello(_Request, tag="hello", frozen=True):
    """Who is there. Reply: ``welcome``."""

    token: Annotated[str, Meta(max_length=8192)]


class Auth(_Request, tag="auth", frozen=True):
    """A fresh token, of the same user, before the old one expires. Reply: ``done``."""

    token: Annotated[str, Meta(max_length=8192)]


class Ping(_Request, tag="ping", frozen=True):
    """Reply: ``pong``. For clients that cannot see the WebSocket's own pings, as in browsers."""


class Join(_Request, tag="join", frozen=True):
    """Follow a room; enter it first where it is public and the user no member. Reply: ``joined``.

    ``epoch`` and ``offset``: the position of the last entry that the client has. ``limit``: how many of the latest
    messages to send where there is nothing to resume.
    """

    room: Name
    epoch: Annotated[str, Meta(max_length=64)] | None = None
    offset: Offset = 0
    limit: Limit = 50


class Leave(_Request, tag="leave", frozen=True):
    """Follow a room no more; the user stays its member. Reply: ``done``."""

    room: Name


class Post(_Request, tag="post", frozen=True):
    """Reply: ``done`` with the message's offset, once it is durable."""

    room: Name
    mid: Mid
    text: Text
    reply_to: Offset | None = None


class Edit(_Request, tag="edit", frozen=True):
    """Another text for one's own message at offset ``target``. Reply: ``done``."""

    room: Name
    mid: Mid
    target: Offset
    text: Text


class Delete(_Request, tag="delete", frozen=True):
    """Delete the message at ``target``: one's own, or anybody's for moderators. Reply: ``done``."""

    room: Name
    mid: Mid
    target: Offset


class React(_Request, tag="react", frozen=True):
    """Put an emoji on the message at ``target``, or take it back. Reply: ``done``."""

    room: Name
    mid: Mid
    target: Offset
    emoji: Annotated[str, Meta(min_length=1, max_length=32)]
    on: bool = True


class Read(_Request, tag="read", frozen=True):
    """Everything up to ``offset`` was read; never goes back. Reply: ``done``."""

    room: Name
    offset: Offset


class History(_Request, tag="history", frozen=True):
    """Messages with offsets below ``before``, the latest of them; or above ``after``, the first of them. Reply:
    ``page``."""

    room: Name
    before: Offset | None = None
    after: Offset | None = None
    limit: Limit = 50


class Search(_Request, tag="search", frozen=True):
    """Messages with all the words, newest first, in the rooms of the user, or one of them. Reply: ``found``."""

    text: Annotated[str, Meta(min_length=1, max_length=256)]
    room: Name | None = None
    before: Millis | None = None
    limit: Limit = 20


class ListRooms(_Request, tag="rooms", frozen=True):
    """The user's rooms, or with ``public`` those it could enter whose names contain ``like``. Reply: ``rooms``."""

    public: bool = False
    like: Annotated[str, Meta(max_length=64)] = ""
    limit: Limit = 100


class ListMembers(_Request, tag="members", frozen=True):
    """Members by name, behind ``after``. Reply: ``members``."""

    room: Name
    after: Annotated[str, Meta(max_length=64)] = ""
    limit: Limit = 100


class Create(_Request, tag="create", frozen=True):
    """A new room, whose owner the user is. Of kind ``direct``: with ``user``, and it is there already if it was ever
    made. Reply: ``joined``."""

    kind: RoomKind = RoomKind.PUBLIC
    room: Name | None = None
    name: Annotated[str, Meta(max_length=128)] = ""
    topic: Annotated[str, Meta(max_length=512)] = ""
    user: Name | None = None


class SetRoom(_Request, tag="room", frozen=True):
    """Another name or topic; owners only. Reply: ``done``."""

    room: Name
    mid: Mid
    name: Annotated[str, Meta(max_length=128)]
    topic: Annotated[str, Meta(max_length=512)] = ""


class DeleteRoom(_Request, tag="delete_room", frozen=True):
    """The room and its log are gone; owners only. Reply: ``done``. Its members get ``removed``."""

    room: Name


class QuitRoom(_Request, tag="quit", frozen=True):
    """Be its member no more. Reply: ``done``."""

    room: Name
    mid: Mid


class Invite(_Request, tag="invite", frozen=True):
    """Make ``user`` a member; moderators. Reply: ``done``."""

    room: Name
    mid: Mid
    user: Name


class Kick(_Request, tag="kick", frozen=True):
    """Remove a member, who may come back; moderators. Reply: ``done``."""

    room: Name
    mid: Mid
    user: Name


class Ban(_Request, tag="ban", frozen=True):
    """Remove a user until then (milliseconds; 0 lets it back in); moderators. Reply: ``done``."""

    room: Name
    mid: Mid
    user: Name
    until: Millis


class Mute(_Request, tag="mute", frozen=True):
    """Let a member only read until then (milliseconds; 0 lets it post again); moderators. Reply: ``done``."""

    room: Name
    mid: Mid
    user: Name
    until: Millis


class SetRole(_Request, tag="role", frozen=True):
    """Another role for a member; owners. Reply: ``done``."""

    room: Name
    mid: Mid
    user: Name
    role: Role


class Typing(Struct, frozen=True, tag_field="t", tag="typing", forbid_unknown_fields=True):
    """The user is typing, or no longer. Not a request: it has no id and no reply. Say it again every few seconds: it is
    forgotten after six."""

    room: Name
    on: bool = True


ClientFrame: TypeAlias = (
    Hello
    | Auth
    | Ping
    | Join
    | Leave
    | Post
    | Edit
    | Delete
    | React
    | Read
    | History
    | Search
    | ListRooms
    | ListMembers
    | Create
    | SetRoom
    | DeleteRoom
    | QuitRoom
    | Invite
    | Kick
    | Ban
    | Mute
    | SetRole
    | Typing
)
