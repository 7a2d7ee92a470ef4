"""How long values are kept, and what is done when making one takes time or fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, TypedDict

import msgspec
from msgspec import Meta

__all__ = ["MAX_TTL", "LoadOptions", "Options"]

MAX_TTL: Final = 366 * 86_400.0

Seconds = Annotated[float, Meta(ge=0, le=MAX_TTL)]
Part = Annotated[float, Meta(ge=0, le=1)]


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a value is kept and made. Durations in seconds.

    Attributes:
        ttl: for how long a value is fresh; or a function of the value that says so. 0 keeps nothing.
        negative_ttl: for how long None is, "there is no such thing"; as any value when not given.
        jitter: part of the time that is taken off at random, so that what was kept together does not end together.
        early_refresh: part of the time after which a value that is asked for is made anew behind the scenes.
        stale_while_revalidate: past its time a value is still served for so long, while it is made anew.
        stale_if_error: past its time it is kept for so long, and served when making a new one fails or takes longer
            than ``soft_timeout``.
        error_pause: after such a failure the old value is served without another try for so long.
        soft_timeout: how long to wait where there is an old value to serve instead.
        hard_timeout: how long to wait in any case; DeadlineExceeded then. The load goes on behind the scenes.
        load_timeout: how long a load may take at all before it is cancelled.
    """

    ttl: Seconds | Callable[[Any], float] = 300.0
    negative_ttl: Seconds | None = None
    jitter: Part = 0.0
    early_refresh: Part | None = None
    stale_while_revalidate: Seconds = 0.0
    stale_if_error: Seconds = 0.0
    error_pause: Seconds = 1.0
    soft_timeout: Seconds | None = None
    hard_timeout: Seconds | None = None
    load_timeout: Seconds = 60.0

    def __post_init__(self) -> None:
        problems = [
            f"{name} is 0 to {MAX_TTL:g} seconds, not {value!r}"
            for name in _SECONDS
            if isinstance(value := getattr(self, name), int | float) and not 0 <= value <= MAX_TTL
        ]
        if not 0 <= self.jitter < 1:
            problems.append(f"jitter is a part, 0 to less than 1, not {self.jitter!r}")
        if self.early_refresh is not None and not 0 < self.early_refresh < 1:
            problems.append(
                f"early_refresh is a part, more than 0 and less than 1, not {self.early_refresh!r}"
            )
        if self.soft_timeout is not None and not self.stale:
            problems.append("soft_timeout needs an old value: set stale_if_error or stale_while_revalidate")
        if self.load_timeout <= 0:
            problems.append("load_timeout is more than 0")
        if problems:
            raise ValueError("; ".join(problems))

    @property
    def stale(self) -> float:
        """For how long a value is kept past its time."""
        return max(self.stale_while_revalidate, self.stale_if_error)

    def ttl_of(self, value: Any) -> float:
        """For how long this value is fresh, without jitter; 0: it is not kept."""
        if value is None and self.negative_ttl is not None:
            return self.negative_ttl
        ttl = self.ttl
        if isinstance(ttl, int | float):
            return ttl
        return max(0.0, min(ttl(value), MAX_TTL))


_SECONDS: Final = (
    "ttl",
    "negative_ttl",
    "stale_while_revalidate",
    "stale_if_error",
    "error_pause",
    "soft_timeout",
    "hard_timeout",
    "load_timeout",
)


class LoadOptions(TypedDict, total=False):
    """Options of one call, in the place of the cache's; see ``Options``."""

    ttl: float | Callable[[Any], float]
    negative_ttl: float | None
    jitter: float
    early_refresh: float | None
    stale_while_revalidate: float
    stale_if_error: float
    error_pause: float
    soft_timeout: float | None
    hard_timeout: float | None
    load_timeout: float
