"""JSON Lines, both ways."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec import Struct

from framework.errors import CodecError, HTTPError, ValidationError
from framework.http.jsonlines import JsonLines, JsonLinesReader
from framework.testing import fake_request

pytestmark = pytest.mark.anyio


class Row(Struct):
    id: int
    name: str = ""


async def of(*items: Any) -> AsyncIterator[Any]:
    for item in items:
        yield item


async def rows(*pieces: bytes, reader: JsonLinesReader[Row] | None = None, **headers: str) -> list[Row]:
    request = fake_request("POST", headers={k.replace("_", "-"): v for k, v in headers.items()}, body=pieces)
    return [row async for row in (reader or JsonLinesReader(Row)).read(request)]


async def test_the_response_is_a_value_on_each_line() -> None:
    response = JsonLines(of(Row(1, "a"), {"two\n": "lines\r"}, None, "x"))
    assert response.media_type == "application/jsonl"
    pieces = [piece async for piece in response.content]
    assert pieces == [b'{"id":1,"name":"a"}\n{"two\\n":"lines\\r"}\nnull\n"x"\n']


async def test_nothing_is_an_empty_body() -> None:
    assert [piece async for piece in JsonLines(of()).content] == []


async def test_what_is_ready_shares_a_write_and_no_more() -> None:
    pieces = [piece async for piece in JsonLines(of(*range(5)), type=int, ahead=2).content]
    assert pieces == [b"0\n1\n", b"2\n3\n", b"4\n"]


async def test_a_value_without_a_json_form_fails_the_stream() -> None:
    with pytest.raises(CodecError):
        await anext(aiter(JsonLines(of(object())).content))


async def test_closing_the_response_closes_its_source() -> None:
    closed: list[bool] = []

    async def source() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.append(True)

    content: Any = JsonLines(source()).content
    await anext(aiter(content))
    await content.aclose()
    assert closed == [True]


async def test_reads_lines_however_they_are_cut() -> None:
    expected = [Row(1, "é"), Row(2), Row(3)]
    body = '{"id":1,"name":"é"}\r\n\n  \n{"id":2}\n{"id":3}'.encode()
    assert await rows(body) == expected
    assert await rows(*(body[at : at + 1] for at in range(len(body)))) == expected
    assert await rows(body + b"\n") == expected
    assert await rows() == []


async def test_lines_are_yielded_as_they_come() -> None:
    request = fake_request("POST", body=[b'{"id":1}\n{"id":', b"2}\n", b'{"id":3}'])
    reader = JsonLinesReader(Row).read(request)
    source: Any = request.source
    assert await anext(reader) == Row(1)
    assert source.taken == 1
    assert await anext(reader) == Row(2)
    assert source.taken == 2
    await reader.aclose()


@pytest.mark.parametrize(
    "media_type", ["application/jsonl", "application/x-ndjson", "Application/JSONL; charset=utf-8"]
)
async def test_its_names(media_type: str) -> None:
    assert await rows(b'{"id":1}', content_type=media_type) == [Row(1)]


@pytest.mark.parametrize("media_type", ["application/json", "text/plain", "jsonl"])
async def test_another_media_type_is_415(media_type: str) -> None:
    with pytest.raises(HTTPError) as caught:
        await rows(b'{"id":1}', content_type=media_type)
    assert caught.value.status == 415


async def test_a_malformed_line_is_400_with_its_number() -> None:
    request = fake_request("POST", body=[b'{"id":1}\n\n{"id":2\n{"id":3}'])
    reader = JsonLinesReader(Row).read(request)
    assert await anext(reader) == Row(1)
    with pytest.raises(HTTPError, match=r"^400: line 3: malformed JSON"):
        await anext(reader)


async def test_a_line_of_another_shape_is_422_with_its_number_and_every_fault() -> None:
    with pytest.raises(ValidationError) as caught:
        await rows(b'{"id":1}\n{"id":"x","name":3}')
    assert [(error.source, error.pointer) for error in caught.value.errors] == [
        ("line 2", "/id"),
        ("line 2", "/name"),
    ]


async def test_unknown_members_are_refused_if_wanted() -> None:
    reader = JsonLinesReader(Row, strict_unknown=True)
    with pytest.raises(ValidationError):
        await rows(b'{"id":1,"more":2}', reader=reader)


@pytest.mark.parametrize("cut", [1, 7, 1000])
async def test_a_line_that_is_too_long_is_413(cut: int) -> None:
    reader = JsonLinesReader(Row, max_line=30)
    exact = b'{"id":1,"name":"1234567890ab"}'
    assert len(exact) == 30
    body = exact + b"\n" + exact.replace(b"ab", b"abc") + b"\n"
    with pytest.raises(HTTPError, match=r"^413: line 2 "):
        await rows(*(body[at : at + cut] for at in range(0, len(body), cut)), reader=reader)
    with pytest.raises(HTTPError, match=r"^413: line 1 "):
        await rows(*[b" " * 10] * 10, reader=reader)


async def test_the_body_has_the_limit_of_its_route() -> None:
    request = fake_request("POST", body=[b'{"id":1}\n'] * 100, max_body=50)
    with pytest.raises(HTTPError) as caught:
        [row async for row in JsonLinesReader(Row).read(request)]
    assert caught.value.status == 413
    request = fake_request("POST", body=[b'{"id":1}\n'] * 100, max_body=50)
    assert len([row async for row in JsonLinesReader(Row).read(request, max_size=1000)]) == 100
