"""The opaque cursor of a list of users: the id of the last user seen, in a form that is checked when it comes
back.

Eight bytes of id and four of a keyed digest, as 16 characters of base64url. The digest is no secret: an id in
a cursor gives nothing away. It finds what was mistyped, cut or invented, and by its key also a cursor of
another list.
"""

from __future__ import annotations

import base64
import hashlib

from apps.users.errors import BadCursor

__all__ = ["decode_cursor", "encode_cursor"]

_KEY = b"users by id, 1"
_CHECK_SIZE = 4
_MAX = 2**63 - 1


def encode_cursor(after_id: int) -> str:
    """The cursor that continues behind the user ``after_id`` (0 to 2**63 - 1)."""
    body = after_id.to_bytes(8, "big")
    return base64.urlsafe_b64encode(body + _check(body)).decode("ascii")


def decode_cursor(cursor: str) -> int:
    """The id in ``cursor``.

    Raises:
        BadCursor: no cursor of ``encode_cursor``, to the last character.
    """
    try:
        after_id = int.from_bytes(base64.urlsafe_b64decode(cursor)[:-_CHECK_SIZE], "big")
    except ValueError:
        raise BadCursor(cursor) from None
    # The decoder skips foreign characters and forgives padding; only the spelling that was given is a cursor.
    if after_id > _MAX or encode_cursor(after_id) != cursor:
        raise BadCursor(cursor)
    return after_id


def _check(body: bytes) -> bytes:
    return hashlib.blake2s(body, digest_size=_CHECK_SIZE, key=_KEY).digest()
