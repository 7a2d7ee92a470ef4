"""How long to wait before trying again."""

from __future__ import annotations

from random import Random

import msgspec

__all__ = ["Backoff"]


class Backoff(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Exponential back-off with full jitter: evenly between 0 and what doubles with each try, so that those who failed
    together do not come back together (Brooker, "Exponential Backoff And Jitter", 2015).

    Attributes:
        base: seconds that the first wait lasts at most.
        cap: seconds that any wait lasts at most.
        jitter: the part of a wait that is drawn; 0 waits always the longest time.
    """

    base: float = 0.025
    cap: float = 0.25
    jitter: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.base <= self.cap:
            raise ValueError("base must be more than 0 and at most cap")
        if not 0 <= self.jitter <= 1:
            raise ValueError("jitter is a part between 0 and 1")

    def delay(self, attempt: int, random: Random) -> float:
        """Seconds to wait ahead of try number ``attempt`` (1 is the first one that repeats)."""
        longest = self.base * 2.0 ** min(attempt - 1, 62)
        longest = min(longest, self.cap)
        return longest - longest * self.jitter * random.random()
