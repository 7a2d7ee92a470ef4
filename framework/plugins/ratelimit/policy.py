"""What is limited: a quota per window, by one of five algorithms; and the whole numbers that engines compute with."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from framework.errors import ConfigError

__all__ = ["ALGORITHMS", "Algorithm", "Policy", "Terms", "parse_rate", "terms_of"]

Algorithm: TypeAlias = Literal["gcra", "token_bucket", "fixed_window", "sliding_window", "sliding_log"]
ALGORITHMS: Final[tuple[Algorithm, ...]] = (
    "gcra",
    "token_bucket",
    "fixed_window",
    "sliding_window",
    "sliding_log",
)
BUCKETS: Final = frozenset({"gcra", "token_bucket"})

MAX_WINDOW: Final = 31 * 86_400.0
MAX_LOG: Final = 10_000
# Lua's numbers are doubles, whole up to 2**53: no debt may reach that, and so none takes longer than 60 days to pay.
MAX_DEBT: Final = 60 * 86_400 * 10**9

_UNITS: Final = {"s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3600, "hour": 3600}
_SECONDS: Final = {**_UNITS, "d": 86_400, "day": 86_400}
_rate = re.compile(r"([1-9][0-9]{0,14}) ?(?:/|per) ?(?:([1-9][0-9]{0,6}) ?)?([a-z]+?)s?", re.ASCII).fullmatch


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One limit: ``quota`` units in ``window`` seconds for each key.

    ===============  =================================================================================================
    algorithm        what it admits
    ===============  =================================================================================================
    gcra             units at an even pace, and up to ``burst`` of them at once after a pause. ``burst`` 1 is strict
                     pacing; unset, it is the quota. One number per key.
    token_bucket     the same function seen from the other side: a bucket of ``burst`` tokens, filled evenly.
                     (ITU-T I.371, annex A: virtual scheduling and leaky bucket are equal.)
    fixed_window     the quota in each window from one multiple of its length to the next; up to twice the quota
                     around a boundary.
    sliding_window   the quota in any window, as estimated from the count of the last whole window and the current one.
    sliding_log      the quota in any window, exactly: it remembers every unit, and so takes memory for ``quota``
                     numbers per key.
    ===============  =================================================================================================

    Attributes:
        name: shown to clients in header fields, and to you in metrics; unique among the policies of a limiter.
        shadow: decides and counts, but refuses nobody.
        near: the part of the quota from which on admissions are counted as near the limit.
    """

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] = "default"
    quota: Annotated[int, Meta(ge=1, le=10**15)]
    window: Annotated[float, Meta(ge=0.001, le=MAX_WINDOW)]
    algorithm: Algorithm = "gcra"
    burst: Annotated[int, Meta(ge=1, le=10**15)] | None = None
    shadow: bool = False
    near: Annotated[float, Meta(gt=0, le=1)] = 0.8

    @classmethod
    def of(cls, rate: str, **options: Any) -> Policy:
        """A policy from a rate such as ``100/minute`` or ``5 per 10 seconds``; options as the class has attributes.

        Raises:
            ConfigError: it is no rate, or the policy has no whole numbers to compute with.
        """
        quota, window = parse_rate(rate)
        policy = cls(quota=quota, window=window, **options)
        problems = policy.problems()
        if problems:
            raise ConfigError([f"policy {policy.name}: {problem}" for problem in problems])
        return policy

    def problems(self) -> list[str]:
        """What is wrong with the policy beyond the range of each value; empty when nothing is."""
        found: list[str] = []
        if not 1 <= self.quota <= 10**15:
            found.append(f"quota: it must be 1 to 10**15, not {self.quota}")
        if not 0.001 <= self.window <= MAX_WINDOW:
            found.append(f"window: it must be 0.001 to {MAX_WINDOW:g} seconds, not {self.window:g}")
        if found:
            return found
        if self.burst is not None and self.algorithm not in BUCKETS:
            found.append(f"burst: {self.algorithm} has none; only {' and '.join(sorted(BUCKETS))} do")
        if self.algorithm == "sliding_log" and self.quota > MAX_LOG:
            found.append(f"quota: sliding_log remembers at most {MAX_LOG} units; take sliding_window")
        if self.algorithm in BUCKETS:
            window = round(self.window * 1e9)
            if self.quota > window:
                found.append("quota: more than one unit in a nanosecond")
            elif (self.burst or self.quota) * -(-window // self.quota) > MAX_DEBT:
                found.append("burst: it would take longer than 60 days to fill")
        elif self.quota > 10**12:
            found.append("quota: at most 10**12 for this algorithm")
        return found


class Terms(msgspec.Struct, frozen=True, gc=False):
    """A policy in whole numbers. Every engine computes with these and nothing else.

    Attributes:
        code: 0 for both bucket algorithms, then 1 to 3: fixed window, sliding window, sliding log.
        quota: units per window; of a bucket, its size.
        period: the window in microseconds.
        interval: nanoseconds in which a bucket gets one unit, rounded up: never more than the quota is admitted.
        limit: nanoseconds of debt that a bucket allows.
        ahead: nanoseconds of debt that no bucket can have: a clock was set back, or the limit was larger.
    """

    code: int
    quota: int
    period: int
    interval: int
    limit: int
    ahead: int


def terms_of(policy: Policy) -> Terms:
    """The numbers of a policy.

    Raises:
        ConfigError: it has problems.
    """
    problems = policy.problems()
    if problems:
        raise ConfigError([f"policy {policy.name}: {problem}" for problem in problems])
    period = round(policy.window * 1e6)
    if policy.algorithm in BUCKETS:
        size = policy.burst or policy.quota
        interval = -(-period * 1000 // policy.quota)
        return Terms(0, size, period, interval, size * interval, size * interval + period * 1000)
    return Terms(ALGORITHMS.index(policy.algorithm) - 1, policy.quota, period, 0, 0, 0)


def parse_rate(rate: str) -> tuple[int, float]:
    """Quota and window in seconds of a rate: ``100/minute``, ``10/s``, ``5 per 10 seconds``, ``1000 / 2h``.

    Raises:
        ConfigError: it is none.
    """
    found = _rate(rate.strip().lower())
    # "s" alone is a unit, which the plural's s would swallow.
    unit = None if found is None else _SECONDS.get(found[3])
    if found is None or unit is None:
        raise ConfigError(f"{rate!r} is no rate; write 100/minute, 10/s or 5 per 10 seconds")
    return int(found[1]), float(int(found[2] or 1) * unit)
