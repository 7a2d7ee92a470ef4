"""Event streams and JSON Lines over a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from msgspec import Struct

from framework import App, Request, Response
from framework.errors import PeerClosed
from framework.http.jsonlines import JsonLines, JsonLinesReader
from framework.http.sse import Event, EventStream, last_event_id
from framework.testing import TestClient
from tests.support.event_stream import EventParser

pytestmark = pytest.mark.anyio


class Row(Struct):
    id: int


class Feed:
    """Events that a test publishes, and whether somebody listens."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Event] = asyncio.Queue()
        self.begun = asyncio.Event()
        self.ended = asyncio.Event()

    async def events(self) -> AsyncIterator[Event]:
        self.begun.set()
        try:
            while True:
                yield await self.queue.get()
        finally:
            self.ended.set()


@pytest.fixture
def feed() -> Feed:
    return Feed()


@pytest.fixture
async def client(feed: Feed) -> AsyncIterator[TestClient]:
    app = App()
    reader = JsonLinesReader(Row)

    @app.get("/count")
    async def count(request: Request) -> Response:
        start = int(last_event_id(request) or 0)

        async def events() -> AsyncIterator[Event]:
            for number in range(start + 1, 6):
                yield Event({"n": number}, id=str(number), event="tick")

        return EventStream(events(), retry=1.0)

    @app.get("/feed")
    async def listen() -> Response:
        return EventStream(feed.events(), heartbeat=0.001)

    @app.get("/rows")
    async def rows(fail: bool = False) -> Response:
        async def values() -> AsyncIterator[Row]:
            for number in range(1000):
                yield Row(number)
            if fail:
                raise LookupError

        return JsonLines(values())

    @app.post("/rows")
    async def add(request: Request) -> int:
        return sum([row.id async for row in reader.read(request)])

    async with TestClient(app, transport="socket") as client:
        yield client


async def test_a_browser_comes_back_where_it_left(client: TestClient) -> None:
    parser = EventParser()
    answer = await client.get("/count")
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-accel-buffering"] == "no"
    parser.feed(answer.body)
    assert parser.retry == 1000
    assert parser.events == [
        ("tick", json.dumps({"n": n}, separators=(",", ":")), str(n)) for n in range(1, 6)
    ]
    parser = EventParser()
    parser.feed((await client.get("/count", headers={"last-event-id": "3"})).body)
    assert [event[2] for event in parser.events] == ["4", "5"]


async def test_head_of_a_stream_starts_nothing(client: TestClient, feed: Feed) -> None:
    answer = await client.head("/feed")
    assert (answer.status, answer.body) == (200, b"")
    assert not feed.begun.is_set()


async def test_events_and_heartbeats_arrive_at_once_and_a_lost_client_ends_the_source(
    client: TestClient, feed: Feed
) -> None:
    async with client.stream("GET", "/feed", expect=200) as incoming:
        assert await anext(incoming) == b":\n\n"
        assert await anext(incoming) == b":\n\n"
        feed.queue.put_nowait(Event("hello"))
        while (piece := await anext(incoming)) == b":\n\n":
            pass
        assert piece == b"data: hello\n\n"
        assert not feed.ended.is_set()
    await feed.ended.wait()


async def test_json_lines(client: TestClient) -> None:
    answer = await client.get("/rows")
    assert answer.headers["content-type"] == "application/jsonl"
    assert [json.loads(line)["id"] for line in answer.body.splitlines()] == list(range(1000))


async def test_a_source_that_fails_is_no_whole_answer(client: TestClient) -> None:
    with pytest.raises(PeerClosed):
        await client.get("/rows?fail=true")


async def test_json_lines_are_read_as_they_come(client: TestClient) -> None:
    body = b"".join(b'{"id":%d}\n' % number for number in range(1000))
    answer = await client.post("/rows", content=body, headers={"content-type": "application/jsonl"})
    assert answer.json() == sum(range(1000))
    answer = await client.post("/rows", content=b'{"id":1}\n{"id":"x"}\n')
    assert answer.status == 422
    assert answer.json()["errors"] == [
        {"in": "line 2", "pointer": "/id", "detail": "Expected `int`, got `str`"}
    ]
