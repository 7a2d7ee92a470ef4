"""What keeps a failure from spreading: back-off, retry budgets, circuit breakers. Decisions only: no I/O, no clock of
their own (``now`` is a monotonic time in seconds that the caller hands in), so that they run under virtual time."""

from framework.resilience.backoff import Backoff
from framework.resilience.breaker import BreakerSettings, BreakerState, CircuitBreaker
from framework.resilience.budget import RetryBudget, RetryBudgetSettings
from framework.resilience.retry import IDEMPOTENT, Outcome, RetryPolicy, Verdict
from framework.resilience.window import SlidingCounts

__all__ = [
    "IDEMPOTENT",
    "Backoff",
    "BreakerSettings",
    "BreakerState",
    "CircuitBreaker",
    "Outcome",
    "RetryBudget",
    "RetryBudgetSettings",
    "RetryPolicy",
    "SlidingCounts",
    "Verdict",
]
