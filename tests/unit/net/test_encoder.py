from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.errors import LocalProtocolError
from framework.http.dates import http_date
from framework.http.response import Response, StreamingResponse
from framework.net.encoder import ResponseEncoder, asks_to_close
from tests.support.replies import Reply, read_reply


def whole(response: Response, *, head: bool = False, keep: bool = True, minor: int = 1) -> bytes:
    encoder = ResponseEncoder()
    return encoder.whole(response, head, encoder.tail(keep, minor))


def read(response: Response, method: str = "GET", **how: Any) -> Reply:
    reply, rest = read_reply(whole(response, head=method == "HEAD", **how), method, closed=True)
    assert rest == b""
    return reply


async def nothing() -> AsyncIterator[bytes]:
    return
    yield b""


def opening(response: StreamingResponse, *, chunked: bool = True) -> dict[str, str]:
    encoder = ResponseEncoder()
    data = encoder.opening(response, chunked=chunked, tail=encoder.tail(True, 1))
    _, *lines = data.decode().removesuffix("\r\n\r\n").split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines)
    assert len(fields) == len(lines), "no field twice"
    return fields


def test_a_whole_response() -> None:
    reply = read(Response("Grüße", 201, headers={"X-One": "1"}))
    assert reply.status == 201
    assert reply.body == "Grüße".encode()
    assert reply["content-length"] == "7"
    assert reply["content-type"] == "text/plain; charset=utf-8"
    assert reply["x-one"] == "1"
    assert "connection" not in reply
    assert "transfer-encoding" not in reply


def test_the_connections_fate_is_told() -> None:
    assert "connection" not in read(Response(), keep=True, minor=1)
    assert read(Response(), keep=True, minor=0)["connection"] == "keep-alive"
    assert read(Response(), keep=False, minor=1)["connection"] == "close"
    assert read(Response(), keep=False, minor=0)["connection"] == "close"


def test_head_has_the_fields_of_get_and_no_body() -> None:
    get, head = read(Response(b"12345")), read(Response(b"12345"), "HEAD")
    assert head.fields == get.fields
    assert head["content-length"] == "5"


def test_head_may_tell_the_length_without_making_the_body() -> None:
    reply = read(Response(headers={"content-length": "123456", "x": "y"}), "HEAD")
    assert reply["content-length"] == "123456"
    assert reply["x"] == "y"
    for wrong in ("12a", "", "-1", "1,1", "١"):
        response = Response()
        response.headers.pairs.append(("content-length", wrong))
        with pytest.raises(LocalProtocolError):
            read(response, "HEAD")


@pytest.mark.parametrize("status", [204, 304])
def test_what_has_no_content_has_no_length_either(status: int) -> None:
    data = whole(Response(b"ignored", status, headers={"etag": '"1"'}))
    assert data.endswith(b"\r\n\r\n")
    assert b"content-length" not in data
    assert b'etag: "1"' in data


def test_reset_content_is_empty_and_says_so() -> None:
    data = whole(Response(b"ignored", 205))
    assert data.endswith(b"\r\n\r\n")
    assert b"content-length: 0\r\n" in data


@pytest.mark.parametrize("status", [204, 205, 304])
def test_a_length_told_for_no_content_is_dropped(status: int) -> None:
    assert b"1234" not in whole(Response(status=status, headers={"content-length": "1234"}))


@pytest.mark.parametrize("status", [-1, 0, 99, 100, 101, 103, 199, 600, 1000])
def test_only_final_statuses(status: int) -> None:
    with pytest.raises(LocalProtocolError, match=f"{status} is no status"):
        whole(Response(status=status))


@pytest.mark.parametrize("status", [200, 299, 418, 599])
def test_statuses_without_a_name_are_fine(status: int) -> None:
    assert read(Response(status=status)).status == status


def test_a_content_length_that_says_the_same_is_dropped() -> None:
    assert read(Response(b"123", headers={"content-length": "3"}))["content-length"] == "3"


