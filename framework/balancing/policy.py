"""What a load-balancing policy is."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from framework.balancing.endpoint import Endpoint

__all__ = ["NONE", "LoadBalancer"]

NONE: Collection[Endpoint] = ()


class LoadBalancer(Protocol):
    """Picks among endpoints. It reads no clock and makes no request; ``now`` is a monotonic time in seconds."""

    def update(self, endpoints: Sequence[Endpoint], now: float) -> None:
        """These are the endpoints from now on. What is known of those that stay is kept."""
        ...

    def pick(
        self, now: float, key: bytes | None = None, avoid: Collection[Endpoint] = NONE
    ) -> Endpoint | None:
        """An available endpoint that is not among ``avoid``, None where there is none.

        Args:
            key: what belongs together, for the policies that hash; the others do not look at it.
            avoid: those that were tried already, a few.
        """
        ...
