"""Cookies in, leniently; Set-Cookie out, strictly (RFC 6265bis)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from framework.errors import HTTPError, LocalProtocolError
from framework.http.cookies import MAX_COOKIES, parse_cookies, set_cookie


@pytest.mark.parametrize(
    ("field", "cookies"),
    [
        ("", {}),
        ("a=1", {"a": "1"}),
        ("a=1; b=2;c=3 ;\td=4", {"a": "1", "b": "2", "c": "3", "d": "4"}),
        ("a=b=c==", {"a": "b=c=="}),
        ("a=1; a=2", {"a": "1"}),
        ("a=; b=1", {"a": "", "b": "1"}),
        ("nameless; =empty; ;; b=1", {"b": "1"}),
        ('a="quoted \\" value"', {"a": '"quoted \\" value"'}),
        ("a=%20+x", {"a": "%20+x"}),
        ("A=1; a=2", {"A": "1", "a": "2"}),
        ('{"a"=1, b = x y ', {'{"a"': "1, b = x y"}),
        ("a=\xe9", {"a": "\xe9"}),
        ("$Version=1; a=b", {"$Version": "1", "a": "b"}),
    ],
)
def test_parses_as_browsers_write(field: str, cookies: dict[str, str]) -> None:
    assert parse_cookies(field) == cookies


@pytest.mark.parametrize("blank", ["\xa0", "\x85", "\x1f", "\x0b", "\x0c"])
def test_host_prefix_forged_with_another_blank(blank: str) -> None:
    assert "__Host-id" not in parse_cookies(f"{blank}__Host-id=forged; __Host-id{blank}=forged")


def test_too_many_cookies_answer_431() -> None:
    field = "; ".join(f"c{number}=" for number in range(MAX_COOKIES))
    assert len(parse_cookies(field)) == MAX_COOKIES
    with pytest.raises(HTTPError) as caught:
        parse_cookies(field + "; one=more")
    assert caught.value.status == 431


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "a=1; Path=/; HttpOnly; SameSite=Lax"),
        ({"path": None, "http_only": False, "same_site": None}, "a=1"),
        (
            {"max_age": 3600, "domain": "example.com", "path": "/app", "secure": True, "same_site": "strict"},
            "a=1; Max-Age=3600; Domain=example.com; Path=/app; Secure; HttpOnly; SameSite=Strict",
        ),
        (
            {"secure": True, "same_site": "none", "partitioned": True},
            "a=1; Path=/; Secure; HttpOnly; SameSite=None; Partitioned",
        ),
        ({"max_age": 0}, "a=1; Max-Age=0; Path=/; HttpOnly; SameSite=Lax"),
        (
            {"expires": datetime(2026, 8, 5, 9, 7, 3, tzinfo=timezone(timedelta(hours=2)))},
            "a=1; Expires=Wed, 05 Aug 2026 07:07:03 GMT; Path=/; HttpOnly; SameSite=Lax",
        ),
        (
            {"expires": datetime(1970, 1, 1, tzinfo=UTC), "path": None},
            "a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Lax",
        ),
    ],
)
def test_builds_set_cookie(arguments: dict[str, Any], text: str) -> None:
    assert set_cookie("a", "1", **arguments) == text


@pytest.mark.parametrize("value", ["", "abc", '"abc"', "!#$%&'()*+-./:<=>?@[]^_`{|}~"])
def test_values_the_grammar_allows(value: str) -> None:
    assert set_cookie("a", value, path=None, http_only=False, same_site=None) == f"a={value}"


@pytest.mark.parametrize(
    ("name", "value", "arguments"),
    [
        ("", "1", {}),
        ("a b", "1", {}),
        ("a=b", "1", {}),
        ("a;b", "1", {}),
        ("é", "1", {}),
        ("a", "x y", {}),
        ("a", "x;y", {}),
        ("a", "x,y", {}),
        ("a", 'x"y', {}),
        ("a", '"x', {}),
        ("a", "x\\y", {}),
        ("a", "x\r\nset-cookie: b=1", {}),
        ("a", "é", {}),
        ("a", "x" * 4096, {}),
        ("a", "1", {"domain": "example.com; Secure"}),
        ("a", "1", {"domain": ".example.com"}),
        ("a", "1", {"domain": ""}),
        ("a", "1", {"domain": "a" * 1025}),
        ("a", "1", {"path": "relative"}),
        ("a", "1", {"path": "/a;b"}),
        ("a", "1", {"path": "/a\n"}),
        ("a", "1", {"path": "/a "}),
        ("a", "1", {"path": "/" + "a" * 1024}),
        ("a", "1", {"max_age": -1}),
        ("a", "1", {"max_age": 1.5}),
        ("a", "1", {"max_age": "1; Domain=evil"}),
        ("a", "1", {"max_age": True}),
        ("a", "1", {"expires": datetime(2026, 8, 5)}),
        ("a", "1", {"expires": datetime(1600, 8, 5, tzinfo=UTC)}),
        ("a", "1", {"same_site": "Lax; Secure"}),
        ("a", "1", {"same_site": "none"}),
        ("a", "1", {"partitioned": True}),
        ("__Secure-a", "1", {}),
        ("__secure-a", "1", {}),
        ("__Host-a", "1", {}),
        ("__Host-a", "1", {"secure": True, "path": "/app"}),
        ("__Host-a", "1", {"secure": True, "path": None}),
        ("__HOST-a", "1", {"secure": True, "domain": "example.com"}),
    ],
)
def test_what_browsers_would_refuse_is_refused_at_once(
    name: str, value: str, arguments: dict[str, Any]
) -> None:
    with pytest.raises(LocalProtocolError):
        set_cookie(name, value, **arguments)


def test_prefixed_cookies_that_keep_their_promise_pass() -> None:
    assert set_cookie("__Host-a", "1", secure=True).startswith("__Host-a=1; Path=/; Secure")
    assert set_cookie("__Secure-a", "1", secure=True, domain="example.com", path="/x")


def test_a_refused_secret_is_not_in_the_message() -> None:
    with pytest.raises(LocalProtocolError) as caught:
        set_cookie("session", "top secret")
    assert "top secret" not in str(caught.value)
    assert "session" in str(caught.value)
