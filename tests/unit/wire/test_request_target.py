"""The four forms of a request target: RFC 9112 section 3.2."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from framework.wire.leaves import RequestHead

Read = Callable[..., RequestHead]
Refusal = Callable[..., int]


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/", "/", ""),
        ("/a/b", "/a/b", ""),
        ("/a?b=c", "/a", "b=c"),
        ("/a?", "/a", ""),
        ("/a?b?c", "/a", "b?c"),
        ("/?a/../b", "/", "a/../b"),
        ("/%2Fa", "/%2Fa", ""),
        ("///a", "///a", ""),
        ('/with_"quotes"?a=\\"b\\"|', '/with_"quotes"', 'a=\\"b\\"|'),
        ("/a?b#c?d", "/a", "b"),
        ("/a#c?d", "/a", ""),
    ],
)
def test_origin_form_is_split_and_a_fragment_dropped(read: Read, target: str, path: str, query: str) -> None:
    head = read(f"GET {target} HTTP/1.1")
    assert (head.target, head.raw_path, head.query_string) == (target, path, query)
    assert head.host == "h"


@pytest.mark.parametrize(
    ("target", "host", "path", "query"),
    [
        ("http://example.com/a?b", "example.com", "/a", "b"),
        ("HTTPS://Example.com:8443/a", "Example.com:8443", "/a", ""),
        ("http://example.com", "example.com", "/", ""),
        ("http://example.com?a", "example.com", "/", "a"),
        ("http://example.com#a", "example.com", "/", ""),
        ("http://[::1]:8080/a", "[::1]:8080", "/a", ""),
        ("http://a%12:b!&*$@h:1234/t", "h:1234", "/t", ""),
        ("http://@h/", "h", "/", ""),
    ],
)
def test_the_host_of_an_absolute_form_goes_before_the_field(
    read: Read, target: str, host: str, path: str, query: str
) -> None:
    head = read(f"GET {target} HTTP/1.1", "Host: other")
    assert (head.target, head.host, head.raw_path, head.query_string) == (target, host, path, query)


@pytest.mark.parametrize(
    "target",
    ["http://", "http:///a", "http://:80/", "http://?a", "http://u@/", "http://u@:1/", "http://a@b@h/", "http://h:x/",
     "http://h:123456/", "http://h<i>/", "http://[::1/", "http://[::1]x/", "http://[::g]/", "http://h%4/", "http:/h/",
     "http:h", "ftp://h/", "s://]ufd/:", "ws://h/", "http://u<@h/"],
)  # fmt: skip
def test_an_absolute_form_needs_a_scheme_of_http_and_a_host(refusal: Refusal, target: str) -> None:
    assert refusal(f"GET {target} HTTP/1.1") == 400


@pytest.mark.parametrize("target", ["a", "a/b", "h:80", "?a", "#a", "\\", "..", "%2F"])
def test_a_relative_target_is_refused(refusal: Refusal, target: str) -> None:
    assert refusal(f"GET {target} HTTP/1.1") == 400


@pytest.mark.parametrize("target", ["/\x7f", "/\x80", "/é", "/\0", "/\x0b", "/\x1f"])
def test_only_visible_ascii_stands_in_a_target(refusal: Refusal, target: str) -> None:
    assert refusal(f"GET {target} HTTP/1.1") == 400


@pytest.mark.parametrize("method", ["OPTIONS", "M-SEARCH"])
def test_the_asterisk_is_for_options(read: Read, method: str) -> None:
    head = read(f"{method} * HTTP/1.1")
    assert (head.raw_path, head.query_string, head.plain_path) == ("*", "", True)


@pytest.mark.parametrize(
    "line", ["GET * HTTP/1.1", "options * HTTP/1.1", "OPTIONS ** HTTP/1.1", "OPTIONS *?a HTTP/1.1"]
)
def test_the_asterisk_is_for_nothing_else(refusal: Refusal, line: str) -> None:
    assert refusal(line) == 400


@pytest.mark.parametrize("target", ["example.com:443", "[::1]:443", "home_0.example:80"])
def test_authority_form_is_for_connect(read: Read, target: str) -> None:
    head = read(f"CONNECT {target} HTTP/1.1")
    assert (head.host, head.raw_path, head.query_string) == (target, "", "")


@pytest.mark.parametrize(
    "target", ["/", "h", "h:", ":443", "[::1]", "h:x", "h:80/", "http://h:80", "h:1:2", "u@h:80", "*"]
)
def test_connect_needs_host_and_port(refusal: Refusal, target: str) -> None:
    assert refusal(f"CONNECT {target} HTTP/1.1") == 400


@pytest.mark.parametrize(
    ("target", "plain"),
    [
        ("/", True),
        ("/a/b-c.d~e/", True),
        ("/@:!$&'()*+,;=_", True),
        ("/a.b/..c?x", False),
        ("/a?//../%", True),
        ("http://h", True),
        ("http://h/a", True),
        ("//", False),
        ("/a//b", False),
        ("/.", False),
        ("/a/..", False),
        ("/.well-known", False),
        ("/a%20b", False),
        ("/a\\b", False),
        ('/"', False),
    ],
)
def test_a_plain_path_is_canonical_as_it_stands(read: Read, target: str, plain: bool) -> None:
    assert read(f"GET {target} HTTP/1.1").plain_path is plain
