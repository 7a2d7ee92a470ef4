"""Decisions in memory, and what is remembered under a flood of keys."""

from __future__ import annotations

import pytest

from framework.plugins.ratelimit import Policy, RateLimiter
from framework.plugins.ratelimit.kernel import PEEK, GcraTable
from framework.plugins.ratelimit.policy import ALGORITHMS
from tests.unit.plugins.ratelimit.driver import Clock, memory


def test_a_burst_and_then_an_even_pace() -> None:
    clock = Clock()
    limiter = RateLimiter(Policy.of("60/minute", burst=3), memory(clock))
    assert [limiter.consume_now("a").allowed for _ in range(4)] == [True, True, True, False]
    refused = limiter.consume_now("a")
    assert (refused.remaining, refused.retry_after, refused.reset_after) == (0, 1.0, 3.0)
    clock.pass_(1.0)
    assert limiter.consume_now("a").allowed
    assert not limiter.consume_now("a").allowed
    assert limiter.consume_now("b").remaining == 2


def test_a_cost_beyond_the_quota_is_never_admitted() -> None:
    limiter = RateLimiter("5/s", memory(Clock()))
    decision = limiter.consume_now("a", 6)
    assert not decision
    assert decision.retry_after == float("inf")
    assert decision.remaining == 5


def test_a_negative_cost_gives_nobody_credit() -> None:
    limiter = RateLimiter("5/s", memory(Clock()))
    with pytest.raises(ValueError, match="cannot cost -3"):
        limiter.consume_now("a", -3)
    with pytest.raises(ValueError, match="cannot cost -3"):
        limiter.decide_now(["a"], -3)
    assert limiter.consume_now("a").remaining == 4


def test_several_policies_all_or_nothing() -> None:
    clock = Clock()
    limiter = RateLimiter(
        [Policy.of("2/s", name="burst"), Policy.of("3/minute", name="long", algorithm="fixed_window")],
        memory(clock),
    )
    assert [limiter.consume_now("a").allowed for _ in range(3)] == [True, True, False]
    refused = limiter.consume_now("a")
    assert refused.policy.name == "burst"
    # The refusals took nothing from the other policy.
    assert [part.remaining for part in refused.all] == [0, 1]
    clock.pass_(1.0)
    assert limiter.consume_now("a").allowed
    refused = limiter.consume_now("a")
    assert refused.policy.name == "long"
    assert [part.allowed for part in refused.all] == [True, False]


def test_a_shadow_decides_and_counts_and_refuses_nobody() -> None:
    engine = memory(Clock())
    limiter = RateLimiter(
        [Policy.of("1/s", name="shadow", shadow=True), Policy.of("5/s", name="real")], engine
    )
    decisions = [limiter.consume_now("a") for _ in range(6)]
    assert [decision.allowed for decision in decisions] == [True] * 5 + [False]
    assert [decision.all[0].allowed for decision in decisions] == [True] + [False] * 5
    assert decisions[2].policy.name == "real"
    counts = engine.counts_of(limiter.policies[0])
    assert (counts.admitted, counts.shadowed, counts.refused) == (1, 5, 0)
    alone = RateLimiter(Policy.of("1/s", name="alone", shadow=True), engine)
    assert [alone.consume_now("a").allowed for _ in range(3)] == [True] * 3
    assert engine.counts_of(alone.policies[0]).shadowed == 2


def test_near_is_counted() -> None:
    engine = memory(Clock())
    limiter = RateLimiter("10/s", engine)
    for _ in range(12):
        limiter.consume_now("a")
    counts = engine.counts_of(limiter.policies[0])
    assert (counts.admitted, counts.near, counts.refused) == (10, 2, 2)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_changed_limit_holds_for_old_keys(algorithm: str) -> None:
    clock = Clock()
    engine = memory(clock)
    limiter = RateLimiter(Policy.of("100/minute", algorithm=algorithm), engine)
    for _ in range(10):
        limiter.consume_now("a")
    limiter.change(Policy.of("10/minute", algorithm=algorithm))
    assert limiter.consume_now("new").remaining == 9
    left = limiter.consume_now("a").remaining
    assert left <= 9
    limiter.change(Policy.of("1000/minute", algorithm=algorithm))
    assert limiter.consume_now("a").remaining >= 790
    limiter.change(Policy.of("1/minute", algorithm=algorithm))
    assert not limiter.consume_now("a").allowed
    clock.pass_(180)
    assert limiter.consume_now("a").allowed


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_r9_a_flood_of_keys_takes_no_memory_and_frees_no_offender(algorithm: str) -> None:
    """governor #171: a flood of keys filled the memory; evicting made room for the attacker's own, exhausted bucket."""
    clock = Clock()
    limiter = RateLimiter(Policy.of("5/minute", algorithm=algorithm), engine := memory(clock, max_keys=2000))
    offenders = [f"offender {number}" for number in range(300)]
    for _ in range(6):
        for offender in offenders:
            limiter.consume_now(offender)
    table = engine.tables["default"]
    for number in range(30_000):
        limiter.consume_now(f"flood {number}")
        assert len(table) <= 2000
    assert table.evicted > 20_000
    assert not any(limiter.consume_now(offender).allowed for offender in offenders)


def test_r9_who_owes_more_stays_longer() -> None:
    clock = Clock()
    limiter = RateLimiter("100/minute", engine := memory(clock, max_keys=1000))
    limiter.consume_now("heavy", 90)
    for number in range(10_000):
        limiter.consume_now(f"light {number}")
    assert limiter.consume_now("heavy", 20).allowed is False
    assert engine.tables["default"].evicted > 8000


def test_r9_those_who_owe_nothing_go_first() -> None:
    clock = Clock()
    limiter = RateLimiter("60/minute", engine := memory(clock, max_keys=1000))
    for number in range(500):
        limiter.consume_now(f"old {number}")
    clock.pass_(2)
    for number in range(900):
        limiter.consume_now(f"new {number}", 30)
    assert engine.tables["default"].evicted == 0
    assert all(limiter.decide_now([f"new {number}"], 31, PEEK).allowed is False for number in range(900))


def test_r9_a_table_full_of_offenders_keeps_room_for_others() -> None:
    limiter = RateLimiter("1/minute", engine := memory(Clock(), max_keys=800))
    for number in range(5000):
        limiter.consume_now(f"{number}")
        limiter.consume_now(f"{number}")
    table = engine.tables["default"]
    assert isinstance(table, GcraTable)
    assert len(table) <= 800
    assert len(table.hot) <= 701


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_r10_expiry_removes_no_live_entry(algorithm: str) -> None:
    """limits #277: the clean-up of a window removed entries of the next one."""
    clock = Clock()
    limiter = RateLimiter(Policy.of("3/minute", algorithm=algorithm), memory(clock, max_keys=16))
    for number in range(200):
        clock.pass_(7)
        limiter.consume_now(f"passing {number}")
        granted = sum(limiter.consume_now(f"live {number}").allowed for _ in range(5))
        assert granted == 3
        assert not limiter.consume_now(f"live {number}").allowed


def test_decisions_say_what_they_are() -> None:
    limiter = RateLimiter("1/s", memory(Clock()))
    assert repr(limiter.consume_now("a")) == "<Decision default: allowed, 0 of 1 left>"
    assert repr(limiter.consume_now("a")) == "<Decision default: refused for 1 s, 0 of 1 left>"
