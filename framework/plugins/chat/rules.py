"""Who may do what in a room: decided of what is stored, by functions without I/O that every engine asks inside the
transaction that writes the entry."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from framework.plugins.chat.errors import ChatError
from framework.plugins.chat.events import (
    Banned,
    Deleted,
    Edited,
    Entered,
    Event,
    Muted,
    Posted,
    Quit,
    Reacted,
    ReadUpTo,
    Role,
    RoleSet,
    RoomKind,
    RoomSet,
)

__all__ = ["Standing", "at_least", "check", "may_read", "subject_of", "target_of"]

_RANK: Final = {Role.READER: 0, Role.MEMBER: 1, Role.MODERATOR: 2, Role.OWNER: 3}
MAX_REACTIONS: Final = 32


class Standing(Struct, frozen=True):
    """What has to be known of a room and two people for a decision.

    Attributes:
        kind, last: of the room.
        role, muted_until, banned_until: the acting user's; the role None where it is no member.
        other_role: of the user that the event is about, None where that is no member.
        owners: how many the room has.
        author: of the message that the event is about; None where there is no such message, or it was deleted.
        reactions: different emojis on it.
    """

    kind: RoomKind
    last: int
    role: Role | None
    muted_until: int = 0
    banned_until: int = 0
    other_role: Role | None = None
    owners: int = 1
    author: str | None = None
    reactions: int = 0


def at_least(role: Role | None, wanted: Role) -> bool:
    """Whether ``role`` may all that ``wanted`` may."""
    return role is not None and _RANK[role] >= _RANK[wanted]


def target_of(body: Event) -> int | None:
    """Offset of the message that an event is about."""
    if isinstance(body, Edited | Deleted | Reacted):
        return body.target
    return body.reply_to if isinstance(body, Posted) else None


def subject_of(body: Event) -> str | None:
    """The user that an event is about."""
    return body.user if isinstance(body, Entered | Quit | RoleSet | Muted | Banned) else None


def may_read(kind: RoomKind, role: Role | None) -> None:
    """Raises ChatError where a user with that role may not see the room."""
    if role is None and kind is not RoomKind.PUBLIC:
        raise ChatError("no_room", "there is no such room, or you are not in it")


def check(standing: Standing, user: str, body: Event, now: int) -> None:
    """Raises ChatError where ``user`` may not do that at ``now`` (milliseconds, Unix time)."""
    role = standing.role
    if standing.banned_until > now:
        who = "you are" if not isinstance(body, Entered) or body.user == user else "that user is"
        raise ChatError("banned", f"{who} banned from this room", (standing.banned_until - now) / 1000)
    if role is None and not (isinstance(body, Entered) and body.user == user):
        may_read(standing.kind, role)
        raise ChatError("forbidden", "you are not a member of this room")
    match body:
        case Posted() | Edited() | Reacted():
            _may_write(standing, user, body, now)
        case Deleted():
            _is_there(standing)
            if standing.author != user:
                _needs(role, Role.MODERATOR)
        case ReadUpTo():
            if body.offset > standing.last:
                raise ChatError("bad_position", "that has not been written yet")
        case Entered():
            _may_enter(standing, user, body)
        case Quit():
            _may_remove(standing, user, body.user)
        case Muted() | Banned():
            if body.user == user:
                raise ChatError("forbidden", "not yourself")
            _over(standing, allow_strangers=isinstance(body, Banned))
        case RoleSet():
            _needs(role, Role.OWNER)
            if standing.kind is RoomKind.DIRECT:
                raise ChatError("forbidden", "a direct room has no roles")
            _member(standing)
            if standing.other_role is Role.OWNER and body.role is not Role.OWNER and standing.owners < 2:
                raise ChatError("forbidden", "a room keeps an owner")
        case RoomSet():
            _needs(role, Role.OWNER)


def _needs(role: Role | None, wanted: Role) -> None:
    if not at_least(role, wanted):
        raise ChatError("forbidden", f"that takes a {wanted.value}")


def _is_there(standing: Standing) -> None:
    if standing.author is None:
        raise ChatError("no_message", "there is no such message")


def _member(standing: Standing) -> None:
    if standing.other_role is None:
        raise ChatError("no_user", "there is no such member")


def _may_write(standing: Standing, user: str, body: Posted | Edited | Reacted, now: int) -> None:
    _needs(standing.role, Role.MEMBER)
    if standing.muted_until > now:
        raise ChatError("muted", "you are muted in this room", (standing.muted_until - now) / 1000)
    if isinstance(body, Posted):
        if body.reply_to is not None:
            _is_there(standing)
        return
    _is_there(standing)
    if isinstance(body, Edited):
        if standing.author != user:
            raise ChatError("forbidden", "it is not your message")
    elif body.on and standing.reactions >= MAX_REACTIONS:
        raise ChatError("limit", f"a message has at most {MAX_REACTIONS} different reactions")


def _may_enter(standing: Standing, user: str, body: Entered) -> None:
    if standing.other_role is not None:
        raise ChatError("forbidden", "a member already")
    if standing.kind is RoomKind.DIRECT:
        raise ChatError("forbidden", "a direct room is for two")
    if body.user != user:
        _needs(standing.role, Role.MODERATOR)
        if not at_least(standing.role, body.role):
            raise ChatError("forbidden", "nobody gives more than they have")
    elif standing.kind is not RoomKind.PUBLIC or body.role is not Role.MEMBER:
        raise ChatError("no_room", "there is no such room, or you are not in it")


def _may_remove(standing: Standing, user: str, other: str) -> None:
    if standing.kind is RoomKind.DIRECT:
        raise ChatError("forbidden", "a direct room keeps its two")
    _member(standing)
    if other != user:
        _over(standing, allow_strangers=False)
    elif standing.other_role is Role.OWNER and standing.owners < 2:
        raise ChatError(
            "forbidden", "the last owner cannot leave: make somebody else one, or delete the room"
        )


def _over(standing: Standing, *, allow_strangers: bool) -> None:
    """Moderators act on those below them, never on each other."""
    _needs(standing.role, Role.MODERATOR)
    if standing.kind is RoomKind.DIRECT:
        raise ChatError("forbidden", "a direct room has no moderators")
    if standing.other_role is None:
        if not allow_strangers:
            _member(standing)
        return
    if standing.role is None or _RANK[standing.other_role] >= _RANK[standing.role]:
        raise ChatError("forbidden", "not somebody with as many rights as you")
