"""A published message, and what a channel was told in a turn of the loop, joined once for all its members."""

from __future__ import annotations

from collections.abc import Hashable

from framework.wire.websocket.compression import Deflater
from framework.wire.websocket.frames import Prepared

__all__ = ["Batch", "Entry"]


class Entry:
    """A message with its frame. ``key``: what it says something about, None for nothing in particular.

    ``size`` counts the bytes of the uncompressed frame.
    """

    __slots__ = ("frame", "key", "prepared", "size")

    def __init__(self, prepared: Prepared, key: Hashable | None) -> None:
        self.prepared = prepared
        self.key = key
        self.frame = prepared.frame()
        self.size = len(self.frame)


class Batch:
    """The messages of a turn, in order; ``first`` is the number of the first one in its channel.

    They are joined once, and once for each deflate key. A member that gets less than all has a join of its own, made
    of at most ``holes`` + 1 pieces of the shared one.
    """

    __slots__ = ("_joined", "_stops", "end", "entries", "first", "plain")

    def __init__(self, entries: list[Entry], first: int) -> None:
        self.entries = entries
        self.first = first
        self.end = first + len(entries)
        self.plain = b"".join([entry.frame for entry in entries])
        self._joined: dict[Hashable, bytes] | None = None
        self._stops: dict[Hashable | None, list[int]] | None = None

    def whole(self, key: Hashable | None, deflater: Deflater | None) -> bytes:
        """All of it for the members with this deflate key, ``deflater`` being that of any of them."""
        if key is None:
            return self.plain
        if self._joined is None:
            self._joined = {}
        joined = self._joined.get(key)
        if joined is None:
            joined = b"".join([entry.prepared.frame(deflater) for entry in self.entries])
            self._joined[key] = joined
        return joined

    def part(
        self, key: Hashable | None, deflater: Deflater | None, since: int, holes: list[int] | None
    ) -> tuple[bytes, int]:
        """The messages from number ``since`` on, without those of the numbers ``holes`` (ascending); and how many."""
        whole = self.whole(key, deflater)
        at = max(since - self.first, 0)
        count = len(self.entries) - at
        if count <= 0:
            return b"", 0
        stops = self._stops_of(key, deflater)
        view = memoryview(whole)
        pieces: list[memoryview] = []
        for number in holes or ():
            hole = number - self.first
            if at <= hole < len(self.entries):
                pieces.append(view[stops[at] : stops[hole]])
                at = hole + 1
                count -= 1
        pieces.append(view[stops[at] :])
        return b"".join(pieces), count

    def kept(self, since: int, holes: list[int] | None) -> list[Entry]:
        """The entries of which ``part`` makes bytes."""
        left = () if holes is None else frozenset(holes)
        return [
            entry
            for number, entry in enumerate(self.entries, self.first)
            if number >= since and number not in left
        ]

    def _stops_of(self, key: Hashable | None, deflater: Deflater | None) -> list[int]:
        """Where each message begins in the join of ``key``, and where the last one ends."""
        if self._stops is None:
            self._stops = {}
        stops = self._stops.get(key)
        if stops is None:
            stops = [0]
            for entry in self.entries:
                stops.append(stops[-1] + len(entry.prepared.frame(deflater)))
            self._stops[key] = stops
        return stops
