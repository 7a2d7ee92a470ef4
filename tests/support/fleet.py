"""Hands that only take notes, and fleets at hand for tests under virtual time."""

from __future__ import annotations

import logging
import signal
from collections.abc import Sequence
from functools import partial

from framework.net.brain import Ending, Rules
from framework.net.fleet import Fleet

__all__ = ["CRASH", "REFUSED", "Recorder", "limits", "make", "running"]

# Most tests are not about workers whose loops stand still.
limits = partial(Rules, stale_time=float("inf"))
CRASH = Ending(-signal.SIGSEGV)
REFUSED = Ending(1, ("no database",))


class Recorder:
    """Hands that only note what they are told."""

    def __init__(self) -> None:
        self.done: list[tuple[object, ...]] = []

    def spawn(self, worker: int, slot: int) -> None:
        self.done.append(("spawn", worker, slot))

    def stop(self, worker: int) -> None:
        self.done.append(("stop", worker))

    def dump(self, worker: int) -> None:
        self.done.append(("dump", worker))

    def kill(self, worker: int) -> None:
        self.done.append(("kill", worker))

    def accept(self, worker: int, sockets: Sequence[int]) -> None:
        self.done.append(("accept", worker, *sockets))

    def serving(self) -> None:
        self.done.append(("serving",))

    def take(self) -> list[tuple[object, ...]]:
        done, self.done = self.done, []
        return done


def make(
    hands: Recorder,
    workers: int = 2,
    rules: Rules | None = None,
    *,
    shared: bool = False,
    chance: float = 0.0,
) -> Fleet:
    shares = [(0,) if shared else (index,) for index in range(workers)]
    return Fleet(hands, rules or limits(), shares, log=logging.getLogger("test.fleet"), chance=lambda: chance)


def running(hands: Recorder, workers: int = 2, rules: Rules | None = None, *, chance: float = 0.0) -> Fleet:
    """A fleet whose workers 1, 2, ... are all ready at time 0."""
    fleet = make(hands, workers, rules, chance=chance)
    fleet.start(0.0)
    for worker in range(1, workers + 1):
        fleet.ready(worker, 0.0)
    hands.take()
    return fleet
