"""The part of the pure twin that masks (RFC 6455 section 5.3): whole integers at a time."""

from __future__ import annotations

from framework.errors import LocalProtocolError

__all__ = ["apply_mask", "check_mask"]

# In one integer the time of a megabyte would go into cache misses.
_CHUNK = 4096


def apply_mask(data: bytes, mask: bytes) -> bytes:
    """``data`` masked by the four bytes of ``mask``, or unmasked: it is the same (RFC 6455 section 5.3).

    Raises LocalProtocolError unless the mask has four bytes.
    """
    check_mask(mask)
    size = len(data)
    if size > _CHUNK:
        return _in_chunks(data, mask)
    key = int.from_bytes((mask * (size // 4 + 1))[:size], "little")
    return (int.from_bytes(data, "little") ^ key).to_bytes(size, "little")


def check_mask(mask: bytes) -> None:
    """Raises LocalProtocolError unless the mask has four bytes."""
    if len(mask) != 4:
        raise LocalProtocolError("a mask has four bytes")


def _in_chunks(data: bytes, mask: bytes) -> bytes:
    rest = len(data) % _CHUNK
    whole = len(data) - rest
    key = int.from_bytes(mask * (_CHUNK // 4), "little")
    parts = [
        (int.from_bytes(data[at : at + _CHUNK], "little") ^ key).to_bytes(_CHUNK, "little")
        for at in range(0, whole, _CHUNK)
    ]
    parts.append(apply_mask(data[whole:], mask))
    return b"".join(parts)
