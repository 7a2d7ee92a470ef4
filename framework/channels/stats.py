"""What channels count."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["Counters"]


class Counters(Struct):
    """Messages are counted once for each member they concern; ``published`` once.

    Attributes:
        published: messages to channels that had members or listeners.
        delivered: handed to members, and taken by listeners.
        coalesced: replaced by a newer one with the same key while they waited.
        dropped: not delivered, as a policy says, or because the member left.
        resyncs: times that a member lost messages under ``Resync``.
        closed: members closed for being too slow.
        queued: bytes that wait for members that are too slow, and for listeners, now.
    """

    published: int = 0
    delivered: int = 0
    coalesced: int = 0
    dropped: int = 0
    resyncs: int = 0
    closed: int = 0
    queued: int = 0

    def add(self, other: Counters) -> None:
        """Adds another's figures to these."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def hand_over(self, to: Counters) -> None:
        """Adds these figures to another's and begins anew; what is queued stays here, until it leaves."""
        queued, self.queued = self.queued, 0
        to.add(self)
        for name in self.__struct_fields__:
            setattr(self, name, 0)
        self.queued = queued
