"""The cache: values in this process, behind them Redis, behind that whoever can make them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any, TypeVar, Unpack, cast

import msgspec

from framework.plugins.cache.entry import MISSING
from framework.plugins.cache.levels import Counts, Levels, ahead
from framework.plugins.cache.loads import Loads, Wanted
from framework.plugins.cache.memory import MemoryStore
from framework.plugins.cache.names import check_key, check_tags
from framework.plugins.cache.options import LoadOptions, Options
from framework.plugins.cache.remote import EVERYTHING, Remote
from framework.plugins.cache.reservation import Reservation
from framework.plugins.cache.values import Codec
from framework.resilience import BreakerSettings

__all__ = ["Cache"]

T = TypeVar("T")


class Cache:
    """Values by key, in two levels.

    With ``memory://`` it needs no server, and no loop but for loads. With Redis, use it as a context manager, or
    ``open`` and ``close`` it: every process then has the newest value within a moment, each in its own memory.

    A value is kept as it is where nobody can change it (frozen Structs and the like, by ``type``), else encoded, so
    that each who asks has a copy of their own. Values are encoded with MessagePack; those of other types than JSON's
    need their ``type`` to come back.

    Args:
        url: ``memory://``, or that of a Redis server.
        prefix: of the keys in Redis: who shares it shares the values.
        max_entries: kept in memory; 0: none, every read goes to Redis.
        max_bytes: of those values, encoded, and what an entry takes besides.
        options: for every load that does not say otherwise.
        timeout: seconds that Redis may take; then it is done without.
        required: ``open`` fails where Redis cannot be reached.
        serve_disconnected: while the connection is lost, what is in memory is served though nobody can tell whether it
            has changed; it is forgotten when the connection is back. Otherwise it is forgotten at the loss.
        share_loads: seconds to wait for the value where another process is making it.
        max_loads: under way at once; beyond that CacheBusy is raised.
        breaker: when Redis is left alone because it does not answer.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        url: str = "memory://",
        *,
        prefix: str = "cache",
        max_entries: int = 10_000,
        max_bytes: int | None = 64 * 1024 * 1024,
        options: Options | None = None,
        timeout: float = 0.25,
        required: bool = True,
        serve_disconnected: bool = True,
        share_loads: float = 0.0,
        max_loads: int = 10_000,
        breaker: BreakerSettings | None = None,
        clock: Callable[[], float] = time.monotonic,
        random: Random | None = None,
    ) -> None:
        if max_entries == 0 and url.startswith("memory:"):
            raise ValueError("a cache in memory has at least one entry")
        self.options = options or Options()
        random = random or Random()
        self.memory = MemoryStore(max(1, max_entries), max_weight=max_bytes, random=random, clock=clock)
        levels = self._levels = Levels(
            self.memory, clock, local=max_entries > 0, serve_disconnected=serve_disconnected
        )
        if not url.startswith("memory:"):
            levels.remote = Remote(
                url,
                prefix=prefix,
                timeout=timeout,
                required=required,
                lease_time=self.options.load_timeout + 1.0,
                breaker=breaker or BreakerSettings(max_consecutive=5, open_time=1.0, max_open_time=10.0),
                on_keys=levels.changed,
                on_tags=levels.tags_changed,
                on_all=levels.forget,
                on_lost=levels.lost,
                random=random,
            )
        self._loads = Loads(levels, random, max_loads=max_loads, share_loads=share_loads)
        self._codecs: dict[Any, Codec] = {}

    # -- life ---------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Connects to Redis, if there is one. Raises RedisError where it is required and cannot be reached."""
        if self.remote is not None:
            await self.remote.open()

    async def close(self) -> None:
        """Ends the loads that are under way (who waits gets LoadCancelled) and the connection."""
        await self._loads.close()
        if self.remote is not None:
            await self.remote.close()

    async def __aenter__(self) -> Cache:
        await self.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    @property
    def remote(self) -> Remote | None:
        """The second level, if there is one."""
        return self._levels.remote

    @property
    def counts(self) -> Counts:
        """What it has done so far."""
        return self._levels.counts

    @property
    def loading(self) -> int:
        """Reads and loads under way."""
        return len(self._loads)

    def codec(self, type: Any) -> Codec:
        """The codec of a type; one each."""
        codec = self._codecs.get(type)
        if codec is None:
            codec = self._codecs[type] = Codec(type)
        return codec

    # -- reading ------------------------------------------------------------------------------------------------------

    def get_now(self, key: str) -> Any:
        """The value if it is in memory and fresh, else MISSING. Nothing is waited for."""
        return self.memory.fresh(key)

    async def get(self, key: str, default: Any = MISSING, *, type: Any = Any) -> Any:
        """The value if there is a fresh one, else ``default``: MISSING unless given, for None is a value too.

        Args:
            type: what the value is decoded to, as msgspec takes it.
        """
        value = self.memory.fresh(key)
        if value is MISSING and self.remote is not None:
            value = await self._loads.read(key, self.remote, self.codec(type))
        return default if value is MISSING else value

    async def get_or_load(
        self,
        key: str,
        loader: Callable[[], Awaitable[T]],
        *,
        type: type[T] | Any = Any,
        tags: Sequence[str] = (),
        **options: Unpack[LoadOptions],
    ) -> T:
        """The value, made by ``loader`` where there is none.

        However many ask at once, one load is under way for a key; it is a task of the cache's. Each who waits may be
        cancelled, or run out of time, without harm to the others; when all were cancelled, so is the load.

        Args:
            loader: called with nothing, makes the value. None, 0, "" are values.
            type: of the value, as msgspec takes it; needed for all but JSON's types.
            tags: what the value can be invalidated by.
            options: see ``Options``; those of the cache hold for what is not given.

        Raises:
            DeadlineExceeded: ``hard_timeout`` or ``load_timeout`` is over.
            CacheBusy: too many loads are under way.
            LoadCancelled: the loader was cancelled from within, or the cache closed.
            CodecError: the value cannot be encoded.
            Exception: what the loader raised, where there is no old value to serve.
        """
        value = self.memory.undue(key)
        if value is MISSING:
            chosen = self._chosen(options)
            value = await self._loads.load(key, Wanted(loader, self.codec(type), chosen, tuple(tags)))
        return cast("T", value)

    def _chosen(self, options: LoadOptions) -> Options:
        return msgspec.structs.replace(self.options, **options) if options else self.options

    # -- writing ------------------------------------------------------------------------------------------------------

    async def set(
        self,
        key: str,
        value: Any,
        *,
        type: Any = Any,
        tags: Sequence[str] = (),
        **options: Unpack[LoadOptions],
    ) -> None:
        """Puts a value in the place of what was there, and of what is being made at the moment.

        With Redis it is there when this returns; if it cannot be reached, the old value is deleted there as soon as it
        can.

        Raises:
            CodecError: the value cannot be encoded.
            ValueError: an empty or overlong key or tag.
        """
        check_key(key)
        named = check_tags(tuple(tags))
        chosen, codec = self._chosen(options), self.codec(type)
        ttl = self._loads.ttl_of(value, chosen)
        if ttl <= 0:
            await self.delete(key)
            return
        data = codec.encode(value)
        kept = codec.kept(value, data)
        self._levels.changed((key,))
        if self.remote is None:
            self._levels.keep(key, kept, len(data), ttl, chosen, named)
            return
        ticket = self._levels.ledger.begin(key, named)
        try:
            await self.remote.put(
                key, data, ttl=ttl, ahead=ahead(ttl, chosen), grace=chosen.stale, tags=named
            )
            if ticket.valid:
                self._levels.keep(key, kept, len(data), ttl, chosen, named)
            else:
                self.memory.delete(key)
        finally:
            self._levels.ledger.end(ticket)

    async def reserve(self, key: str, *, type: Any = Any, tags: Sequence[str] = ()) -> Reservation:
        """The right to put a value of the key that is made from now on elsewhere: lost when it is invalidated
        meanwhile. ``release`` it in the end."""
        reservation = Reservation(self._levels, check_key(key), check_tags(tags), self.codec(type))
        try:
            await reservation.take()
        except BaseException:
            reservation.release()
            raise
        return reservation

    async def delete(self, *keys: str) -> None:
        """Deletes values, and keeps what is being made of them at the moment from being kept.

        It never fails: what Redis cannot be told now it is told first of all once it is back. Until then other
        processes may have the old value.
        """
        for key in keys:
            check_key(key)
        self._levels.changed(keys)
        if self.remote is not None and keys:
            await self.remote.delete(keys)
            self._levels.changed(keys)  # what was read meanwhile may be from before

    async def invalidate(self, *tags: str) -> None:
        """Deletes all values with one of the tags, at the cost of one, however many there are. As ``delete``."""
        named = check_tags(tags)
        self._levels.tags_changed(named)
        if self.remote is not None and named:
            await self.remote.invalidate(named)
            self._levels.tags_changed(named)

    async def clear(self) -> None:
        """Deletes all values. As ``delete``."""
        self._levels.forget()
        if self.remote is not None:
            await self.remote.invalidate((EVERYTHING,))
            self._levels.forget()
