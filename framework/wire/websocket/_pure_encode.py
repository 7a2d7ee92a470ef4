"""The part of the pure twin that writes frames. ``_encode.pyx`` is the compiled one."""

from __future__ import annotations

from framework.errors import LocalProtocolError
from framework.wire.websocket._pure_mask import apply_mask, check_mask
from framework.wire.websocket.events import MAX_CONTROL

__all__ = ["encode_batch", "encode_binary", "encode_frame", "encode_text"]

_TEXT = 0x81
_BINARY = 0x82


def encode_frame(
    opcode: int, payload: bytes, *, fin: bool = True, mask: bytes | None = None, rsv1: bool = False
) -> bytes:
    """One frame. ``mask`` is None on the server side, four random bytes on the client side.

    Raises LocalProtocolError for an opcode that is not defined, a control frame that is too long, in fragments
    or compressed, or a mask of another size.
    """
    if not 0 <= opcode <= 10 or opcode & 7 > 2:
        raise LocalProtocolError("an unknown opcode")
    if opcode >= 8 and (len(payload) > MAX_CONTROL or not fin or rsv1):
        raise LocalProtocolError("a control frame is short, whole and not compressed")
    return _framed((0x80 if fin else 0) | (0x40 if rsv1 else 0) | opcode, payload, mask)


def encode_text(text: str, mask: bytes | None = None) -> bytes:
    """A text message in one frame. Raises LocalProtocolError for a lone surrogate, and as encode_frame does."""
    return _framed(_TEXT, _utf8(text), mask)


def encode_binary(data: bytes, mask: bytes | None = None) -> bytes:
    """A binary message in one frame. Raises LocalProtocolError as encode_frame does."""
    return _framed(_BINARY, data, mask)


def encode_batch(messages: list[str] | list[bytes] | list[str | bytes], masks: bytes | None = None) -> bytes:
    """Text (str) and binary (bytes) messages, a frame each, all in one buffer for one write.

    ``masks`` is None on the server side, on the client side four random bytes for each message.
    Raises LocalProtocolError as encode_text does, TypeError for anything else than str and bytes.
    """
    if masks is not None and len(masks) != 4 * len(messages):
        raise LocalProtocolError("a mask has four bytes")
    frames: list[bytes] = []
    for number, message in enumerate(messages):
        mask = None if masks is None else masks[4 * number : 4 * number + 4]
        if isinstance(message, str):
            frames.append(_framed(_TEXT, _utf8(message), mask))
        elif type(message) is bytes:
            frames.append(_framed(_BINARY, message, mask))
        else:
            raise TypeError(f"a message is str or bytes, not {type(message).__name__}")
    return b"".join(frames)


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise LocalProtocolError("a text with a lone surrogate") from None


def _framed(first: int, payload: bytes, mask: bytes | None) -> bytes:
    size = len(payload)
    bit = 0
    if mask is not None:
        check_mask(mask)
        bit = 0x80
        payload = mask + apply_mask(payload, mask)
    if size < 126:
        return bytes((first, bit | size)) + payload
    if size < 65536:
        return bytes((first, bit | 126, size >> 8, size & 0xFF)) + payload
    return bytes((first, bit | 127)) + size.to_bytes(8, "big") + payload
