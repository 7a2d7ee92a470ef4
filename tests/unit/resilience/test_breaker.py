"""The circuit breaker: its states one by one, and against a model."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from framework.resilience import BreakerSettings, BreakerState, CircuitBreaker

RULES = BreakerSettings(
    failure_rate=0.5,
    min_calls=4,
    window=10.0,
    open_time=5.0,
    max_open_time=15.0,
    half_open_calls=2,
    jitter=0.0,
)


def broken(now: float = 0.0, rules: BreakerSettings = RULES) -> CircuitBreaker:
    breaker = CircuitBreaker(rules, Random(1))
    for _ in range(4):
        breaker.failed(breaker.enter(now), now)
    return breaker


def test_it_opens_at_the_rate_and_not_before_there_are_enough_calls() -> None:
    breaker = CircuitBreaker(RULES)
    for _ in range(3):
        breaker.failed(breaker.enter(0.0), 0.0)
    assert breaker.allows(0.0)
    breaker.succeeded(breaker.enter(0.0), 0.0)
    breaker.failed(breaker.enter(0.0), 0.0)
    assert breaker.state is BreakerState.OPEN
    assert breaker.enter(0.1) == 0
    assert breaker.retry_after(1.0) == 4.0
    assert breaker.refused == 1


def test_a_success_never_opens_it_though_the_rate_is_reached() -> None:
    breaker = CircuitBreaker(RULES)
    for _ in range(3):
        breaker.failed(breaker.enter(0.0), 0.0)
    breaker.succeeded(breaker.enter(0.0), 0.0)
    assert breaker.state is BreakerState.CLOSED


def test_failures_long_ago_do_not_count() -> None:
    breaker = CircuitBreaker(RULES)
    for second in range(12):
        breaker.failed(breaker.enter(second * 10.0), second * 10.0)
    assert breaker.state is BreakerState.CLOSED


def test_half_open_lets_a_few_through_and_closes_when_they_succeed() -> None:
    breaker = broken()
    first, second = breaker.enter(5.0), breaker.enter(5.0)
    assert 0 not in (first, second)
    assert breaker.enter(5.0) == 0
    breaker.succeeded(first, 5.1)
    assert breaker.enter(5.1) == 0, "one success and one under way are all that may be"
    breaker.succeeded(second, 5.2)
    assert breaker.state is BreakerState.CLOSED


def test_a_failed_trial_opens_it_again_for_longer_up_to_the_longest() -> None:
    breaker = broken()
    now = 0.0
    waits: list[float] = []
    for _ in range(4):
        wait = breaker.retry_after(now)
        waits.append(wait)
        now += wait
        breaker.failed(breaker.enter(now), now)
    assert waits == [5.0, 10.0, 15.0, 15.0]
    breaker.reset()
    for _ in range(4):
        breaker.failed(breaker.enter(now), now)
    assert breaker.retry_after(now) == 5.0


def test_news_of_calls_from_before_it_opened_is_no_news() -> None:
    breaker = CircuitBreaker(RULES)
    early = breaker.enter(0.0)
    for _ in range(4):
        breaker.failed(breaker.enter(0.0), 0.0)
    trial = breaker.enter(5.0)
    breaker.failed(early, 5.0)
    breaker.succeeded(early, 5.0)
    breaker.left(early)
    assert breaker.state is BreakerState.HALF_OPEN
    breaker.succeeded(trial, 5.0)
    assert breaker.enter(5.0)


def test_a_cancelled_trial_makes_room_for_another() -> None:
    breaker = broken()
    tickets = [breaker.enter(5.0), breaker.enter(5.0)]
    breaker.left(tickets[0])
    assert breaker.enter(5.0)


def test_slow_calls_open_it_where_asked() -> None:
    rules = BreakerSettings(min_calls=2, slow_time=1.0, slow_rate=1.0)
    breaker = CircuitBreaker(rules)
    for _ in range(2):
        breaker.succeeded(breaker.enter(0.0), 0.0, seconds=1.5)
    assert breaker.state is BreakerState.OPEN


def test_failures_in_a_row_open_it_where_asked() -> None:
    breaker = CircuitBreaker(BreakerSettings(max_consecutive=3, min_calls=1000))
    for well in (False, False, True, False, False):
        ticket = breaker.enter(0.0)
        if well:
            breaker.succeeded(ticket, 0.0)
        else:
            breaker.failed(ticket, 0.0)
    assert breaker.allows(0.0)
    breaker.failed(breaker.enter(0.0), 0.0)
    assert breaker.state is BreakerState.OPEN


@pytest.mark.parametrize(
    "wrong",
    [{"failure_rate": 0.0}, {"min_calls": 0}, {"open_time": 10.0, "max_open_time": 1.0}, {"window": 0.0}],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"failure_rate|min_calls|window"):
        BreakerSettings(**wrong)  # type: ignore[arg-type]


class Breaker(RuleBasedStateMachine):
    """Calls begin and end in any order while time goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.breaker = CircuitBreaker(RULES, Random(3))
        self.under_way: list[tuple[int, int]] = []

    @rule(seconds=st.floats(0, 20))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def begin(self) -> None:
        allowed = self.breaker.allows(self.now)
        ticket = self.breaker.enter(self.now)
        assert bool(ticket) is allowed
        if ticket:
            self.under_way.append((ticket, self.breaker.opened))

    @precondition(lambda self: bool(self.under_way))
    @rule(data=st.data(), how=st.sampled_from(["succeeded", "failed", "left"]))
    def end(self, data: st.DataObject, how: str) -> None:
        index = data.draw(st.integers(0, len(self.under_way) - 1))
        ticket, opened = self.under_way.pop(index)
        before = (self.breaker.state, self.breaker.opened)
        if how == "succeeded":
            self.breaker.succeeded(ticket, self.now)
        elif how == "failed":
            self.breaker.failed(ticket, self.now)
        else:
            self.breaker.left(ticket)
        if opened != before[1]:
            assert (self.breaker.state, self.breaker.opened) == before, "an old ticket changed something"

    @invariant()
    def half_open_is_bounded(self) -> None:
        if self.breaker.state is BreakerState.HALF_OPEN:
            trials = sum(1 for _, opened in self.under_way if opened == self.breaker.opened)
            assert trials <= RULES.half_open_calls

    @invariant()
    def open_ends(self) -> None:
        assert self.breaker.retry_after(self.now) <= RULES.max_open_time
        assert self.breaker.state is not BreakerState.OPEN or self.breaker.allows(
            self.now + RULES.max_open_time
        )


TestBreaker = Breaker.TestCase
TestBreaker.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
