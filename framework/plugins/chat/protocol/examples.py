"""One good frame of each type, for descriptions of the protocol."""

from __future__ import annotations

from typing import Final

from framework.plugins.chat.events import Entered, Entry, Message, Posted, Role, RoomKind
from framework.plugins.chat.protocol import (
    Added,
    Auth,
    Ban,
    ClientFrame,
    Create,
    Delete,
    DeleteRoom,
    Done,
    Draining,
    Edit,
    Error,
    Events,
    Expiring,
    Found,
    Hello,
    History,
    Hit,
    Invite,
    Join,
    Joined,
    Kick,
    Leave,
    ListMembers,
    ListRooms,
    Member,
    Members,
    Mute,
    Notice,
    Page,
    Ping,
    Pong,
    Post,
    Presence,
    QuitRoom,
    React,
    Read,
    Removed,
    Resync,
    Room,
    Rooms,
    Search,
    ServerFrame,
    SetRole,
    SetRoom,
    Typing,
    TypingUsers,
    Welcome,
)

__all__ = ["FROM_CLIENTS", "FROM_SERVER"]

_AT: Final = 1_767_225_600_000
_EPOCH: Final = "9f0c6a1e5d3b4c2f8e7a6b5c4d3e2f1a"
_MID: Final = "01JGFJJZ00"
_ENTRY: Final = Entry(2, _AT, "ada", _MID, Posted("Tea is ready."))
_MESSAGE: Final = Message(2, 3, _AT, "ada", _MID, "Tea is ready.", reactions={"\N{HOT BEVERAGE}": ["bob"]})
_ROOM: Final = Room(
    "tea",
    RoomKind.PUBLIC,
    "Tea room",
    _EPOCH,
    3,
    members=2,
    role=Role.MEMBER,
    read=1,
    unread=1,
    last=_MESSAGE,
)

FROM_CLIENTS: Final[tuple[ClientFrame, ...]] = (
    Hello(1, "a.token.of-yours"),
    Auth(2, "a.fresh.token"),
    Ping(3),
    Join(4, "tea", epoch=_EPOCH, offset=1),
    Leave(5, "tea"),
    Post(6, "tea", _MID, "Tea is ready."),
    Edit(7, "tea", "01JGFJJZ01", 2, "Tea was ready."),
    Delete(8, "tea", "01JGFJJZ02", 2),
    React(9, "tea", "01JGFJJZ03", 2, "\N{HOT BEVERAGE}"),
    Read(10, "tea", 2),
    History(11, "tea", before=200),
    Search(12, "ready"),
    ListRooms(13, public=True, like="te"),
    ListMembers(14, "tea"),
    Create(15, RoomKind.PRIVATE, "biscuits", name="Biscuits"),
    SetRoom(16, "tea", "01JGFJJZ04", "Tea room", "Black and green"),
    DeleteRoom(17, "biscuits"),
    QuitRoom(18, "tea", "01JGFJJZ05"),
    Invite(19, "biscuits", "01JGFJJZ06", "bob"),
    Kick(20, "tea", "01JGFJJZ07", "eve"),
    Ban(21, "tea", "01JGFJJZ08", "eve", _AT + 3_600_000),
    Mute(22, "tea", "01JGFJJZ09", "eve", _AT + 600_000),
    SetRole(23, "tea", "01JGFJJZ10", "bob", Role.MODERATOR),
    Typing("tea"),
)

FROM_SERVER: Final[tuple[ServerFrame, ...]] = (
    Welcome(1, "ada", "Ada", "6f1ed002ab559585", expires_in=3600),
    Pong(3, _AT),
    Joined(4, _ROOM, complete=True, entries=[_ENTRY], present=["ada", "bob"], count=2),
    Done(6, "tea", 2, _AT),
    Page(11, "tea", [_MESSAGE], 3),
    Found(12, [Hit("tea", _MESSAGE)]),
    Rooms(13, [_ROOM]),
    Members(14, "tea", [Member("ada", "Ada", Role.OWNER, online=True, read=2)]),
    Error(19, "forbidden", "that takes a moderator"),
    Events("tea", [_ENTRY, Entry(4, _AT, "eve", "enter.1", Entered("eve"))]),
    Presence("tea", 2, joined=["bob"], left=["eve"]),
    TypingUsers("tea", ["bob"]),
    Resync("tea"),
    Removed("tea", "kicked"),
    Added("biscuits"),
    Notice("Back in five minutes."),
    Expiring(60),
    Draining(21.0),
)
