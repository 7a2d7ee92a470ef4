"""Policies that send what has one key to one endpoint, and move little when endpoints come and go."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from hashlib import blake2b
from math import ceil
from random import Random
from typing import Final

from framework.balancing.endpoint import Endpoint
from framework.balancing.policy import NONE

__all__ = ["Maglev", "RingHash", "hash_of"]

MAGLEV_SIZE: Final = 16_381  # a prime; some hundred times the endpoints of a large cluster


def hash_of(key: bytes) -> int:
    """64 bits, the same in every process and version: who shares a cluster must agree on them."""
    return int.from_bytes(blake2b(key, digest_size=8).digest(), "big")


class _Hashed:
    """Walks from a key's place over candidates until one has room.

    Bounded load (Mirrokni, Thorup and Zadimoghaddam, 2016): none takes more than ``max_load`` times its share of the
    requests under way; what is too much for it goes to the next.
    """

    def __init__(self, max_load: float | None, random: Random | None) -> None:
        if max_load is not None and not max_load > 1:
            raise ValueError("max_load is more than 1, or None for no bound")
        self._max_load = max_load
        self._random = random or Random()
        self._endpoints: Sequence[Endpoint] = ()

    def pick(
        self, now: float, key: bytes | None = None, avoid: Collection[Endpoint] = NONE
    ) -> Endpoint | None:
        """The endpoint of ``key``, or the next one after it that can be picked. Without a key: any."""
        place = self._random.getrandbits(64) if key is None else hash_of(key)
        bound = self._bound()
        fallback: Endpoint | None = None
        for endpoint in self._walk(place):
            if not endpoint.available or endpoint in avoid:
                continue
            if bound is None or endpoint.active + 1 <= ceil(bound * endpoint.weight):
                return endpoint
            if fallback is None:
                fallback = endpoint
        return fallback

    def _bound(self) -> float | None:
        """Requests that may be under way for each unit of weight."""
        if self._max_load is None:
            return None
        there = [endpoint for endpoint in self._endpoints if endpoint.available]
        weight = sum(endpoint.weight for endpoint in there)
        return self._max_load * (sum(endpoint.active for endpoint in there) + 1) / max(1, weight)

    def _walk(self, place: int) -> Iterator[Endpoint]:
        """Each endpoint once, those first that the place belongs to."""
        raise NotImplementedError


class RingHash(_Hashed):
    """A ring of points (Karger et al., 1997), ``points`` of them for each unit of weight.

    An endpoint that comes takes its part from all others and nothing else moves; one that goes gives it to all others.
    """

    def __init__(
        self, *, points: int = 160, max_load: float | None = None, random: Random | None = None
    ) -> None:
        super().__init__(max_load, random)
        if points < 1:
            raise ValueError("points is at least 1")
        self._points = points
        self._ring: list[int] = []
        self._owners: list[Endpoint] = []

    def update(self, endpoints: Sequence[Endpoint], now: float) -> None:
        """Makes the ring. Whether an endpoint is available does not change it."""
        self._endpoints = tuple(endpoints)
        placed = sorted(
            (
                (hash_of(f"{each.key}#{point}".encode()), each.key, each)
                for each in endpoints
                for point in range(self._points * each.weight)
            ),
            key=lambda entry: entry[:2],
        )
        self._ring = [place for place, _, _ in placed]
        self._owners = [endpoint for _, _, endpoint in placed]

    def _walk(self, place: int) -> Iterator[Endpoint]:
        owners = self._owners
        count = len(owners)
        if not count:
            return
        start = bisect_left(self._ring, place)
        seen: list[Endpoint] = []
        for step in range(count):
            endpoint = owners[(start + step) % count]
            if endpoint not in seen:
                seen.append(endpoint)
                yield endpoint
                if len(seen) == len(self._endpoints):
                    return


class _Turns:
    """The order in which one endpoint wants the places of a table, and how far it is."""

    __slots__ = ("_place", "_skip", "credit", "endpoint")

    def __init__(self, endpoint: Endpoint, size: int) -> None:
        self.endpoint = endpoint
        self.credit = 0
        self._place = hash_of(f"{endpoint.key}#offset".encode()) % size
        self._skip = hash_of(f"{endpoint.key}#skip".encode()) % (size - 1) + 1

    def take(self, table: list[Endpoint | None]) -> None:
        """Takes the first place it wants of those that are free. There is one."""
        place, size = self._place, len(table)
        while table[place] is not None:
            place = (place + self._skip) % size
        table[place] = self.endpoint
        self._place = (place + self._skip) % size


class Maglev(_Hashed):
    """A table that all endpoints fill by turns in orders of their own (Eisenbud et al., "Maglev", 2016, section 3.4).

    More even than a ring, and found by one look; a change of the endpoints moves a little more than it must.
    """

    def __init__(
        self, *, size: int = MAGLEV_SIZE, max_load: float | None = None, random: Random | None = None
    ) -> None:
        super().__init__(max_load, random)
        if size < 3 or any(size % divisor == 0 for divisor in range(2, int(size**0.5) + 1)):
            raise ValueError(f"the size of a Maglev table is a prime, which {size} is not")
        self._size = size
        self._table: list[Endpoint] = []

    def update(self, endpoints: Sequence[Endpoint], now: float) -> None:
        """Fills the table. Whether an endpoint is available does not change it."""
        # The order decides who comes first to a place: it must not depend on the caller's.
        self._endpoints = tuple(sorted(endpoints, key=lambda endpoint: endpoint.key))
        self._table = self._fill() if endpoints else []

    def _fill(self) -> list[Endpoint]:
        table: list[Endpoint | None] = [None] * self._size
        heaviest = max(endpoint.weight for endpoint in self._endpoints)
        turns = [_Turns(endpoint, self._size) for endpoint in self._endpoints]
        filled = 0
        while filled < self._size:
            for turn in turns:
                # A light one sits out the rounds that its weight does not pay for.
                turn.credit += turn.endpoint.weight
                if turn.credit >= heaviest and filled < self._size:
                    turn.credit -= heaviest
                    turn.take(table)
                    filled += 1
        return [endpoint for endpoint in table if endpoint is not None]

    def _walk(self, place: int) -> Iterator[Endpoint]:
        table = self._table
        if not table:
            return
        size = self._size
        index = place % size
        yield table[index]
        # The next ones are drawn by hashes of the place, so that the keys of one that is gone go to all others.
        seen = [table[index]]
        for attempt in range(1, 4 * len(self._endpoints)):
            endpoint = table[hash_of(b"%d#%d" % (place, attempt)) % size]
            if endpoint not in seen:
                seen.append(endpoint)
                yield endpoint
        yield from (endpoint for endpoint in self._endpoints if endpoint not in seen)
