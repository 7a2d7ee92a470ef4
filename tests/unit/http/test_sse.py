"""Server-sent events, read back by a parser written after section 9.2.6 of WHATWG HTML."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec import Struct

from framework.errors import CodecError, LocalProtocolError
from framework.http.sse import Event, EventStream, encode_event, last_event_id
from framework.testing import fake_request
from tests.support.event_stream import EventParser

pytestmark = pytest.mark.anyio


class Price(Struct):
    symbol: str
    cents: int


async def of(*items: Any) -> AsyncIterator[Any]:
    for item in items:
        yield item


async def sent(stream: EventStream) -> bytes:
    return b"".join([piece.encode() if isinstance(piece, str) else piece async for piece in stream.content])


@pytest.mark.parametrize(
    ("item", "encoded"),
    [
        ("hello", b"data: hello\n\n"),
        ("", b"data: \n\n"),
        ("two\nlines", b"data: two\ndata: lines\n\n"),
        ("a\r\nb\rc\n", b"data: a\ndata: b\ndata: c\ndata: \n\n"),
        ("one\u2028line\x85", "data: one\u2028line\x85\n\n".encode()),
        (Price("ABC", 7), b'data: {"symbol":"ABC","cents":7}\n\n'),
        ({"a": [1, None]}, b'data: {"a":[1,null]}\n\n'),
        (Event("x", event="tick", id="7", retry=1.5), b"event: tick\nid: 7\nretry: 1500\ndata: x\n\n"),
        (Event(Price("ABC", 7), id=""), b'id: \ndata: {"symbol":"ABC","cents":7}\n\n'),
        (Event(comment="note\nmore"), b": note\n: more\n\n"),
        (Event(id="9"), b"id: 9\n\n"),
    ],
)
def test_encoding(item: Any, encoded: bytes) -> None:
    assert encode_event(item) == encoded


@pytest.mark.parametrize(
    "event", [Event("x", event="a\nb"), Event("x", event="a\r"), Event("x", id="1\n2"), Event("x", id="\0")]
)
def test_what_would_not_arrive_is_refused(event: Event) -> None:
    with pytest.raises(LocalProtocolError):
        encode_event(event)


def test_data_without_a_json_form_is_refused() -> None:
    with pytest.raises(CodecError):
        encode_event(object())


async def test_the_response() -> None:
    stream = EventStream(of("a", Event("b", id="2")), retry=2.0)
    assert stream.media_type == "text/event-stream"
    assert stream.headers["cache-control"] == "no-cache"
    assert stream.headers["x-accel-buffering"] == "no"
    assert await sent(stream) == b"retry: 2000\n\ndata: a\n\nid: 2\ndata: b\n\n"


def test_ones_own_fields_stay() -> None:
    stream = EventStream(of(), headers={"cache-control": "no-store", "x-feed": "1"})
    assert stream.headers.get_all("cache-control") == ["no-store"]
    assert stream.headers["x-feed"] == "1"


async def test_a_heartbeat_breaks_the_silence_and_loses_nothing() -> None:
    speak = asyncio.Event()

    async def source() -> AsyncIterator[str]:
        yield "first"
        async with asyncio.timeout(60):
            await speak.wait()
            yield "second"

    pieces = aiter(EventStream(source(), heartbeat=0.001).content)
    assert await anext(pieces) == b"data: first\n\n"
    assert [await anext(pieces) for _ in range(3)] == [b":\n\n"] * 3
    speak.set()
    rest = [piece async for piece in pieces]
    assert [piece for piece in rest if piece != b":\n\n"] == [b"data: second\n\n"]


async def test_events_that_are_ready_share_a_write() -> None:
    pieces = [piece async for piece in EventStream(of(*"abc")).content]
    assert pieces == [b"data: a\n\ndata: b\n\ndata: c\n\n"]


async def test_a_drain_ends_the_stream_with_a_hint_to_come_back() -> None:
    closed = asyncio.Event()

    async def source() -> AsyncIterator[str]:
        try:
            yield "first"
            await asyncio.Event().wait()
        finally:
            closed.set()

    stream = EventStream(source(), retry=4.0)
    pieces: Any = aiter(stream.content)
    assert await anext(pieces) == b"retry: 4000\n\n"
    assert await anext(pieces) == b"data: first\n\n"
    waiting = asyncio.ensure_future(anext(pieces))
    await asyncio.sleep(0)
    stream.drain()
    parser = EventParser()
    parser.feed(await waiting)
    assert parser.retry is not None
    assert 2000 <= parser.retry <= 6000
    with pytest.raises(StopAsyncIteration):
        await anext(pieces)
    await pieces.aclose()
    assert closed.is_set()


async def test_a_source_that_never_falls_silent_is_drained_too() -> None:
    async def source() -> AsyncIterator[str]:
        while True:
            yield "again"

    stream = EventStream(source())
    pieces: Any = aiter(stream.content)
    await anext(pieces)
    stream.drain()
    last = await anext(pieces)
    assert b"retry: " in last
    with pytest.raises(StopAsyncIteration):
        await anext(pieces)
    await pieces.aclose()


async def test_a_drain_before_the_first_event() -> None:
    stream = EventStream(of("never sent"))
    stream.drain()
    assert (await sent(stream)).startswith(b"retry: ")


async def test_a_failing_source_fails_the_stream() -> None:
    async def source() -> AsyncIterator[str]:
        yield "first"
        raise LookupError

    pieces = aiter(EventStream(source()).content)
    assert await anext(pieces) == b"data: first\n\n"
    with pytest.raises(LookupError):
        await anext(pieces)


@pytest.mark.parametrize(
    ("field", "value"),
    [(None, None), ("7", "7"), ("\xc3\xa9", "é"), ("\xff", "\ufffd")],
)
def test_the_last_event_id(field: str | None, value: str | None) -> None:
    assert last_event_id(fake_request(headers={} if field is None else {"last-event-id": field})) == value


def test_the_parser_of_these_tests() -> None:
    parser = EventParser()
    parser.feed(
        "\ufeff: note\ndata: a\rdata:b\r\nid: 1\n\nevent: x\ndata\n\nid\ndata:  c\n\nretry: 5x\n\nlost".encode()
    )
    assert parser.events == [("message", "a\nb", "1"), ("x", "", "1"), ("message", " c", "")]
    assert parser.retry is None
