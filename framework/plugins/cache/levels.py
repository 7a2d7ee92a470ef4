"""The two levels, and the rules by which a value gets into them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

from framework.plugins.cache.entry import MISSING, Encoded
from framework.plugins.cache.ledger import Ledger, Ticket
from framework.plugins.cache.memory import MemoryStore
from framework.plugins.cache.options import Options
from framework.plugins.cache.remote import Found, Remote
from framework.plugins.cache.values import DECODE_ERRORS, Codec

__all__ = ["Counts", "Levels", "ahead", "opened"]

_LOG: Final = logging.getLogger("framework.cache")
OVERHEAD: Final = 240  # bytes that an entry takes besides its key and value, roughly
LOG_EVERY: Final = 10.0


class Counts:
    """What a cache has done since it was made.

    Attributes:
        loads, failures: of loaders: that came to a value, that did not.
        refreshes: loads that began behind the scenes; ``stale`` answers by an old value meanwhile, or instead.
        remote_hits, remote_misses: of reads in Redis.
        undecodable: values in Redis that were none of their type.
        discarded: values not kept because they were invalidated while they were read or made.
    """

    __slots__ = (
        "discarded",
        "failures",
        "loads",
        "refreshes",
        "remote_hits",
        "remote_misses",
        "stale",
        "undecodable",
    )

    def __init__(self) -> None:
        for name in self.__slots__:
            setattr(self, name, 0)

    discarded: int
    failures: int
    loads: int
    refreshes: int
    remote_hits: int
    remote_misses: int
    stale: int
    undecodable: int


class Levels:
    """Memory and, behind it, perhaps Redis; what changes there is changed here.

    Args:
        local: values are kept in memory at all.
        serve_disconnected: see ``Cache``.
        clock: monotonic seconds.

    Attributes:
        remote: set by who made it, since each knows the other.
    """

    def __init__(
        self, memory: MemoryStore, clock: Callable[[], float], *, local: bool, serve_disconnected: bool
    ) -> None:
        self.memory = memory
        self.remote: Remote | None = None
        self.ledger = Ledger()
        self.counts = Counts()
        self.clock = clock
        self._local = local
        self._serve_disconnected = serve_disconnected
        self._logged = -LOG_EVERY

    def take(self, ticket: Ticket, found: Found, codec: Codec, begun: float) -> Any:
        """What Redis had, into the memory as well; MISSING where it had nothing that can be read."""
        if found.data is None:
            self.counts.remote_misses += 1
            return MISSING
        try:
            kept = codec.keep(found.data)
        except DECODE_ERRORS as error:
            self.counts.undecodable += 1
            now = self.clock()
            if now - self._logged >= LOG_EVERY:
                self._logged = now
                _LOG.warning(
                    "the cached value of %r is none of its type, and is made anew: %s", ticket.key, error
                )
            return MISSING
        self.counts.remote_hits += 1
        if not ticket.valid:
            self.counts.discarded += 1
        elif self._may_keep():
            # Counted from before it was asked for: never kept for longer than there.
            expires, due, fresh = begun + found.left, begun + found.due, begun + found.fresh
            weight = len(found.data) + len(ticket.key) + OVERHEAD
            self.memory.put(ticket.key, kept, begun, expires, due, fresh, weight, found.tags)
        return kept

    def _may_keep(self) -> bool:
        return self._local and (self.remote is None or self._serve_disconnected or self.remote.listening)

    def keep(
        self, key: str, kept: Any, size: int, ttl: float, options: Options, tags: tuple[str, ...]
    ) -> None:
        """Keeps a value that was made or put now in memory."""
        if self._may_keep():
            now = self.clock()
            fresh = now + ttl
            due = fresh - ahead(ttl, options)
            weight = size + len(key) + OVERHEAD
            self.memory.put(key, kept, now, fresh + options.stale, due, fresh, weight, tags)

    # -- what has changed ---------------------------------------------------------------------------------------------

    def changed(self, keys: Sequence[str]) -> None:
        """The values of keys are no more what they were."""
        for key in keys:
            self.memory.delete(key)
            self.ledger.void(key)

    def tags_changed(self, tags: Sequence[str]) -> None:
        """Nor those with one of the tags."""
        self.memory.delete_tagged(tags)
        self.ledger.void_tagged(tags)

    def forget(self) -> None:
        """Nor any, perhaps."""
        self.memory.clear()
        self.ledger.void_all()

    def lost(self) -> None:
        """Nobody tells of changes until ``forget`` is called."""
        self.ledger.void_all()
        if not self._serve_disconnected:
            self.memory.clear()


def ahead(ttl: float, options: Options) -> float:
    """Seconds before its end at which a value is due to be made anew."""
    return 0.0 if options.early_refresh is None else ttl * (1.0 - options.early_refresh)


def opened(kept: Any) -> Any:
    """The value that is kept, a copy where it is ``Encoded``."""
    return kept.decode() if kept.__class__ is Encoded else kept
