"""What each request does, and what it is answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias
from uuid import uuid4

from framework.plugins.chat.bus import Invited
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
    RoleSet,
    RoomKind,
    RoomSet,
)
from framework.plugins.chat.hub import Hub
from framework.plugins.chat.joining import MAX_OPENING, join, within
from framework.plugins.chat.limits import require
from framework.plugins.chat.protocol import (
    Ban,
    Create,
    Delete,
    DeleteRoom,
    Done,
    Edit,
    Found,
    History,
    Invite,
    Join,
    Kick,
    Leave,
    ListMembers,
    ListRooms,
    Member,
    Members,
    Mute,
    Page,
    Post,
    QuitRoom,
    React,
    Read,
    Rooms,
    Search,
    ServerFrame,
    SetRole,
    SetRoom,
)
from framework.plugins.chat.rooms import Follower
from framework.plugins.chat.text import clean_emoji, clean_line, clean_text

__all__ = ["ALONE", "ENTRIES", "READS", "Action", "Entering", "append"]

MAX_NAME: Final = 80
MAX_TOPIC: Final = 400

Entering: TypeAlias = (
    Post | Edit | Delete | React | Read | SetRoom | QuitRoom | Invite | Kick | Ban | Mute | SetRole
)
Action: TypeAlias = Callable[[Hub, Follower, Any], Awaitable[ServerFrame | None]]


# -- requests that become entries ----------------------------------------------------------------------------


def _post(hub: Hub, user: str, request: Post) -> Event:
    return Posted(clean_text(request.text, hub.settings.max_text), request.reply_to)


def _edit(hub: Hub, user: str, request: Edit) -> Event:
    return Edited(request.target, clean_text(request.text, hub.settings.max_text))


def _delete(hub: Hub, user: str, request: Delete) -> Event:
    return Deleted(request.target)


def _react(hub: Hub, user: str, request: React) -> Event:
    return Reacted(request.target, clean_emoji(request.emoji), request.on)


def _read(hub: Hub, user: str, request: Read) -> Event:
    return ReadUpTo(request.offset)


def _set_room(hub: Hub, user: str, request: SetRoom) -> Event:
    return RoomSet(clean_line(request.name, MAX_NAME, empty=False), clean_line(request.topic, MAX_TOPIC))


def _quit(hub: Hub, user: str, request: QuitRoom) -> Event:
    return Quit(user)


def _invite(hub: Hub, user: str, request: Invite) -> Event:
    if request.user == user:
        raise ChatError("forbidden", "a member already")
    return Entered(request.user)


def _kick(hub: Hub, user: str, request: Kick) -> Event:
    return Quit(request.user)


def _ban(hub: Hub, user: str, request: Ban) -> Event:
    return Banned(request.user, request.until)


def _mute(hub: Hub, user: str, request: Mute) -> Event:
    return Muted(request.user, request.until)


def _set_role(hub: Hub, user: str, request: SetRole) -> Event:
    return RoleSet(request.user, request.role)


ENTRIES: Final[dict[type, Callable[[Hub, str, Any], Event]]] = {
    Post: _post,
    Edit: _edit,
    Delete: _delete,
    React: _react,
    Read: _read,
    SetRoom: _set_room,
    QuitRoom: _quit,
    Invite: _invite,
    Kick: _kick,
    Ban: _ban,
    Mute: _mute,
    SetRole: _set_role,
}


async def append(hub: Hub, session: Follower, request: Entering) -> Done:
    """Makes an entry of the request. Up to the store it runs in one step, so that entries keep their order."""
    user = session.user
    require(hub.limits.posts, user)
    body = ENTRIES[type(request)](hub, user, request)
    mid = f"read.{request.offset}" if isinstance(request, Read) else request.mid
    appended = await hub.append(user, request.room, mid, body)
    entry = appended.entry
    return Done(request.id, request.room, entry.offset, entry.at, appended.again)


# -- requests that read --------------------------------------------------------------------------------------


async def _history(hub: Hub, session: Follower, request: History) -> Page:
    found = await hub.store.history(
        session.user, request.room, before=request.before, after=request.after, limit=request.limit
    )
    messages = within(found.messages, MAX_OPENING, first=request.after is not None)
    more = found.more or len(messages) < len(found.messages)
    return Page(request.id, request.room, messages, found.asof, more)


async def _search(hub: Hub, session: Follower, request: Search) -> Found:
    hits = await hub.store.search(
        session.user, request.text, room=request.room, before=request.before, limit=request.limit + 1
    )
    return Found(request.id, hits[: request.limit], len(hits) > request.limit)


async def _rooms(hub: Hub, session: Follower, request: ListRooms) -> Rooms:
    rooms = await hub.store.rooms(session.user, public=request.public, like=request.like, limit=request.limit)
    return Rooms(request.id, rooms)


async def _members(hub: Hub, session: Follower, request: ListMembers) -> Members:
    found = await hub.store.members(session.user, request.room, after=request.after, limit=request.limit + 1)
    room = hub.rooms.get(request.room)
    members = [
        Member(each.user, each.name, each.role, room is not None and each.user in room.attendance, each.read)
        for each in found[: request.limit]
    ]
    return Members(request.id, request.room, members, len(found) > request.limit)


READS: Final[dict[type, Action]] = {
    History: _history,
    Search: _search,
    ListRooms: _rooms,
    ListMembers: _members,
}


# -- requests that others have to wait for -------------------------------------------------------------------


async def _join(hub: Hub, session: Follower, request: Join) -> None:
    require(hub.limits.joins, session.name)
    await join(
        hub,
        session,
        request.id,
        request.room,
        epoch=request.epoch,
        offset=request.offset,
        limit=request.limit,
    )


async def _leave(hub: Hub, session: Follower, request: Leave) -> Done:
    room = session.follows.get(request.room)
    if room is not None:
        hub.unfollow(session, room)
    return Done(request.id, request.room)


async def _create(hub: Hub, session: Follower, request: Create) -> None:
    require(hub.limits.joins, session.name)
    direct = request.kind is RoomKind.DIRECT
    if not direct and request.room is None:
        raise ChatError("malformed", "a room has a name (room)")
    if direct and request.user is None:
        raise ChatError("malformed", "a direct room is with somebody (user)")
    made = await hub.store.create(
        session.user,
        f"direct.{uuid4().hex}" if direct or request.room is None else request.room,
        request.kind,
        name=clean_line(request.name, MAX_NAME),
        topic=clean_line(request.topic, MAX_TOPIC),
        other=request.user if direct else None,
    )
    await join(hub, session, request.id, made.room, epoch=None, offset=0, limit=50)
    if direct and request.user is not None and made.last is None:
        hub.added(request.user, made.room)
        hub.tell(Invited(hub.node, request.user, made.room))


async def _delete_room(hub: Hub, session: Follower, request: DeleteRoom) -> Done:
    await hub.store.remove(session.user, request.room)
    hub.removed(request.room)
    return Done(request.id, request.room)


ALONE: Final[dict[type, Action]] = {
    Join: _join,
    Leave: _leave,
    Create: _create,
    DeleteRoom: _delete_room,
}
