from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from framework.errors import LocalProtocolError
from framework.http.response import PLAIN, STREAM, Response, StreamingResponse


async def pieces() -> AsyncIterator[bytes]:
    yield b"x"


def test_bytes_are_sent_as_they_are_and_text_as_utf_8() -> None:
    plain = Response(b"\xff")
    assert (plain.body, plain.media_type, plain.status) == (b"\xff", None, 200)
    text = Response("Grüße", 201)
    assert (text.body, text.media_type, text.status) == (
        "Grüße".encode(),
        "text/plain; charset=utf-8",
        201,
    )
    assert Response("{}", media_type="application/json").media_type == "application/json"
    assert Response("").media_type == "text/plain; charset=utf-8"


def test_fields_may_be_a_mapping_or_pairs() -> None:
    assert Response(headers={"X-One": "1"}).headers.get("x-one") == "1"
    response = Response(headers=[("x", "1"), ("X", "2")])
    assert response.headers.get_all("x") == ["1", "2"]


def test_a_response_without_fields_makes_none() -> None:
    response = Response(headers={})
    assert response.fields is None
    response.headers.set("x", "y")
    assert response.fields is response.headers


def test_fields_are_checked_when_they_are_set() -> None:
    with pytest.raises(LocalProtocolError):
        Response(headers={"x": "a\r\nevil: yes"})
    with pytest.raises(LocalProtocolError):
        Response().headers.set("bad name", "x")


def test_cookies_are_set_and_deleted() -> None:
    response = Response()
    response.set_cookie("a", "1", max_age=60, secure=True)
    response.delete_cookie("b", path="/x")
    first, second = response.headers.get_all("set-cookie")
    assert first.startswith("a=1;")
    for part in ("max-age=60", "secure", "httponly", "samesite=lax", "path=/"):
        assert part in first.lower()
    assert second.startswith("b=;")
    assert "max-age=0" in second.lower()
    assert "path=/x" in second.lower()


def test_a_cookie_cannot_break_out_of_its_field() -> None:
    for name, value in (("a", "x; domain=evil"), ("a", "x\r\ny: z"), ("a b", "x"), ("", "x")):
        with pytest.raises(LocalProtocolError):
            Response().set_cookie(name, value)


def test_a_streamed_response_is_told_from_a_plain_one() -> None:
    stream = StreamingResponse(pieces(), 206, headers={"x": "y"}, media_type="text/x", length=1)
    assert (stream.kind, Response().kind) == (STREAM, PLAIN)
    assert (stream.status, stream.media_type, stream.length) == (206, "text/x", 1)
    assert stream.headers.get("x") == "y"
    assert stream.on_drain is None


def test_the_repr_tells_no_secret() -> None:
    response = Response("secret", 403, headers={"authorization": "secret"})
    assert repr(response) == "Response(403, 'text/plain; charset=utf-8')"
    assert repr(StreamingResponse(pieces())) == "StreamingResponse(200, None)"
