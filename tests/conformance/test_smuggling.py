"""Request smuggling: whatever two servers in a row could read in two ways is refused, and nothing behind it served.

The cases are those that other servers got wrong, by the CVE or the change that mended them, and what RFC 9112 warns
of in sections 2.2, 5, 6.1, 6.3, 7.1 and 11.2.
"""

from __future__ import annotations

import importlib
import os
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from framework.errors import RemoteProtocolError
from framework.wire.chunked import ChunkedDecoder

CANARY = b"GET /canary HTTP/1.1\r\nHost: h\r\n\r\n"
"""What an attacker hides; a server that serves it was smuggled past."""

LENGTH = "Content-Length: 6"
CHUNKED = "Transfer-Encoding: chunked"

# A POST with these lines, a body that is "0 CRLF CRLF X" by its length and empty by its chunks, then the canary.
REFUSED_LINES = {
    "both fields (RFC 9112 6.3)": [LENGTH, CHUNKED],
    "both fields, the other way round": [CHUNKED, LENGTH],
    "both fields, a coding that is none": [LENGTH, "Transfer-Encoding: identity"],
    "both fields, several codings": [LENGTH, "Transfer-Encoding: gzip, chunked"],
    "duplicate codings (gunicorn CVE-2024-1135)": [CHUNKED, CHUNKED],
    "a coding after chunked (gunicorn CVE-2024-1135)": ["Transfer-Encoding: chunked, identity"],
    "a second line after chunked (llhttp CVE-2022-32215)": [CHUNKED, "Transfer-Encoding: identity"],
    "an unknown coding beside a length (gunicorn CVE-2024-6827)": [LENGTH, "Transfer-Encoding: cow"],
    "an unknown coding after chunked": [CHUNKED, "Transfer-Encoding: cow"],
    "chunkedchunked (llhttp CVE-2022-32213)": ["Transfer-Encoding: chunkedchunked"],
    "a coding with a vertical tab (waitress CVE-2019-16786)": [LENGTH, "Transfer-Encoding: \x0bchunked"],
    "a coding with a form feed": [LENGTH, "Transfer-Encoding: chunked\x0c"],
    "a coding with \\x85 (gunicorn #3364)": [LENGTH, "Transfer-Encoding: \x85chunked"],
    "a coding with \\xa0 (gunicorn #3364)": [LENGTH, "Transfer-Encoding: chunked\xa0"],
    "a coding with a NUL": [LENGTH, "Transfer-Encoding: chunked\0"],
    "a quoted coding": [LENGTH, 'Transfer-Encoding: "chunked"'],
    "a coding with a parameter": [LENGTH, "Transfer-Encoding: chunked;q=1"],
    "an empty coding": [LENGTH, "Transfer-Encoding:"],
    "an empty member": ["Transfer-Encoding: chunked,"],
    "a space before the colon (netty CVE-2020-7238, llhttp CVE-2021-22959)": [
        LENGTH,
        "Transfer-Encoding : chunked",
    ],
    "a tab before the colon": [LENGTH, "Transfer-Encoding\t: chunked"],
    "\\x85 before the colon": [LENGTH, "Transfer-Encoding\x85: chunked"],
    "\\xa0 before the colon": [LENGTH, "Transfer-Encoding\xa0: chunked"],
    "a vertical tab before the colon": [LENGTH, "Transfer-Encoding\x0b: chunked"],
    "a separator in a name (aiohttp CVE-2024-23829)": [LENGTH, "Transfer-Encoding(x): chunked"],
    "a line without a colon (netty CVE-2019-20444)": [LENGTH, "Transfer-Encoding chunked"],
    "a line that begins with a space (Node CVE-2024-27982)": ["A: b", " Content-Length: 6"],
    "a folded coding (llhttp CVE-2022-32215)": [LENGTH, "Transfer-Encoding:", " chunked"],
    "a folded value": [LENGTH, "A: b", "\tc"],
    "a bare CR for a line end (llhttp CVE-2022-32214)": [LENGTH, "A: b\rTransfer-Encoding: chunked"],
    "a bare CR behind an empty value (llhttp CVE-2023-30589)": [LENGTH, "A:\rTransfer-Encoding: chunked"],
    "a bare LF for a line end (waitress CVE-2019-16785)": [LENGTH, "A: b\nTransfer-Encoding: chunked"],
    "a bare LF behind an empty value": [LENGTH, "A:\nTransfer-Encoding: chunked"],
    "LF CR for a line end": [LENGTH, "A: b\n\rTransfer-Encoding: chunked"],
    "a bare CR before CR LF": [LENGTH, "Transfer-Encoding: chunked\r"],
    "a bare CR that ends the head": [LENGTH, "A: b\r\n\rX"],
    "two lengths (twisted CVE-2020-10108)": [LENGTH, "Content-Length: 5"],
    "two equal lengths (waitress CVE-2019-16792)": [LENGTH, LENGTH],
    "a list of lengths": ["Content-Length: 6, 6"],
    "a signed length (aiohttp CVE-2023-47627, twisted CVE-2022-24801)": ["Content-Length: +6"],
    "a negative length": ["Content-Length: -6"],
    "a length with an underscore (aiohttp CVE-2023-47627)": ["Content-Length: 0_6"],
    "a hexadecimal length": ["Content-Length: 0x6"],
    "a length in other digits": ["Content-Length: \xb2"],
    "a length with \\xa0": ["Content-Length: 6\xa0"],
    "a length with \\x85": ["Content-Length: \x856"],
    "a length with a space inside": ["Content-Length: 6 0"],
    "a length with a vertical tab": ["Content-Length: \x0b6"],
    "a length that is a fraction": ["Content-Length: 6.0"],
    "an empty length": ["Content-Length:"],
    "a length past 64 bits": ["Content-Length: 18446744073709551622"],
    "two hosts": ["Host: h", "Host: other"],
    "two hosts, one of them empty": ["Host:", "Host: h"],
    "a host with a slash": ["Host: h/../other"],
    "a host with userinfo": ["Host: h@other"],
    "a host with a space": ["Host: h other"],
    "a host with a bad port": ["Host: h:80:90"],
    "a NUL in a name": [LENGTH, "Transfer\0-Encoding: chunked"],
    "a NUL in a value": [LENGTH, "A: b\0"],
}

