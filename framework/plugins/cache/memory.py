"""The first level: values in this process, bounded by entries and bytes, the useful ones kept.

W-TinyLFU (Einziger, Friedman and Manes, 2017): what is new enters a small window (an LRU); what falls out of that is
admitted to the main part only if it was asked for more often lately than what would have to go for it. The main part is
an LRU in two segments: what is hit again there is protected. A scan or a flood of new keys leaves the hot ones alone.

Hits are noted in a list and worked off together, so that a hit costs a look into a dictionary and an append. Nothing
here waits, and no entry has a timer: what has expired is found when it is asked for, and by a sweep that comes along
with writes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from random import Random
from time import monotonic
from typing import Any, Final

from framework.plugins.cache.entry import (
    GONE,
    MISSING,
    NEVER,
    PROBATION,
    PROTECTED,
    WINDOW,
    Encoded,
    Entry,
    Segment,
)
from framework.plugins.cache.sketch import FrequencySketch

__all__ = ["MemoryStore"]

READS: Final = 64
SWEEP: Final = 32


class MemoryStore:
    """Entries by key. ``now`` is a monotonic time in seconds that the caller hands in, read off ``clock``.

    Args:
        max_entries: that are kept.
        max_weight: sum of the weights of those; None sets no limit.
        on_evicted: told of each entry that had to go for others, or because it expired.
        window: part of ``max_entries`` (and ``max_weight``) that is the window.

    Attributes:
        weight: of all entries now.
        hits, misses, evictions, expirations: counted from the beginning.
    """

    def __init__(
        self,
        max_entries: int,
        *,
        max_weight: int | None = None,
        on_evicted: Callable[[Entry], None] | None = None,
        window: float = 0.01,
        random: Random | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        if max_entries < 1 or (max_weight is not None and max_weight < 1):
            raise ValueError("max_entries and max_weight are at least 1")
        self.max_entries = max_entries
        self.max_weight = max_weight
        self.weight = 0
        self._found_at = 0.0
        self.hits = 0
        self.misses = 0
        self.evictions = 0
        self.expirations = 0
        self._heaviest = NEVER if max_weight is None else float(max_weight)
        self._on_evicted = on_evicted
        self._clock = clock
        self._random = random or Random()
        self._entries: dict[Hashable, Entry] = {}
        self._window = Segment()
        self._probation = Segment()
        self._protected = Segment()
        self._max_window = max(1, int(max_entries * window))
        self._max_window_weight = self._heaviest * window
        self._window_weight = 0
        self._max_protected = int((max_entries - self._max_window) * 0.8)
        self._sketch = FrequencySketch(max_entries)
        self._reads: list[Entry] = []
        self._buckets: dict[int, set[Hashable]] = {}
        self._swept = 0
        self._tags: dict[str, set[Hashable]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._entries

    # -- reading ------------------------------------------------------------------------------------------------------

    def find(self, key: Hashable, now: float) -> Entry | None:
        """The entry, unless it has expired."""
        self._found_at = now
        entry = self._entries.get(key)
        if entry is None:
            self.misses += 1
            return None
        if entry.expires <= now:
            self._remove(entry)
            self.expirations += 1
            self.misses += 1
            self._tell(entry)
            return None
        self.hits += 1
        reads = self._reads
        reads.append(entry)
        if len(reads) >= READS:
            self._note_reads()
        return entry

    def get(self, key: Hashable, now: float) -> Any:
        """The value, MISSING where there is none."""
        entry = self.find(key, now)
        return MISSING if entry is None else entry.value

    def fresh(self, key: Hashable) -> Any:
        """The value if it is fresh now, by the store's own clock, else MISSING. Of one that is ``Encoded`` a copy."""
        entry = self.find(key, self._clock())
        if entry is None or entry.fresh <= self._found_at:
            return MISSING
        value = entry.value
        return value.decode() if isinstance(value, Encoded) else value

    def undue(self, key: Hashable) -> Any:
        """The value unless it is due, likewise."""
        entry = self.find(key, self._clock())
        if entry is None or entry.due <= self._found_at:
            return MISSING
        value = entry.value
        return value.decode() if isinstance(value, Encoded) else value

    def peek(self, key: Hashable) -> Entry | None:
        """The entry, expired or not, without a note that it was asked for."""
        return self._entries.get(key)

    def _note_reads(self) -> None:
        reads = self._reads
        self._reads = []
        sketch = self._sketch
        for entry in reads:
            sketch.increment(entry.key)
            if entry.segment != GONE:
                self._touch(entry)

    def _touch(self, entry: Entry) -> None:
        if entry.segment == PROTECTED:
            self._protected.remove(entry)
            self._protected.append(entry)
        elif entry.segment == WINDOW:
            self._window.remove(entry)
            self._window.append(entry)
        else:
            self._probation.remove(entry)
            self._protected.append(entry)
            entry.segment = PROTECTED
            if self._protected.size > self._max_protected:
                demoted = self._protected.first()
                if demoted is not None:
                    self._protected.remove(demoted)
                    self._probation.append(demoted)
                    demoted.segment = PROBATION

    # -- writing ------------------------------------------------------------------------------------------------------

    def put(
        self,
        key: Hashable,
        value: Any,
        now: float,
        expires: float = NEVER,
        due: float = NEVER,
        fresh: float = NEVER,
        weight: int = 1,
        tags: tuple[str, ...] = (),
    ) -> None:
        """Puts a value in the place of what was there. One that is heavier than all may be is not kept; nor is one that
        is wanted less than those that would have to go for it."""
        if self._reads:
            self._note_reads()
        known = self._entries.get(key)
        was_window = known is None or known.segment == WINDOW
        if known is not None:
            self._remove(known)
        if self._buckets:
            self._sweep(now)
        if weight > self._heaviest:
            return
        entry = Entry(key, value, expires, due, fresh, weight, tags)
        self._entries[key] = entry
        if was_window:
            self._window.append(entry)
            self._window_weight += weight
        else:
            entry.segment = PROBATION
            self._probation.append(entry)
        self.weight += weight
        for tag in tags:
            self._tags.setdefault(tag, set()).add(key)
        if expires != NEVER:
            entry.second = int(expires) + 1
            self._buckets.setdefault(entry.second, set()).add(key)
        if known is None:
            self._sketch.increment(key)
        self._make_room()

    def delete(self, key: Hashable) -> bool:
        """Takes an entry out; whether it was there."""
        entry = self._entries.get(key)
        if entry is None:
            return False
        self._remove(entry)
        return True

    def delete_tagged(self, tags: Iterable[str]) -> int:
        """Takes all entries with any of the tags out; returns how many."""
        count = 0
        for tag in tags:
            for key in list(self._tags.get(tag, ())):
                count += self.delete(key)
        return count

    def clear(self) -> None:
        """Takes everything out."""
        for entry in self._entries.values():
            entry.segment = GONE
        self._entries.clear()
        self._window.clear()
        self._probation.clear()
        self._protected.clear()
        self._buckets.clear()
        self._tags.clear()
        self._reads.clear()
        self.weight = 0
        self._window_weight = 0

    def _remove(self, entry: Entry) -> None:
        key = entry.key
        del self._entries[key]
        if entry.segment == WINDOW:
            self._window.remove(entry)
            self._window_weight -= entry.weight
        elif entry.segment == PROBATION:
            self._probation.remove(entry)
        else:
            self._protected.remove(entry)
        entry.segment = GONE
        self.weight -= entry.weight
        for tag in entry.tags:
            keys = self._tags.get(tag)
            if keys is not None:
                keys.discard(key)
                if not keys:
                    del self._tags[tag]
        if entry.second:
            bucket = self._buckets.get(entry.second)
            if bucket is not None:
                bucket.discard(key)
                if not bucket:
                    del self._buckets[entry.second]

    # -- what has to go -----------------------------------------------------------------------------------------------

    def _is_full(self) -> bool:
        return len(self._entries) > self.max_entries or self.weight > self._heaviest

    def _make_room(self) -> None:
        window = self._window
        while window.size > self._max_window or self._window_weight > self._max_window_weight:
            entry = window.first()
            if entry is None:
                break
            window.remove(entry)
            self._probation.append(entry)
            entry.segment = PROBATION
            self._window_weight -= entry.weight
            while self._is_full() and self._entries.get(entry.key) is entry:
                self._evict(entry)
        while self._is_full():
            self._evict(None)

    def _evict(self, candidate: Entry | None) -> None:
        """Takes one out: the candidate, or the one that was used least lately, whichever was asked for less."""
        victim = self._first(self._probation, candidate)
        if victim is None:
            victim = self._first(self._protected, candidate)
        if victim is None:
            victim = candidate or self._first(self._window, None)
        if victim is None:
            raise RuntimeError("nothing is left to evict")
        if candidate is not None and victim is not candidate and not self._admits(candidate.key, victim.key):
            victim = candidate
        self._remove(victim)
        self.evictions += 1
        self._tell(victim)

    def _first(self, segment: Segment, besides: Entry | None) -> Entry | None:
        """The one of the segment that was used least lately, other than ``besides``, which was put there last."""
        entry = segment.first()
        return None if entry is besides else entry

    def _admits(self, candidate: Hashable, victim: Hashable) -> bool:
        """Whether the candidate takes the victim's place. Of two that were never hit the newcomer loses; where both are
        warm chance has a say, so that nobody can keep the cache by collisions of hashes."""
        fresh, old = self._sketch.frequency(candidate), self._sketch.frequency(victim)
        if fresh > old:
            return True
        return fresh >= 6 and self._random.random() < 1 / 128

    def _sweep(self, now: float) -> None:
        """Takes out what expired in the seconds that have passed, a bounded number each time."""
        second = int(now)
        if self._swept == 0 or self._swept > second + 1:
            self._swept = second
        room = SWEEP
        while self._swept <= second and room > 0 and self._buckets:
            bucket = self._buckets.get(self._swept)
            if bucket is None:
                room -= 1
                if len(self._buckets) < second - self._swept:
                    self._swept = min(min(self._buckets), second + 1)
                else:
                    self._swept += 1
                continue
            for key in list(bucket)[:room] if len(bucket) > room else list(bucket):
                entry = self._entries[key]
                room -= 1
                self._remove(entry)
                self.expirations += 1
                self._tell(entry)

    def _tell(self, entry: Entry) -> None:
        if self._on_evicted is not None:
            self._on_evicted(entry)

    def report(self) -> dict[str, int | None]:
        """What there is to tell, for operators."""
        return {
            "entries": len(self._entries),
            "max_entries": self.max_entries,
            "weight": self.weight,
            "max_weight": self.max_weight,
            "hits": self.hits,
            "misses": self.misses,
            "evictions": self.evictions,
            "expirations": self.expirations,
            "window": self._window.size,
            "protected": self._protected.size,
        }
