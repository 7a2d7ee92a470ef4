"""What is being read and made at the moment, so that an invalidation meanwhile is not undone by it.

Whoever reads or makes a value takes a ticket *before*; whatever changes the value voids the tickets that are out; only
a valid ticket lets a value into the first level. (Lost in many caches: guava issue 1881, open since 2014.)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

__all__ = ["UNKNOWN", "Ledger", "Ticket"]

UNKNOWN: Final[Sequence[str]] = ("?",)
"""The tags of what is not read yet."""


class Ticket:
    """``valid`` until the key or one of the tags is invalidated."""

    __slots__ = ("key", "tags", "valid")

    def __init__(self, key: str, tags: Sequence[str]) -> None:
        self.key = key
        self.tags = tags
        self.valid = True


class Ledger:
    """The tickets that are out: as many as reads, loads and writes are under way."""

    __slots__ = ("_by_key",)

    def __init__(self) -> None:
        self._by_key: dict[str, list[Ticket]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._by_key.values()))

    def begin(self, key: str, tags: Sequence[str] = ()) -> Ticket:
        """A ticket; give it back to ``end``."""
        ticket = Ticket(key, tags)
        self._by_key.setdefault(key, []).append(ticket)
        return ticket

    def end(self, ticket: Ticket) -> None:
        """Takes a ticket back. Once more is no error."""
        tickets = self._by_key.get(ticket.key)
        if tickets is not None and ticket in tickets:
            tickets.remove(ticket)
            if not tickets:
                del self._by_key[ticket.key]

    def void(self, key: str) -> None:
        """The value of the key has changed."""
        for ticket in self._by_key.get(key, ()):
            ticket.valid = False

    def void_tagged(self, tags: Iterable[str]) -> list[str]:
        """So have all with a tag; returns their keys. What a reader will find the tags of is not known yet: all such
        are void too."""
        wanted = set(tags)
        hit: list[str] = []
        for key, tickets in self._by_key.items():
            for ticket in tickets:
                if ticket.tags is UNKNOWN or not wanted.isdisjoint(ticket.tags):
                    ticket.valid = False
                    hit.append(key)
        return hit

    def void_all(self) -> None:
        """So have all."""
        for tickets in self._by_key.values():
            for ticket in tickets:
                ticket.valid = False
