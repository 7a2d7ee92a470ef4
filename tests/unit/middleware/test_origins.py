"""Origins and hosts, taken apart."""

from __future__ import annotations

import pytest

from framework.middleware.origins import parse_origin, split_host


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("https://a.example", ("https", "a.example", None)),
        ("http://a.example:8000", ("http", "a.example", "8000")),
        ("http://[::1]:80", ("http", "[::1]", "80")),
        ("chrome-extension://abc", ("chrome-extension", "abc", None)),
        ("http://a_b", ("http", "a_b", None)),
    ],
)
def test_an_origin_has_three_parts(text: str, parts: tuple[str, str, str | None]) -> None:
    assert parse_origin(text) == parts


@pytest.mark.parametrize(
    "text",
    ["", "null", "a.example", "https://", "https://a/", "https://a?b", "https://a#b", "https://u@a", "https://A",
     "https://a b", "https://a:", "https://a:x", "https://a:123456", "//a", "https:a", "1://a", "https://a\n",
     "https://*.a", "https://[::1", "https://[g]", "https://é.example", "https://a\\b"],
)  # fmt: skip
def test_what_no_browser_writes_is_none(text: str) -> None:
    assert parse_origin(text) is None


@pytest.mark.parametrize(
    ("host", "parts"),
    [
        ("A.Example", ("a.example", "")),
        ("a:80", ("a", "80")),
        ("a:", ("a", "")),
        ("[::1]", ("[::1]", "")),
        ("[::1]:80", ("[::1]", "80")),
        ("", ("", "")),
        ("a:b", None),
        ("a:1:2", None),
        ("[::1", None),
    ],
)
def test_a_host_has_two(host: str, parts: tuple[str, str] | None) -> None:
    assert split_host(host) == parts
