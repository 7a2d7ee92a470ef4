"""Compression as a client meets it."""

from __future__ import annotations

import asyncio
import threading
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import brotli
import pytest
from backports import zstd

from framework import App, Handler, Phase, Request, Response, StreamingResponse
from framework.errors import PeerClosed, SetupError
from framework.http.files import FileResponse
from framework.http.sse import EventStream
from framework.middleware.compression import Compression
from framework.testing import Answer, TestClient

pytestmark = pytest.mark.anyio

TEXT = "the quick brown fox jumps over the lazy dog. " * 100
DECODE: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: zlib.decompress(data, wbits=31),
    "br": brotli.decompress,
    "zstd": zstd.decompress,
}


def answering(
    make: Callable[[], Response], compression: Compression | None = None, method: str = "GET"
) -> App:
    app = App()
    app.use(compression or Compression(), Phase.CONTENT)

    @app.route("/", [method])
    async def handler() -> Response:
        return make()

    return app


async def ask(
    make: Callable[[], Response], accept: str = "gzip", compression: Compression | None = None
) -> Answer:
    async with TestClient(answering(make, compression)) as client:
        return await client.get("/", headers={"accept-encoding": accept})


def page(**fields: str) -> Callable[[], Response]:
    return lambda: Response(TEXT, headers={name.replace("_", "-"): value for name, value in fields.items()})


@pytest.mark.parametrize("name", ["gzip", "br", "zstd"])
async def test_a_body_is_coded(name: str) -> None:
    answer = await ask(page(vary="Origin", etag='"abc"', accept_ranges="bytes"), name)
    assert DECODE[name](answer.body) == TEXT.encode()
    assert answer.headers["content-encoding"] == name
    assert answer.headers["vary"] == "Origin, accept-encoding"
    assert answer.headers["etag"] == 'W/"abc"'
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-length"] == str(len(answer.body))
    assert "accept-ranges" not in answer.headers


async def test_vary_stands_where_the_plain_body_was_chosen() -> None:
    async with TestClient(answering(page(etag='"abc"'))) as client:
        for headers in ({}, {"accept-encoding": "identity"}, {"accept-encoding": "gzip;q=0"}):
            answer = await client.get("/", headers=headers)
            assert (answer.text, answer.headers["vary"], answer.headers["etag"]) == (
                TEXT,
                "accept-encoding",
                '"abc"',
            )
            assert "content-encoding" not in answer.headers


@pytest.mark.parametrize(
    "make",
    [
        lambda: Response("short"),
        lambda: Response(b"\xff" * 5000, media_type="image/png"),
        lambda: Response(b"x" * 5000),
        lambda: Response(b"x" * 5000, media_type="application/octet-stream"),
        lambda: StreamingResponse(pieces("x" * 50), media_type="text/plain", length=50),
        lambda: StreamingResponse(pieces("data: x\n\n"), media_type="text/event-stream; charset=utf-8"),
    ],
)
async def test_what_would_gain_nothing_stays_as_it_is(make: Callable[[], Response]) -> None:
    answer = await ask(make)
    assert "content-encoding" not in answer.headers
    assert "vary" not in answer.headers


@pytest.mark.parametrize(
    "fields",
    [
        {"content-encoding": "br"},
        {"content-encoding": "identity"},
        {"cache-control": "public, No-Transform"},
        {"content-range": "bytes 0-9/5000"},
        {"content-digest": "sha-256=:d435Qo+nKZ+gLcUHn7GQtQ72hiBVAgqoLsZnZPiTGPk=:"},
        {"repr-digest": "sha-256=:d435Qo+nKZ+gLcUHn7GQtQ72hiBVAgqoLsZnZPiTGPk=:"},
    ],
)
async def test_what_must_not_be_coded_is_not(fields: dict[str, str]) -> None:
    answer = await ask(lambda: Response(TEXT, headers=fields))
    assert answer.text == TEXT
    assert "vary" not in answer.headers
    assert answer.headers.get("content-encoding") == fields.get("content-encoding")


@pytest.mark.parametrize("status", [204, 206])
async def test_parts_and_nothing_are_left_alone(status: int) -> None:
    answer = await ask(lambda: Response(TEXT, status))
    assert "content-encoding" not in answer.headers


async def test_no_body_is_coded_twice() -> None:
    app = answering(page())
    app.use(Compression(), Phase.HANDLER)
    async with TestClient(app) as client:
        answer = await client.get("/", headers={"accept-encoding": "gzip, br"})
    assert brotli.decompress(answer.body) == TEXT.encode()