@pytest.mark.parametrize(
    "field",
    [
        ("content-length", "4"),
        ("content-length", "03"),
        ("Content-Length", "+3"),
        ("transfer-encoding", "chunked"),
        ("date", "Tue, 24 Nov 2026 20:00:00 GMT"),
        ("connection", "keep-alive"),
        ("connection", "upgrade"),
        ("keep-alive", "timeout=5"),
        ("upgrade", "websocket"),
    ],
)
def test_fields_that_would_contradict_the_framing_are_refused(field: tuple[str, str]) -> None:
    with pytest.raises(LocalProtocolError, match=field[0].lower()):
        whole(Response(b"123", headers=[field]))
    with pytest.raises(LocalProtocolError, match=field[0].lower()):
        opening(StreamingResponse(nothing(), headers=[field]))


def test_a_response_may_ask_for_the_end_of_the_connection() -> None:
    response = Response(headers={"Connection": "Close"})
    assert asks_to_close(response)
    assert read(response, keep=False).all("connection") == ["close"]
    assert "connection" not in opening(StreamingResponse(nothing(), headers={"connection": "close"}))
    assert not asks_to_close(Response())
    assert not asks_to_close(Response(headers={"x-connection": "close"}))


@pytest.mark.parametrize("evil", ["a\r\nx: y", "a\nb", "a\rb", "a\0b", "\x7f", "é☃"])
def test_header_injection_is_refused_wherever_it_comes_in(evil: str) -> None:
    response = Response()
    response.headers.pairs.append(("x-name", evil))
    with pytest.raises(LocalProtocolError):
        whole(response)
    response.headers.pairs[:] = [(evil, "value")]
    with pytest.raises(LocalProtocolError):
        whole(response)
    with pytest.raises(LocalProtocolError):
        whole(Response(media_type=f"text/plain{evil}"))
    stream = StreamingResponse(nothing())
    stream.headers.pairs.append(("x-name", evil))
    with pytest.raises(LocalProtocolError):
        opening(stream)


@given(st.text(max_size=20), st.text(max_size=20))
def test_no_field_can_end_a_line_early(name: str, value: str) -> None:
    response = Response(b"body")
    response.headers.pairs.append((name, value))
    try:
        data = whole(response)
    except LocalProtocolError:
        return
    head, _, body = data.partition(b"\r\n\r\n")
    assert body == b"body"
    assert len(head.split(b"\r\n")) == 4
    assert head.count(b"\n") == head.count(b"\r") == 3


def test_a_stream_is_framed_by_its_length_else_by_chunks_else_by_the_close() -> None:
    assert opening(StreamingResponse(nothing(), length=12))["content-length"] == "12"
    assert opening(StreamingResponse(nothing()))["transfer-encoding"] == "chunked"
    assert (
        not {"content-length", "transfer-encoding"}
        & opening(StreamingResponse(nothing()), chunked=False).keys()
    )
    told = opening(StreamingResponse(nothing(), length=12, headers={"content-length": "12"}))
    assert told["content-length"] == "12"
    for status in (204, 304):
        fields = opening(StreamingResponse(nothing(), status, length=3))
        assert not {"content-length", "transfer-encoding"} & fields.keys()
    assert opening(StreamingResponse(nothing(), 205))["content-length"] == "0"
    with pytest.raises(LocalProtocolError):
        opening(StreamingResponse(nothing(), length=-1))


def test_the_date_is_refreshed_when_the_second_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_700_000_000.9
    monkeypatch.setattr(time, "time", lambda: now)
    encoder = ResponseEncoder()
    first = encoder.keeping
    now = 1_700_000_001.1
    assert encoder.keeping is first
    encoder.refresh()
    assert http_date(1_700_000_001).encode() in encoder.keeping
    assert http_date(1_700_000_001).encode() in encoder.keeping_1_0
    assert http_date(1_700_000_001).encode() in encoder.closing
    kept = encoder.keeping
    encoder.refresh()
    assert encoder.keeping is kept


def test_prefixes_are_kept_but_not_without_bound() -> None:
    encoder = ResponseEncoder()
    kept = encoder.prefix(200, "text/x")
    assert encoder.prefix(200, "text/x") is kept
    for number in range(1100):
        encoder.prefix(200, f"text/{number}")
    assert encoder.prefix(200, "text/x") is not kept
    assert encoder.prefix(200, "text/x") == kept
