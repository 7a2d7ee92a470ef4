from __future__ import annotations

import pytest

from benchmarks.load.probe import ProbeError, parse_reply

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"


@pytest.mark.parametrize("data", [ANSWER, CHUNKED], ids=["sized", "chunked"])
def test_every_prefix_is_incomplete_and_the_rest_is_returned(data: bytes) -> None:
    for size in range(len(data)):
        assert parse_reply(data[:size]) is None
    parsed = parse_reply(data + b"HTTP/1.1")
    assert parsed is not None
    reply, rest = parsed
    assert (reply.status, reply.body, rest) == (200, b"hello", b"HTTP/1.1")


def test_header_names_are_lower_case() -> None:
    parsed = parse_reply(ANSWER)
    assert parsed is not None
    assert parsed[0].headers["content-type"] == "text/plain"


@pytest.mark.parametrize(
    "data",
    [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n", b"SSH-2.0\r\n\r\n", b"HTTP/1.1 OK\r\n\r\n"],
)
def test_what_is_no_response_with_a_length_is_refused(data: bytes) -> None:
    with pytest.raises(ProbeError):
        parse_reply(data)
