"""How bodies end: RFC 9112 section 6.3, rule by rule."""

from __future__ import annotations

import pytest

from framework.wire.http1 import Framing, request_body_framing, response_body_framing
from framework.wire.leaves import Limits, RequestHead, parse_request, parse_response


@pytest.mark.parametrize(
    ("fields", "framing"),
    [
        (b"", Framing.NONE),
        (b"Content-Length: 0\r\n", Framing.NONE),
        (b"Content-Length: 5\r\n", Framing.LENGTH),
        (b"Transfer-Encoding: chunked\r\n", Framing.CHUNKED),
        (b"Transfer-Encoding: gzip, chunked\r\n", Framing.CHUNKED),
    ],
)
@pytest.mark.parametrize("method", [b"GET", b"POST", b"HEAD"])
def test_the_framing_of_a_request_does_not_depend_on_its_method(
    method: bytes, fields: bytes, framing: Framing
) -> None:
    head = parse_request(method + b" / HTTP/1.1\r\nHost: h\r\n" + fields + b"\r\n", 0, Limits(), RequestHead)
    assert head is not None
    assert request_body_framing(head) is framing


NO_FIELDS = b""
LENGTH = b"Content-Length: 5\r\n"
EMPTY = b"Content-Length: 0\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
GZIP = b"Transfer-Encoding: gzip\r\n"


@pytest.mark.parametrize(
    ("method", "status", "fields", "framing"),
    [
        ("HEAD", 200, LENGTH, Framing.NONE),
        ("HEAD", 200, CHUNKED, Framing.NONE),
        ("HEAD", 404, NO_FIELDS, Framing.NONE),
        ("GET", 100, NO_FIELDS, Framing.NONE),
        ("GET", 101, NO_FIELDS, Framing.NONE),
        ("GET", 103, LENGTH, Framing.NONE),
        ("GET", 204, LENGTH, Framing.NONE),
        ("GET", 304, CHUNKED, Framing.NONE),
        ("CONNECT", 200, LENGTH, Framing.NONE),
        ("CONNECT", 299, CHUNKED, Framing.NONE),
        ("CONNECT", 407, LENGTH, Framing.LENGTH),
        ("GET", 200, CHUNKED, Framing.CHUNKED),
        ("POST", 500, CHUNKED, Framing.CHUNKED),
        ("GET", 200, LENGTH, Framing.LENGTH),
        ("GET", 205, EMPTY, Framing.NONE),
        ("GET", 200, EMPTY, Framing.NONE),
        ("GET", 200, NO_FIELDS, Framing.UNTIL_CLOSE),
        ("GET", 200, GZIP, Framing.UNTIL_CLOSE),
    ],
)
def test_the_framing_of_a_response(method: str, status: int, fields: bytes, framing: Framing) -> None:
    head = parse_response(b"HTTP/1.1 %d x\r\n%b\r\n" % (status, fields), 0, Limits())
    assert head is not None
    assert response_body_framing(method, head) is framing
