"""What each kind of result becomes."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import inspect
import uuid
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from typing import Any

import pytest
from msgspec import Struct

from framework import App, Request
from framework.app.binding.results import response_maker
from framework.codec import encode_json
from framework.errors import BindingError, LocalProtocolError
from framework.http.response import Response, StreamingResponse
from framework.testing import TestClient

NOTHING = inspect.Signature.empty


class Item(Struct):
    name: str


class Special(Item):
    extra: int = 1


class Other(Struct):
    x: int


@dataclasses.dataclass
class Point:
    x: int


class Word(enum.StrEnum):
    YES = "yes"


class Teapot(Response):
    __slots__ = ()


class Text(str):
    __slots__ = ()


async def pieces() -> AsyncIterator[str]:
    yield "a"


class Lines:
    """An async iterable that is no generator."""

    def __aiter__(self) -> AsyncIterator[str]:
        return pieces()


def made(result: Any, annotation: Any = NOTHING, status: int = 200) -> tuple[int, str | None, bytes]:
    response = response_maker(annotation, status)(result)
    return response.status, response.media_type, response.body


@pytest.mark.parametrize(
    ("result", "body"),
    [
        ({"a": 1}, b'{"a":1}'),
        ([1, None], b"[1,null]"),
        (Item("tea"), b'{"name":"tea"}'),
        ([Item("tea")], b'[{"name":"tea"}]'),
        (Point(1), b'{"x":1}'),
        ((1, 2), b"[1,2]"),
        ({1}, b"[1]"),
        (1, b"1"),
        (1.5, b"1.5"),
        (True, b"true"),
        (uuid.UUID(int=1), b'"00000000-0000-0000-0000-000000000001"'),
        (datetime.date(2026, 1, 2), b'"2026-01-02"'),
        (decimal.Decimal("1.10"), b'"1.10"'),
        (
            {"when": datetime.date(2026, 1, 2), "item": Item("x")},
            b'{"when":"2026-01-02","item":{"name":"x"}}',
        ),
    ],
)
@pytest.mark.parametrize("is_annotated", [True, False])
def test_values_are_json(result: Any, body: bytes, is_annotated: bool) -> None:
    assert made(result, type(result) if is_annotated else NOTHING) == (200, "application/json", body)
    assert made(result, status=201)[0] == 201


@pytest.mark.parametrize("annotation", [NOTHING, str, Any, Item, str | None])
@pytest.mark.parametrize("result", ["yes", Word.YES, Text("yes")])
def test_str_is_text(result: str, annotation: Any) -> None:
    assert made(result, annotation) == (200, "text/plain; charset=utf-8", b"yes")


@pytest.mark.parametrize(
    "result", [b"abc", bytearray(b"abc"), memoryview(b"abc"), memoryview(b"aXbXcX")[::2]]
)
def test_bytes_are_bytes(result: Any) -> None:
    status, media_type, body = made(result, bytes)
    assert (status, media_type, body, type(body)) == (200, "application/octet-stream", b"abc", bytes)


@pytest.mark.parametrize(("status", "sent"), [(200, 204), (201, 201), (202, 202), (204, 204)])
def test_none_is_no_content_unless_the_route_says_otherwise(status: int, sent: int) -> None:
    assert made(None, None, status) == (sent, None, b"")


def test_a_response_stays_as_it_is() -> None:
    for response in (Response("x", 418), Teapot("x", 418)):
        for annotation in (Response, NOTHING, str, Item):
            assert response_maker(annotation, 201)(response) is response


def test_a_struct_of_another_type_than_promised_is_encoded_as_it_is() -> None:
    assert made(Special("tea"), Item)[2] == b'{"name":"tea","extra":1}'
    assert made(Other(1), Item)[2] == b'{"x":1}'
    assert made({"a": 1}, Item)[2] == b'{"a":1}'
    assert made("text", Item)[1] == "text/plain; charset=utf-8"
    assert made(None, Item)[0] == 204


@pytest.mark.parametrize(
    ("annotation", "media_type"),
    [
        (NOTHING, "application/octet-stream"),
        (AsyncIterator, "application/octet-stream"),
        (AsyncIterator[bytes], "application/octet-stream"),
        (AsyncIterator[bytes | str], "application/octet-stream"),
        (AsyncIterator[Any], "application/octet-stream"),
        (AsyncIterator[str], "text/plain; charset=utf-8"),
        (AsyncIterable[str], "text/plain; charset=utf-8"),
        (AsyncGenerator[str, None], "text/plain; charset=utf-8"),
    ],
)
def test_async_iterators_are_streams(annotation: Any, media_type: str) -> None:
    content = Lines()
    response = response_maker(annotation, 203)(content)
    assert isinstance(response, StreamingResponse)
    assert (response.status, response.media_type, response.content) == (203, media_type, content)


@pytest.mark.parametrize(
    "annotation", [AsyncIterator[int], AsyncIterator[Item], AsyncGenerator[str | int, None]]
)
def test_streams_of_anything_else_are_refused_at_build(annotation: Any) -> None:
    with pytest.raises(BindingError, match="neither str nor bytes"):
        response_maker(annotation, 200)


@pytest.mark.parametrize("annotation", [NOTHING, Item, str, dict])
@pytest.mark.parametrize("result", [object(), {"a": object()}, [object()], (x for x in "ab")])
def test_what_makes_no_response_is_the_servers_fault(result: Any, annotation: Any) -> None:
    with pytest.raises(
        LocalProtocolError, match=r"GET /x: returned a \w+, which makes no response"
    ) as caught:
        response_maker(annotation, 200, "GET /x")(result)
    assert caught.value.status == 500


def test_a_struct_with_what_json_cannot_hold() -> None:
    class Holder(Struct):
        inner: Any

    with pytest.raises(LocalProtocolError, match=r"returned a .*Holder, which makes no response"):
        response_maker(Holder, 200)(Holder(object()))


def test_a_forgotten_await_is_told_and_leaves_no_warning() -> None:
    async def waits() -> str:
        return ""

    with pytest.raises(LocalProtocolError, match="returned a coroutine"):
        response_maker(str, 200)(waits())


@pytest.mark.anyio
@pytest.mark.parametrize("way", ["result", "stated", "by hand"])
async def test_a_response_that_does_not_encode_is_a_500_and_logged(
    way: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It was a 400 with the encoder's words in it: the client was blamed for what the server could not say."""
    unsayable = {"secret": object()}
    app = App()

    @app.get("/result")
    async def result():  # type: ignore[no-untyped-def]
        return unsayable

    @app.get("/stated")
    async def stated() -> dict[str, object]:
        return unsayable

    @app.get("/by hand")
    async def by_hand() -> Response:
        return Response(encode_json(unsayable), media_type="application/json")

    async with TestClient(app) as client:
        answer = await client.get(f"/{way.replace(' ', '%20')}")
        assert answer.status == 500
        assert answer.json().keys() == {"type", "title", "status", "request_id"}
    (record,) = [one for one in caplog.records if one.name == "framework.error"]
    assert record.levelname == "ERROR"
    assert record.exc_info is not None


@pytest.mark.anyio
async def test_a_body_that_does_not_decode_stays_the_clients_fault() -> None:
    app = App()

    @app.post("/")
    async def read(request: Request) -> None:
        await request.json()

    async with TestClient(app) as client:
        fields = {"content-type": "application/json"}
        assert (await client.post("/", content=b"{", headers=fields)).status == 400
