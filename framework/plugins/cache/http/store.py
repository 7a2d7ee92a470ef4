"""Where responses are kept: one for each URL, or one for each set of the request's fields that they depend on."""

from __future__ import annotations

import os
from typing import Any, Final, cast

from framework.http.request import Request
from framework.plugins.cache.cache import Cache
from framework.plugins.cache.entry import MISSING
from framework.plugins.cache.http.requests import key_of, variant_of
from framework.plugins.cache.http.rules import Stored, Varies
from framework.plugins.cache.options import MAX_TTL, Options
from framework.plugins.cache.reservation import Reservation

__all__ = ["Place", "ResponseStore"]

_KIND: Final[Any] = Stored | Varies
VALIDATED: Final = 3600.0
"""Seconds for which a response that can be validated is kept past its time."""


class Place:
    """Where the response to a request is, or would be.

    Attributes:
        key: of the URL; ``own``: of the response, the same unless it varies.
        varies: what is known of that.
        stored: what is there.
    """

    __slots__ = ("key", "own", "stored", "varies")

    def __init__(self, key: str, own: str, varies: Varies | None, stored: Stored | None) -> None:
        self.key = key
        self.own = own
        self.varies = varies
        self.stored = stored


class ResponseStore:
    """Responses in a cache."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache

    async def find(self, request: Request) -> Place:
        """Where the response to a request is."""
        key = key_of(request.url)
        found = await self.cache.get(key, type=_KIND)
        if found is MISSING:
            return Place(key, key, None, None)
        if isinstance(found, Stored):
            return Place(key, key, None, found)
        varies = cast("Varies", found)
        own = variant_of(key, varies.serial, varies.names, request)
        stored = await self.cache.get(own, type=_KIND)
        return Place(key, own, varies, stored if isinstance(stored, Stored) else None)

    async def reserve(self, place: Place) -> Reservation:
        """The right to store a response that is asked for from now on; lost when the URL is invalidated meanwhile."""
        return await self.cache.reserve(place.key, type=_KIND)

    async def put(
        self, place: Place, reservation: Reservation, request: Request, names: tuple[str, ...], stored: Stored
    ) -> bool:
        """Stores a response that depends on fields of these names; whether it was."""
        options = Options(ttl=_kept_for(stored))
        if not names:
            return await reservation.put(stored, options)
        varies = place.varies
        if varies is None or varies.names != names:
            varies = Varies(names, os.urandom(8).hex())
            if not await reservation.put(
                varies, Options(ttl=min(MAX_TTL, 2 * _kept_for(stored) + VALIDATED))
            ):
                return False
        elif not reservation.valid:
            return False
        own = variant_of(place.key, varies.serial, names, request)
        await self.cache.set(own, stored, type=_KIND, ttl=_kept_for(stored))
        return True

    async def delete(self, url: str) -> None:
        """Forgets what is at a URL, and keeps responses that are on their way from being stored."""
        await self.cache.delete(key_of(url))


def _kept_for(stored: Stored) -> float:
    left = max(0.0, stored.life - stored.age)
    validated = VALIDATED if stored.etag is not None or stored.modified is not None else 0.0
    return min(MAX_TTL, left + max(stored.on_error, stored.behind, validated))
