"""What a fleet knows of its workers and of their places."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto

from framework.net.brain import NEVER

__all__ = ["Slot", "Stage", "Turn", "Worker"]


class Stage(Enum):
    """How far a worker is."""

    STARTING = auto()
    READY = auto()
    LEAVING = auto()


class Worker:
    """A process, from its start to its end.

    Attributes:
        since: when its stage began, ``heard``: when it last gave a sign of life.
        accepts: the sockets that it was told to accept on.
        tires_at: the number of requests after which it is replaced.
        stale: no sign of life for a while; ``doomed``: for too long.
        quiet_until: no replacement is tried before.
    """

    __slots__ = (
        "accepts",
        "doomed",
        "heard",
        "kill_at",
        "number",
        "quiet_until",
        "since",
        "slot",
        "stage",
        "stale",
        "tires_at",
    )

    def __init__(self, number: int, slot: Slot, now: float, tires_at: float, accepts: Sequence[int]) -> None:
        self.number = number
        self.slot = slot
        self.stage = Stage.STARTING
        self.since = self.heard = now
        self.tires_at = tires_at
        self.accepts = accepts
        self.doomed = self.stale = False
        self.kill_at = NEVER
        self.quiet_until = 0.0

    def stale_at(self, stale_time: float) -> float:
        """When it counts as standing still; never while that does not matter."""
        return self.heard + stale_time if self.stage is Stage.READY and not self.stale else NEVER


class Slot:
    """The place of one worker, which processes fill one after the other.

    Attributes:
        share: the sockets that are its own.
        failures: ends in a row that came too early, ``failed_starts``: those of them before the worker was ready.
        start_at: when the next process starts.
        begun: a process was started, ``tried``: and got ready or ended.
        outdated: the process that starts may hold old code.
    """

    __slots__ = (
        "begun",
        "failed_starts",
        "failures",
        "index",
        "number",
        "outdated",
        "share",
        "start_at",
        "tried",
    )

    def __init__(self, index: int, share: Sequence[int]) -> None:
        self.index = index
        self.number = index + 1  # as people count
        self.share = tuple(share)
        self.failures = 0
        self.failed_starts = 0
        self.start_at = NEVER
        self.begun = self.tried = self.outdated = False


class Turn:
    """A replacement under way: at most one at a time, so that memory never holds two fleets."""

    __slots__ = ("new", "old", "reload", "slot")

    def __init__(self, slot: Slot, new: int, old: set[int], *, reload: bool) -> None:
        self.slot = slot
        self.new: int | None = new
        self.old = old
        self.reload = reload
