"""Response heads, as a client reads them: RFC 9112 section 4."""

from __future__ import annotations

import pytest

from framework.errors import RemoteProtocolError
from framework.wire.leaves import Limits, ResponseHead, parse_response


def read(line: str, *fields: str) -> ResponseHead:
    data = "".join(f"{each}\r\n" for each in (line, *fields, "")).encode("latin-1")
    head = parse_response(data, 0, Limits())
    assert head is not None
    assert head.end == len(data)
    return head


def refusal(line: str, *fields: str) -> RemoteProtocolError:
    data = "".join(f"{each}\r\n" for each in (line, *fields, "")).encode("latin-1")
    with pytest.raises(RemoteProtocolError) as caught:
        parse_response(data, 0, Limits())
    return caught.value


@pytest.mark.parametrize(
    ("line", "minor", "status", "reason"),
    [
        ("HTTP/1.1 200 OK", 1, 200, "OK"),
        ("HTTP/1.0 404 Not Found", 0, 404, "Not Found"),
        ("HTTP/1.1 204 ", 1, 204, ""),
        ("HTTP/1.5 999 x", 1, 999, "x"),
        ("HTTP/1.1 100 \tfran\xe7ais ", 1, 100, "\tfran\xe7ais "),
    ],
)
def test_a_status_line_is_read(line: str, minor: int, status: int, reason: str) -> None:
    head = read(line)
    assert (head.minor, head.status, head.reason) == (minor, status, reason)


@pytest.mark.parametrize(
    "line",
    ["", "HTTP/1.1 200", "HTTP/1.1  200 OK", "HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 099 x", "HTTP/1.1 2x0 OK",
     "HTTP/2.0 200 OK", "http/1.1 200 OK", "HTTP/1.1\t200 OK", "HTTP/1.1 200\tOK", "HTTP/1.d 200 OK", "HTTP/1.1 ddd OK",
     "HTTP/1.1 +20 OK", "HTTP/1.1 200 O\0K", "HTTP/1.1 200 O\rK", "HTTP/1.1 200 O\nK", " HTTP/1.1 200 OK", "ICY 200 OK",
     "\r\nHTTP/1.1 200 OK", "HTTP/1.1 \u00b2\u00b200 x"],
)  # fmt: skip
def test_anything_else_is_a_bad_gateway(line: str) -> None:
    assert refusal(line).status == 502


@pytest.mark.parametrize(
    "fields",
    [
        ["A : b"],
        ["A: b\nc: d"],
        [" folded"],
        ["Content-Length: +5"],
        ["Content-Length: 5", "Content-Length: 5"],
        ["Content-Length: 5, 5"],
        ["Content-Length: " + "9" * 30],
        ["Transfer-Encoding: chunked, gzip"],
        ["Transfer-Encoding: pigeons, chunked"],
        ["Transfer-Encoding: chunked", "Content-Length: 5"],
        ["Transfer-Encoding: gzip", "Content-Length: 5"],
    ],
)
def test_faulty_fields_are_a_bad_gateway_too(fields: list[str]) -> None:
    error = refusal("HTTP/1.1 200 OK", *fields)
    assert error.status == 502
    assert error.__cause__ is None
    assert refusal("HTTP/1.0 200 OK", *fields).status == 502


def test_a_transfer_coding_in_http_1_0_is_faulty_framing() -> None:
    assert refusal("HTTP/1.0 200 OK", "Transfer-Encoding: chunked").status == 502


def test_a_response_without_chunked_at_the_end_is_legal() -> None:
    """It ends with the connection (RFC 9112 section 6.3, rule 4)."""
    head = read("HTTP/1.1 200 OK", "Transfer-Encoding: gzip")
    assert (head.chunked, head.content_length) == (False, -1)


def test_request_fields_mean_nothing_in_a_response() -> None:
    head = read("HTTP/1.1 200 OK", "Host: a b", "Host: c", "Expect: x")
    assert (head.host, head.expect_continue) == ("", False)


def test_framing_and_connection_are_read_as_in_requests() -> None:
    head = read("HTTP/1.1 200 OK", "content-length: 5", "connection: close")
    assert (head.content_length, head.keep_alive) == (5, False)
    head = read("HTTP/1.1 101 Switching Protocols", "upgrade: websocket", "connection: upgrade")
    assert (head.upgrade, head.keep_alive) == (True, True)
    head = read("HTTP/1.1 200 OK", "transfer-encoding: chunked")
    assert head.chunked
    assert not read("HTTP/1.0 200 OK").keep_alive


def test_an_incomplete_head_is_none() -> None:
    data = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nSet-Cookie: a=b\r\n\r\n"
    assert [parse_response(data[:size], 0, Limits()) for size in range(len(data))] == [None] * len(data)


def test_interim_and_final_response_follow_each_other() -> None:
    data = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nLink: </b>\r\nLink: </c>\r\n\r\nrest"
    first = parse_response(data, 0, Limits())
    assert first is not None
    second = parse_response(data, first.end, Limits())
    assert second is not None
    assert (first.status, second.status) == (103, 200)
    assert second.fields() == [("link", "</b>"), ("link", "</c>")]
    assert second.field("link") == "</b>"
    assert data[second.end :] == b"rest"


@pytest.mark.parametrize("start", [-1, 5])
def test_a_start_outside_the_data_is_a_mistake_of_the_caller(start: int) -> None:
    with pytest.raises(IndexError):
        parse_response(b"HTTP", start, Limits())
