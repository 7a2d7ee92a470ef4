"""Parameters and bodies, as the binder reads them."""

from __future__ import annotations

import enum
from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from msgspec import Meta, Struct

from framework import App, Body, Cookie, Form, Header, Query, Request
from framework.app.binding import File
from framework.http.multipart_form import UploadedFile
from framework.testing import TestClient

from .describing import describe, operation


class Colour(enum.Enum):
    """A colour of the rainbow."""

    RED = "red"
    BLUE = "blue"


class Order(Struct):
    """What is bought."""

    article: Annotated[str, Meta(min_length=1, examples=["tea"])]
    quantity: Annotated[int, Meta(ge=1, le=100)] = 1


class Search(Struct):
    words: str = ""
    tags: list[str] = []


def parameters(app: App) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in operation(app)["parameters"]}


def test_each_source_is_named_with_its_constraints() -> None:
    app = App()

    @app.get("/orders/{shop:int}")
    async def find(
        shop: int,
        request: Request,
        limit: Annotated[int, Meta(ge=1, le=100, description="how many")] = 20,
        since: date | None = None,
        colour: Colour = Colour.RED,
        kind: Literal["a", "b"] | None = None,
        tags: Annotated[list[str], Query("tag")] = [],  # noqa: B006
        if_match: Annotated[str | None, Header] = None,
        session: Annotated[str | None, Cookie("sid")] = None,
        word: Annotated[str, Query("q")] = "",
    ) -> None: ...

    found = operation(app)["parameters"]
    assert [(one["name"], one["in"]) for one in found] == [
        ("shop", "path"),
        ("limit", "query"),
        ("since", "query"),
        ("colour", "query"),
        ("kind", "query"),
        ("tag", "query"),
        ("q", "query"),
        ("if-match", "header"),
        ("sid", "cookie"),
    ]
    by_name = {one["name"]: one for one in found}
    assert by_name["shop"] == {
        "name": "shop",
        "in": "path",
        "required": True,
        "schema": {"type": "integer", "format": "int64", "minimum": 0, "maximum": 2**63 - 1},
    }
    assert by_name["limit"] == {
        "name": "limit",
        "in": "query",
        "description": "how many",
        "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
    }
    assert by_name["since"]["schema"] == {"type": "string", "format": "date"}
    assert by_name["colour"]["schema"] == {"$ref": "#/components/schemas/Colour", "default": "red"}
    assert by_name["kind"]["schema"] == {"enum": ["a", "b"]}
    assert by_name["tag"]["schema"] == {"type": "array", "items": {"type": "string"}, "default": []}
    assert by_name["if-match"]["schema"] == {"type": "string"}


def test_a_parameter_without_default_is_required() -> None:
    app = App()

    @app.get("/")
    async def find(word: str, page: int | None) -> None: ...

    found = parameters(app)
    assert found["word"]["required"] is True
    assert "required" not in found["page"]


def test_the_handler_narrows_what_the_converter_lets_through() -> None:
    app = App()

    @app.get("/{small:int}/{id:uuid}/{ratio:float}/{slug}/{n}")
    async def find(
        small: Annotated[int, Meta(ge=5, description="at least five")],
        id: UUID,
        ratio: float,
        slug: Annotated[str, Meta(pattern="^[a-z]+$")],
        n: int,
    ) -> None: ...

    found = parameters(app)
    assert found["small"]["description"] == "at least five"
    assert found["small"]["schema"]["minimum"] == 5
    assert found["small"]["schema"]["maximum"] == 2**63 - 1
    assert found["id"]["schema"] == {"type": "string", "format": "uuid"}
    assert found["ratio"]["schema"] == {"type": "number", "minimum": 0}
    assert found["slug"]["schema"] == {"type": "string", "minLength": 1, "pattern": "^[a-z]+$"}
    assert found["n"]["schema"] == {"type": "integer"}


def test_a_path_parameter_that_the_handler_does_not_take_is_described_all_the_same() -> None:
    app = App()

    @app.get("/{a:int}/{rest:path}")
    async def find() -> None: ...

    found = parameters(app)
    assert found["a"]["schema"]["type"] == "integer"
    assert found["rest"]["schema"] == {"type": "string"}
    assert found["rest"]["x-slashes"] is True
    assert "slashes included" in found["rest"]["description"]


class Even:
    name = "even"
    regex = "[0-9]*[02468]"
    type = int

    def to_python(self, text: str) -> int:
        return int(text)

    def to_text(self, value: int) -> str:
        return str(value)


class Possessive(Even):
    name = "possessive"
    regex = "[0-9]++"


def test_converters_of_the_app_are_patterns() -> None:
    app = App()
    app.converter(Even())
    app.converter(Possessive())

    @app.get("/{n:even}/{m:possessive}")
    async def find(n: int, m: Annotated[int, Meta(le=10, description="few")]) -> None: ...

    found = operation(app)
    n, m = found["parameters"]
    assert n["schema"] == {"type": "string", "pattern": "^(?:[0-9]*[02468])$"}
    assert (m["schema"], m["description"]) == ({"type": "string"}, "few")
    assert "404" in found["responses"]


