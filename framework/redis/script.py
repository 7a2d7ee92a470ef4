"""A Lua script, sent by its digest."""

from __future__ import annotations

from hashlib import sha1

__all__ = ["Script"]


class Script:
    """A script for ``Redis.call``. The server is sent its SHA-1, and the text only when it does not know that."""

    __slots__ = ("digest", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = sha1(text.encode(), usedforsecurity=False).hexdigest()
