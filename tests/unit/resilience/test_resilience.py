"""Back-off, retry budget and verdicts: decisions, without a clock."""

from __future__ import annotations

import heapq
from collections import deque
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.resilience import (
    Backoff,
    Outcome,
    RetryBudget,
    RetryBudgetSettings,
    RetryPolicy,
    SlidingCounts,
    Verdict,
)

STEPS = st.lists(
    st.tuples(st.floats(0, 3, allow_nan=False), st.integers(0, 1), st.integers(1, 5)), max_size=80
)


@given(STEPS, st.sampled_from([0.5, 1.0, 10.0]))
def test_sliding_counts_lie_between_nine_tenths_of_a_window_and_a_whole_one(
    steps: list[tuple[float, int, int]], window: float
) -> None:
    counts = SlidingCounts(2, window)
    events: deque[tuple[float, int, int]] = deque()
    now = 100.0
    for wait, which, amount in steps:
        now += wait
        counts.add(which, now, amount)
        events.append((now, which, amount))
        for index, total in enumerate(counts.sums(now)):
            surely = sum(n for at, w, n in events if w == index and at > now - window * 0.9 + 1e-9)
            at_most = sum(n for at, w, n in events if w == index and at >= now - window - 1e-9)
            assert surely <= total <= at_most


def test_a_clock_that_steps_back_loses_nothing() -> None:
    counts = SlidingCounts(1, 10.0)
    counts.add(0, 50.0)
    counts.add(0, 20.0)
    assert counts.sums(30.0) == [2]


@given(st.integers(1, 2000), st.integers(0, 2**32))
def test_back_off_stays_between_zero_and_its_cap(attempt: int, seed: int) -> None:
    backoff = Backoff(base=0.1, cap=2.0)
    delay = backoff.delay(attempt, Random(seed))
    assert 0 <= delay <= min(2.0, 0.1 * 2.0 ** min(attempt - 1, 60))


def test_back_off_without_jitter_doubles_up_to_its_cap() -> None:
    backoff = Backoff(base=0.1, cap=0.5, jitter=0)
    assert [backoff.delay(attempt, Random(0)) for attempt in (1, 2, 3, 4)] == [0.1, 0.2, 0.4, 0.5]


@pytest.mark.parametrize(
    "wrong", [{"base": 0.0}, {"base": 2.0, "cap": 1.0}, {"jitter": 1.5}, {"base": float("nan")}]
)
def test_a_back_off_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"base|jitter"):
        Backoff(**wrong)


@given(STEPS, st.floats(0, 1), st.floats(0, 5))
def test_budget_never_grants_more_than_its_ratio_and_floor(
    steps: list[tuple[float, int, int]], ratio: float, floor: float
) -> None:
    budget = RetryBudget(RetryBudgetSettings(ratio=ratio, min_per_second=floor, window=10.0))
    offered: list[float] = []
    granted: list[float] = []
    now = 0.0
    for wait, kind, amount in steps:
        now += wait
        for _ in range(amount):
            if kind == 0:
                budget.offered(now)
                offered.append(now)
            elif budget.take(now):
                granted.append(now)
                # What surely is counted of the grants is at most what all of the window allows.
                recent = sum(1 for at in offered if at >= now - 10.0)
                assert (
                    sum(1 for at in granted if at > now - 9.0 + 1e-9) <= ratio * recent + floor * 10.0 + 1e-6
                )


def test_retry_storm_g7_retries_in_back_off_are_counted() -> None:
    """A total outage, every call retried twice after a back-off: the upstream sees at most 1 + ratio of the load."""
    random = Random(7)
    policy = RetryPolicy(max_retries=2, backoff=Backoff(base=0.5, cap=2.0))
    budget = RetryBudget(RetryBudgetSettings(ratio=0.2, min_per_second=0.0, window=10.0))
    arrivals = [index / 200 for index in range(200 * 60)]
    pending = [(at, 1) for at in arrivals]
    heapq.heapify(pending)
    sent = 0
    while pending:
        now, tries = heapq.heappop(pending)
        if tries == 1:
            budget.offered(now)
        sent += 1
        verdict = policy.verdict(Outcome.BROKEN, "GET", tries=tries, body_kept=True, time_left=30.0)
        if verdict is Verdict.RETRY and budget.take(now):
            heapq.heappush(pending, (now + policy.backoff.delay(tries, random), tries + 1))
    assert sent <= 1.2 * len(arrivals) * 1.02
    assert sent > 1.15 * len(arrivals)
    assert budget.denied > 0


@pytest.mark.parametrize(
    ("outcome", "method", "verdict"),
    [
        (Outcome.NOT_SENT, "POST", Verdict.RETRY),
        (Outcome.BROKEN, "POST", Verdict.UNSAFE),
        (Outcome.LATE, "PATCH", Verdict.UNSAFE),
        (Outcome.STALE, "POST", Verdict.UNSAFE),
        (Outcome.STATUS, "POST", Verdict.UNSAFE),
        (Outcome.BROKEN, "PUT", Verdict.RETRY),
        (Outcome.STALE, "GET", Verdict.RETRY),
    ],
)
def test_post_retried_blindly(outcome: Outcome, method: str, verdict: Verdict) -> None:
    policy = RetryPolicy()
    assert policy.verdict(outcome, method, tries=1, body_kept=True, time_left=10.0) is verdict


def test_what_speaks_against_a_retry() -> None:
    policy = RetryPolicy(max_retries=1, on=frozenset({Outcome.BROKEN}))
    ask = policy.verdict
    assert ask(Outcome.LATE, "GET", tries=1, body_kept=True, time_left=9.0) is Verdict.NOT_ASKED
    assert ask(Outcome.BROKEN, "GET", tries=2, body_kept=True, time_left=9.0) is Verdict.ENOUGH
    assert ask(Outcome.BROKEN, "PUT", tries=1, body_kept=False, time_left=9.0) is Verdict.BODY_GONE
    assert ask(Outcome.BROKEN, "GET", tries=1, body_kept=True, time_left=0.001) is Verdict.NO_TIME
