"""The front door: what a call sends, what it makes of the answer."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest

from framework.errors import CodecError, LocalProtocolError, RemoteProtocolError
from framework.net.client import (
    CookieJar,
    ExchangeDeadline,
    HTTPClient,
    ResponseTooLarge,
    Timeouts,
    TooManyRedirects,
)
from framework.testing import run_virtual
from tests.support.scripted import Peer, Play, played

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Site:
    """Answers by path, and keeps what it was sent: the head, then the body where it is counted or chunked."""

    def __init__(self, pages: dict[str, bytes] | None = None) -> None:
        self.pages = pages or {}
        self.seen: list[tuple[bytes, bytes]] = []

    async def __call__(self, peer: Peer) -> None:
        while True:
            head = await peer.head()
            low = head.lower()
            body = b""
            if b"transfer-encoding: chunked" in low:
                body = await peer.until(b"0\r\n\r\n")
            elif b"content-length: " in low:
                size = int(low.partition(b"content-length: ")[2].partition(b"\r")[0])
                body = await peer.take(size)
            self.seen.append((head, body))
            peer.send(self.pages.get(head.split()[1].decode(), OK))

    @property
    def head(self) -> bytes:
        return self.seen[-1][0]


def run(play: Play, check: Callable[[HTTPClient], Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        async with played(play) as connector:
            async with HTTPClient("http://x", connector=connector, **options) as client:
                await check(client)
            assert client.pools.connections == 0

    run_virtual(main())


class TestRequests:
    def test_the_head(self) -> None:
        site = Site()

        async def check(client: HTTPClient) -> None:
            response = await client.get("/a b", params={"q": "ä", "n": [1, 2]}, headers={"X-One": "1"})
            assert (response.status, response.reason, response.body, response.ok) == (200, "OK", b"ok", True)
            assert response.url == "http://x/a b?q=%C3%A4&n=1&n=2"
            assert site.head == (
                b"GET /a%20b?q=%C3%A4&n=1&n=2 HTTP/1.1\r\nhost: x\r\n"
                b"accept: */*\r\nuser-agent: framework\r\nX-One: 1\r\n\r\n"
            )

        run(site, check)

    def test_defaults_give_way(self) -> None:
        site = Site()

        async def check(client: HTTPClient) -> None:
            await client.get("http://x:81/", headers={"User-Agent": "mine", "Host": "other"})
            assert (
                site.head
                == b"GET / HTTP/1.1\r\nhost: other\r\naccept: */*\r\nkey: 1\r\nUser-Agent: mine\r\n\r\n"
            )
            await client.get("http://x:81/")
            assert b"host: x:81\r\n" in site.head

        run(site, check, headers={"Key": "1"})

    @pytest.mark.parametrize(
        ("options", "fields", "body"),
        [
            ({"body": b"ab"}, b"content-length: 2\r\n", b"ab"),
            ({"body": bytearray(b"ab")}, b"content-length: 2\r\n", b"ab"),
            ({"body": b""}, b"content-length: 0\r\n", b""),
            ({}, b"content-length: 0\r\n", b""),
            ({"body": [b"ab", b"c"]}, b"transfer-encoding: chunked\r\n", b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"),
            ({"body": [b"ab", b"c"], "length": 3}, b"content-length: 3\r\n", b"abc"),
            ({"json": {"a": 1}}, b"content-type: application/json\r\ncontent-length: 7\r\n", b'{"a":1}'),
            ({"json": None}, b"content-type: application/json\r\ncontent-length: 4\r\n", b"null"),
            (
                {"form": {"a": "b c", "d": ["1", "2"]}},
                b"content-type: application/x-www-form-urlencoded\r\ncontent-length: 13\r\n",
                b"a=b+c&d=1&d=2",
            ),
            (
                {"json": 1, "headers": {"Content-Type": "application/x+json"}},
                b"Content-Type: application/x+json\r\ncontent-length: 1\r\n",
                b"1",
            ),
        ],
    )
    def test_bodies(self, options: dict[str, Any], fields: bytes, body: bytes) -> None:
        site = Site()

        async def check(client: HTTPClient) -> None:
            assert (await client.post("/", **options)).body == b"ok"
            assert site.seen[-1][1] == body
            assert site.head.endswith(fields + b"\r\n")

        run(site, check)

    def test_a_get_without_body_says_no_length(self) -> None:
        site = Site()

        async def check(client: HTTPClient) -> None:
            await client.get("/")
            assert b"content-length" not in site.head
            await client.delete("/")
            assert b"content-length" not in site.head

        run(site, check)

    @pytest.mark.parametrize(
        ("options", "problem"),
        [
            ({"body": "text"}, "encode the text"),
            ({"body": b"a", "json": 1}, "one body"),
            ({"form": {}, "json": 1}, "one body"),
            ({"headers": {"Content-Length": "1"}}, "follow from the body"),
            ({"headers": {"transfer-encoding": "chunked"}}, "follow from the body"),
            ({"headers": {"a": "b\r\nc: d"}}, "invalid character"),
            ({"headers": {"a b": "c"}}, "invalid field name"),
            ({"headers": {"host": "x\r\ny: z"}}, "invalid character"),
        ],
    )
    def test_what_is_refused_before_anything_is_sent(self, options: dict[str, Any], problem: str) -> None:
        async def check(client: HTTPClient) -> None:
            with pytest.raises(LocalProtocolError, match=problem):
                await client.post("/", **options)
            assert client.pools.connections == 0

        run(Site(), check)

    def test_methods(self) -> None:
        site = Site()

        async def check(client: HTTPClient) -> None:
            for method in ("get", "post", "put", "patch", "delete"):
                await getattr(client, method)("/")
                assert site.head.startswith(method.upper().encode() + b" ")
            with pytest.raises(LocalProtocolError):
                await client.request("GET\r\n", "/")

        run(site, check)

    def test_framing_is_no_default(self) -> None:
        for name in ("Host", "content-length"):
            with pytest.raises(LocalProtocolError):
                HTTPClient(headers={name: "1"})

    def test_a_client_that_was_closed_says_so(self) -> None:
        async def main() -> None:
            async with played(Site()) as connector:
                client = HTTPClient("http://x", connector=connector)
                await client.get("/")
                await client.aclose()
                await client.aclose()
                with pytest.raises(LocalProtocolError, match="closed"):
                    await client.get("/")

        run_virtual(main())


class User(msgspec.Struct):
    name: str


def page(body: bytes, fields: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\n" + fields + b"content-length: %d\r\n\r\n" % len(body) + body


class TestResponses:
    def test_json_and_text(self) -> None:
        site = Site(
            {
                "/json": page(b'{"name": "Ann"}'),
                "/latin": page(b"\xe4", b"content-type: text/plain; charset=latin-1\r\n"),
                "/utf8": page("ä".encode()),
                "/bad": page(b"\xff"),
                "/worse": page(b"a", b"content-type: text/plain; charset=klingon\r\n"),
            }
        )

        async def check(client: HTTPClient) -> None:
            response = await client.get("/json")
            assert response.json() == {"name": "Ann"}
            assert response.json(User) == User("Ann")
            with pytest.raises(CodecError, match=r"not of its type: /: "):
                response.json(list[int])
            assert (await client.get("/latin")).text == "ä"
            assert (await client.get("/utf8")).text == "ä"
            for path in ("/bad", "/worse"):
                response = await client.get(path)
                with pytest.raises(CodecError):
                    response.text  # noqa: B018
            with pytest.raises(CodecError):
                response.json()

        run(site, check)

    def test_headers_and_trailers(self) -> None:
        head = b"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\ntransfer-encoding: chunked\r\n\r\n"

        async def check(client: HTTPClient) -> None:
            response = await client.get("/")
            assert response.headers.get_all("X-a") == ["1", "2"]
            assert response.trailers["X-T"] == "3"

        run(Site({"/": head + b"1\r\na\r\n0\r\nx-t: 3\r\n\r\n"}), check)

    @pytest.mark.parametrize("chunked", [False, True])
    def test_a_body_is_bounded(self, chunked: bool) -> None:
        response = page(bytes(5000))
        if chunked:
            response = (
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
                + (b"3e8\r\n" + bytes(1000) + b"\r\n") * 5
                + b"0\r\n\r\n"
            )

        async def check(client: HTTPClient) -> None:
            with pytest.raises(ResponseTooLarge) as caught:
                await client.get("/")
            assert caught.value.limit == 4999
            async with client.stream("GET", "/") as stream:
                assert len(await stream.read(5000)) == 5000
                assert await stream.read(1) == stream.body

        run(Site({"/": response}), check, max_body=4999)

    def test_a_large_declared_body_is_refused_unread(self) -> None:
        async def play(peer: Peer) -> None:
            await peer.head()
            peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n")
            await peer.gone()

        async def check(client: HTTPClient) -> None:
            with pytest.raises(ResponseTooLarge):
                await client.get("/")
            assert client.pool("/").open == 0

        run(play, check, max_body=1000)

    def test_a_stream_comes_as_it_is_sent(self) -> None:
        async def play(peer: Peer) -> None:
            while True:
                await peer.head()
                peer.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                for number in range(3):
                    await asyncio.sleep(1)
                    peer.send(b"1\r\n%d\r\n" % number)
                peer.send(b"0\r\n\r\n")

        async def check(client: HTTPClient) -> None:
            async with client.stream("GET", "/") as response:
                with pytest.raises(LocalProtocolError, match="not read"):
                    response.body  # noqa: B018
                assert [piece async for piece in response] == [b"0", b"1", b"2"]
            assert client.pool("/").idle == 1
            async with client.stream("GET", "/") as response:
                assert await anext(aiter(response)) == b"0"
            assert client.pool("/").open == 0

        run(play, check)


class TestDecompression:
    def test_it_is_asked_for_and_taken_off(self) -> None:
        packed = gzip.compress(b"hello" * 1000)
        site = Site({"/": page(packed, b"content-encoding: gzip\r\n")})

        async def check(client: HTTPClient) -> None:
            assert (await client.get("/")).body == b"hello" * 1000
            assert b"accept-encoding: zstd, br, gzip, deflate\r\n" in site.head

        run(site, check, decompress=True)

    def test_not_without_being_told(self) -> None:
        packed = gzip.compress(b"hello")
        site = Site({"/": page(packed, b"content-encoding: gzip\r\n")})

        async def check(client: HTTPClient) -> None:
            assert (await client.get("/")).body == packed
            assert b"accept-encoding" not in site.head

        run(site, check)

    def test_a_bomb_meets_the_limit_of_the_reader(self) -> None:
        bomb = gzip.compress(bytes(100_000_000))

        async def check(client: HTTPClient) -> None:
            with pytest.raises(ResponseTooLarge):
                await client.get("/")

        run(
            Site({"/": page(bomb, b"content-encoding: gzip\r\n")}), check, decompress=True, max_body=1_000_000
        )

    def test_a_broken_coding_is_an_error(self) -> None:
        async def check(client: HTTPClient) -> None:
            with pytest.raises(RemoteProtocolError, match="Content-Encoding"):
                await client.get("/")

        run(Site({"/": page(b"nonsense", b"content-encoding: gzip\r\n")}), check, decompress=True)


def moved(status: int, location: str) -> bytes:
    return b"HTTP/1.1 %d Moved\r\nlocation: %b\r\ncontent-length: 0\r\n\r\n" % (status, location.encode())


class TestRedirects:
    def test_they_are_answers_unless_followed(self) -> None:
        site = Site({"/a": moved(302, "/b")})

        async def check(client: HTTPClient) -> None:
            assert (await client.get("/a")).status == 302
            response = await client.get("/a", follow_redirects=True)
            assert (response.status, response.url, response.history) == (200, "http://x/b", ("http://x/a",))

        run(site, check)

    def test_credentials_stay_at_home(self) -> None:
        site = Site({"/a": moved(302, "http://y/b"), "/c": moved(302, "/d")})

        async def check(client: HTTPClient) -> None:
            await client.get("/a", headers={"Authorization": "secret", "x": "1"})
            assert b"secret" not in site.head
            assert b"host: y\r\n" in site.head
            assert b"x: 1\r\n" in site.head
            await client.get("/c", headers={"Authorization": "secret"})
            assert b"secret" in site.head

        run(site, check, follow_redirects=True)

    def test_credentials_among_the_defaults_stay_at_home(self) -> None:
        site = Site({"/a": moved(302, "http://y/b")})

        async def check(client: HTTPClient) -> None:
            await client.get("/a")
            assert b"secret" in site.seen[0][0]
            assert b"secret" not in site.seen[1][0]

        run(site, check, follow_redirects=True, headers={"Authorization": "secret"})

    def test_a_body_goes_along_or_does_not(self) -> None:
        site = Site({"/307": moved(307, "/x"), "/303": moved(303, "/x")})

        async def check(client: HTTPClient) -> None:
            await client.post("/307", json=1)
            assert site.seen[-1][1] == b"1"
            assert site.head.startswith(b"POST /x ")
            await client.post("/303", json=1)
            assert site.seen[-1][1] == b""
            assert site.head.startswith(b"GET /x ")
            assert b"content-type" not in site.head

        run(site, check, follow_redirects=True)

    def test_a_circle_ends(self) -> None:
        async def check(client: HTTPClient) -> None:
            with pytest.raises(TooManyRedirects, match="more than 3 redirects") as caught:
                await client.get("/a")
            assert len(caught.value.urls) == 4
            assert client.pool("/").open == client.pool("/").idle

        run(Site({"/a": moved(302, "/a")}), check, follow_redirects=True, max_redirects=3)

    def test_all_of_them_have_one_budget(self) -> None:
        async def play(peer: Peer) -> None:
            while True:
                await peer.head()
                await asyncio.sleep(1)
                peer.send(moved(302, "/a"))

        async def check(client: HTTPClient) -> None:
            with pytest.raises(ExchangeDeadline) as caught:
                await client.get("/a")
            assert caught.value.phase == "total"
            assert 3.5 <= asyncio.get_running_loop().time() < 3.7

        run(play, check, follow_redirects=True, timeouts=Timeouts(total=3.5))

    def test_a_streamed_body_is_not_sent_twice(self) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"a"

        async def check(client: HTTPClient) -> None:
            assert (await client.post("/a", body=pieces())).status == 307

        run(Site({"/a": moved(307, "/b")}), check, follow_redirects=True)


class TestBudget:
    def test_a_call_has_what_is_left_of_the_budget_of_the_request_it_is_made_for(self) -> None:
        async def play(peer: Peer) -> None:
            await peer.head()
            await asyncio.sleep(5)
            peer.send(OK)
            await peer.gone()

        async def check(client: HTTPClient) -> None:
            with pytest.raises(ExchangeDeadline, match=r"took longer than 1\.5 s") as caught:
                await client.get("/", deadline=asyncio.get_running_loop().time() + 1.5)
            assert caught.value.phase == "total"
            assert (await client.get("/", deadline=None)).ok

        run(play, check)


class TestCookies:
    def test_they_are_kept_and_sent_where_they_belong(self) -> None:
        site = Site({"/in": page(b"", b"Set-Cookie: a=1; Path=/\r\nSet-Cookie: b=2; Path=/sub\r\n")})

        async def check(client: HTTPClient) -> None:
            await client.get("/in")
            await client.get("/sub")
            assert b"cookie: b=2; a=1\r\n" in site.head
            await client.get("http://y/sub")
            assert b"cookie" not in site.head

        run(site, check, cookies=CookieJar())

    def test_there_are_none_without_a_jar(self) -> None:
        site = Site({"/in": page(b"", b"Set-Cookie: a=1\r\n")})

        async def check(client: HTTPClient) -> None:
            await client.get("/in")
            await client.get("/")
            assert b"cookie" not in site.head

        run(site, check)