async def test_a_body_that_does_not_shrink_is_sent_plain() -> None:
    noise = bytes(range(256)) * 4
    made: list[bytes] = []

    def shuffled() -> Response:
        import random

        made.append(random.Random(1).randbytes(2000) + noise[:8])
        return Response(made[0], media_type="text/plain")

    answer = await ask(shuffled)
    assert answer.body == made[0]
    assert answer.headers["vary"] == "accept-encoding"


async def test_a_client_that_refuses_the_plain_body_gets_none() -> None:
    """RFC 9110 section 12.5.3: size and type do not count then; with nothing else acceptable it is sent plain."""
    small = lambda: Response(b"\x00" * 9, media_type="image/png")  # noqa: E731
    answer = await ask(small, "gzip, identity;q=0")
    assert DECODE["gzip"](answer.body) == b"\x00" * 9
    answer = await ask(small, "*;q=0, gzip;q=0.1")
    assert answer.headers["content-encoding"] == "gzip"
    answer = await ask(small, "compress, *;q=0")
    assert (answer.body, "content-encoding" in answer.headers) == (b"\x00" * 9, False)


async def test_accept_encoding_may_take_two_lines() -> None:
    async with TestClient(answering(page())) as client:
        answer = await client.raw(
            b"GET / HTTP/1.1\r\nhost: x\r\naccept-encoding: gzip\r\naccept-encoding: gzip;q=0, br\r\n\r\n"
        )
    assert answer.headers["content-encoding"] == "br"


async def test_head_tells_of_the_same_body() -> None:
    async with TestClient(answering(page())) as client:
        got = await client.get("/", headers={"accept-encoding": "gzip"})
        head = await client.head("/", headers={"accept-encoding": "gzip"})
    assert (head.body, head.headers["content-length"]) == (b"", str(len(got.body)))
    assert head.headers["content-encoding"] == "gzip"


@pytest.mark.parametrize(
    ("sent", "told"), [('W/"abc"', 'W/"abc"'), ('"abc"', '"abc"'), ('"x", W/"abc"', 'W/"abc"')]
)
async def test_a_304_names_the_tag_the_client_has(sent: str, told: str) -> None:
    shared = Response(status=304, headers={"etag": '"abc"'})
    async with TestClient(answering(lambda: shared)) as client:
        answer = await client.get("/", headers={"accept-encoding": "gzip", "if-none-match": sent})
    assert (answer.status, answer.headers["etag"], answer.headers["vary"]) == (304, told, "accept-encoding")
    assert shared.headers["etag"] == '"abc"'


async def test_a_shared_response_is_not_changed() -> None:
    """A handler may answer with the same object again: it must not be coded for one client and sent to the next."""
    shared = Response(TEXT)
    async with TestClient(answering(lambda: shared)) as client:
        assert (await client.get("/", headers={"accept-encoding": "gzip"})).headers[
            "content-encoding"
        ] == "gzip"
        plain = await client.get("/")
        again = await client.get("/", headers={"accept-encoding": "br"})
    assert plain.text == TEXT
    assert brotli.decompress(again.body) == TEXT.encode()


async def test_large_bodies_are_coded_off_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    compression = Compression(thread_above=2000)
    names: list[str] = []
    coding = compression._codings[-1]

    def watched(data: bytes) -> bytes:
        names.append(threading.current_thread().name)
        return coding.whole(data)

    monkeypatch.setattr(compression, "_codings", [coding._replace(whole=watched)])
    async with TestClient(answering(page(), compression)) as client:
        await client.get("/", headers={"accept-encoding": "gzip"})
        monkeypatch.setattr(compression, "_thread_above", 10_000)
        await client.get("/", headers={"accept-encoding": "gzip;q=1"})
    assert [name == "MainThread" for name in names] == [False, True]


@pytest.mark.parametrize("compression", [Compression(), Compression(thread_above=3)])
async def test_a_stream_is_never_buffered(compression: Compression) -> None:
    """Head and first piece are on the client's side while the second does not exist yet (starlette #2753)."""
    more = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"first"
        await more.wait()
        yield b""
        yield b"second"

    app = answering(lambda: StreamingResponse(slow(), media_type="text/plain"), compression)
    async with (
        TestClient(app) as client,
        client.stream("GET", "/", headers={"accept-encoding": "gzip"}) as incoming,
    ):
        assert incoming.headers["content-encoding"] == "gzip"
        decode = zlib.decompressobj(wbits=31).decompress
        assert decode(await anext(incoming)) == b"first"
        more.set()
        assert decode(await anext(incoming)) + decode(await anext(incoming)) == b"second"


