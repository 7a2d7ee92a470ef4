"""What is limited, and the whole numbers of it."""

from __future__ import annotations

import pytest

from framework.errors import ConfigError
from framework.plugins.ratelimit import Policy
from framework.plugins.ratelimit.policy import ALGORITHMS, MAX_DEBT, parse_rate, terms_of


@pytest.mark.parametrize(
    ("rate", "quota", "window"),
    [
        ("100/minute", 100, 60.0),
        ("10/s", 10, 1.0),
        ("1/h", 1, 3600.0),
        ("5 per 10 seconds", 5, 10.0),
        ("1000 / 2h", 1000, 7200.0),
        ("7/day", 7, 86_400.0),
        ("3 per 30 Min", 3, 1800.0),
    ],
)
def test_rates(rate: str, quota: int, window: float) -> None:
    assert parse_rate(rate) == (quota, window)


@pytest.mark.parametrize(
    "rate", ["", "100", "/s", "0/s", "-1/s", "1/0s", "1/fortnight", "1_0/s", "١/s", "1/s/s", "1.5/s"]
)
def test_what_is_no_rate_is_refused(rate: str) -> None:
    with pytest.raises(ConfigError, match="is no rate"):
        parse_rate(rate)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"rate": "5/s", "algorithm": "fixed_window", "burst": 2}, "burst: fixed_window has none"),
        ({"rate": "10001/s", "algorithm": "sliding_log"}, "at most 10000 units"),
        ({"rate": "100000000000/s"}, "more than one unit in a nanosecond"),
        ({"rate": "1/day", "burst": 61}, "longer than 60 days"),
        ({"rate": "1/32days"}, "window"),
        ({"rate": "10000000000000/day", "algorithm": "sliding_window"}, "10\\*\\*12"),
    ],
)
def test_policies_without_whole_numbers_are_refused(options: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        Policy.of(**options)  # type: ignore[arg-type]


def test_every_number_is_exact_in_a_double() -> None:
    largest = Policy.of("1/31days", burst=1)
    assert terms_of(largest).ahead < 2**53
    assert MAX_DEBT + 31 * 86_400 * 10**9 < 2**53
    assert 2048 * 10**12 * 2 < 2**53
    assert 31 * 86_400 * 10**6 * 2048 < 2**53


def test_an_interval_is_rounded_so_that_never_more_is_admitted() -> None:
    terms = terms_of(Policy.of("7/s"))
    assert terms.interval == 142_857_143
    assert terms.interval * 7 >= 10**9


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_quota_of_a_bucket_is_its_size(algorithm: str) -> None:
    policy = Policy.of("60/minute", algorithm=algorithm)
    assert terms_of(policy).quota == 60
    if algorithm in ("gcra", "token_bucket"):
        assert terms_of(Policy.of("60/minute", algorithm=algorithm, burst=5)).quota == 5
