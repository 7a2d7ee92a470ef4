"""What the first level keeps: values with their times, linked in the order in which they were used."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Final

__all__ = [
    "GONE",
    "MISSING",
    "NEVER",
    "PROBATION",
    "PROTECTED",
    "WINDOW",
    "Encoded",
    "Entry",
    "Missing",
    "Segment",
]

NEVER: Final = float("inf")
GONE: Final = -1
WINDOW: Final = 0
PROBATION: Final = 1
PROTECTED: Final = 2


class Missing:
    """The type of ``MISSING``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING: Final = Missing()
"""What there is for a key that is not there. Every other value is one, None and 0 and "" among them."""


class Encoded:
    """A value that somebody could change: each who asks for it gets a copy of their own."""

    __slots__ = ("_decode", "data")

    def __init__(self, data: bytes, decode: Callable[[bytes], Any]) -> None:
        self.data = data
        self._decode = decode

    def decode(self) -> Any:
        """The copy."""
        return self._decode(self.data)


class Entry:
    """A value in the store. Times are the caller's.

    Attributes:
        expires: when it is gone.
        due: from when on it is to be made anew, though it may be served; ahead of ``fresh`` if that is done early.
        fresh: until when it is as good as new.
        weight: what it counts against ``max_weight``.
        tags: what it can be invalidated by.
    """

    __slots__ = (
        "due",
        "expires",
        "following",
        "fresh",
        "key",
        "previous",
        "second",
        "segment",
        "tags",
        "value",
        "weight",
    )

    def __init__(
        self,
        key: Hashable,
        value: Any,
        expires: float,
        due: float,
        fresh: float,
        weight: int,
        tags: tuple[str, ...],
    ) -> None:
        self.key = key
        self.value = value
        self.expires = expires
        self.due = due
        self.fresh = fresh
        self.weight = weight
        self.tags = tags
        self.segment = WINDOW
        self.second = 0  # in whose bucket its key waits for the sweep; 0: in none
        self.previous: Any = None
        self.following: Any = None


class Segment:
    """Entries in the order in which they were used, the one used least lately first. They hold the links themselves, so
    that none of this looks anything up; an entry is in one segment at a time."""

    __slots__ = ("_root", "size")

    def __init__(self) -> None:
        self.size = 0
        self._root: Any = Entry(None, None, 0.0, 0.0, 0.0, 0, ())
        self._root.previous = self._root.following = self._root

    def first(self) -> Entry | None:
        """The one that was used least lately."""
        entry: Entry = self._root.following
        return None if entry is self._root else entry

    def append(self, entry: Entry) -> None:
        """Puts one in, as used just now."""
        root = self._root
        last = root.previous
        entry.previous = last
        entry.following = root
        last.following = entry
        root.previous = entry
        self.size += 1

    def remove(self, entry: Entry) -> None:
        """Takes one out, and its links, which would be a cycle."""
        before, after = entry.previous, entry.following
        before.following = after
        after.previous = before
        entry.previous = entry.following = None
        self.size -= 1

    def clear(self) -> None:
        """Takes all out."""
        entry = self.first()
        while entry is not None:
            self.remove(entry)
            entry = self.first()

    def listed(self) -> list[Hashable]:
        """Their keys in order."""
        found: list[Hashable] = []
        entry = self._root.following
        while entry is not self._root:
            found.append(entry.key)
            entry = entry.following
        return found