async def test_events_are_coded_if_asked_for() -> None:
    make = lambda: StreamingResponse(pieces("data: x\n\n"), media_type="text/event-stream")  # noqa: E731
    answer = await ask(make, "zstd", Compression(events=True))
    assert zstd.decompress(answer.body) == b"data: x\n\n"


async def test_a_stream_of_known_length_loses_it() -> None:
    answer = await ask(lambda: StreamingResponse(pieces(TEXT), media_type="text/plain", length=len(TEXT)))
    assert DECODE["gzip"](answer.body) == TEXT.encode()
    assert "content-length" not in answer.headers


async def test_a_torn_stream_does_not_pass_for_a_whole_one() -> None:
    async def torn() -> AsyncIterator[bytes]:
        yield b"x" * 2000
        raise RuntimeError

    async with TestClient(answering(lambda: StreamingResponse(torn(), media_type="text/plain"))) as client:
        with pytest.raises(PeerClosed):
            await client.get("/", headers={"accept-encoding": "gzip"})


class Held:
    """Stands for a dependency."""


class Watched:
    """A body that tells when it is closed, taken from or not."""

    closed = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        return b"x" * 2000

    async def aclose(self) -> None:
        self.closed += 1


async def test_the_body_below_is_closed_even_if_never_begun() -> None:
    """HEAD takes no piece; what holds the request's dependencies open must hear of the end all the same."""
    body = Watched()
    async with TestClient(answering(lambda: StreamingResponse(body, media_type="text/plain"))) as client:
        answer = await client.head("/", headers={"accept-encoding": "gzip"})
    assert (answer.headers["content-encoding"], body.closed) == ("gzip", 1)


async def test_dependencies_outlive_the_coded_stream() -> None:
    log: list[str] = []

    async def held() -> AsyncIterator[Held]:
        yield Held()
        log.append("closed")

    app = App()
    app.use(Compression(), Phase.CONTENT)
    app.provide(held)

    @app.get("/")
    async def stream(held: Held) -> StreamingResponse:
        async def body() -> AsyncIterator[str]:
            yield TEXT
            log.append("sent")

        return StreamingResponse(body(), media_type="text/plain")

    async with TestClient(app) as client:
        answer = await client.get("/", headers={"accept-encoding": "br"})
    assert brotli.decompress(answer.body) == TEXT.encode()
    assert log == ["sent", "closed"]


@pytest.mark.parametrize(
    ("media_type", "coded"),
    [
        ("application/json", True),
        ("application/vnd.api+json; charset=utf-8", True),
        ("TEXT/HTML", True),
        ("image/svg+xml", True),
        ("application/zip", False),
        ("video/mp4", False),
        ("textual/html", False),
    ],
)
async def test_the_media_type_decides(media_type: str, coded: bool) -> None:
    answer = await ask(lambda: Response(TEXT.encode(), media_type=media_type))
    assert ("content-encoding" in answer.headers) is coded
    own_field = await ask(lambda: Response(TEXT.encode(), headers={"content-type": media_type}))
    assert ("content-encoding" in own_field.headers) is coded


async def test_media_types_can_be_chosen() -> None:
    compression = Compression(media_types=["application/zip"], min_size=1)
    answer = await ask(lambda: Response(b"a" * 99, media_type="application/zip"), "gzip", compression)
    assert answer.headers["content-encoding"] == "gzip"
    answer = await ask(page(), "gzip", compression)
    assert "content-encoding" not in answer.headers


async def test_what_is_remembered_is_bounded() -> None:
    compression = Compression(["gzip"])
    number = 0

    def numbered() -> Response:
        return Response(TEXT, media_type=f"text/x{number}")

    async with TestClient(answering(numbered, compression)) as client:
        for number in range(300):
            await client.get("/", headers={"accept-encoding": f"x{number}, gzip"})
    assert len(compression._choices) < 257
    assert len(compression._worthy) < 257


async def test_a_content_length_of_the_handlers_is_dropped() -> None:
    answer = await ask(lambda: Response(TEXT, headers={"content-length": str(len(TEXT))}))
    assert DECODE["gzip"](answer.body) == TEXT.encode()