# Chunked bodies with something wrong; by the reading of a laxer server the canary, or a part of it, is data.
REFUSED_BODIES = {
    "a size with 0x (aiohttp CVE-2023-47627, twisted CVE-2022-24801)": b"0x5\r\nhello\r\n0\r\n\r\n",
    "a size with an underscore (aiohttp CVE-2023-47627)": b"0_5\r\nhello\r\n0\r\n\r\n",
    "a size with a plus (aiohttp CVE-2023-47627)": b"+5\r\nhello\r\n0\r\n\r\n",
    "a size with a minus": b"-5\r\nhello\r\n0\r\n\r\n",
    "a size with a space before it": b" 5\r\nhello\r\n0\r\n\r\n",
    "a size with a space behind it": b"5 \r\nhello\r\n0\r\n\r\n",
    "a size with \\xa0": b"5\xa0\r\nhello\r\n0\r\n\r\n",
    "a size with \\x85": b"\x855\r\nhello\r\n0\r\n\r\n",
    "a size with a vertical tab": b"5\x0b\r\nhello\r\n0\r\n\r\n",
    "a size past 64 bits": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "no size": b"\r\nhello\r\n0\r\n\r\n",
    "a newline in an extension (gunicorn #3327, Kestrel CVE-2025-55315)": b"5;\nhello\r\n0\r\n\r\n",
    "a newline in the value of an extension": b"5;a=b\nc\r\nhello\r\n0\r\n\r\n",
    "a newline in a quoted extension": b'5;a="\n"\r\nhello\r\n0\r\n\r\n',
    "a CR in an extension": b"5;a=b\rc\r\nhello\r\n0\r\n\r\n",
    "a NUL in an extension": b"5;a=\0\r\nhello\r\n0\r\n\r\n",
    "an extension without a name": b"5;\r\nhello\r\n0\r\n\r\n",
    "an extension without a semicolon (llhttp CVE-2021-22960)": b"5 a=b\r\nhello\r\n0\r\n\r\n",
    "a size line that ends with LF": b"5\nhello\r\n0\r\n\r\n",
    "a size line that ends with CR": b"5\rhello\r\n0\r\n\r\n",
    "a size line that ends with CR CR LF": b"5\r\r\nhello\r\n0\r\n\r\n",
    "any two bytes behind the data (h11 CVE-2025-43859)": b"5\r\nhelloXX0\r\n\r\n",
    "LF behind the data": b"5\r\nhello\n0\r\n\r\n",
    "nothing behind the data": b"5\r\nhello0\r\n\r\n",
    "more data than the size": b"5\r\nhello!\r\n0\r\n\r\n",
    "a last chunk line that ends with LF": b"5\r\nhello\r\n0\n\r\n",
    "a body that ends with LF": b"5\r\nhello\r\n0\r\n\n",
    "no last chunk": b"5\r\nhello\r\n\r\n",
    "a trailer without a colon": b"0\r\nA\r\n\r\n",
    "a folded trailer": b"0\r\nA: b\r\n c\r\n\r\n",
    "a trailer that ends with LF": b"0\r\nA: b\n\r\n",
    "a trailer with a space before the colon": b"0\r\nA : b\r\n\r\n",
    "a length in the trailers": b"0\r\nContent-Length: 5\r\n\r\n",
    "a coding in the trailers": b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "a host in the trailers": b"0\r\nHost: other\r\n\r\n",
}

