"""The chat's protocol, version 1: what goes over a WebSocket, in JSON (``chat.v1.json``, text messages) or MessagePack
(``chat.v1.msgpack``, binary ones).

A message is one object, or an array of objects (a batch, handled in its order). The member ``t`` names its type. Every
request has an ``id`` (any integer of the client's, best one that counts up) and gets exactly one reply with that id:
its own kind of reply, or ``error``. Pushes have no id. The first request is ``hello``; until it was answered with
``welcome`` nothing else is.

**Order.** Within a room, ``events`` come in the order of their offsets, without a gap and without a double, beginning
behind the position that the reply to ``join`` tells. A client that finds a gap all the same asks again by ``join`` with
the position it has. Replies come in any order among each other, and ``done`` may come before or after the events that
have its entry.

**Resume.** ``join`` with ``epoch`` and ``offset`` of the last entry the client has: the reply is either ``complete``,
with every entry since, or it says so and begins anew with the latest messages. It is never partial without saying.

**Sending again.** A client keeps what it sent until ``done`` and sends it again, with the same ``mid``, after it has
reconnected: the second one is answered like the first, and done once.

**Rights.** A client never says who it is, only shows its token. What it may not do is answered by ``error`` with code
``forbidden``.

**Close codes** (``CloseCode``): below 4500 a client must not reconnect as it is; from 4500 on, and at 1001, 1006, 1012
and 1013, it may, after a wait with jitter.
"""

from __future__ import annotations

from typing import Final

from framework.plugins.chat.protocol.codes import CloseCode
from framework.plugins.chat.protocol.replies import (
    Added,
    Done,
    Draining,
    Error,
    Events,
    Expiring,
    Found,
    Hit,
    Joined,
    Member,
    Members,
    Notice,
    Page,
    Pong,
    Presence,
    Removed,
    Resync,
    Room,
    Rooms,
    ServerFrame,
    TypingUsers,
    Welcome,
)
from framework.plugins.chat.protocol.requests import (
    Auth,
    Ban,
    ClientFrame,
    Create,
    Delete,
    DeleteRoom,
    Edit,
    Hello,
    History,
    Invite,
    Join,
    Kick,
    Leave,
    ListMembers,
    ListRooms,
    Mute,
    Ping,
    Post,
    QuitRoom,
    React,
    Read,
    Search,
    SetRole,
    SetRoom,
    Typing,
)

__all__ = [
    "SUBPROTOCOLS",
    "Added",
    "Auth",
    "Ban",
    "ClientFrame",
    "CloseCode",
    "Create",
    "Delete",
    "DeleteRoom",
    "Done",
    "Draining",
    "Edit",
    "Error",
    "Events",
    "Expiring",
    "Found",
    "Hello",
    "History",
    "Hit",
    "Invite",
    "Join",
    "Joined",
    "Kick",
    "Leave",
    "ListMembers",
    "ListRooms",
    "Member",
    "Members",
    "Mute",
    "Notice",
    "Page",
    "Ping",
    "Pong",
    "Post",
    "Presence",
    "QuitRoom",
    "React",
    "Read",
    "Removed",
    "Resync",
    "Room",
    "Rooms",
    "Search",
    "ServerFrame",
    "SetRole",
    "SetRoom",
    "Typing",
    "TypingUsers",
    "Welcome",
]

SUBPROTOCOLS: Final = ("chat.v1.msgpack", "chat.v1.json")
