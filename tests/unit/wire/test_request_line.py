"""The request line: RFC 9112 sections 2.2, 2.3 and 3."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from framework.errors import RemoteProtocolError
from framework.wire.leaves import Limits, RequestHead, parse_request

Read = Callable[..., RequestHead]
Refusal = Callable[..., int]


@pytest.mark.parametrize(
    "method", ["GET", "POST", "HEAD", "M-SEARCH", "get", "X", "!#$%&'*+-.^_`|~9", "A" * 32]
)
def test_a_method_is_any_token_and_kept_as_sent(read: Read, method: str) -> None:
    assert read(f"{method} / HTTP/1.1").method == method


@pytest.mark.parametrize("method", ["", "G T", "G\tT", "GET:", "G\0T", "GÉT", "G@T", '"GET"', "\x0bGET"])
def test_anything_but_a_token_is_no_method(refusal: Refusal, method: str) -> None:
    assert refusal(f"{method} / HTTP/1.1") == 400


def test_a_method_longer_than_any_known_is_not_implemented(refusal: Refusal) -> None:
    assert refusal(f"{'A' * 33} / HTTP/1.1") == 501


@pytest.mark.parametrize(
    "line",
    [
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "GET /\tHTTP/1.1",
        " GET / HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET /a b HTTP/1.1",
        "GET HTTP/1.1",
        "GET /",
        "GET",
    ],
)
def test_single_spaces_part_the_line(refusal: Refusal, line: str) -> None:
    assert refusal(line) == 400


@pytest.mark.parametrize(
    ("version", "minor"), [("HTTP/1.0", 0), ("HTTP/1.1", 1), ("HTTP/1.2", 1), ("HTTP/1.9", 1)]
)
def test_a_later_minor_version_is_read_as_1_1(read: Read, version: str, minor: int) -> None:
    assert read(f"GET / {version}").minor == minor


@pytest.mark.parametrize("version", ["HTTP/2.0", "HTTP/0.9", "HTTP/3.0", "HTTP/9.9"])
def test_another_major_version_is_not_supported(refusal: Refusal, version: str) -> None:
    assert refusal(f"GET / {version}") == 505


@pytest.mark.parametrize(
    "version",
    ["http/1.1", "HTTP/1", "HTTP/1.", "HTTP/11", "HTTP/1.10", "HTTP/01.1", "HTTP/1,1", "HTTPS/1.1", "HTTP/x.1",
     "HTTP/1.x", "HTTP 1.1", "HTTP/1.1x", "FTP/1.1", "HTTP/²/1"],
)  # fmt: skip
def test_a_version_that_is_none_is_refused(refusal: Refusal, version: str) -> None:
    assert refusal(f"GET / {version}") == 400


def test_the_preface_of_http_2_is_a_version_not_supported() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        parse_request(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0, Limits(), RequestHead)
    assert caught.value.status == 505


@pytest.mark.parametrize("before", [b"\r\n", b"\r\n\r\n\r\n"])
def test_empty_lines_before_the_request_line_are_passed_over(before: bytes) -> None:
    data = before + b"GET / HTTP/1.0\r\n\r\n"
    head = parse_request(data, 0, Limits(), RequestHead)
    assert head is not None
    assert (head.method, head.end) == ("GET", len(data))


@pytest.mark.parametrize("before", [b"\n", b"\r", b"\r\r\n", b" \r\n", b"\r\n ", b"\xef\xbb\xbf"])
def test_nothing_else_may_stand_before_it(before: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_request(before + b"GET / HTTP/1.0\r\n\r\n", 0, Limits(), RequestHead)


@pytest.mark.parametrize("ending", [b"\n\n", b"\r\r", b"\n\r\n", b"\r\n\n", b"\r\n\r\r", b"\r\n\rX"])
def test_lines_end_with_cr_lf_alone(ending: bytes) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        parse_request(b"GET / HTTP/1.0" + ending, 0, Limits(), RequestHead)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("beginning", "status"),
    [
        (b"G\0", 400),
        (b"GET  ", 400),
        (b"GET / X", 400),
        (b"GET / HTTP/5.6", 505),
        (b"GET / HTTP/1.1\n", 400),
        (b"GET / HTTP/1.1\r\nHost : ", 400),
        (b"\x16\x03\x01\x02\x00\x01", 400),
    ],
    ids=repr,
)
def test_a_fault_is_found_as_soon_as_its_bytes_are_there(beginning: bytes, status: int) -> None:
    """The last is a TLS client that was sent to a plain port."""
    with pytest.raises(RemoteProtocolError) as caught:
        parse_request(beginning, 0, Limits(), RequestHead)
    assert caught.value.status == status


def test_an_incomplete_head_is_none() -> None:
    data = b"\r\nPOST /a?b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n"
    assert [parse_request(data[:size], 0, Limits(), RequestHead) for size in range(len(data))] == [
        None
    ] * len(data)


def test_a_head_is_read_from_where_it_starts() -> None:
    first = b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\n"
    data = first + b"GET /2 HTTP/1.1\r\nHost: h\r\n\r\nrest"
    head = parse_request(data, len(first), Limits(), RequestHead)
    assert head is not None
    assert (head.target, data[head.end :]) == ("/2", b"rest")


@pytest.mark.parametrize("start", [-1, 19])
def test_a_start_outside_the_data_is_a_mistake_of_the_caller(start: int) -> None:
    with pytest.raises(IndexError):
        parse_request(b"GET / HTTP/1.0\r\n\r\n", start, Limits(), RequestHead)


def test_the_head_is_of_the_class_asked_for() -> None:
    class Request(RequestHead):
        __slots__ = ("own",)

        own: int

    head = parse_request(b"GET / HTTP/1.0\r\n\r\n", 0, Limits(), Request)
    assert type(head) is Request
    head.own = 1
    assert not hasattr(head, "__dict__")