# Whole heads that are wrong before their fields.
REFUSED_HEADS = {
    "a coding in HTTP/1.0 (RFC 9112 6.1)": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "CONNECT of a path (hypercorn #277)": b"CONNECT / HTTP/1.1\r\nHost: h\r\n\r\n",
    "a space before the first field": b"GET / HTTP/1.1\r\n Host: h\r\n\r\n",
    "a bare LF behind the request line": b"GET / HTTP/1.1\nHost: h\r\n\r\n",
    "a bare CR behind the request line": b"GET / HTTP/1.1\rHost: h\r\n\r\n",
    "a space behind the version": b"GET / HTTP/1.1 \r\nHost: h\r\n\r\n",
    "two targets": b"GET / /admin HTTP/1.1\r\nHost: h\r\n\r\n",
    "no version": b"GET /\r\nHost: h\r\n\r\n",
    "a version in other digits": b"GET / HTTP/1.\xb2\r\nHost: h\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "a NUL in the target": b"GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n",
    "a CR in the target": b"GET /\r HTTP/1.1\r\nHost: h\r\n\r\n",
    "a bare CR between requests": b"\rGET / HTTP/1.1\r\nHost: h\r\n\r\n",
}

# What looks odd and means one thing only: refusing it is as wrong as serving the rest.
SERVED = {
    "a coding in capitals": ("Transfer-Encoding: CHUNKED\t", b"5\r\nhello\r\n0\r\n\r\n"),
    "no space behind the colon": ("transfer-encoding:chunked", b"5\r\nhello\r\n0\r\n\r\n"),
    "codings on one line": ("Transfer-Encoding: gzip , chunked", b"5\r\nhello\r\n0\r\n\r\n"),
    "leading zeros of a size": (CHUNKED, b"0005\r\nhello\r\n000\r\n\r\n"),
    "extensions": (CHUNKED, b'5; a ;b="c;\\"d"\r\nhello\r\n0;e=f\r\n\r\n'),
    "trailers": (CHUNKED, b"5\r\nhello\r\n0\r\nVary: *\r\nX: a\r\n\r\n"),
    "leading zeros of a length": ("Content-Length:\t0005 ", b"hello"),
    "a name that only resembles": ("Content-Length: 5\r\nTransfer_Encoding: chunked", b"hello"),
    "a field line in a value": ("Content-Length: 5\r\nA: Transfer-Encoding: chunked", b"hello"),
    "an empty line between requests": ("Content-Length: 5", b"hello\r\n"),
}


