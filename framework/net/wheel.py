"""One coarse timer for all connections, instead of a ``call_later`` for each request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

__all__ = ["NEVER", "Deadlined", "TimerWheel"]

NEVER = float("inf")


class Deadlined(Protocol):
    """Something with deadlines. ``due``, NEVER at first, belongs to the wheel."""

    due: float

    def on_due(self, now: float) -> float:
        """Acts on the deadlines that have passed; returns the next one, NEVER when there is none."""
        ...


class TimerWheel:
    """Calls ``on_due`` of its entries, at most one tick late.

    An entry stands once, in the slot of its earliest known deadline; one whose deadline moved on meanwhile is put
    back when the slot comes, so that pushing a deadline away costs an assignment. An empty wheel stops ticking.

    ``now`` is the loop's time as of the last tick: up to a tick old while the wheel turns, any age while it does
    not. ``wake`` makes it true.

    Args:
        tick: seconds between looks.
        on_tick: called at each tick, ahead of the entries.
        on_error: told of what an ``on_due`` raised; that entry is dropped, the others go on.
    """

    __slots__ = ("_handle", "_loop", "_on_error", "_on_tick", "_slots", "_tick", "now")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_error: Callable[[BaseException], None],
        *,
        tick: float = 0.25,
        on_tick: Callable[[], None] | None = None,
    ) -> None:
        self._loop = loop
        self._tick = tick
        self._on_tick = on_tick
        self._on_error = on_error
        self._slots: dict[int, set[Deadlined]] = {}
        self._handle: asyncio.TimerHandle | None = None
        self.now = loop.time()

    @property
    def turning(self) -> bool:
        """Whether there is a next tick."""
        return self._handle is not None

    def wake(self) -> None:
        """Turns, for one tick at least."""
        if self._handle is None:
            self._tick_once()

    def watch(self, entry: Deadlined, due: float) -> None:
        """Sees to it that ``entry.on_due`` is called once ``due`` (loop time) has passed, if not earlier."""
        if due >= entry.due:
            return
        self.wake()
        self.forget(entry)
        entry.due = due
        self._slots.setdefault(int(due / self._tick), set()).add(entry)

    def forget(self, entry: Deadlined) -> None:
        """Drops an entry; nothing here refers to it any more."""
        if entry.due == NEVER:
            return
        number = int(entry.due / self._tick)
        entry.due = NEVER
        slot = self._slots.get(number)
        if slot is not None:
            slot.discard(entry)
            if not slot:
                del self._slots[number]

    def _tick_once(self) -> None:
        self._handle = self._loop.call_later(self._tick, self._advance)
        self.now = self._loop.time()
        if self._on_tick is not None:
            self._on_tick()

    def _advance(self) -> None:
        self._tick_once()
        now = self.now
        turn = int(now / self._tick)
        for number in sorted(number for number in self._slots if number <= turn):
            for entry in tuple(self._slots.get(number, ())):
                if (
                    entry.due <= now
                ):  # neither of this tick's later half, nor forgotten by one that came before it
                    self._look_at(entry, now)
        if not self._slots:
            self.close()

    def _look_at(self, entry: Deadlined, now: float) -> None:
        self.forget(entry)
        try:
            due = entry.on_due(now)
        except Exception as error:
            self._on_error(error)
        else:
            self.watch(entry, due)

    def close(self) -> None:
        """Stops ticking and drops every entry."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        for slot in self._slots.values():
            for entry in slot:
                entry.due = NEVER
        self._slots.clear()
