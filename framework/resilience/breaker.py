"""A circuit breaker: calls that would fail anyway are refused at once, and a few find out when that is over."""

from __future__ import annotations

from enum import Enum
from random import Random
from typing import Final

import msgspec

from framework.resilience.window import SlidingCounts

__all__ = ["BreakerSettings", "BreakerState", "CircuitBreaker"]

_CALLS: Final = 0
_FAILURES: Final = 1
_SLOW: Final = 2


class BreakerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a circuit opens and closes. Durations in seconds.

    Attributes:
        failure_rate: part of the calls in the window that must fail.
        slow_rate: part of them that must be slow.
        slow_time: from when on a call is slow; None: none is.
        min_calls: calls in the window before a rate counts.
        max_consecutive: failures in a row that open it whatever the rate; 0 leaves it to the rates.
        window: seconds that the rates look back.
        open_time: until a first call is let through; doubled each time that fails, up to ``max_open_time``.
        half_open_calls: calls that must succeed in a row to close it; as many may be under way at once.
        jitter: part of ``open_time`` that is drawn, so that many processes do not try together.
    """

    failure_rate: float = 0.5
    slow_rate: float = 1.0
    slow_time: float | None = None
    min_calls: int = 20
    max_consecutive: int = 0
    window: float = 10.0
    open_time: float = 5.0
    max_open_time: float = 60.0
    half_open_calls: int = 3
    jitter: float = 0.1

    def __post_init__(self) -> None:
        if not (0 < self.failure_rate <= 1 and 0 < self.slow_rate <= 1 and 0 <= self.jitter <= 1):
            raise ValueError(
                "failure_rate and slow_rate are parts above 0 and at most 1, jitter one from 0 to 1"
            )
        if self.min_calls < 1 or self.half_open_calls < 1 or self.max_consecutive < 0:
            raise ValueError("min_calls and half_open_calls are at least 1, max_consecutive at least 0")
        if not (self.window > 0 and 0 < self.open_time <= self.max_open_time):
            raise ValueError("window is more than 0, and open_time more than 0 and at most max_open_time")


class BreakerState(Enum):
    """CLOSED lets all through, OPEN none, HALF_OPEN a few."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class CircuitBreaker:
    """Decides; it makes no call itself and reads no clock.

    A call asks ``enter`` for a ticket and gives it back to exactly one of ``succeeded``, ``failed`` and ``left``.
    The ticket tells in which period the call began: what calls from before the circuit opened come to is not taken
    for news about a half-open one.
    """

    __slots__ = (
        "_counts",
        "_in_a_row",
        "_open_until",
        "_opened_in_a_row",
        "_period",
        "_random",
        "_trials",
        "opened",
        "refused",
        "settings",
        "state",
    )

    def __init__(self, settings: BreakerSettings | None = None, random: Random | None = None) -> None:
        self.settings = settings or BreakerSettings()
        self._random = random or Random()
        self._counts = SlidingCounts(3, self.settings.window)
        self.state = BreakerState.CLOSED
        self._period = 1
        self._in_a_row = 0
        self._trials = 0
        self._open_until = 0.0
        self._opened_in_a_row = 0
        self.opened = 0
        self.refused = 0

    def enter(self, now: float) -> int:
        """A ticket for a call, 0 where it is refused."""
        if self.state is BreakerState.CLOSED:
            return self._period
        if self.state is BreakerState.OPEN:
            if now < self._open_until:
                self.refused += 1
                return 0
            self._change(BreakerState.HALF_OPEN)
        if self._trials + self._in_a_row >= self.settings.half_open_calls:
            self.refused += 1
            return 0
        self._trials += 1
        return self._period

    def allows(self, now: float) -> bool:
        """What ``enter`` would say, without entering."""
        if self.state is BreakerState.CLOSED:
            return True
        if self.state is BreakerState.OPEN:
            return now >= self._open_until
        return self._trials + self._in_a_row < self.settings.half_open_calls

    def retry_after(self, now: float) -> float:
        """Seconds until a call may be let through, 0 when one may now."""
        return max(0.0, self._open_until - now) if self.state is BreakerState.OPEN else 0.0

    def succeeded(self, ticket: int, now: float, seconds: float = 0.0) -> None:
        """The call did what it should, in that many seconds. One that was slow may open the circuit all the same."""
        slow = self.settings.slow_time is not None and seconds >= self.settings.slow_time
        self._ended(ticket, now, failed=False, slow=slow)

    def failed(self, ticket: int, now: float) -> None:
        """The call failed by the fault of the other side."""
        self._ended(ticket, now, failed=True, slow=False)

    def left(self, ticket: int) -> None:
        """The call came to nothing that tells anything: it was cancelled, or failed by our own fault."""
        if ticket == self._period and self.state is BreakerState.HALF_OPEN:
            self._trials -= 1

    def reset(self) -> None:
        """Closes the circuit and forgets, as an operator may wish."""
        self._opened_in_a_row = 0
        self._change(BreakerState.CLOSED)

    def _ended(self, ticket: int, now: float, *, failed: bool, slow: bool) -> None:
        if ticket != self._period or self.state is BreakerState.OPEN:
            return
        if self.state is BreakerState.HALF_OPEN:
            self._tried(now, well=not failed and not slow)
            return
        counts = self._counts
        counts.add(_CALLS, now)
        if failed:
            counts.add(_FAILURES, now)
            self._in_a_row += 1
        else:
            self._in_a_row = 0
            if slow:
                counts.add(_SLOW, now)
        if (failed or slow) and self._is_sick(now):
            self._open(now)

    def _tried(self, now: float, *, well: bool) -> None:
        self._trials -= 1
        if not well:
            self._open(now)
            return
        self._in_a_row += 1
        if self._in_a_row >= self.settings.half_open_calls:
            self.reset()

    def _is_sick(self, now: float) -> bool:
        settings = self.settings
        if 0 < settings.max_consecutive <= self._in_a_row:
            return True
        calls, failures, slow = self._counts.sums(now)
        if calls < settings.min_calls:
            return False
        return failures >= settings.failure_rate * calls or (
            settings.slow_time is not None and slow >= settings.slow_rate * calls
        )

    def _open(self, now: float) -> None:
        settings = self.settings
        seconds = min(settings.max_open_time, settings.open_time * 2.0 ** min(self._opened_in_a_row, 32))
        self._open_until = now + seconds * (1 + settings.jitter * self._random.random())
        self._opened_in_a_row += 1
        self.opened += 1
        self._change(BreakerState.OPEN)

    def _change(self, state: BreakerState) -> None:
        self.state = state
        self._period += 1
        self._in_a_row = 0
        self._trials = 0
        self._counts.clear()
