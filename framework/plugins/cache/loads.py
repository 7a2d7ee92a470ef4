"""Reads and loads under way: one of each for a key, in tasks that the cache owns."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any, Final

from framework.errors import DeadlineExceeded
from framework.plugins.cache.entry import MISSING, Entry
from framework.plugins.cache.errors import CacheBusy, LoadCancelled
from framework.plugins.cache.flight import Flight
from framework.plugins.cache.ledger import UNKNOWN
from framework.plugins.cache.levels import Levels, ahead, opened
from framework.plugins.cache.names import check_key, check_tags
from framework.plugins.cache.options import Options
from framework.plugins.cache.remote import Found, Remote
from framework.plugins.cache.values import Codec

__all__ = ["Loads", "Wanted"]

_LOG: Final = logging.getLogger("framework.cache")


class Wanted:
    """What is to be loaded, and how."""

    __slots__ = ("codec", "loader", "options", "tags")

    def __init__(
        self, loader: Callable[[], Awaitable[Any]], codec: Codec, options: Options, tags: tuple[str, ...]
    ) -> None:
        self.loader = loader
        self.codec = codec
        self.options = options
        self.tags = tags


class Loads:
    """The owner of what is under way.

    Args:
        max_loads: at once, reads included.
        share_loads: seconds to wait for the value where another process is making it.
    """

    def __init__(self, levels: Levels, random: Random, *, max_loads: int, share_loads: float) -> None:
        self._levels = levels
        self._random = random
        self._max_loads = max_loads
        self._share_loads = share_loads
        self._loads: dict[str, Flight] = {}
        self._reads: dict[str, Flight] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._tasks)

    async def close(self) -> None:
        """Cancels all, waits for their ends, and lets nothing more begin."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks))

    # -- asking -------------------------------------------------------------------------------------------------------

    async def read(self, key: str, remote: Remote, codec: Codec) -> Any:
        """The value in Redis if it is fresh, else MISSING. Raises as ``load``."""
        flight = self._reads.get(key)
        if flight is None or not flight.ticket.valid:
            check_key(key)
            flight = self._take_off(self._reads, key, UNKNOWN, kept=True, stale=MISSING)
            begun = flight
            self._spawn(begun, self._reads, lambda: self._fetch(begun, remote, codec))
        kept = await flight.follow(None, None)
        return MISSING if kept is MISSING else opened(kept)

    async def load(self, key: str, wanted: Wanted) -> Any:
        """The value, where there is none in memory that is not due. Raises as ``Cache.get_or_load`` says."""
        now, counts, options = self._levels.clock(), self._levels.counts, wanted.options
        entry = self._levels.memory.peek(key)
        if entry is not None and now >= min(entry.expires, entry.fresh + options.stale):
            entry = None
        if entry is not None and now < entry.fresh + options.stale_while_revalidate:
            self._refresh(key, wanted, entry)
            counts.stale += now >= entry.fresh
            return opened(entry.value)
        stale = MISSING if entry is None else entry.value
        flight = self._under_way(key)
        if flight is None:
            flight = self._begin(key, wanted, kept=False, stale=stale)
        elif flight.stale is MISSING:
            flight.stale = stale
        kept = await flight.follow(options.soft_timeout, options.hard_timeout)
        counts.stale += kept is flight.stale
        return opened(kept)

    def _refresh(self, key: str, wanted: Wanted, entry: Entry) -> None:
        """Has the value made anew behind the scenes, unless that is under way or there is too much to do."""
        if self._closed or self._under_way(key) is not None or len(self._tasks) >= self._max_loads:
            return
        self._levels.counts.refreshes += 1
        self._begin(key, wanted, kept=True, stale=entry.value)

    def _under_way(self, key: str) -> Flight | None:
        """The load to join: not one that began before the value was invalidated, nor one that was given up."""
        flight = self._loads.get(key)
        return flight if flight is not None and flight.ticket.valid else None

    def _begin(self, key: str, wanted: Wanted, *, kept: bool, stale: Any) -> Flight:
        check_key(key)
        check_tags(wanted.tags)
        flight = self._take_off(self._loads, key, wanted.tags, kept=kept, stale=stale)
        self._spawn(flight, self._loads, lambda: self._load(flight, wanted))
        return flight

    # -- flights ------------------------------------------------------------------------------------------------------

    def _take_off(
        self, flights: dict[str, Flight], key: str, tags: Sequence[str], *, kept: bool, stale: Any
    ) -> Flight:
        if self._closed:
            raise LoadCancelled(key)
        if len(self._tasks) >= self._max_loads:
            raise CacheBusy(self._max_loads)
        flight = flights[key] = Flight(key, self._levels.ledger.begin(key, tags), kept=kept, stale=stale)
        return flight

    def _spawn(self, flight: Flight, flights: dict[str, Flight], work: Callable[[], Awaitable[None]]) -> None:
        task = flight.answer.get_loop().create_task(_fly(flight, work))
        flight.task = task
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._landed(task, flight, flights))

    def _landed(self, task: asyncio.Task[None], flight: Flight, flights: dict[str, Flight]) -> None:
        # Not in the task itself: one that is cancelled before its first step never runs.
        self._tasks.discard(task)
        self._levels.ledger.end(flight.ticket)
        if flights.get(flight.key) is flight:
            del flights[flight.key]
        flight.fail(LoadCancelled(flight.key))

    async def _fetch(self, flight: Flight, remote: Remote, codec: Codec) -> None:
        begun = self._levels.clock()
        found = await remote.read(flight.key)
        kept = MISSING if found is None else self._levels.take(flight.ticket, found, codec, begun)
        flight.succeed(kept if found is not None and found.fresh > 0 else MISSING)

    async def _load(self, flight: Flight, wanted: Wanted) -> None:
        seconds = wanted.options.load_timeout
        deadline = asyncio.timeout(seconds)
        try:
            async with deadline:
                if self._levels.remote is None:
                    await self._make(flight, wanted)
                else:
                    await self._make_shared(flight, wanted, self._levels.remote)
        except Exception as error:
            self._levels.counts.failures += 1
            self._postpone(flight.key, wanted.options)
            if isinstance(error, TimeoutError) and deadline.expired():
                raise DeadlineExceeded(f"the load of {flight.key!r}", seconds) from None
            raise

    def _postpone(self, key: str, options: Options) -> None:
        """Has nobody try again for a while where there is an old value to serve."""
        entry = self._levels.memory.peek(key)
        if entry is not None:
            entry.due = max(entry.due, self._levels.clock() + options.error_pause)

    async def _make_shared(self, flight: Flight, wanted: Wanted, remote: Remote) -> None:
        key, options = flight.key, wanted.options
        found = await self._look(flight, wanted, remote)
        lease = None if found is None else found.lease
        if flight.answer.done() and (lease is None or not lease.first):
            self._postpone(key, options)  # it is not due, or another process makes it anew
            return
        put = False
        try:
            data, ttl = await self._make(flight, wanted)
            # An invalidation meanwhile has voided the ticket, or there the lease.
            if lease is not None and ttl > 0 and flight.ticket.valid:
                put = await remote.put(
                    key,
                    data,
                    ttl=ttl,
                    ahead=ahead(ttl, options),
                    grace=options.stale,
                    tags=wanted.tags,
                    lease=lease,
                )
        finally:
            if lease is not None and not put:
                remote.release(key, lease)

    async def _make(self, flight: Flight, wanted: Wanted) -> tuple[bytes, float]:
        """Has the value made, and answers those who wait; returns it encoded, and for how long it is fresh."""
        options, codec, counts = wanted.options, wanted.codec, self._levels.counts
        value = await wanted.loader()
        counts.loads += 1
        data = codec.encode(value)
        kept = codec.kept(value, data)
        ttl = self.ttl_of(value, options)
        if not flight.ticket.valid:
            counts.discarded += 1
        elif ttl > 0:
            self._levels.keep(flight.key, kept, len(data), ttl, options, wanted.tags)
        else:
            self._levels.memory.delete(flight.key)
        flight.succeed(kept)
        return data, ttl

    def ttl_of(self, value: Any, options: Options) -> float:
        """For how long the value is fresh, some of it taken off by chance."""
        return options.ttl_of(value) * (1.0 - options.jitter * self._random.random())

    async def _look(self, flight: Flight, wanted: Wanted, remote: Remote) -> Found | None:
        """Reads in Redis, and answers those who wait where that is enough. Where another process has begun to make the
        value it may be waited for."""
        options, tags = wanted.options, wanted.tags
        waited, pause = 0.0, 0.01
        while True:
            begun = self._levels.clock()
            flight.ticket.tags = UNKNOWN
            found = await remote.read(flight.key, lease=True, tags=tags)
            flight.ticket.tags = tags
            if found is None:
                return None
            kept = self._levels.take(flight.ticket, found, wanted.codec, begun)
            if kept is not MISSING:
                if found.lease is None or found.fresh + options.stale_while_revalidate > 0:
                    flight.kept = True
                    self._levels.counts.stale += found.fresh <= 0
                    flight.succeed(kept)
                    return found
                if found.fresh + options.stale > 0:
                    flight.stale = kept
            elif found.data is not None and found.lease is None:
                # None of its type: out with it, so that another can be put there by the rules.
                await remote.delete((flight.key,))
                found = await remote.read(flight.key, lease=True, tags=tags)
                return None if found is None or found.data is not None else found
            if found.lease is None or found.lease.first or waited >= self._share_loads:
                return found
            await asyncio.sleep(pause)
            waited, pause = waited + pause, min(0.1, pause * 1.5)


async def _fly(flight: Flight, work: Callable[[], Awaitable[None]]) -> None:
    try:
        await work()
    except Exception as error:
        if flight.waiters == 0:
            _LOG.warning(
                "making the value of %r anew failed: %s: %s", flight.key, type(error).__name__, error
            )
        flight.fail(error)