def test_it_says_what_it_offers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert repr(Compression()) == "<Compression zstd, br, gzip>"
    assert Compression(["gzip", "br"]).offers == ("gzip", "br")

    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr("framework.middleware.codings.import_module", missing)
    lacking = Compression(["br", "gzip"])
    assert (
        repr(lacking) == "<Compression gzip; no br: brotli is not installed (extra: framework[compression])>"
    )
    assert lacking.missing.keys() == {"br"}
    with pytest.raises(SetupError):
        Compression(["rar"])


async def pieces(text: str) -> AsyncIterator[str]:
    yield text


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, br;q=0.9", "gzip"),
        ("x-gzip", "gzip"),
        ("*", "zstd"),
        ("*;q=0.5, zstd;q=0", "br"),
        ("gzip;q=0.5, identity", None),
        ("deflate, compress", None),
        ("", None),
        ("gzip;q=nonsense", None),
    ],
)
async def test_the_client_chooses(accept: str, coding: str | None) -> None:
    assert (await ask(page(), accept)).headers.get("content-encoding") == coding


async def test_files_are_coded_whole_and_parts_of_them_are_not(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(TEXT.encode() * 300)
    app = App()
    app.use(Compression(), Phase.CONTENT)

    @app.get("/")
    async def file(request: Request) -> Response:
        return await FileResponse.open(request, path, etag='"v1"')

    async with TestClient(app) as client:
        answer = await client.get("/", headers={"accept-encoding": "gzip"})
        assert DECODE["gzip"](answer.body) == path.read_bytes()
        assert (answer.headers["etag"], "accept-ranges" in answer.headers) == ('W/"v1"', False)
        head = await client.head("/", headers={"accept-encoding": "gzip"})
        assert head.headers["etag"] == 'W/"v1"'
        assert "content-length" not in head.headers
        part = await client.get("/", headers={"accept-encoding": "gzip", "range": "bytes=0-9"})
        assert (part.status, part.body, part.headers["etag"]) == (206, path.read_bytes()[:10], '"v1"')
        beyond = await client.get("/", headers={"accept-encoding": "gzip", "range": "bytes=999999999-"})
        assert (beyond.status, "content-encoding" in beyond.headers) == (416, False)
        again = await client.get("/", headers={"accept-encoding": "gzip", "if-none-match": 'W/"v1"'})
        assert (again.status, again.headers["etag"]) == (304, 'W/"v1"')


async def test_a_stream_keeps_what_else_it_can_do() -> None:
    """The server ends a stream of events at shutdown by its ``drain``."""
    handed: list[Response] = []

    def keeping(handler: Handler) -> Handler:
        async def kept(request: Request) -> Response:
            response = await handler(request)
            handed.append(response)
            return response

        return kept

    app = answering(lambda: EventStream(pieces("x")), Compression(events=True))
    app.use(keeping, Phase.POLICY)
    async with TestClient(app) as client:
        answer = await client.get("/", headers={"accept-encoding": "gzip"})
    assert b"data: x\n\n" in DECODE["gzip"](answer.body)
    assert isinstance(handed[0], EventStream)


async def test_a_compressed_stream_is_told_of_the_shutdown() -> None:
    """Else it would hold the server until the drain deadline cuts it."""
    begun, over = asyncio.Event(), asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield TEXT.encode()
        begun.set()
        await over.wait()
        yield b"the end"

    def make() -> Response:
        response = StreamingResponse(endless(), media_type="text/plain")
        response.on_drain = over.set
        return response

    async with TestClient(answering(make)) as client:
        asked = asyncio.create_task(client.get("/", headers={"accept-encoding": "gzip"}))
        await begun.wait()
        for connection in tuple(client.server.core.connections):
            connection.shut_down()
        answer = await asked
    assert DECODE["gzip"](answer.body) == TEXT.encode() + b"the end"


class Bare:
    """A body that has nothing to close."""

    def __init__(self) -> None:
        self.left = [b"x" * 2000]

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self.left:
            raise StopAsyncIteration
        return self.left.pop()


async def test_a_body_without_close_will_do() -> None:
    answer = await ask(lambda: StreamingResponse(Bare(), media_type="text/plain"))
    assert DECODE["gzip"](answer.body) == b"x" * 2000


async def test_a_304_without_a_strong_tag_stays() -> None:
    for fields in ({}, {"etag": 'W/"a"'}):
        answer = await ask(lambda fields=fields: Response(status=304, headers=fields))  # type: ignore[misc]
        assert (answer.status, answer.headers.get("etag")) == (304, fields.get("etag"))
