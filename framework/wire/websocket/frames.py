"""WebSocket frames beyond the leaves: control frames, masks, and a message framed once for many peers."""

from __future__ import annotations

import os
from collections.abc import Hashable
from typing import Final

from framework.errors import LocalProtocolError
from framework.wire.websocket.compression import Deflater
from framework.wire.websocket.events import MAX_CONTROL, NO_STATUS, is_close_code
from framework.wire.websocket.leaves import encode_binary, encode_frame, encode_text

__all__ = [
    "BINARY",
    "CLOSE",
    "CONTINUATION",
    "PING",
    "PONG",
    "TEXT",
    "Masks",
    "Prepared",
    "encode_close",
    "encode_compressed",
    "encode_ping",
    "encode_pong",
]

# Opcodes (RFC 6455 section 5.2).
CONTINUATION: Final = 0
TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10

_KEYS = 64


def encode_ping(data: bytes = b"", mask: bytes | None = None) -> bytes:
    """A ping with at most 125 bytes of data. Raises LocalProtocolError."""
    return encode_frame(PING, data, mask=mask)


def encode_pong(data: bytes = b"", mask: bytes | None = None) -> bytes:
    """A pong with the data of the ping it answers. Raises LocalProtocolError."""
    return encode_frame(PONG, data, mask=mask)


def encode_close(code: int = 1000, reason: str = "", mask: bytes | None = None) -> bytes:
    """A close frame; 1005 makes one without a code, and so answers a ``Close`` as it is.

    Raises LocalProtocolError for a code that must not be sent (RFC 6455 section 7.4), and for a reason of more
    than 123 bytes, without a code, or with a lone surrogate.
    """
    if code == NO_STATUS:
        if reason:
            raise LocalProtocolError("a close reason without a code")
        return encode_frame(CLOSE, b"", mask=mask)
    if not is_close_code(code):
        raise LocalProtocolError(f"the close code {code} must not be sent")
    try:
        payload = code.to_bytes(2, "big") + reason.encode()
    except UnicodeEncodeError:
        raise LocalProtocolError("a close reason with a lone surrogate") from None
    if len(payload) > MAX_CONTROL:
        raise LocalProtocolError("a close reason has at most 123 bytes")
    return encode_frame(CLOSE, payload, mask=mask)


def encode_compressed(message: str | bytes, deflater: Deflater, mask: bytes | None = None) -> bytes:
    """A message in one frame, compressed where that pays. Raises LocalProtocolError for a lone surrogate."""
    opcode, payload = _data(message)
    compressed = deflater.deflate(payload)
    if compressed is None:
        return encode_frame(opcode, payload, mask=mask)
    return encode_frame(opcode, compressed, mask=mask, rsv1=True)


class Prepared:
    """A message for many peers of a server: framed once, and once for each compression setting among them."""

    __slots__ = ("_compressed", "_frame", "message")

    def __init__(self, message: str | bytes) -> None:
        """Raises LocalProtocolError for a lone surrogate."""
        self.message = message
        self._frame = encode_text(message) if isinstance(message, str) else encode_binary(message)
        self._compressed: dict[Hashable, bytes] | None = None

    def frame(self, deflater: Deflater | None = None) -> bytes:
        """The bytes to send to a peer whose connection compresses with ``deflater``.

        One that keeps its context gets the plain frame, which needs no work of its own.
        """
        if deflater is None or (key := deflater.key) is None:
            return self._frame
        if self._compressed is None:
            self._compressed = {}
        frame = self._compressed.get(key)
        if frame is None:
            frame = self._compressed[key] = encode_compressed(self.message, deflater)
        return frame


class Masks:
    """Masks for what a client sends: strong random bytes, as they must be (RFC 6455 section 5.3)."""

    __slots__ = ("_at", "_bytes")

    def __init__(self) -> None:
        self._bytes = b""
        self._at = 0

    def take(self, count: int = 1) -> bytes:
        """The masks of the next ``count`` frames, four bytes each."""
        stop = self._at + 4 * count
        if stop > len(self._bytes):
            # A call of the system for each would cost more than all the rest of a frame.
            self._bytes = os.urandom(4 * max(_KEYS, count))
            self._at, stop = 0, 4 * count
        masks = self._bytes[self._at : stop]
        self._at = stop
        return masks


def _data(message: str | bytes) -> tuple[int, bytes]:
    if isinstance(message, bytes):
        return BINARY, message
    try:
        return TEXT, message.encode()
    except UnicodeEncodeError:
        raise LocalProtocolError("a text with a lone surrogate") from None
