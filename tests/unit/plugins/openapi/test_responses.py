"""What is answered, by return types, options and refusals."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

import pytest
from msgspec import Meta, Struct

from framework import Answer, App, Query, Response, StreamingResponse
from framework.errors import SetupError
from framework.http.jsonlines import JsonLines
from framework.http.sse import EventStream

from .describing import describe, operation

T = TypeVar("T")
OK = {"description": "OK"}


class Cat(Struct, tag="cat"):
    """Says miaow."""

    lives: int = 9


class Dog(Struct, tag="dog"):
    name: str


class Plain(Struct):
    x: int


class Other(Struct):
    y: int


class Page(Struct, Generic[T]):
    items: list[T]


def result(annotation: Any, **options: Any) -> dict[str, Any]:
    async def handler() -> Any: ...

    handler.__annotations__["return"] = annotation
    app = App()
    app.get("/", **options)(handler)
    found: dict[str, Any] = operation(app)["responses"]
    return found


def only(returns: Any) -> dict[str, Any]:
    content: dict[str, Any] = result(returns)["200"]["content"]
    return content


@pytest.mark.parametrize(
    ("returns", "media_type", "schema"),
    [
        (str, "text/plain", {"type": "string"}),
        (Annotated[str, Meta(max_length=5)], "text/plain", {"type": "string", "maxLength": 5}),
        (Literal["a", "b"], "text/plain", {"enum": ["a", "b"]}),
        (int, "application/json", {"type": "integer"}),
        (Literal[1, 2], "application/json", {"enum": [1, 2]}),
        (bool, "application/json", {"type": "boolean"}),
        (Plain, "application/json", {"$ref": "#/components/schemas/Plain"}),
        (list[Plain], "application/json", {"type": "array", "items": {"$ref": "#/components/schemas/Plain"}}),
        (dict[str, object], "application/json", {"type": "object", "additionalProperties": {}}),
        (datetime, "application/json", {"type": "string"}),
        (AsyncIterator[str], "text/plain", {"type": "string"}),
    ],
)
def test_a_return_type_is_the_media_type_and_the_schema(returns: Any, media_type: str, schema: Any) -> None:
    assert only(returns) == {media_type: {"schema": schema}}


@pytest.mark.parametrize("returns", [bytes, bytearray, AsyncIterator[bytes]])
def test_bytes_have_no_schema(returns: Any) -> None:
    assert only(returns) == {"application/octet-stream": {}}


def test_none_is_204_unless_the_route_says_otherwise() -> None:
    assert result(None) == {"204": {"description": "No Content"}}
    assert result(None, status=202) == {"202": {"description": "Accepted"}}


def test_none_among_others() -> None:
    found = result(Plain | None)
    assert list(found) == ["200", "204"]


def test_what_is_not_known_is_not_claimed() -> None:
    app = App()

    @app.get("/")
    async def bare():  # type: ignore[no-untyped-def]
        ...

    assert operation(app)["responses"] == {"200": OK}
    assert result(Any) == {"200": OK}
    assert result(Response) == {"200": OK}
    assert result(StreamingResponse, status=206) == {"206": {"description": "Partial Content"}}


def test_a_union_with_tags_has_a_discriminator() -> None:
    assert only(Cat | Dog)["application/json"]["schema"] == {
        "anyOf": [{"$ref": "#/components/schemas/Cat"}, {"$ref": "#/components/schemas/Dog"}],
        "discriminator": {
            "propertyName": "type",
            "mapping": {"cat": "#/components/schemas/Cat", "dog": "#/components/schemas/Dog"},
        },
    }


def test_a_union_without_tags_can_be_sent_though_not_be_read() -> None:
    assert only(Plain | Other)["application/json"]["schema"] == {
        "anyOf": [{"$ref": "#/components/schemas/Plain"}, {"$ref": "#/components/schemas/Other"}]
    }


def test_results_of_several_media_types() -> None:
    assert list(only(Plain | str | bytes)) == ["application/json", "application/octet-stream", "text/plain"]


def test_streams_that_are_classes_of_their_own() -> None:
    assert only(EventStream) == {"text/event-stream": {"schema": {"type": "string"}}}
    assert only(JsonLines) == {"application/jsonl": {"schema": {"type": "string"}}}


def test_returns_tells_the_type_of_a_response() -> None:
    found = result(Response, returns=Page[Plain], status=201)
    assert found["201"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/Page_Plain"
    }
    both = result(Response | Plain, returns=str)["200"]["content"]
    assert list(both) == ["application/json", "text/plain"]


def test_declared_responses() -> None:
    found = result(
        Plain,
        responses={
            200: Answer("A plain thing", headers={"x-b": "the second", "x-a": "the first"}),
            202: Answer("later"),
            304: "unchanged",
            404: "gone",
            409: Other,
            418: Answer("a picture of a teapot", media_type="image/png"),
            500: Answer("nothing at all", media_type=""),
        },
    )
    assert list(found) == ["200", "202", "304", "404", "409", "418", "500"]
    assert found["200"]["description"] == "A plain thing"
    assert list(found["200"]["headers"]) == ["x-a", "x-b"]
    assert found["200"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Plain"}
    assert found["202"] == {"description": "later"}
    assert found["304"] == {"description": "unchanged"}
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    assert found["404"]["content"] == {"application/problem+json": problem}
    assert found["409"] == {
        "description": "Conflict",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Other"}}},
    }
    assert list(found["418"]["content"]) == ["image/png"]
    assert found["500"] == {"description": "nothing at all"}


def test_a_declared_stream_of_events() -> None:
    found = result(Response, responses={200: Answer("events", type=str, media_type="text/event-stream")})
    assert found["200"]["content"] == {"text/event-stream": {"schema": {"type": "string"}}}


def test_a_response_declared_as_nonsense_is_a_setup_error() -> None:
    with pytest.raises(SetupError, match="GET /: the response 404 is declared as 7; write an Answer"):
        result(None, responses={404: 7})


def test_only_true_refusals_are_listed() -> None:
    app = App()

    @app.get("/free/{slug}")
    async def free(
        slug: str,
        word: str = "",
        agent: Annotated[str | None, Meta(description="who asks")] = None,
        other: Annotated[Any, Query] = None,
    ) -> None: ...

    @app.get("/short")
    async def short(word: Annotated[str, Meta(max_length=5)] = "") -> None: ...

    @app.get("/typed/{id:int}")
    async def typed(id: int) -> None: ...

    @app.get("/checked")
    async def checked(limit: int = 7) -> None: ...

    paths = describe(app)["paths"]
    assert {path: list(item["get"]["responses"]) for path, item in paths.items()} == {
        "/free/{slug}": ["204"],
        "/short": ["204", "422"],
        "/typed/{id}": ["204", "404"],
        "/checked": ["204", "422"],
    }


def test_validation_faults_are_listed_in_their_problem() -> None:
    app = App()

    @app.get("/checked")
    async def checked(limit: int) -> None: ...

    document = describe(app)
    content = document["paths"]["/checked"]["get"]["responses"]["422"]["content"]
    assert content == {
        "application/problem+json": {"schema": {"$ref": "#/components/schemas/ValidationProblem"}}
    }
    problem = document["components"]["schemas"]["ValidationProblem"]
    assert problem["required"] == ["type", "title", "status", "errors"]
    assert problem["properties"]["errors"]["items"] == {"$ref": "#/components/schemas/FieldFault"}
    assert document["components"]["schemas"]["FieldFault"]["required"] == ["in", "pointer", "detail"]


def test_a_422_that_the_app_alone_answers_is_a_plain_problem() -> None:
    content = result(None, responses={422: "odd"})["422"]["content"]
    assert content["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}
