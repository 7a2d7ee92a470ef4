"""The section ``[cache]``."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from framework.errors import ConfigError
from framework.plugins.cache.cache import Cache
from framework.plugins.cache.options import MAX_TTL, Options

__all__ = ["CacheSettings"]

Seconds = Annotated[float, Meta(ge=0, le=MAX_TTL)]
Positive = Annotated[float, Meta(gt=0, le=MAX_TTL)]


class CacheSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section ``[cache]``. Durations in seconds.

    Attributes:
        url: ``memory://``, or ``redis://...``, ``rediss://...``, ``unix://...`` for what several processes share.
        prefix: of the keys in Redis.
        max_entries: kept in the memory of each process; 0, with Redis, keeps none.
        max_bytes: of their values, as they are encoded, and what an entry takes besides.
        default_ttl: for how long a value is fresh where nothing else is said.
        jitter: part of that which is taken off at random.
        early_refresh, stale_while_revalidate, stale_if_error, error_pause, soft_timeout, hard_timeout, load_timeout:
            for all loads; see ``Options``.
        timeout: that Redis may take; then it is done without.
        required: the start fails when Redis cannot be reached.
        serve_disconnected: what is in memory is served while the connection to Redis is lost.
        share_loads: to wait for the value where another process is making it.
        max_loads: under way at once.
        per_worker: with ``memory://`` under several workers: each may have another value, and what is deleted in one
            the others have until its time is over. The start fails unless this is set.
    """

    url: str = "memory://"
    prefix: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:-]{1,64}$")] = "cache"
    max_entries: Annotated[int, Meta(ge=0, le=100_000_000)] = 10_000
    max_bytes: Annotated[int, Meta(ge=1024)] = 64 * 1024 * 1024
    default_ttl: Positive = 300.0
    jitter: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    early_refresh: Annotated[float, Meta(gt=0, lt=1)] | None = None
    stale_while_revalidate: Seconds = 0.0
    stale_if_error: Seconds = 0.0
    error_pause: Seconds = 1.0
    soft_timeout: Positive | None = None
    hard_timeout: Positive | None = None
    load_timeout: Positive = 60.0
    timeout: Annotated[float, Meta(gt=0, le=60)] = 0.25
    required: bool = True
    serve_disconnected: bool = True
    share_loads: Annotated[float, Meta(ge=0, le=60)] = 0.0
    max_loads: Annotated[int, Meta(ge=1)] = 10_000
    per_worker: bool = False

    def __post_init__(self) -> None:
        scheme, separator, rest = self.url.partition("://")
        if not separator or scheme not in ("memory", "redis", "rediss", "unix"):
            raise ValueError("url: known are memory://, redis://, rediss:// and unix://")
        if scheme == "memory":
            if rest:
                raise ValueError("url: memory:// stands alone")
            if self.max_entries == 0:
                raise ValueError("max_entries: a cache in memory has at least one")
        else:
            from framework.redis.url import parse_url

            try:
                parse_url(self.url)
            except ConfigError as error:
                raise ValueError(f"url: {error}") from None
        self.options()

    @property
    def shared(self) -> bool:
        """Whether several processes have the same values."""
        return not self.url.startswith("memory:")

    def options(self) -> Options:
        """For every load. Raises ValueError for those that contradict each other."""
        return Options(
            ttl=self.default_ttl,
            jitter=self.jitter,
            early_refresh=self.early_refresh,
            stale_while_revalidate=self.stale_while_revalidate,
            stale_if_error=self.stale_if_error,
            error_pause=self.error_pause,
            soft_timeout=self.soft_timeout,
            hard_timeout=self.hard_timeout,
            load_timeout=self.load_timeout,
        )

    def cache(self) -> Cache:
        """The cache of these settings, not opened. Raises ImportError without hiredis where Redis is asked for."""
        return Cache(
            self.url,
            prefix=self.prefix,
            max_entries=self.max_entries,
            max_bytes=self.max_bytes,
            options=self.options(),
            timeout=self.timeout,
            required=self.required,
            serve_disconnected=self.serve_disconnected,
            share_loads=self.share_loads,
            max_loads=self.max_loads,
        )
