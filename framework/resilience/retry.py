"""Whether a request that failed may be sent again: decided of what is known, by one function without I/O."""

from __future__ import annotations

from enum import Enum
from typing import Final

import msgspec

from framework.resilience.backoff import Backoff

__all__ = ["IDEMPOTENT", "Outcome", "RetryPolicy", "Verdict"]

IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"})
"""Methods whose repetition does no more than the first (RFC 9110 section 9.2.2; QUERY by its own draft)."""


class Outcome(Enum):
    """What became of a try.

    NOT_SENT: nothing of the request reached the other side (the connection was refused, or no connection was free).
    STALE: a kept connection was closed by the other side before it answered anything.
    BROKEN: the connection broke, or the answer could not be understood, after the request was sent.
    LATE: the try took longer than it may.
    STATUS: an answer whose status is one to retry.
    """

    NOT_SENT = "not_sent"
    STALE = "stale"
    BROKEN = "broken"
    LATE = "late"
    STATUS = "status"


class Verdict(Enum):
    """Why a retry is made, or is not."""

    RETRY = "retry"
    ENOUGH = "as often as allowed"
    UNSAFE = "it may have been done already, and doing it twice is not the same"
    BODY_GONE = "its body was not kept"
    NO_TIME = "no time is left"
    NO_BUDGET = "too much of the traffic is retries already"
    NOT_ASKED = "the policy does not retry this"


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is sent again, and how often. The default never does twice what is not the same twice.

    Attributes:
        max_retries: tries behind the first.
        on: outcomes that are retried.
        statuses: answers that are retried, where ``on`` has STATUS.
        methods: those that may be sent again though the first may have been done.
        backoff: how long to wait before each.
        min_time: seconds that must be left for one more try to make sense.
        per_try_timeout: seconds for each try; None: all that is left.
        max_body: bytes of a request's body that are kept to be sent again.
    """

    max_retries: int = 2
    on: frozenset[Outcome] = frozenset(Outcome)
    statuses: frozenset[int] = frozenset({502, 503, 504})
    methods: frozenset[str] = IDEMPOTENT
    backoff: Backoff = Backoff()
    min_time: float = 0.005
    per_try_timeout: float | None = None
    max_body: int = 65_536

    def __post_init__(self) -> None:
        if self.max_retries < 0 or self.max_body < 0 or not self.min_time >= 0:
            raise ValueError("max_retries, max_body and min_time are at least 0")
        if self.per_try_timeout is not None and not self.per_try_timeout > 0:
            raise ValueError("per_try_timeout is more than 0 seconds")

    def verdict(
        self, outcome: Outcome, method: str, *, tries: int, body_kept: bool, time_left: float
    ) -> Verdict:
        """Whether to send again after ``tries`` tries; ask the budget behind it, which counts what it grants.

        Args:
            body_kept: the body is empty, or all of it can be sent once more.
            time_left: seconds of the request's own deadline.
        """
        if outcome not in self.on:
            return Verdict.NOT_ASKED
        if tries > self.max_retries:
            return Verdict.ENOUGH
        if outcome is not Outcome.NOT_SENT and method not in self.methods:
            return Verdict.UNSAFE
        if not body_kept:
            return Verdict.BODY_GONE
        if time_left < self.min_time:
            return Verdict.NO_TIME
        return Verdict.RETRY
