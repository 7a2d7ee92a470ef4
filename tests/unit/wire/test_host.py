"""The Host field: RFC 9112 section 3.2, RFC 9110 section 7.2, RFC 3986 section 3.2.2."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from framework.wire.leaves import Limits, RequestHead, parse_request

Read = Callable[..., RequestHead]
Refusal = Callable[..., int]

GOOD = [
    "", "example.com", "EXAMPLE.com:8080", "a.b.c", "127.0.0.1", "0.0.0.0=5000", "a_b", "xn--bcher-kva.ch", "h:",
    "h:0", "a%41", "h:65535", "-", "a,b", "[::]", "[::1]", "[::1]:80", "[1:2:3:4:5:6:7:8]", "[1::8]",
    "[1:2:3:4:5:6:7::]", "[::2:3:4:5:6:7:8]", "[fe80::1:abcd]", "[::ffff:1.2.3.4]",
    "[1:2:3:4:5:6:255.255.255.255]", "[1:2:3:4:5::1.2.3.4]", "[::1.2.3.4]:1",
]  # fmt: skip
BAD = [
    "a b", "a/b", "a?b", "a#b", "a@b", "http://h", "a\\b", "<h>", "h:x", "h:-1", "h:1 2", "h:123456", "h::80", "a%4",
    "a%", "a%zz", "é", "[", "]", "[]", "[::1", "::1", "[::1]a", "[::1]:x", "[g::]", "[1:2:3:4:5:6:7]",
    "[1:2:3:4:5:6:7:8:9]", "[1::2::3]", "[:::]", "[12345::]", "[:1::]", "[1:]", "[::1:]", "[1:2:3:4:5:6:7:8::]",
    "[1:2:3:4::5:6:7:8]", "[1:2:3:4:5:6::1.2.3.4]", "[1:2:3:4:5:1.2.3.4]", "[1:2:3:4:5:6:7:1.2.3.4]",
    "[::256.1.1.1]", "[::1.2.3]", "[::01.2.3.4]", "[1.2.3.4]", "[::1.2.3.4.5]", "[::1.2.3.4:5]", "[::1.2..4]",
    "[::1.2.3.]", "[v1.x]", "[::1%25a]",
]  # fmt: skip


@pytest.mark.parametrize("host", GOOD)
def test_a_host_is_an_authority_without_userinfo(read: Read, host: str) -> None:
    assert read("GET / HTTP/1.1", f"Host: {host}").host == host


@pytest.mark.parametrize("host", BAD)
def test_an_invalid_host_is_refused(refusal: Refusal, host: str) -> None:
    assert refusal("GET / HTTP/1.1", f"Host: {host}") == 400
    assert refusal("GET http://good/ HTTP/1.1", f"Host: {host}") == 400


def test_a_missing_host_is_refused() -> None:
    with pytest.raises(Exception, match="missing"):
        parse_request(b"GET http://h/ HTTP/1.1\r\n\r\n", 0, Limits(), RequestHead)


def test_http_1_0_does_without_one() -> None:
    head = parse_request(b"GET / HTTP/1.0\r\n\r\n", 0, Limits(), RequestHead)
    assert head is not None
    assert head.host == ""


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
@pytest.mark.parametrize("second", ["h", "other", ""])
def test_a_second_host_is_refused_even_if_equal(refusal: Refusal, version: str, second: str) -> None:
    assert refusal(f"GET / {version}", "Host: h", "A: b", f"HOST: {second}") == 400
    assert refusal(f"GET / {version}", "Host:", f"host: {second}") == 400


def test_whitespace_around_it_is_not_part_of_it(read: Read) -> None:
    assert read("GET / HTTP/1.1", "hOST:\t h \t").host == "h"


@pytest.mark.parametrize("name", ["Hosts", "X-Host", "Hos", "Host-"])
def test_no_other_field_is_taken_for_it(read: Read, name: str) -> None:
    assert read("GET / HTTP/1.1", "Host: h", f"{name}: a b").host == "h"
