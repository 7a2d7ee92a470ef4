"""The bounds of a head, each with its status: RFC 9112 section 3, RFC 6585 section 5."""

from __future__ import annotations

import pytest

from framework.errors import RemoteProtocolError
from framework.wire.leaves import Limits, RequestHead, parse_request, parse_response

START = b"GET / HTTP/1.1\r\nHost: h\r\n"


def status_of(data: bytes, limits: Limits, start: int = 0) -> int:
    with pytest.raises(RemoteProtocolError) as caught:
        parse_request(data, start, limits, RequestHead)
    return caught.value.status


def test_a_head_as_large_as_allowed_is_read() -> None:
    head = START + b"A: " + b"b" * 100 + b"\r\n\r\n"
    limits = Limits(max_head=len(head), max_target=10)
    for data in (head, head + b"body"):
        read = parse_request(data, 0, limits, RequestHead)
        assert read is not None
        assert read.end == len(head)


def test_a_larger_head_is_too_large() -> None:
    head = START + b"A: " + b"b" * 100 + b"\r\n\r\n"
    assert status_of(head, Limits(max_head=len(head) - 1, max_target=10)) == 431


@pytest.mark.parametrize(
    "endless",
    [
        START + b"A: " + b"b" * 200,
        START + b"a" * 200,
        b"\r\n" * 100,
        START + b"A: b\r\n" * 30,
        b"GET " + b"/" * 200,
    ],
    ids=["value", "name", "empty lines", "fields", "target"],
)
def test_a_head_that_never_ends_is_too_large_as_soon_as_it_is(endless: bytes) -> None:
    limits = Limits(max_head=150, max_fields=100, max_target=149)
    assert parse_request(endless[:150], 0, limits, RequestHead) is None
    assert status_of(endless, limits) in (431, 414)


def test_the_bound_counts_from_where_the_head_starts() -> None:
    head = START + b"\r\n"
    data = b"x" * 1000 + head
    read = parse_request(data, 1000, Limits(max_head=len(head), max_target=10), RequestHead)
    assert read is not None
    assert read.end == len(data)


def test_pipelined_requests_do_not_count() -> None:
    head = START + b"\r\n"
    assert parse_request(head * 50, 0, Limits(max_head=len(head), max_target=10), RequestHead) is not None


def test_a_fault_within_the_bound_is_found_first() -> None:
    assert status_of(START + b"A : b\r\n" + b"c" * 200, Limits(max_head=100, max_target=10)) == 400


def test_as_many_fields_as_allowed_are_read() -> None:
    assert parse_request(START + b"A: b\r\n" * 4 + b"\r\n", 0, Limits(max_fields=5), RequestHead) is not None


def test_one_more_is_too_many_before_the_head_is_complete() -> None:
    assert status_of(START + b"A: b\r\n" * 5, Limits(max_fields=5)) == 431
    assert status_of(START + b"A: b\r\n" * 5 + b"\r\n", Limits(max_fields=5)) == 431


@pytest.mark.parametrize("form", [b"/%b", b"http://h/%b", b"/?%b"])
def test_a_target_as_long_as_allowed_is_read(form: bytes) -> None:
    target = form % (b"a" * 100)
    head = b"GET %b HTTP/1.0\r\n\r\n" % target
    assert parse_request(head, 0, Limits(max_target=len(target)), RequestHead) is not None
    assert status_of(head, Limits(max_target=len(target) - 1)) == 414


def test_a_target_is_too_long_before_it_ends() -> None:
    limits = Limits(max_target=100)
    assert parse_request(b"GET " + b"/" * 100, 0, limits, RequestHead) is None
    assert status_of(b"GET " + b"/" * 101, limits) == 414


def test_a_response_has_the_same_bounds() -> None:
    start = b"HTTP/1.1 200 OK\r\n"
    for data, limits in (
        (start + b"A: " + b"b" * 200, Limits(max_head=150, max_target=10)),
        (start + b"A: b\r\n" * 5, Limits(max_fields=4)),
    ):
        with pytest.raises(RemoteProtocolError) as caught:
            parse_response(data, 0, limits)
        assert caught.value.status == 502


def test_the_usual_limits() -> None:
    limits = Limits()
    assert (limits.max_head, limits.max_fields, limits.max_target) == (32768, 100, 8192)


@pytest.mark.parametrize("bounds", [(0, 1, 1), (10, 1, 10), (10, 1, 0), (10, 0, 5), (-1, 1, -2)])
def test_limits_that_cannot_be_kept_are_refused(bounds: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="limits"):
        Limits(*bounds)
