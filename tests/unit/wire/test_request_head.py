from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.errors import LocalProtocolError
from framework.http.request import Request
from framework.wire.leaves import Limits, parse_request
from framework.wire.request_head import encode_request_head


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("", "/"),
        ("G T", "/"),
        ("GET\r\n", "/"),
        ("GET", ""),
        ("GET", "/ x"),
        ("GET", "/\n"),
        ("GET", "/ä"),
        ("GÉT", "/"),
    ],
)
def test_a_head_that_would_not_be_one_is_refused(method: str, target: str) -> None:
    with pytest.raises(LocalProtocolError):
        encode_request_head(method, target, [("host", "x")])


def test_a_head_is_written_as_it_was_given() -> None:
    fields = [("Host", "x"), ("a", "1"), ("A", "2")]
    assert (
        encode_request_head("GET", "/a?b", fields) == b"GET /a?b HTTP/1.1\r\nHost: x\r\na: 1\r\nA: 2\r\n\r\n"
    )
    with pytest.raises(LocalProtocolError):
        encode_request_head("GET", "/", [("a", "b\r\nc: d")])


@given(st.text(max_size=8), st.text(max_size=20), st.text(max_size=8), st.text(max_size=20))
def test_what_is_written_is_one_head_that_says_what_was_meant(
    method: str, target: str, name: str, value: str
) -> None:
    try:
        data = encode_request_head(method, "/" + target, [("host", "x"), (name, value)])
    except LocalProtocolError:
        return
    assert data.count(b"\r\n") == 4
    assert data.endswith(b"\r\n\r\n")
    try:
        head = parse_request(data, 0, Limits(), Request)
    except Exception:  # a grammatical head may still say what no server takes, such as Content-Length: x
        return
    assert head is not None
    assert (head.method, head.target, head.end) == (method, "/" + target, len(data))
    assert head.fields()[1] == (name.lower(), value.strip(" \t"))
