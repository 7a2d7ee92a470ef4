"""Fields behind a streamed body: who gets them, and which may not be there (RFC 9110 section 6.5.1)."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.http.request import Request
from framework.http.response import Response, StreamingResponse
from framework.http.trailers import may_trail
from framework.wire.chunked import FORBIDDEN_TRAILERS
from tests.support.harness import App, harness, request_bytes
from tests.support.streams import Source, serving


def digest() -> dict[str, str]:
    return {"digest": "sha-256=abc", "server-timing": "total;dur=12"}


def sent(app: App, *, asks: bool, version: str = "1.1", method: str = "GET") -> bytes:
    fields = "te: deflate;q=0.5, Trailers\r\n" if asks else ""
    with harness(app) as server:
        client = server.connect()
        client.send(f"{method} / HTTP/{version}\r\nhost: x\r\n{fields}\r\n".encode())
        return client.raw()


def test_a_client_that_asks_has_all_of_them_behind_the_body() -> None:
    raw = sent(serving(Source(b"one", b"two"), trailers=digest), asks=True)
    assert raw.endswith(
        b"3\r\none\r\n3\r\ntwo\r\n0\r\ndigest: sha-256=abc\r\nserver-timing: total;dur=12\r\n\r\n"
    )


def test_a_client_that_does_not_ask_has_none() -> None:
    raw = sent(serving(Source(b"one"), trailers=digest), asks=False)
    assert raw.endswith(b"3\r\none\r\n0\r\n\r\n")


def test_those_that_the_trailer_field_declares_go_to_everybody() -> None:
    raw = sent(serving(Source(b"one"), trailers=digest, headers={"Trailer": "x-other, Digest"}), asks=False)
    assert b"trailer: x-other, Digest\r\n" in raw
    assert raw.endswith(b"3\r\none\r\n0\r\ndigest: sha-256=abc\r\n\r\n")


def test_they_are_read_when_the_body_is_over() -> None:
    count = 0

    async def content() -> AsyncIterator[bytes]:
        nonlocal count
        for _ in range(3):
            count += 1
            yield b"x"

    async def handler(request: Request) -> Response:
        return StreamingResponse(content(), trailers=lambda: [("x-count", str(count)), ("x-count", "again")])

    assert sent(App(handler), asks=True).endswith(b"0\r\nx-count: 3\r\nx-count: again\r\n\r\n")


@pytest.mark.parametrize(
    ("options", "version", "method"),
    [({"length": 3}, "1.1", "GET"), ({}, "1.0", "GET"), ({}, "1.1", "HEAD"), ({"status": 204}, "1.1", "GET")],
)
def test_only_a_chunked_body_has_any(options: dict[str, Any], version: str, method: str) -> None:
    def never() -> dict[str, str]:
        raise AssertionError("they were asked for")

    raw = sent(serving(Source(b"one"), trailers=never, **options), asks=True, version=version, method=method)
    assert raw.endswith(b"\r\n\r\none" if method == "GET" and "status" not in options else b"\r\n\r\n")


@pytest.mark.parametrize("name", sorted(FORBIDDEN_TRAILERS | {"content-type", "Set-Cookie", "cache-control"}))
def test_a_forbidden_field_cuts_the_connection(name: str, caplog: pytest.LogCaptureFixture) -> None:
    with harness(serving(Source(b"one"), trailers=lambda: {name: "1"})) as server:
        client = server.connect()
        with caplog.at_level(logging.ERROR):
            client.send(b"GET / HTTP/1.1\r\nhost: x\r\nte: trailers\r\n\r\n")
        assert client.transport.aborted
        assert client.raw().endswith(b"3\r\none\r\n"), "a torn body is never taken for a whole one"
    assert "in a trailer section" in caplog.text


@pytest.mark.parametrize("pair", [("x-a", "1\r\n\r\nHTTP/1.1 200 OK"), ("x a", "1"), ("x-a\r\nb", "1")])
def test_a_trailer_that_would_split_the_message_cuts_it(pair: tuple[str, str]) -> None:
    with harness(serving(Source(b"one"), trailers=lambda: [pair])) as server:
        client = server.connect()
        client.send(b"GET / HTTP/1.1\r\nhost: x\r\nte: trailers\r\n\r\n")
        assert client.transport.aborted


def test_trailers_of_an_empty_body_that_fail_are_answered_as_an_error() -> None:
    def fails() -> dict[str, str]:
        raise LookupError

    with harness(serving(Source(), trailers=fails)) as server:
        assert server.connect().get().status == 500


def test_the_connection_goes_on_behind_them() -> None:
    app = serving_each(lambda: StreamingResponse(Source(b"one")(), trailers=digest))
    with harness(app) as server:
        client = server.connect()
        for _ in range(2):
            client.send(b"GET / HTTP/1.1\r\nhost: x\r\nte: trailers\r\n\r\n")
        assert client.raw().count(b"digest: sha-256=abc\r\n") == 2
        client.send(request_bytes())
        assert client.raw().startswith(b"HTTP/1.1 200 OK\r\n")


def serving_each(make: Callable[[], Response]) -> App:
    async def handler(request: Request) -> Response:
        return make()

    return App(handler)


@given(st.sampled_from(["content-length", "Trailer", "TE", "Host", "set-cookie", "Vary"]), st.booleans())
def test_no_forbidden_name_in_any_case(name: str, upper: bool) -> None:
    assert not may_trail(name.upper() if upper else name.lower())


def test_what_is_known_late_may_trail() -> None:
    assert all(map(may_trail, ("Digest", "ETag", "Server-Timing", "grpc-status", "x-checksum")))
