"""Where a server is, as URLs say it."""

from __future__ import annotations

import pytest

from framework.errors import ConfigError
from framework.redis import RedisURL, parse_url


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("redis://", RedisURL()),
        ("redis://cache", RedisURL(host="cache")),
        ("redis://cache:7000/3", RedisURL(host="cache", port=7000, database=3)),
        ("redis://[::1]:7000", RedisURL(host="::1", port=7000)),
        ("redis://:se%2Fcret@h", RedisURL(host="h", password="se/cret")),
        ("rediss://me:x@h/1", RedisURL(host="h", username="me", password="x", database=1, tls=True)),
        ("redis://h?db=2", RedisURL(host="h", database=2)),
        ("unix:///run/r.sock", RedisURL(path="/run/r.sock")),
        ("unix://:pw@/run/r%20s?db=4", RedisURL(path="/run/r s", password="pw", database=4)),
    ],
)
def test_urls_are_read(url: str, parts: RedisURL) -> None:
    assert parse_url(url) == parts


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://h", "begins with redis://"),
        ("redis://h:port", "malformed"),
        ("redis://h:99999", "malformed"),
        ("redis://h/one", "must be a number"),
        ("redis://h/1_0", "must be a number"),
        ("redis://h?db=١", "must be a number"),
        ("redis://h?timeout=1", "unknown parameter 'timeout'"),
        ("unix://", "no path"),
    ],
)
def test_what_is_no_redis_url_is_refused(url: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        parse_url(url)


def test_a_password_is_never_shown() -> None:
    url = parse_url("rediss://me:hunter2@h:1/2")
    assert str(url) == "rediss://me:***@h:1/2"
    assert "hunter2" not in repr(url)
    assert str(parse_url("redis://h")) == "redis://h:6379/0"
    assert str(parse_url("redis://[::1]")) == "redis://[::1]:6379/0"
    assert "hunter2" not in str(parse_url("unix://:hunter2@/s"))
    with pytest.raises(ConfigError) as refused:
        parse_url("redis://:hunter2@h:no")
    assert "hunter2" not in str(refused.value)
