"""Event streams and JSON Lines: what is sent is what a client reads, in any cut of the bytes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from framework.http.jsonlines import JsonLines, JsonLinesReader
from framework.http.sse import Event, EventStream
from framework.testing import fake_request
from tests.support.event_stream import EventParser

TEXT = st.text(st.sampled_from("ab:\r\n \ufeff\u2028\x85é💡\0"), max_size=10)
NAME = st.text(st.sampled_from("ab: é"), min_size=1, max_size=5)
EVENTS = st.builds(
    Event,
    TEXT,
    event=st.none() | NAME,
    id=st.none() | st.text(st.sampled_from("01 :é"), max_size=4),
    comment=st.none() | TEXT,
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def lines_of(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


async def collect(pieces: Any) -> bytes:
    return b"".join([piece async for piece in pieces])


async def of(items: Sequence[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item


@given(st.lists(TEXT | EVENTS, max_size=6))
def test_a_browser_gets_the_events_that_were_sent(items: list[str | Event]) -> None:
    parser = EventParser()
    parser.feed(asyncio.run(collect(EventStream(of(items)).content)).decode())
    expected: list[tuple[str, str, str]] = []
    last = ""
    for item in items:
        event = item if isinstance(item, Event) else Event(item)
        last = last if event.id is None else event.id
        expected.append((event.event or "message", lines_of(event.data), last))
    assert parser.events == expected


@given(st.lists(VALUES, max_size=6), st.integers(1, 20))
def test_json_lines_survive_the_round_trip(values: list[Any], cut: int) -> None:
    body = asyncio.run(collect(JsonLines(of(values)).content))
    assert [json.loads(line) for line in body.split(b"\n")[:-1]] == values
    pieces = [body[at : at + cut] for at in range(0, len(body), cut)]

    async def read() -> list[Any]:
        reader: JsonLinesReader[Any] = JsonLinesReader(object)
        return [value async for value in reader.read(fake_request("POST", body=pieces))]

    assert asyncio.run(read()) == values
