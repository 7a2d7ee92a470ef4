"""What a peer says over a WebSocket, and how it says it wrongly (RFC 6455 sections 5.5 and 7.4)."""

from __future__ import annotations

from typing import Final

import msgspec

from framework.errors import RemoteProtocolError

__all__ = [
    "MAX_CONTROL",
    "NO_STATUS",
    "Close",
    "Event",
    "Ping",
    "Pong",
    "WebSocketError",
    "is_close_code",
    "read_close",
]

# The largest payload of a control frame, in bytes (RFC 6455 section 5.5).
MAX_CONTROL: Final = 125

# What stands for the code of a close frame without one; never on the wire (RFC 6455 section 7.4.1).
NO_STATUS: Final = 1005


class Ping(msgspec.Struct, frozen=True):
    """A ping; its answer is a pong with the same data, at most 125 bytes (RFC 6455 section 5.5.2)."""

    data: bytes = b""


class Pong(msgspec.Struct, frozen=True):
    """The answer to a ping, or unasked for (RFC 6455 section 5.5.3)."""

    data: bytes = b""


class Close(msgspec.Struct, frozen=True):
    """The peer sends nothing more (RFC 6455 section 5.5.1). ``code`` is 1005 where the frame has none."""

    code: int = NO_STATUS
    reason: str = ""


Event = str | bytes | Ping | Pong | Close
"""A text message is a str, a binary message is bytes."""


class WebSocketError(RemoteProtocolError):
    """The peer broke the framing. Fail the connection: send a close frame with ``code``, then close it.

    Attributes:
        code: the close code, 1002, 1003, 1007 or 1009 (RFC 6455 section 7.4.1).
        events: what was complete before the fault in the bytes that were fed with it.
    """

    def __init__(self, reason: str, code: int = 1002) -> None:
        super().__init__(reason)
        self.code = code
        self.events: list[Event] = []
        self.args = (reason, code)


def is_close_code(code: int) -> bool:
    """Whether a close frame may carry ``code``: registered with IANA and for the wire, or 3000 to 4999."""
    return 3000 <= code <= 4999 or 1000 <= code <= 1003 or 1007 <= code <= 1014


def read_close(payload: bytes) -> Close:
    """The close frame whose payload is ``payload``.

    Raises WebSocketError: 1002 for half a code or one that must not be sent, 1007 where the reason is no UTF-8.
    """
    if not payload:
        return Close()
    try:
        close = Close(int.from_bytes(payload[:2], "big"), payload[2:].decode())
    except UnicodeDecodeError:
        raise WebSocketError("a close reason that is not UTF-8", 1007) from None
    if len(payload) == 1 or not is_close_code(close.code):
        raise WebSocketError("an invalid close code")
    return close
