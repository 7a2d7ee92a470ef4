"""Golden fields of every version."""

from __future__ import annotations

import pytest

from framework.plugins.ratelimit import Policy, RateLimiter
from framework.plugins.ratelimit.fields import HeaderStyle, fields_of
from tests.unit.plugins.ratelimit.driver import Clock, memory

POLICIES = [
    Policy.of("100/minute", name="burst", algorithm="fixed_window"),
    Policy.of("1000/day", name="daily", algorithm="sliding_log"),
    Policy.of("1/day", name="quiet", shadow=True),
]


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        (
            "draft-11",
            [
                ("ratelimit-policy", '"burst";q=100;w=60, "daily";q=1000;w=86400'),
                ("ratelimit", '"burst";r=50;t=20, "daily";r=950;t=86400'),
            ],
        ),
        (
            "draft-7",
            [
                ("ratelimit-policy", "100;w=60, 1000;w=86400"),
                ("ratelimit", "limit=100, remaining=50, reset=20"),
            ],
        ),
        (
            "draft-6",
            [
                ("ratelimit-policy", "100;w=60, 1000;w=86400"),
                ("ratelimit-limit", "100"),
                ("ratelimit-remaining", "50"),
                ("ratelimit-reset", "20"),
            ],
        ),
        (
            "legacy",
            [("x-ratelimit-limit", "100"), ("x-ratelimit-remaining", "50"), ("x-ratelimit-reset", "20")],
        ),
        ("off", []),
    ],
)
def test_golden_fields(style: HeaderStyle, expected: list[tuple[str, str]]) -> None:
    clock = Clock(40_500_000_000)  # 40.5 s into a minute: 19.5 s to go are told as 20
    limiter = RateLimiter(POLICIES[:2], memory(clock))
    decision = limiter.consume_now("k", 50)
    assert list(fields_of(style, POLICIES[:2])(decision)) == expected


def test_one_policy_tells_when_a_refused_client_may_come_back() -> None:
    limiter = RateLimiter("2/minute", memory(Clock()))
    fields = fields_of("draft-11", limiter.policies)
    told = [dict(fields(limiter.consume_now("k")))["ratelimit"] for _ in range(3)]
    assert told == ['"default";r=1;t=30', '"default";r=0;t=60', '"default";r=0;t=30']


def test_a_cost_that_is_never_admitted_has_no_time() -> None:
    limiter = RateLimiter("2/minute", memory(Clock()))
    assert list(fields_of("draft-11", limiter.policies)(limiter.consume_now("k", 3)))[1] == (
        "ratelimit",
        '"default";r=2',
    )


def test_shadows_are_not_told_of() -> None:
    limiter = RateLimiter(POLICIES, memory(Clock()))
    text = str(fields_of("draft-11", limiter.policies)(limiter.consume_now("k")))
    assert "quiet" not in text
    only = RateLimiter(POLICIES[2:], memory(Clock()))
    assert fields_of("draft-11", only.policies)(only.consume_now("k")) == ()
