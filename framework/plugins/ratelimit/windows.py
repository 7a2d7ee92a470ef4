"""Windows: pure functions of (terms, state, now, cost) to (verdict, state), in whole microseconds; and tables of
such states.

The scripts for Redis and the slots of the shared memory hold the same states and compute the same numbers. Whatever the
clock does, a state's own time never goes back; only when it is more than a window ahead of the clock is the clock
believed, which must have been set back then: no key waits longer for that than a window.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final, NamedTuple

from framework.plugins.ratelimit.kernel import CONSUME, NEVER, PEEK, REFUND, Decision, Table
from framework.plugins.ratelimit.policy import Policy, Terms

__all__ = [
    "SCALE",
    "FixedTable",
    "LogTable",
    "SlidingTable",
    "Step",
    "decision_of",
    "fixed_step",
    "gcra_step",
    "log_step",
    "sliding_step",
]

# The last window's weight is a whole number of these parts: fine enough, and small enough for Lua's doubles.
SCALE: Final = 2048

Fixed = tuple[int, int]
Sliding = tuple[int, int, int]


class Step(NamedTuple):
    """A verdict. Times in microseconds; ``retry`` 0 when allowed, NEVER when it never will be.

    ``ahead``: the state was ahead of a clock that was set back, and is put right also by a request that is refused.
    """

    allowed: bool
    remaining: int
    retry: int
    reset: int
    ahead: bool = False


def fixed_step(terms: Terms, state: Fixed, now: int, cost: int, mode: int) -> tuple[Step, Fixed]:
    """A state is (start of the window, units used in it)."""
    period, quota = terms.period, terms.quota
    start, count = state
    current = now - now % period
    ahead = start > current + period
    if ahead:
        start = current
    elif start < current:
        start, count = current, 0
    ends = start + period - now
    if mode == REFUND:
        count = max(0, count - cost)
        return Step(True, max(0, quota - count), 0, ends if count else 0), (start, count)
    left = max(0, quota - count)
    if cost > quota:
        return Step(False, left, NEVER, ends if count else 0, ahead), (start, count)
    if cost > left:
        return Step(False, left, ends, ends, ahead), (start, count)
    if mode == CONSUME:
        count += cost
        left -= cost
    return Step(True, left, 0, ends if count else 0), (start, count)


def sliding_step(terms: Terms, state: Sliding, now: int, cost: int, mode: int) -> tuple[Step, Sliding]:
    """A state is (start of the window, units used in it, units used in the one before).

    The last window counts by the part of it that a window ending now would still cover, rounded up.
    """
    period, quota = terms.period, terms.quota
    start, count, before = state
    current = now - now % period
    ahead = start > current + period
    if ahead:
        start = current
    elif start < current:
        before = count if start >= current - period else 0
        start, count = current, 0
    elapsed = max(0, now - start)
    used = before * (SCALE - elapsed * SCALE // period) + count * SCALE
    if mode == REFUND:
        count = max(0, count - cost)
        used = before * (SCALE - elapsed * SCALE // period) + count * SCALE
    left = max(0, quota * SCALE - used) // SCALE
    step: Step
    if mode == REFUND:
        step = Step(True, left, 0, _sliding_reset(terms, (start, count, before), now))
    elif cost > quota:
        step = Step(False, left, NEVER, _sliding_reset(terms, (start, count, before), now), ahead)
    elif used + cost * SCALE > quota * SCALE:
        retry = _sliding_retry(terms, (start, count, before), now, cost)
        step = Step(False, left, retry, _sliding_reset(terms, (start, count, before), now), ahead)
    else:
        if mode == CONSUME:
            count += cost
            left -= cost
        step = Step(True, left, 0, _sliding_reset(terms, (start, count, before), now))
    return step, (start, count, before)


def _sliding_reset(terms: Terms, state: Sliding, now: int) -> int:
    start, count, before = state
    if count:
        return start + 2 * terms.period - now
    return start + terms.period - now if before else 0


def _sliding_retry(terms: Terms, state: Sliding, now: int, cost: int) -> int:
    """When the part of a window that falls out of sight leaves room: in this window, or in the next, where what was
    used in this one is "before"."""
    start, count, before = state
    room = terms.quota - cost - count
    if room < 0:
        start, before, room = start + terms.period, count, terms.quota - cost
    weight = min(SCALE, room * SCALE // before)
    return max(1, start + -(-(SCALE - weight) * terms.period // SCALE) - now)


def log_step(terms: Terms, log: deque[int], now: int, cost: int, mode: int) -> Step:
    """A state is the time of each unit used, the newest first; it is changed in place, when units are taken or given
    back."""
    period, quota = terms.period, terms.quota
    now, gone, is_ahead = _look_at(terms, log, now)
    used = len(log) - gone
    taken = min(cost, used) if mode == REFUND else 0
    used -= taken
    left = max(0, quota - used)
    if is_ahead and mode != PEEK:
        size = len(log)
        log.clear()
        log.extend([now] * size)
    if mode != REFUND and cost > left:
        newest = now if is_ahead else log[0] if used else now - period
        if cost > quota:
            return Step(False, left, NEVER, newest + period - now, is_ahead)
        # Once so many of the oldest have gone there is room.
        oldest = now if is_ahead else log[quota - cost]
        return Step(False, left, oldest + period - now, newest + period - now, is_ahead)
    if mode != PEEK:
        for _ in range(gone):
            log.pop()
        for _ in range(taken):
            log.popleft()
        if mode == CONSUME:
            log.extendleft([now] * cost)
            used += cost
            left -= cost
        return Step(True, left, 0, log[0] + period - now if log else 0)
    newest = now if is_ahead else log[0] if used else now - period
    return Step(True, left, 0, newest + period - now)


def _look_at(terms: Terms, log: deque[int], now: int) -> tuple[int, int, bool]:
    """The log's own time; how many of its oldest units do not count any more; and whether it is so far ahead of the
    clock that all its units are taken to be of now."""
    if not log:
        return now, 0, False
    newest = log[0]
    if newest > now + terms.period:
        return now, 0, True
    now = max(now, newest)
    ends = now - terms.period
    gone = 0
    for time in reversed(log):
        if time > ends:
            break
        gone += 1
    return now, gone, False


def decision_of(policy: Policy, quota: int, step: Step) -> Decision:
    """A step as a decision, whose times are in nanoseconds."""
    retry = NEVER if step.retry == NEVER else step.retry * 1000
    return Decision(policy, step.allowed, quota, step.remaining, retry, step.reset * 1000)


class _WindowTable(Table):
    """What the tables below share: ``step`` reads and writes a state."""

    new: Any = None

    def step(self, state: Any, now: int, cost: int, mode: int) -> tuple[Step, Any]:
        raise NotImplementedError

    def decide(self, key: str, cost: int, now: int, mode: int) -> Decision:
        """Decides; O(1), but for what a log forgets."""
        part = self.cold
        state = part.get(key)
        if state is None and self.hot:
            state = self.hot.get(key)
            if state is not None:
                part = self.hot
        step, after = self.step(self.new if state is None else state, now // 1000, cost, mode)
        if not step.allowed:
            if mode == CONSUME and state is not None:
                if step.ahead:
                    part[key] = state = after
                if part is self.cold:
                    self.heat(key, state, now)
        elif state is not None:
            if mode != PEEK:
                part[key] = after
        elif mode == CONSUME:
            if len(self) >= self.max_keys:
                self.make_room(now)
            part[key] = after
        return decision_of(self.policy, self.terms.quota, step)


class FixedTable(_WindowTable):
    """Fixed windows."""

    new: Fixed = (0, 0)

    def step(self, state: Fixed, now: int, cost: int, mode: int) -> tuple[Step, Fixed]:
        """One decision."""
        return fixed_step(self.terms, state, now, cost, mode)

    def owes(self, state: Fixed, now: int) -> int:
        """The units used in the current window."""
        return fixed_step(self.terms, state, now // 1000, 0, PEEK)[1][1]


class SlidingTable(_WindowTable):
    """Sliding windows, estimated."""

    new: Sliding = (0, 0, 0)

    def step(self, state: Sliding, now: int, cost: int, mode: int) -> tuple[Step, Sliding]:
        """One decision."""
        return sliding_step(self.terms, state, now, cost, mode)

    def owes(self, state: Sliding, now: int) -> int:
        """The units used, the last window's by their weight."""
        start, count, before = sliding_step(self.terms, state, now // 1000, 0, PEEK)[1]
        elapsed = max(0, now // 1000 - start)
        return before * (SCALE - elapsed * SCALE // self.terms.period) + count * SCALE


class LogTable(_WindowTable):
    """Sliding windows, exact."""

    def step(self, state: deque[int] | None, now: int, cost: int, mode: int) -> tuple[Step, deque[int]]:
        """One decision."""
        log: deque[int] = deque() if state is None else state
        return log_step(self.terms, log, now, cost, mode), log

    def owes(self, state: deque[int], now: int) -> int:
        """The units in the log that still count."""
        return len(state) - _look_at(self.terms, state, now // 1000)[1]


def gcra_step(terms: Terms, arrival: int, now: int, cost: int, mode: int) -> tuple[Step, int]:
    """A bucket's decision, in nanoseconds throughout: what ``GcraTable`` computes, for states that are kept
    elsewhere."""
    interval, limit, quota = terms.interval, terms.limit, terms.quota
    debt = max(0, arrival - now)
    ahead = debt > terms.ahead
    if ahead:
        debt = limit
    if mode == REFUND:
        debt = 0 if cost > quota else max(0, debt - cost * interval)
        return Step(True, max(0, limit - debt) // interval, 0, debt), now + debt
    left = max(0, limit - debt) // interval
    if cost > quota:
        return Step(False, left, NEVER, debt, ahead), now + debt
    after = debt + cost * interval
    if after > limit:
        return Step(False, left, after - limit, debt, ahead), now + debt
    if mode == CONSUME:
        return Step(True, left - cost, 0, after), now + after
    return Step(True, left, 0, debt), arrival
