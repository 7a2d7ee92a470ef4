"""How large a pool is and how long things may take in it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

__all__ = ["PoolSettings"]

_Seconds = Annotated[float, Meta(gt=0)]
_SecondsOrNever = Annotated[float, Meta(ge=0)]


class PoolSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of one pool; durations are in seconds.

    Attributes:
        min_size: connections kept open also when nobody needs them.
        max_size: connections at most, those that are being opened and closed included.
        max_waiting: acquires that may wait; one more is refused at once.
        acquire_timeout: that an acquire waits for a connection, unless it says otherwise.
        connect_timeout: that opening one may take.
        check_timeout: that a check may take.
        reset_timeout: that a reset may take.
        close_timeout: that closing one may take; then it is terminated.
        check_after: a connection unused for this long is checked before it is lent; 0 checks each time.
        idle_timeout: a connection unused for this long is closed while there are more than ``min_size``; 0 is never.
        max_lifetime: a connection is replaced when it is this old, as soon as it is not lent; 0 is never.
        lifetime_jitter: the share of the lifetime that is cut off at random, so that not all are replaced at once.
        max_connecting: connections that are opened at the same time.
        backoff_min: until the next attempt when connecting has failed; doubles with each failure.
        backoff_max: the longest time between attempts.
        leak_after: a connection lent for this long is reported, once; 0 is never.
        nested: when a task that holds a connection has to wait for another one: ``warn`` logs that, ``refuse`` raises
            PoolExhausted. When all holders wait for each other the last one is refused, except with ``allow``.
        required: opening the pool waits for a first connection, and fails when there is none.
    """

    min_size: Annotated[int, Meta(ge=0, le=10_000)] = 1
    max_size: Annotated[int, Meta(ge=1, le=10_000)] = 10
    max_waiting: Annotated[int, Meta(ge=0, le=1_000_000)] = 1000
    acquire_timeout: _SecondsOrNever = 10.0
    connect_timeout: _Seconds = 10.0
    check_timeout: _Seconds = 2.0
    reset_timeout: _Seconds = 2.0
    close_timeout: _Seconds = 2.0
    check_after: _SecondsOrNever = 1.0
    idle_timeout: _SecondsOrNever = 300.0
    max_lifetime: _SecondsOrNever = 1800.0
    lifetime_jitter: Annotated[float, Meta(ge=0, le=1)] = 0.1
    max_connecting: Annotated[int, Meta(ge=1, le=1000)] = 3
    backoff_min: _Seconds = 0.1
    backoff_max: _Seconds = 10.0
    leak_after: _SecondsOrNever = 60.0
    nested: Literal["warn", "refuse", "allow"] = "warn"
    required: bool = True

    def __post_init__(self) -> None:
        if self.min_size > self.max_size:
            raise ValueError(f"min_size ({self.min_size}) is more than max_size ({self.max_size})")
        if self.backoff_min > self.backoff_max:
            raise ValueError(
                f"backoff_min ({self.backoff_min:g}) is more than backoff_max ({self.backoff_max:g})"
            )
