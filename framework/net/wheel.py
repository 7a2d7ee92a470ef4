"""One coarse timer for all connections, instead of a ``call_later`` for each request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

__all__ = ["NEVER", "Deadlined", "TimerWheel"]

NEVER = float("inf")


class Deadlined(Protocol):
    """Something with deadlines. ``due`` belongs to the wheel."""

    due: float

    def on_due(self, now: float) -> float:
        """Acts on the deadlines that have passed; returns the next one, NEVER when there is none."""


class TimerWheel:
    """Calls ``on_due`` of its entries at most one tick late.

    An entry is looked at when its earliest known deadline comes; one whose deadline moved on meanwhile is put
    back, so that pushing a deadline away costs an assignment. ``now`` is the loop's time as of the last tick.

    Args:
        tick: seconds between looks.
        on_tick: called at each tick, ahead of the entries.
    """

    __slots__ = ("_handle", "_loop", "_on_tick", "_slots", "_tick", "_turn", "now")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        tick: float = 0.25,
        on_tick: Callable[[], None] | None = None,
    ) -> None:
        self._loop = loop
        self._tick = tick
        self._on_tick = on_tick
        self._slots: dict[int, list[Deadlined]] = {}
        self._handle: asyncio.TimerHandle | None = None
        self.now = loop.time()
        self._turn = int(self.now / tick)

    def watch(self, entry: Deadlined, due: float) -> None:
        """Sees to it that ``entry.on_due`` is called once ``due`` (loop time) has passed, if not earlier."""
        if due >= entry.due:
            return
        if self._handle is None:
            self._start()
        entry.due = due
        self._slots.setdefault(max(int(due / self._tick), self._turn) + 1, []).append(entry)

    def forget(self, entry: Deadlined) -> None:
        """Drops an entry: what the slots still hold of it is passed over."""
        entry.due = NEVER

    def _start(self) -> None:
        self.now = self._loop.time()
        self._turn = int(self.now / self._tick)
        if self._on_tick is not None:
            self._on_tick()
        self._handle = self._loop.call_later(self._tick, self._advance)

    def _advance(self) -> None:
        self.now = now = self._loop.time()
        if self._on_tick is not None:
            self._on_tick()
        last, self._turn = self._turn, int(now / self._tick)
        if self._turn - last < len(self._slots):
            turns = [turn for turn in range(last + 1, self._turn + 1) if turn in self._slots]
        else:
            turns = sorted(turn for turn in self._slots if turn <= self._turn)
        for turn in turns:
            for entry in self._slots.pop(turn):
                self._look_at(entry, now)
        self._handle = self._loop.call_later(self._tick, self._advance) if self._slots else None

    def _look_at(self, entry: Deadlined, now: float) -> None:
        if entry.due > now:  # forgotten, or a stale mark of an entry that stands in a later slot too
            return
        entry.due = NEVER
        due = entry.on_due(now)
        if due < NEVER:
            self.watch(entry, due)

    def close(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._slots.clear()
