"""What the protocol's codes mean: those of errors, and those that a connection is closed with."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

__all__ = ["CLOSES", "ERRORS", "CloseCode"]

ERRORS: Final = {
    "malformed": "That is no request of this protocol.",
    "unknown_type": "There is no request of that type.",
    "too_large": "Too much in one message.",
    "unauthenticated": "Say hello first.",
    "token": "The token is broken, expired, or of somebody else.",
    "forbidden": "The user may not do that.",
    "no_room": "There is no such room, or the user may not know of it.",
    "room_exists": "The name is taken.",
    "no_message": "There is no such message.",
    "no_user": "There is no such user, or it is no member.",
    "muted": "The user may only read, until later.",
    "banned": "The user may not enter, until later.",
    "bad_text": "A text that cannot be taken as it is.",
    "bad_position": "An offset that has not been yet.",
    "limit": "Too much at once; try again after retry_after.",
    "unavailable": "It cannot be done now; try again after retry_after.",
    "internal": "A fault of the server.",
}
"""The codes of ``error``."""


class CloseCode(IntEnum):
    """Why the server closed, besides RFC 6455's own codes."""

    PROTOCOL = 4400
    """What the client sent is not this protocol: a bug of the client."""
    TOKEN = 4401
    """The token is missing, expired or refused: get a new one first."""
    FORBIDDEN = 4403
    """The user may not use this chat."""
    FLOOD = 4429
    """Far too much, in spite of being told. Come back after a minute."""
    REPLACED = 4500
    """An operator closed the connection, or it was one too many of its user."""
    SLOW = 4508
    """The client did not read. Its position is good: resume."""


CLOSES: Final = {
    1001: ("The server goes away.", True),
    1012: ("The server starts anew.", True),
    1013: ("The server has too much to do.", True),
    CloseCode.PROTOCOL.value: ("The client does not talk this protocol.", False),
    CloseCode.TOKEN.value: ("The token is missing, expired or refused: get a new one first.", False),
    CloseCode.FORBIDDEN.value: ("The user may not use this chat.", False),
    CloseCode.FLOOD.value: ("Far too much, in spite of being told: come back after a minute.", False),
    CloseCode.REPLACED.value: ("An operator closed it, or it was one too many of its user.", True),
    CloseCode.SLOW.value: ("The client did not read.", True),
}
"""Codes that connections are closed with: why, and whether to connect again as one is, after a random wait."""