class Played(NamedTuple):
    """What a server makes of a stream of bytes.

    ``served``: (method, target, body) of each whole request; ``status``: of the fault that ends the stream, None
    without one.
    """

    served: list[tuple[str, str, bytes]]
    status: int | None


class Wire:
    """One twin, behind the loop that every server has."""

    def __init__(self, twin: Any) -> None:
        self._twin = twin

    def play(self, data: bytes) -> Played:
        served: list[tuple[str, str, bytes]] = []
        limits = self._twin.Limits()
        try:
            while data:
                head = self._twin.parse_request(data, 0, limits, self._twin.RequestHead)
                if head is None:
                    break
                data = data[head.end :]
                if head.chunked:
                    decoder = ChunkedDecoder()
                    body = b"".join(decoder.feed(data))
                    if not decoder.complete:
                        break
                    data = decoder.leftover
                else:
                    length = max(0, head.content_length)
                    if len(data) < length:
                        break
                    body, data = data[:length], data[length:]
                served.append((head.method, head.target, body))
                if not head.keep_alive:
                    break
        except RemoteProtocolError as error:
            return Played(served, error.status)
        return Played(served, None)


@pytest.fixture(scope="session", params=["pure", "compiled"])
def wire(request: pytest.FixtureRequest) -> Wire:
    if request.param == "pure":
        return Wire(importlib.import_module("framework.wire._pure"))
    try:
        head, line = (importlib.import_module(f"framework.wire.{name}") for name in ("_head", "_request"))
    except ImportError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI plays to both twins, but the leaves are not compiled: {error}")
        pytest.skip(f"the leaves are not compiled: {error}")
    return Wire(
        SimpleNamespace(Limits=head.Limits, RequestHead=line.RequestHead, parse_request=line.parse_request)
    )


@pytest.mark.parametrize("lines", REFUSED_LINES.values(), ids=REFUSED_LINES.keys())
def test_ambiguous_fields_are_refused(wire: Wire, lines: list[str]) -> None:
    host = [] if any(line.startswith("Host") for line in lines) else ["Host: h"]
    head = "".join(f"{line}\r\n" for line in ("POST / HTTP/1.1", *host, *lines, ""))
    assert_refused(wire, head.encode("latin-1") + b"0\r\n\r\nX" + CANARY)


@pytest.mark.parametrize("body", REFUSED_BODIES.values(), ids=REFUSED_BODIES.keys())
def test_broken_chunks_are_refused(wire: Wire, body: bytes) -> None:
    assert_refused(wire, b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + body + CANARY)


@pytest.mark.parametrize("head", REFUSED_HEADS.values(), ids=REFUSED_HEADS.keys())
def test_broken_request_lines_are_refused(wire: Wire, head: bytes) -> None:
    assert_refused(wire, head + CANARY)


@pytest.mark.parametrize(("field", "body"), SERVED.values(), ids=SERVED.keys())
def test_what_only_looks_odd_is_served(wire: Wire, field: str, body: bytes) -> None:
    played = wire.play(f"POST / HTTP/1.1\r\nHost: h\r\n{field}\r\n\r\n".encode() + body + CANARY)
    assert played.status is None
    assert played.served == [("POST", "/", b"hello"), ("GET", "/canary", b"")]


def test_nothing_is_served_behind_a_connection_that_closes(wire: Wire) -> None:
    for head in (b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n"):
        assert wire.play(head + CANARY).served == [("GET", "/", b"")]


def assert_refused(wire: Wire, data: bytes) -> None:
    played = wire.play(data)
    assert played.served == []
    assert played.status is not None
    assert 400 <= played.status < 600