def test_header_parameters_that_openapi_ignores_are_left_out() -> None:
    app = App()

    @app.get("/")
    async def find(
        authorization: Annotated[str | None, Header] = None,
        accept: Annotated[str | None, Header] = None,
        content_type: Annotated[str | None, Header] = None,
    ) -> None: ...

    assert "parameters" not in operation(app)


def test_a_list_of_header_values_is_one_line_each() -> None:
    app = App()

    @app.get("/")
    async def find(part: Annotated[list[int], Header("x-part")] = []) -> None: ...  # noqa: B006

    (found,) = operation(app)["parameters"]
    assert found["schema"] == {"type": "integer"}
    assert found["description"] == "May be sent more than once."


def test_a_json_body() -> None:
    app = App()

    @app.post("/")
    async def place(order: Order) -> None: ...

    document = describe(app)
    found = document["paths"]["/"]["post"]
    assert found["requestBody"] == {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}},
    }
    assert document["components"]["schemas"]["Order"] == {
        "title": "Order",
        "description": "What is bought.",
        "type": "object",
        "properties": {
            "article": {"type": "string", "minLength": 1, "examples": ["tea"]},
            "quantity": {"type": "integer", "minimum": 1, "maximum": 100, "default": 1},
        },
        "required": ["article"],
    }
    assert list(found["responses"]) == ["204", "400", "413", "415", "422"]


def test_a_body_with_a_default_is_optional() -> None:
    app = App()

    @app.post("/")
    async def place(order: Order | None = None) -> None: ...

    assert "required" not in operation(app)["requestBody"]


def test_a_body_that_is_no_struct() -> None:
    app = App()

    @app.post("/")
    async def place(counts: Annotated[dict[str, int], Body]) -> None: ...

    schema = operation(app)["requestBody"]["content"]["application/json"]["schema"]
    assert schema == {"type": "object", "additionalProperties": {"type": "integer"}}


def test_strict_unknown_closes_the_body() -> None:
    app = App()

    @app.post("/", strict_unknown=True)
    async def place(order: Order) -> None: ...

    schema = operation(app)["requestBody"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/Order", "unevaluatedProperties": False}


def test_forms() -> None:
    app = App()

    @app.post("/required")
    async def place(order: Annotated[Order, Form]) -> None: ...

    @app.post("/optional")
    async def search(search: Annotated[Search, Form]) -> None: ...

    paths = describe(app)["paths"]
    required, optional = paths["/required"]["post"], paths["/optional"]["post"]
    assert list(required["requestBody"]["content"]) == ["application/x-www-form-urlencoded"]
    assert required["requestBody"]["required"] is True
    assert "required" not in optional["requestBody"]
    assert list(optional["responses"]) == ["204", "413", "415", "422"]


BYTES = {"type": "string", "contentMediaType": "application/octet-stream"}


def test_files_are_parts_of_a_multipart_form() -> None:
    app = App()

    @app.post("/")
    async def save(
        picture: UploadedFile,
        more: Annotated[list[UploadedFile], File("pages")] = [],  # noqa: B006
    ) -> None: ...

    found = operation(app)
    assert found["requestBody"] == {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"picture": BYTES, "pages": {"type": "array", "items": BYTES}},
                    "required": ["picture"],
                }
            }
        },
    }
    assert "parameters" not in found
    assert list(found["responses"]) == ["204", "400", "413", "415", "422"]


def test_files_that_may_be_missing_need_no_body() -> None:
    app = App()

    @app.post("/")
    async def save(picture: UploadedFile | None = None) -> None: ...

    found = operation(app)
    schema = {"type": "object", "properties": {"picture": BYTES}}
    assert found["requestBody"] == {"content": {"multipart/form-data": {"schema": schema}}}
    assert list(found["responses"]) == ["204", "400", "413", "415"]


def test_a_required_list_of_files_has_one() -> None:
    app = App()

    @app.post("/")
    async def save(pages: list[UploadedFile]) -> None: ...

    schema = operation(app)["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert schema["properties"] == {"pages": {"type": "array", "items": BYTES, "minItems": 1}}


@pytest.mark.parametrize("strict", [False, True])
def test_files_beside_the_fields_of_a_form(strict: bool) -> None:
    app = App()

    @app.post("/", strict_unknown=strict)
    async def save(order: Annotated[Order, Form], receipt: UploadedFile | None = None) -> None: ...

    body = operation(app)["requestBody"]
    assert body["required"] is True
    assert list(body["content"]) == ["multipart/form-data"]
    expected: dict[str, Any] = {
        "allOf": [
            {"$ref": "#/components/schemas/Order"},
            {"type": "object", "properties": {"receipt": BYTES}},
        ]
    }
    if strict:
        expected["unevaluatedProperties"] = False
    assert body["content"]["multipart/form-data"]["schema"] == expected


@pytest.mark.anyio
async def test_an_optional_parameter_is_never_null_on_the_wire() -> None:
    app = App()

    @app.get("/")
    async def find(limit: Annotated[int, Meta(ge=1)] | None = None) -> dict[str, Any]:
        return {"limit": limit}

    async with TestClient(app) as client:
        assert (await client.get("/")).json() == {"limit": None}
        for text in ("null", "NULL", "None"):
            refused = await client.get(f"/?limit={text}")
            assert refused.status == 422
            assert refused.json()["errors"][0]["pointer"] == "/limit"
