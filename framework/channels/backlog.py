"""What waits for a member that does not take it: bounded, by number and by bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from framework.channels.entry import Entry
from framework.channels.stats import Counters

__all__ = ["Backlog"]


class Backlog:
    """Entries in the order in which they were published; past a limit the oldest go.

    Args:
        max_messages: that wait.
        max_bytes: of their frames, uncompressed.
        coalesce: an entry removes an older one with the same key, and stands where it was published itself.
        counters: told of what was dropped, coalesced and queued.
    """

    __slots__ = ("_coalesce", "_counters", "_entries", "_max_bytes", "_max_messages", "size")

    def __init__(self, max_messages: int, max_bytes: int, coalesce: bool, counters: Counters) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._coalesce = coalesce
        self._counters = counters
        # Not a dict: taking the first of many costs more the more have been taken before it.
        self._entries: OrderedDict[Hashable, Entry] = OrderedDict()
        self.size = 0

    def __len__(self) -> int:
        return len(self._entries)

    def is_full(self, size: int) -> bool:
        """Whether an entry of ``size`` bytes more would make the oldest go."""
        return len(self._entries) >= self._max_messages or self.size + size > self._max_bytes

    def add(self, entry: Entry) -> None:
        """Adds at the end."""
        entries, counters = self._entries, self._counters
        # One without a key stands for itself alone; no key of an app's is an Entry.
        key: Hashable = entry.key if self._coalesce and entry.key is not None else entry
        older = entries.pop(key, None)
        if older is not None:
            self._leave(older)
            counters.coalesced += 1
        entries[key] = entry
        self.size += entry.size
        counters.queued += entry.size
        while len(entries) > self._max_messages or self.size > self._max_bytes:
            self._leave(entries.popitem(last=False)[1])
            counters.dropped += 1

    def take(self, room: int) -> list[Entry]:
        """Takes from the front what fits into ``room`` bytes, but at least one."""
        entries = self._entries
        taken: list[Entry] = []
        while entries:
            entry = entries[next(iter(entries))]
            room -= entry.size
            if room < 0 and taken:
                break
            entries.popitem(last=False)
            self._leave(entry)
            taken.append(entry)
        return taken

    def take_one(self) -> Entry:
        """Takes the oldest; raises KeyError where there is none."""
        entry = self._entries.popitem(last=False)[1]
        self._leave(entry)
        return entry

    def drop(self) -> None:
        """Drops all there is."""
        self._counters.dropped += len(self._entries)
        self._counters.queued -= self.size
        self.size = 0
        self._entries.clear()

    def _leave(self, entry: Entry) -> None:
        self.size -= entry.size
        self._counters.queued -= entry.size
