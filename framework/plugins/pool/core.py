"""The pool's decisions: who gets which connection, what is opened and what is closed.

Nothing here waits, looks at a clock, or touches a connection. Events come in with the time at which they happen;
``actions`` is what is to be done about them, by the shell, which tells of the outcome by further events. So whatever
happens to those who wait, the books are right: they change only here, and never half-way.

Books, whenever no event is being handled: every place is OPENING, IDLE, CHECKING, LENT or CLOSING, and they are never
more than ``max_size`` were when they began; nobody waits while a connection is idle, except in a pause.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any, Final

from framework.errors import ResourceError
from framework.plugins.pool.growth import WEIGHT, Backoff, Estimate, growth
from framework.plugins.pool.queue import Queue
from framework.plugins.pool.settings import PoolSettings
from framework.plugins.pool.slots import (
    Action,
    Close,
    Counts,
    Grant,
    Open,
    Reason,
    Refuse,
    Report,
    Slot,
    State,
    Terminate,
    Waiter,
)

__all__ = ["Core"]

_IDLE: Final = State.IDLE  # looking up a member of an Enum takes longer than all else that lending does
_LENT: Final = State.LENT


class Core:
    """The state of a pool.

    Args:
        settings: limits and durations.
        jitter: gives numbers from 0 to 1, at random.

    Attributes:
        actions: what is to be done; whoever does it empties the list.
        wake: when ``tick`` is to be called at the latest. It may be called earlier at no harm.
        acquired: how often a connection was lent.
        hold: for how long, on average; None before the first came back.
        connect: how long opening one takes.
    """

    def __init__(self, settings: PoolSettings, jitter: Callable[[], float]) -> None:
        self._settings = settings
        self._jitter = jitter
        self._leak_after = settings.leak_after or inf
        self.min_size = settings.min_size
        self.max_size = settings.max_size
        self.check_after = settings.check_after
        self.slots: dict[int, Slot] = {}
        self.idle: list[
            Slot
        ] = []  # the one returned last is lent next, so that those not needed stay at the bottom
        self.waiters: Queue = Queue()
        self._waiting = self.waiters.entries
        self._numbers = 0
        self.lending = False
        self.is_closed = True
        self.surplus = False  # returned connections are not all to be kept
        self.generation = 0
        self.opening = self.lent = self.closing = 0
        self.hold: float | None = None
        self.connect = Estimate()
        self.backoff = Backoff(settings.backoff_min, settings.backoff_max, jitter)
        self.acquired = 0
        self.counts = Counts()
        self.actions: list[Action] = []
        self.wake = inf

    # -- borrowers ------------------------------------------------------------------------------------------------

    def take(self, now: float) -> Slot | None:
        """Lends the connection that was returned last, if it is as fresh as to need no check. The quick way."""
        idle = self.idle
        if idle and self.lending:
            slot = idle[-1]
            if now < slot.fresh_until:
                idle.pop()
                slot.state = _LENT
                slot.since = now
                self.lent += 1
                self.acquired += 1
                return slot
        return None

    def pick(self, now: float) -> Slot | None:
        """Lends a connection, fresh or (CHECKING) to be checked first; None when all are in use."""
        if not self.lending:
            return None
        while self.idle:
            slot = self.idle.pop()
            if now < slot.retire_at:
                self._lend(slot, now)
                return slot
            self._retire(slot, Reason.LIFETIME, now)
        return None

    def enqueue(
        self,
        now: float,
        deadline: float,
        future: Any,
        owner: Any = None,
        request: Any = None,
        *,
        again: bool = False,
    ) -> Waiter:
        """Puts somebody at the end of the queue, or at its head who has been there (``again``)."""
        waiter: Waiter = Waiter(now, deadline, future, owner, request)
        self.waiters.join(waiter, at_head=again)
        self.wake = min(self.wake, deadline)
        self._grow(now)
        return waiter

    def abandon(self, waiter: Waiter, now: float) -> None:
        """A waiter was cancelled. What it was given meanwhile, and nobody used, goes to the next."""
        self.waiters.leave(waiter)
        self.counts.abandoned += 1
        slot, waiter.slot = waiter.slot, None
        if slot is not None and slot.state in (State.LENT, State.CHECKING):
            self.acquired -= 1
            self.lent -= 1
            self._settle(slot, now)
            self._grow(now)

    def put(self, slot: Slot, now: float) -> None:
        """A connection comes back, clean."""
        if slot.state is not _LENT:
            return  # it was terminated while it was lent
        self.lent -= 1
        hold = self.hold
        self.hold = now - slot.since if hold is None else hold + (now - slot.since - hold) * WEIGHT
        slot.used_at = now
        slot.owner = slot.request = None
        if slot.generation != self.generation or now >= slot.retire_at or self.surplus or self._waiting:
            self._settle(slot, now)
            self._grow(now)
            return
        slot.state = _IDLE
        fresh_until = now + self.check_after
        slot.fresh_until = fresh_until if fresh_until < slot.retire_at else slot.retire_at
        self.idle.append(slot)

    def discard(self, slot: Slot, reason: Reason, now: float) -> None:
        """A connection that is lent cannot be used any more."""
        if slot.state not in (State.LENT, State.CHECKING):
            return
        self.lent -= 1
        if reason is Reason.BROKEN:
            # The others may have met with the same fate: each is checked before it is lent.
            for other in self.idle:
                other.fresh_until = now
            if slot.used_at == slot.opened_at:
                self.backoff.failed(now, ResourceError("a connection was broken before it was first used"))
        self._terminate(slot, reason, now)

    def checked(self, slot: Slot, now: float) -> None:
        """A check has found the connection well: it is lent."""
        if slot.state is State.CHECKING:
            slot.state = State.LENT
            slot.used_at = slot.since = now

    def check_failed(self, slot: Slot, now: float) -> None:
        """A check has found that the other side is gone: for all that are as old as this one."""
        is_news = slot.generation == self.generation
        self.discard(slot, Reason.CHECK, now)
        if is_news:
            self.generation += 1
            stale, self.idle = self.idle, []
            for other in stale:
                self._terminate(other, Reason.STALE, now)
            self._grow(now)

    # -- connections ----------------------------------------------------------------------------------------------

    def opened(self, slot: Slot, connection: Any, now: float) -> None:
        """A connection is there."""
        self.opening -= 1
        self.counts.opened += 1
        self.connect.add(now - slot.since)
        self.backoff.succeeded()
        lifetime = self._settings.max_lifetime
        slot.ready.value = connection
        slot.opened_at = slot.used_at = now
        slot.retire_at = (
            now + lifetime * (1 - self._settings.lifetime_jitter * self._jitter()) if lifetime else inf
        )
        self._settle(slot, now)
        self._grow(now)

    def open_failed(self, slot: Slot, error: BaseException | None, now: float) -> None:
        """A connection could not be opened; without an error, the attempt was given up."""
        self.opening -= 1
        slot.state = State.GONE
        del self.slots[slot.number]
        if error is not None:
            self.counts.open_failures += 1
            self.backoff.failed(now, error)
        self._grow(now)

    def gone(self, slot: Slot, now: float) -> None:
        """A connection is closed, or terminated."""
        if slot.state is State.CLOSING:
            self.closing -= 1
            slot.state = State.GONE
            del self.slots[slot.number]
            self._grow(now)

    # -- the pool -------------------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """Begins to lend; opens the first connections."""
        self.lending = True
        self.is_closed = self.surplus = False
        self._grow(now)

    def pause(self) -> None:
        """Lends nothing until ``resume``."""
        self.lending = False

    def resume(self, now: float) -> None:
        """Lends again, first to those who wait."""
        if not self.is_closed:
            self.lending = True
            self._serve(now)
            self._grow(now)

    def drain(self, now: float) -> None:
        """Replaces all connections: idle ones now, others when they come back."""
        self.generation += 1
        stale, self.idle = self.idle, []
        for slot in stale:
            self._retire(slot, Reason.STALE, now)
        self._grow(now)

    def resize(self, minimum: int, maximum: int, now: float) -> None:
        """Changes the limits. What is too much is closed: idle ones now, others when they come back."""
        self.min_size = minimum
        self.max_size = maximum
        while self.idle and self._live > maximum:
            self._retire(self.idle.pop(0), Reason.SURPLUS, now)
        self.surplus = self._live > maximum
        self._grow(now)

    def close(self, now: float) -> None:
        """Refuses everybody, closes what is idle, and what comes back."""
        self.lending = False
        self.is_closed = self.surplus = True
        self.actions += [Refuse(waiter, True) for waiter in self.waiters.clear()]
        idle, self.idle = self.idle, []
        for slot in idle:
            self._retire(slot, Reason.CLOSED, now)

    def kill(self, now: float) -> list[Slot]:
        """Terminates what is lent still, and returns it."""
        lent = [slot for slot in self.slots.values() if slot.state in (State.LENT, State.CHECKING)]
        for slot in lent:
            self.discard(slot, Reason.CLOSED, now)
        return lent

    def tick(self, now: float) -> None:
        """Does what time has brought: refuses those who waited too long, closes what is old, tries to connect again."""
        self.actions += [Refuse(waiter, False) for waiter in self.waiters.expired(now)]
        if not self.is_closed:
            self._reap(now)
            self._grow(now)
        self._find_leaks(now)
        self._set_wake(now)

    # -- inside ---------------------------------------------------------------------------------------------------

    @property
    def _live(self) -> int:
        return len(self.slots) - self.closing

    def _lend(self, slot: Slot, now: float) -> None:
        slot.state = State.LENT if now < slot.fresh_until else State.CHECKING
        slot.since = now
        self.lent += 1
        self.acquired += 1

    def _settle(self, slot: Slot, now: float) -> None:
        """Finds out what becomes of a connection that nobody has."""
        slot.owner = slot.request = None
        if slot.generation != self.generation:
            self._retire(slot, Reason.STALE, now)
        elif self.is_closed:
            self._retire(slot, Reason.CLOSED, now)
        elif now >= slot.retire_at:
            self._retire(slot, Reason.LIFETIME, now)
        elif self._live > self.max_size:
            self._retire(slot, Reason.SURPLUS, now)
            self.surplus = self._live > self.max_size
        else:
            self.surplus = False
            slot.state = State.IDLE
            slot.fresh_until = min(slot.used_at + self.check_after, slot.retire_at)
            self.idle.append(slot)
            self.wake = min(self.wake, self._idle_until(self.idle[0]), slot.retire_at, now + self._leak_after)
            self._serve(now)

    def _serve(self, now: float) -> None:
        """Gives what is idle to those who wait, first come, first served."""
        while self.waiters and (slot := self.pick(now)) is not None:
            waiter = self.waiters.pop()
            waiter.slot = slot
            slot.owner, slot.request = waiter.owner, waiter.request
            self.counts.waited += 1
            self.counts.wait_seconds += now - waiter.since
            self.actions.append(Grant(waiter))

    def _retire(self, slot: Slot, reason: Reason, now: float) -> None:
        self._ends(slot, reason)
        self.actions.append(Close(slot, reason))

    def _terminate(self, slot: Slot, reason: Reason, now: float) -> None:
        self._ends(slot, reason)
        self.actions.append(Terminate(slot, reason))

    def _ends(self, slot: Slot, reason: Reason) -> None:
        slot.state = State.CLOSING
        slot.owner = slot.request = None
        self.closing += 1
        self.counts.closed[reason] += 1

    def _grow(self, now: float) -> None:
        """Opens what is missing, and what would help those who wait."""
        if self.is_closed or len(self.slots) >= self.max_size:
            return
        wanted = max(self.min_size - self._live, self._demand(now))
        room = self.max_size - len(self.slots)
        allowed = self._settings.max_connecting - self.opening
        if self.backoff.is_failing:
            allowed = 1 - self.opening
            if wanted > 0 and now < self.backoff.retry_at:
                self.wake = min(self.wake, self.backoff.retry_at)
                return
        for _ in range(min(wanted, room, allowed)):
            self._numbers += 1
            slot: Slot = Slot(self._numbers, self.generation, now)
            self.slots[slot.number] = slot
            self.opening += 1
            self.actions.append(Open(slot))

    def _demand(self, now: float) -> int:
        if not self.waiters or not self.lending:
            return 0
        first = next(iter(self.waiters))
        connect = self.connect.value
        if connect is not None and now < first.since + connect:
            self.wake = min(self.wake, first.since + connect)
        return growth(
            waiting=len(self.waiters),
            opening=self.opening,
            lent=self.lent,
            hold=self.hold,
            connect=connect,
            waited=now - first.since,
        )

    def _idle_until(self, slot: Slot) -> float:
        timeout = self._settings.idle_timeout
        return slot.used_at + timeout if timeout and self._live > self.min_size else inf

    def _reap(self, now: float) -> None:
        while self.idle and self._idle_until(self.idle[0]) <= now:
            self._retire(self.idle.pop(0), Reason.IDLE, now)
        old = [slot for slot in self.idle if slot.retire_at <= now]
        for slot in old:
            self.idle.remove(slot)
            self._retire(slot, Reason.LIFETIME, now)

    def _find_leaks(self, now: float) -> None:
        for slot in self.slots.values():
            if (
                slot.state is State.LENT
                and slot.reported != slot.since
                and slot.since + self._leak_after <= now
            ):
                slot.reported = slot.since
                self.counts.leaks += 1
                self.actions.append(Report(slot))

    def _set_wake(self, now: float) -> None:
        """Neither lending nor returning sets a timer: the next tick must be early enough for what may come of them."""
        self.wake = self.waiters.next_deadline
        if self.idle:
            self.wake = min(self.wake, self._idle_until(self.idle[0]))
        for slot in self.slots.values():
            if now < slot.retire_at:
                self.wake = min(self.wake, slot.retire_at)
            if slot.state is State.LENT and slot.reported != slot.since:
                self.wake = min(self.wake, slot.since + self._leak_after)
        if self.slots:
            self.wake = min(self.wake, now + self._leak_after, now + (self._settings.idle_timeout or inf))
        if not self.is_closed:
            self._grow(now)  # which may want to be woken sooner
