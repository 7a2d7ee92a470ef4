"""How much one client may do, decided in this process."""

from __future__ import annotations

from collections.abc import Callable

from framework.plugins.chat.errors import ChatError
from framework.plugins.chat.settings import ChatSettings
from framework.plugins.ratelimit import Policy, RateLimiter
from framework.plugins.ratelimit.engine import MemoryEngine

__all__ = ["Limits"]


class Limits:
    """The limits of a chat, each with a key: a connection's session, a user, an address.

    Args:
        clock: nanoseconds that never go back.
    """

    def __init__(self, settings: ChatSettings, clock: Callable[[], int]) -> None:
        engine = MemoryEngine(clock=clock)

        def limiter(name: str, rate: str, at_least: int = 1) -> RateLimiter:
            policy = Policy.of(rate, name=f"chat.{name}")
            if policy.quota < at_least:
                policy = Policy.of(rate, name=f"chat.{name}", burst=at_least)
            return RateLimiter(policy, engine)

        self.requests = limiter("requests", settings.request_rate)
        # A message of the greatest size is allowed, however low the rate.
        self.bytes = limiter("bytes", settings.byte_rate, settings.max_message)
        self.joins = limiter("joins", settings.join_rate)
        self.posts = limiter("posts", settings.post_rate)
        self.guests = limiter("guests", settings.guest_rate)
        self.strikes = limiter("strikes", f"{settings.flood_limit}/minute")


def require(limiter: RateLimiter, key: str) -> None:
    """Takes one unit. Raises ChatError ``limit``."""
    decision = limiter.consume_now(key)
    if not decision.allowed:
        raise ChatError("limit", "too much at once", decision.retry_after)
