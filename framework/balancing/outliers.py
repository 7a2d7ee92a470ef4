"""Which endpoints do worse than the others: looked at once in each interval."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from framework.balancing.health import HealthLedger, OutlierSettings

__all__ = ["outliers"]


def outliers(ledgers: Sequence[HealthLedger], settings: OutlierSettings) -> list[HealthLedger]:
    """Those whose requests of the last interval fail too often, the worst first.

    Too often is a part of them (``failure_rate``), or so much more than at the others that chance does not explain it
    (``success_deviation`` standard deviations below the mean success rate).
    """
    judged = [
        each for each in ledgers if each.requests >= settings.min_requests and each.ejected_until is None
    ]
    found: list[HealthLedger] = []
    bound = _lowest_success(judged, settings)
    for ledger in judged:
        success = _success(ledger)
        if (0 < settings.failure_rate <= 1 - success) or success < bound:
            found.append(ledger)
    return sorted(found, key=_success)


def _success(ledger: HealthLedger) -> float:
    return 1 - ledger.failed / ledger.requests


def _lowest_success(judged: Sequence[HealthLedger], settings: OutlierSettings) -> float:
    """The success rate below which an endpoint stands out."""
    if settings.success_deviation == 0 or len(judged) < max(2, settings.min_endpoints):
        return -1.0
    rates = [_success(ledger) for ledger in judged]
    mean = sum(rates) / len(rates)
    deviation = sqrt(sum((rate - mean) ** 2 for rate in rates) / len(rates))
    return mean - settings.success_deviation * deviation
