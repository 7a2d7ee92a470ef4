"""The right to put a value that somebody makes outside the cache, in pieces perhaps."""

from __future__ import annotations

from typing import Any

from framework.plugins.cache.levels import Levels, ahead
from framework.plugins.cache.options import Options
from framework.plugins.cache.remote import Lease
from framework.plugins.cache.values import Codec

__all__ = ["Reservation"]


class Reservation:
    """Made by ``Cache.reserve`` before the value is; lost when the key or a tag is invalidated meanwhile. ``release``
    it in any case."""

    def __init__(self, levels: Levels, key: str, tags: tuple[str, ...], codec: Codec) -> None:
        self._levels = levels
        self._key = key
        self._tags = tags
        self._codec = codec
        self._ticket = levels.ledger.begin(key, tags)
        self._lease: Lease | None = None

    @property
    def valid(self) -> bool:
        """Whether nothing is known of an invalidation."""
        return self._ticket.valid

    async def take(self) -> None:
        """Asks Redis for the right, if there is one."""
        remote = self._levels.remote
        if remote is not None:
            found = await remote.read(self._key, lease=True, force=True, tags=self._tags)
            self._lease = None if found is None else found.lease

    async def put(self, value: Any, options: Options) -> bool:
        """Puts the value, unless the right to was lost; whether it was put in memory. Raises CodecError."""
        data = self._codec.encode(value)
        ttl = options.ttl_of(value)
        if ttl <= 0 or not self.valid:
            return False
        lease, self._lease = self._lease, None
        kept = self._codec.kept(value, data)
        remote = self._levels.remote
        if remote is not None and lease is not None:
            ahead_of = ahead(ttl, options)
            put = await remote.put(
                self._key, data, ttl=ttl, ahead=ahead_of, grace=options.stale, tags=self._tags, lease=lease
            )
            if not put:
                return False
        if not self.valid:
            return False
        self._levels.keep(self._key, kept, len(data), ttl, options, self._tags)
        return True

    def release(self) -> None:
        """Gives it back. Once more is no error."""
        self._levels.ledger.end(self._ticket)
        lease, self._lease = self._lease, None
        if lease is not None and self._levels.remote is not None:
            self._levels.remote.release(self._key, lease)
