"""The section ``[chat]`` of the settings."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from framework.app.secret import Secret

__all__ = ["ChatSettings"]

Seconds = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]
Rate = Annotated[str, Meta(pattern=r"^[0-9]+ ?(/|per) ?[0-9]* ?[a-z]+$")]


class ChatSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section ``[chat]``. Durations in seconds, sizes in bytes, rates such as ``20/second``.

    Attributes:
        path: of all routes: the WebSocket is at ``{path}/ws``.
        store: where the logs are: ``sqlite:///chat.db`` (relative to the working directory; four slashes begin an
            absolute path) or ``postgresql://...``.
        bus: what tells the processes of each other's entries: ``memory://`` (there is one process), ``workers://`` (the
            workers of one machine), ``redis://...`` or ``postgresql://...``.
        secrets: that tokens are signed with (the first) and verified by (all), of 32 characters or more. Without any
            one process makes its own, and its tokens end with it.
        token_lifetime: of the tokens that are issued here.
        guests: whether ``POST {path}/guest`` gives everybody who asks a token.
        origins: of pages that may connect, beside those of the same host.
        admin_token: opens the routes below ``{path}/admin``; without one there are none.
        asyncapi: whether ``{path}/asyncapi.json`` describes the protocol.
        max_text: graphemes of a message.
        max_message: bytes of a WebSocket message; max_batch: requests in one.
        max_in_flight: requests of a connection that are begun and not answered; further ones wait unread.
        max_follows: rooms that a connection follows.
        max_connections: of one user; one more closes the oldest.
        max_resume: entries that a client is sent when it comes back; beyond, it begins anew with the latest messages.
        request_rate, byte_rate, join_rate: of a connection. ``post_rate``: entries of a user, over all connections of a
            process. ``guest_rate``: tokens for one address. All of the quota may come at once.
        flood_limit: refusals for exceeding a rate, within a minute, after which the connection is closed with 4429.
        hello_timeout: within it a client has to show its token.
        expiry_notice: before a token's end, from when on its client is told.
        slow_timeout: for a client to read what it was sent; then it is closed with 4508.
        presence_interval, typing_interval: between two such messages about one room.
        verify_interval: between two looks into the store whether the bus has lost anything.
        high_watermark: bytes that may wait for a client before entries are no longer sent to it.
    """

    path: Annotated[str, Meta(pattern="^/")] = "/chat"
    store: str = "sqlite:///chat.db"
    bus: str = "memory://"
    secrets: tuple[Secret, ...] = ()
    token_lifetime: Seconds = 3600.0
    guests: bool = False
    origins: tuple[str, ...] | None = None
    admin_token: Secret | None = None
    asyncapi: bool = False
    max_text: Count = 4000
    max_message: Count = 131_072
    max_batch: Count = 200
    max_in_flight: Count = 64
    max_follows: Count = 500
    max_connections: Count = 20
    max_resume: Count = 1000
    request_rate: Rate = "200/second"
    byte_rate: Rate = "1048576/second"
    join_rate: Rate = "100/second"
    post_rate: Rate = "50/second"
    guest_rate: Rate = "60/minute"
    flood_limit: Count = 200
    hello_timeout: Seconds = 10.0
    expiry_notice: Seconds = 60.0
    slow_timeout: Seconds = 30.0
    presence_interval: Seconds = 1.0
    typing_interval: Annotated[float, Meta(ge=0)] = 0.1
    verify_interval: Seconds = 5.0
    high_watermark: Count = 262_144
