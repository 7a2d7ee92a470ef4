"""What operators see and do, over HTTP, behind a token of their own."""

from __future__ import annotations

from hmac import compare_digest
from typing import Annotated

from msgspec import Meta, Struct

from framework.app.routes import RouteGroup
from framework.app.secret import Secret
from framework.errors import HTTPError
from framework.http.request import Request
from framework.http.response import Response
from framework.plugins.chat.hub import Hub
from framework.plugins.chat.stats import HubStats

__all__ = ["register"]

MAX_LISTED = 1000


class LiveRoomInfo(Struct):
    """A room that is followed in this process."""

    room: str
    followers: int
    present: int
    position: int


class ConnectionInfo(Struct):
    """A connection to this process. ``buffered``: bytes that its client has not taken."""

    session: str
    user: str
    rooms: int
    buffered: int
    subprotocol: str


class Status(Struct):
    """This process."""

    node: str
    connections: int
    users: int
    rooms: int
    queued: int
    stats: HubStats


class KickRequest(Struct, frozen=True):
    """Whose connections to close: all of ``user``, or the one that is ``session``."""

    user: str = ""
    session: str = ""


class NoticeRequest(Struct, frozen=True):
    """What to tell everybody."""

    text: Annotated[str, Meta(min_length=1, max_length=1000)]


class Closed(Struct):
    """How many connections of this process were closed; other processes close theirs."""

    closed: int


def register(group: RouteGroup, token: Secret) -> None:
    """Registers the routes in a group, for bearers of the token alone."""
    expected = f"Bearer {token.reveal()}".encode()

    def check(request: Request) -> None:
        given = (request.headers.get("authorization") or "").encode("latin-1", "replace")
        if not compare_digest(given, expected):
            raise HTTPError(401, "that is for operators", headers={"www-authenticate": "Bearer"})

    async def status(request: Request, hub: Hub) -> Status:
        check(request)
        return Status(
            hub.node,
            len(hub.sessions),
            len(hub.users),
            len(hub.rooms),
            queued_bytes(hub),
            hub.stats,
        )

    async def rooms(request: Request, hub: Hub) -> list[LiveRoomInfo]:
        check(request)
        found = sorted(hub.rooms.values(), key=lambda room: (-len(room.followers), room.name))
        return [
            LiveRoomInfo(room.name, len(room.followers), len(room.attendance), room.position)
            for room in found[:MAX_LISTED]
        ]

    async def connections(request: Request, hub: Hub, user: str = "") -> list[ConnectionInfo]:
        check(request)
        found = hub.users.get(user, []) if user else list(hub.sessions)
        return [
            ConnectionInfo(each.name, each.user, len(each.follows), each.ws.buffered, each.codec.name)
            for each in found[:MAX_LISTED]
        ]

    async def kick(request: Request, hub: Hub, wanted: KickRequest) -> Closed:
        check(request)
        if not wanted.user and not wanted.session:
            raise HTTPError(422, "name a user, or a session")
        return Closed(hub.close_user(wanted.user, wanted.session))

    async def notice(request: Request, hub: Hub, wanted: NoticeRequest) -> Response:
        check(request)
        hub.notice(wanted.text)
        return Response(status=204)

    group.get("/status", include_in_schema=False)(status)
    group.get("/rooms", include_in_schema=False)(rooms)
    group.get("/connections", include_in_schema=False)(connections)
    group.post("/kick", include_in_schema=False)(kick)
    group.post("/notice", include_in_schema=False)(notice)


def queued_bytes(hub: Hub) -> int:
    """Bytes that wait for clients."""
    return sum(session.ws.buffered for session in hub.sessions)
