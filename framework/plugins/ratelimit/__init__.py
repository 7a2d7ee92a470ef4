"""Rate limits: five algorithms over one set of whole numbers, in memory, in memory that workers share, and in Redis.

Useful without an app: ``RateLimiter("100/minute").consume_now("key")``. The Redis engine needs the extra ``redis``.
"""

from framework.plugins.ratelimit.concurrency import ConcurrencyLimiter, Gradient
from framework.plugins.ratelimit.engine import Engine, EngineUnavailable, MemoryEngine
from framework.plugins.ratelimit.kernel import Decision
from framework.plugins.ratelimit.keys import USER
from framework.plugins.ratelimit.limiter import RateLimiter
from framework.plugins.ratelimit.middleware import DECISION
from framework.plugins.ratelimit.plugin import Limits, RateLimit
from framework.plugins.ratelimit.policy import Policy
from framework.plugins.ratelimit.settings import PolicySettings, RateLimitSettings

__all__ = [
    "DECISION",
    "USER",
    "ConcurrencyLimiter",
    "Decision",
    "Engine",
    "EngineUnavailable",
    "Gradient",
    "Limits",
    "MemoryEngine",
    "Policy",
    "PolicySettings",
    "RateLimit",
    "RateLimitSettings",
    "RateLimiter",
]
