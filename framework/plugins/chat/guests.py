"""Tokens for everybody who asks: for demonstrations, and chats without accounts."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from framework.app.binding import Header
from framework.errors import HTTPError
from framework.http.request import Request
from framework.plugins.chat.errors import ChatError
from framework.plugins.chat.hub import Hub
from framework.plugins.chat.text import clean_line
from framework.plugins.chat.tokens import Tokens, guest_id
from framework.plugins.ratelimit.keys import by_client

__all__ = ["GuestRequest", "Issued", "guest", "renew"]

MAX_NAME = 64


class GuestRequest(Struct, frozen=True):
    """By what name a guest wants to be seen."""

    name: Annotated[str, Meta(min_length=1, max_length=256)]


class Issued(Struct, frozen=True):
    """A token, whose it is, and for how many seconds it is good."""

    token: str
    user: str
    name: str
    expires_in: int


async def guest(wanted: GuestRequest, request: Request, hub: Hub) -> Issued:
    """A token for a user that nobody was before."""
    await hub.limits.guests.require(by_client(request))
    try:
        name = clean_line(wanted.name, MAX_NAME, empty=False)
    except ChatError as error:
        raise HTTPError(422, f"name: {error}") from None
    return _issue(hub.tokens, guest_id(name), name)


async def renew(
    request: Request, hub: Hub, authorization: Annotated[str | None, Header("authorization")] = None
) -> Issued:
    """A fresh token for the bearer of one that is still good: the same user."""
    await hub.limits.guests.require(by_client(request))
    scheme, _, token = (authorization or "").partition(" ")
    try:
        if scheme.lower() != "bearer":
            raise ChatError("token", "the old token goes into the field Authorization, as Bearer")
        identity = hub.tokens.verify(token.strip())
    except ChatError as error:
        raise HTTPError(401, str(error), headers={"www-authenticate": "Bearer"}) from None
    return _issue(hub.tokens, identity.user, identity.name)


def _issue(tokens: Tokens, user: str, name: str) -> Issued:
    return Issued(tokens.issue(user, name), user, name, int(tokens.lifetime))
