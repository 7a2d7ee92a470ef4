from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.errors import HTTPError, RemoteProtocolError
from framework.http.endpoint import Endpoint
from framework.http.request import Address, Origin, Request, StateKey
from framework.testing import VirtualTimeLoop, virtual_loop
from framework.wire.leaves import Limits, parse_request


class Source:
    """A body that comes in given pieces, with trailers at its end."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.pieces = list(pieces)
        self.trailers: list[tuple[str, str]] = []

    async def receive(self) -> bytes:
        await asyncio.sleep(0)
        if self.pieces:
            return self.pieces.pop(0)
        self.trailers = [("x-sum", "12")]
        return b""


class Exchange:
    """A connection that knows who asks, and counts how often it is asked."""

    scheme = "http"
    peer = Address("192.0.2.1", 40_000)

    def __init__(self) -> None:
        self.resolved = 0
        self.after: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []

    def extra(self, name: str) -> Any:
        return None

    def resolve(self, request: Request) -> Origin:
        self.resolved += 1
        return Origin(self.peer, "https", request.host)

    def after_response(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.after.append((function, args))


def unused(*_: object) -> Any:
    raise AssertionError


def made(
    head: str = "GET / HTTP/1.1\r\nHost: a\r\n",
    body: bytes | Iterable[bytes] = b"",
    max_body: int = 100,
    timeout: float | None = 60.0,
) -> Request:
    request = parse_request(f"{head}\r\n".encode("latin-1"), 0, Limits(), Request)
    assert request is not None
    if isinstance(body, bytes):
        request.attach(Exchange(), body, None)
    else:
        request.attach(Exchange(), None, Source(body))
    request.endpoint = Endpoint(unused, unused, max_body=max_body, timeout=timeout)
    return request


def posted(media_type: str | None, body: bytes | Iterable[bytes], **options: Any) -> Request:
    field = "" if media_type is None else f"Content-Type: {media_type}\r\n"
    return made(f"POST / HTTP/1.1\r\nHost: a\r\n{field}", body, **options)


# -- the head ---------------------------------------------------------------------------------------------------------


def test_what_is_derived_from_the_head_is_made_once() -> None:
    request = made("GET /a%20b?x=1&x=2 HTTP/1.1\r\nHost: a\r\nCookie: k=v\r\nCookie: l=w\r\n")
    assert request.path == "/a b"
    assert request.headers.get("HOST") == "a"
    assert request.query.get_all("x") == ["1", "2"]
    assert request.cookies == {"k": "v", "l": "w"}
    assert request.id == request.id
    assert len(request.id) == 32
    for name in ("path", "headers", "query", "cookies", "origin"):
        assert getattr(request, name) is getattr(request, name)
    exchange = request.exchange
    assert isinstance(exchange, Exchange)
    assert exchange.resolved == 1


def test_the_id_may_be_given() -> None:
    request = made()
    request.id = "theirs"
    assert request.id == "theirs"


def test_a_path_without_a_canonical_form_is_a_400() -> None:
    with pytest.raises(HTTPError) as caught:
        _ = made("GET /../x HTTP/1.1\r\nHost: a\r\n").path
    assert caught.value.status == 400


def test_typed_values_travel_with_the_request() -> None:
    number: StateKey[int] = StateKey("number")
    other: StateKey[int] = StateKey("number")
    request = made()
    assert request.get(number) is None
    with pytest.raises(KeyError):
        _ = request[number]
    request[number] = 1
    assert request[number] == request.get(number) == 1
    assert request.get(other) is None, "a key is itself, not its name"
    assert repr(number) == "StateKey('number')"
    assert repr(request) == "<Request GET />"


def test_who_asks_is_the_exchanges_word() -> None:
    request = made()
    assert request.client == Address("192.0.2.1", 40_000)
    assert request.scheme == "https"


@pytest.mark.parametrize(
    ("line", "host", "url"),
    [
        ("GET /a/b?c=d", "example.com", "https://example.com/a/b?c=d"),
        ("GET /", "EXAMPLE.com:8443", "https://EXAMPLE.com:8443/"),
        ("GET /a%2Fb?", "[2001:db8::1]:80", "https://[2001:db8::1]:80/a%2Fb"),
        ("GET http://target.example/x?y", "example.com", "https://target.example/x?y"),
        ("GET http://user:secret@target.example/x", "example.com", "https://target.example/x"),
        ("GET http://target.example?q", "example.com", "https://target.example/?q"),
        ("GET //elsewhere.example/x", "example.com", "https://example.com//elsewhere.example/x"),
        ("GET /@elsewhere.example", "example.com", "https://example.com/@elsewhere.example"),
        ("OPTIONS *", "example.com", "https://example.com"),
        ("CONNECT target.example:443", "example.com", "https://target.example:443"),
        ("GET /x#fragment", "example.com", "https://example.com/x"),
        ("GET /", "a.example,b.example", "https://a.example,b.example/"),
        ("GET /", "x;y=z", "https://x;y=z/"),
    ],
)
def test_the_url_of_a_request(line: str, host: str, url: str) -> None:
    assert made(f"{line} HTTP/1.1\r\nHost: {host}\r\n").url == url


@given(st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=30))
def test_no_host_leads_the_url_elsewhere(host: str) -> None:
    """Whatever the Host field says, scheme, authority and path of the URL stay what they are (CVE-2026-48710)."""
    try:
        request = made(f"GET /path HTTP/1.1\r\nHost: {host}\r\n")
    except RemoteProtocolError:
        return
    scheme, _, rest = request.url.partition("://")
    authority, slash, path = rest.partition("/")
    assert (scheme, slash, path) == ("https", "/", "path")
    assert authority == request.host == host.strip(" \t")
    assert not set(authority) & set("/?#@\\ \t")


# -- the body ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"hello", [b"he", b"llo"], [b"hello"]])
def test_the_body_may_be_asked_for_again(body: bytes | list[bytes]) -> None:
    with virtual_loop() as loop:
        request = posted(None, body)
        assert loop.run(request.body()) == b"hello"
        assert loop.run(request.body()) == b"hello"

        async def streamed() -> list[bytes]:
            return [piece async for piece in request.stream()]

        assert loop.run(streamed()) == [b"hello"]


def test_an_empty_body_is_no_piece() -> None:
    async def streamed(request: Request) -> list[bytes]:
        return [piece async for piece in request.stream()]

    with virtual_loop() as loop:
        assert loop.run(streamed(made())) == []
        assert loop.run(streamed(posted(None, []))) == []
        assert loop.run(posted(None, []).body()) == b""


def test_a_stream_can_be_read_once() -> None:
    async def read(request: Request) -> None:
        async for _ in request.stream():
            pass

    with virtual_loop() as loop:
        request = posted(None, [b"hello"])
        loop.run(read(request))
        for again in (request.body(), read(request)):
            with pytest.raises(RuntimeError, match="consumed already"):
                loop.run(again)


@pytest.mark.parametrize("body", [b"x" * 101, [b"x" * 50, b"x" * 51]])
def test_a_body_past_the_limit_is_a_413(body: bytes | list[bytes]) -> None:
    async def streamed(request: Request) -> None:
        async for _ in request.stream(100):
            pass

    with virtual_loop() as loop:
        for read in (lambda: posted(None, body).body(), lambda: streamed(posted(None, body))):
            with pytest.raises(HTTPError) as caught:
                loop.run(read())
            assert caught.value.status == 413
        assert len(loop.run(posted(None, body).body(101))) == 101
        assert len(loop.run(posted(None, body, max_body=101).body())) == 101


def test_a_length_past_the_limit_is_a_413_before_anything_is_read() -> None:
    head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n"
    with virtual_loop() as loop:
        request = made(head, [b"x"])
        with pytest.raises(HTTPError):
            loop.run(request.body())
        source = request.source
        assert isinstance(source, Source)
        assert source.pieces == [b"x"]


@pytest.mark.parametrize("way", ["body", "stream"])
@pytest.mark.parametrize("limits", [(100,), (100, 500), (500, 100)])
def test_the_smallest_limit_holds_for_whoever_reads(way: str, limits: tuple[int, ...]) -> None:
    async def read(request: Request, max_size: int | None) -> int:
        if way == "body":
            return len(await request.body(max_size))
        return sum([len(piece) async for piece in request.stream(max_size)])

    def limited(size: int) -> Request:
        request = posted(None, [b"x" * (size - 50), b"x" * 50], max_body=1000)
        for limit in limits:
            request.limit_body(limit)
        return request

    with virtual_loop() as loop:
        for max_size in (None, 1000):
            assert loop.run(read(limited(100), max_size)) == 100
            with pytest.raises(HTTPError) as caught:
                loop.run(read(limited(101), max_size))
            assert (caught.value.status, caught.value.detail) == (413, "the body is larger than 100 bytes")
        with pytest.raises(HTTPError, match="larger than 99 bytes"):
            loop.run(read(limited(100), 99))


@pytest.mark.parametrize(
    ("field", "body"),
    [("", b"x" * 101), ("Content-Length: 101\r\n", [b"x"]), ("Content-Length: 101\r\n", b"x" * 101)],
)
def test_a_limit_refuses_at_once_what_it_can_tell(field: str, body: bytes | list[bytes]) -> None:
    request = made(f"POST / HTTP/1.1\r\nHost: a\r\n{field}", body, max_body=1000)
    request.limit_body(101)
    with pytest.raises(HTTPError, match="larger than 100 bytes"):
        request.limit_body(100)


def test_trailers_are_there_when_the_body_was_read() -> None:
    with virtual_loop() as loop:
        request = posted(None, [b"hello"])
        with pytest.raises(RuntimeError, match="read it to its end"):
            _ = request.trailers
        loop.run(request.body())
        assert request.trailers.get("X-Sum") == "12"
        assert "x-sum" not in request.headers
        assert len(made().trailers) == 0


def test_trailers_are_not_there_when_the_body_was_read_in_part() -> None:
    async def first(request: Request) -> None:
        async for _ in request.stream():
            break

    with virtual_loop() as loop:
        request = posted(None, [b"hello", b"world"])
        loop.run(first(request))
        with pytest.raises(RuntimeError):
            _ = request.trailers


def status_of(loop: VirtualTimeLoop, read: Any) -> int:
    with pytest.raises(HTTPError) as caught:
        loop.run(read)
    return caught.value.status


def test_json() -> None:
    with virtual_loop() as loop:
        for media_type in ("application/json", "application/json; charset=utf-8", "application/x+json", None):
            assert loop.run(posted(media_type, b'{"a": [1]}').json()) == {"a": [1]}
        assert status_of(loop, posted("text/plain", b"{}").json()) == 415
        assert status_of(loop, posted("application/json", b"{").json()) == 400
        assert status_of(loop, posted("application/json", b"[" + b"1," * 60 + b"1]").json()) == 413


def test_form() -> None:
    form = "application/x-www-form-urlencoded"
    with virtual_loop() as loop:
        assert loop.run(posted(form, b"a=1&b=x+y").form()).get("b") == "x y"
        assert loop.run(posted(f"{form.upper()}; charset=utf-8", b"a=1").form()).get("a") == "1"
        assert status_of(loop, posted("text/plain", b"a=1").form()) == 415
        assert status_of(loop, posted(None, b"a=1").form()) == 415


# -- the rest ---------------------------------------------------------------------------------------------------------


def test_background_work_is_the_connections() -> None:
    request = made()
    request.background(unused, 1, 2)
    exchange = request.exchange
    assert isinstance(exchange, Exchange)
    assert exchange.after == [(unused, (1, 2))]
