"""What a client is told about a request that does not bind: everything at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Annotated, Any

import pytest
from msgspec import Meta, Struct

from framework import Cookie, Form, Header, HTTPError, Query, ValidationError
from framework.app.binding import bind, read_signature
from framework.app.binding.explain import Missing, explain
from framework.app.binding.parameters import Parameter
from framework.di import Container
from framework.testing import fake_request

pytestmark = pytest.mark.anyio

Small = Annotated[int, Meta(le=9)]


class Color(Enum):
    RED = "red"


class Item(Struct):
    name: Annotated[str, Meta(min_length=2)]
    prices: list[Small] = []


class Login(Struct, rename="camel"):
    user_name: Annotated[str, Meta(min_length=2)]
    pin_codes: list[Small] = []


async def refusal(
    handler: Callable[..., Any],
    target: str = "/",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    *,
    params: Mapping[str, Any] | None = None,
    strict_unknown: bool = False,
) -> HTTPError:
    container = Container()
    types = {name: type(value) for name, value in (params or {}).items()}
    signature = read_signature(handler, where="POST /x", path_types=types, provides=container.provides)
    one = bind(signature, where="POST /x", container=container, strict_unknown=strict_unknown)
    fields = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    request = fake_request("POST", target, fields)
    request.received, request.params = body, dict(params or {})
    try:
        result = one.call(request)
        if one.is_async:
            await result
    except HTTPError as error:
        return error
    raise AssertionError("it was bound")


async def faults(handler: Callable[..., Any], *args: Any, **options: Any) -> list[tuple[str, str, str]]:
    error = await refusal(handler, *args, **options)
    assert isinstance(error, ValidationError)
    assert error.status == 422
    assert error.__suppress_context__
    return [(each.source, each.pointer, each.detail) for each in error.errors]


async def test_all_sources_together_in_the_order_of_the_parameters() -> None:
    def handler(
        x_count: Annotated[Small, Header],
        id: Small,
        item: Item,
        q: Small,
        missing: str,
        color: Annotated[Color, Cookie],
        many: Annotated[list[Small], Query("m")],
        fine: Small = 1,
        absent: Annotated[int, Header] = 1,
    ) -> None: ...

    found = await faults(
        handler,
        "/?q=x&m=1&m=10&m=y&fine=2",
        {"x-count": "12", "cookie": "color=blue"},
        b'{"name": "a", "prices": [1, 11, "z"]}',
        params={"id": 10},
    )
    assert found == [
        ("header", "/x-count", "Expected `int` <= 9"),
        ("path", "/id", "Expected `int` <= 9"),
        ("body", "/name", "Expected `str` of length >= 2"),
        ("body", "/prices/1", "Expected `int` <= 9"),
        ("body", "/prices/2", "Expected `int`, got `str`"),
        ("query", "/q", "Expected `int`, got `str`"),
        ("query", "/missing", "required, but missing"),
        ("cookie", "/color", "Invalid enum value 'blue'"),
        ("query", "/m/1", "Expected `int` <= 9"),
        ("query", "/m/2", "Expected `int`, got `str`"),
    ]


async def test_required_everywhere() -> None:
    def handler(
        a: int,
        b: Annotated[str, Header],
        c: Annotated[str, Cookie],
        d: Annotated[list[str], Query],
        e: Annotated[list[str], Header],
    ) -> None: ...

    assert await faults(handler) == [
        (source, f"/{name}", "required, but missing")
        for source, name in (
            ("query", "a"),
            ("header", "b"),
            ("cookie", "c"),
            ("query", "d"),
            ("header", "e"),
        )
    ]


async def test_malformed_json_wins_with_its_position() -> None:
    def handler(q: int, item: Item) -> None: ...

    error = await refusal(handler, "/?q=x", None, b'{"name": }')
    assert (error.status, str(error.detail).rpartition(" at ")[2]) == (400, "byte 9")
    error = await refusal(handler, "/?q=x", None, b"")
    assert (error.status, error.detail) == (400, "the body is missing")
    error = await refusal(handler, "/?q=x", None, b"  ")
    assert (error.status, str(error.detail)[:14]) == (400, "malformed JSON")
    error = await refusal(handler, "/?q=x", None, b'{"name": "\xff"}')
    assert error.status == 400


async def test_a_body_that_may_be_absent_is_no_fault_when_it_is() -> None:
    def handler(q: int, item: Item | None = None) -> None: ...

    assert await faults(handler, "/?q=x") == [("query", "/q", "Expected `int`, got `str`")]


async def test_unknown_members_beside_other_faults() -> None:
    def handler(item: Item, q: Small) -> None: ...

    found = await faults(handler, "/?q=10", None, b'{"name": "a", "nmae": 1}', strict_unknown=True)
    assert found == [
        ("body", "/name", "Expected `str` of length >= 2"),
        ("body", "/nmae", "Object contains unknown field `nmae`"),
        ("query", "/q", "Expected `int` <= 9"),
    ]


async def test_forms_tell_every_field() -> None:
    def handler(q: Small, form: Annotated[Login, Form]) -> None: ...

    kind = {"content-type": "application/x-www-form-urlencoded"}
    found = await faults(handler, "/?q=1", kind, b"userName=a&pinCodes=1&pinCodes=10&pinCodes=x")
    assert found == [
        ("form", "/userName", "Expected `str` of length >= 2"),
        ("form", "/pinCodes/1", "Expected `int` <= 9"),
        ("form", "/pinCodes/2", "Expected `int`, got `str`"),
    ]
    assert await faults(handler, "/?q=1", kind, b"") == [
        ("form", "/userName", "Object missing required field `userName`")
    ]


async def test_too_many_fields_of_a_query_or_a_form_are_a_400() -> None:
    def handler(q: int) -> None: ...

    def form(form: Annotated[Login, Form], q: int = 1) -> None: ...

    many = "&".join(f"a={n}" for n in range(1001))
    assert (await refusal(handler, f"/?{many}")).status == 400
    kind = {"content-type": "application/x-www-form-urlencoded"}
    assert (await refusal(form, "/", kind, many.encode())).status == 400
    assert (await refusal(form, "/?q=x", kind, many.encode())).status == 400


async def test_pointers_are_escaped() -> None:
    def handler(a: Annotated[int, Query("a/b~c")], b: Annotated[list[int], Query("d/e")]) -> None: ...

    found = await faults(handler, "/?a/b~c=x&d/e=1&d/e=y")
    assert [pointer for _, pointer, _ in found] == ["/a~1b~0c", "/d~1e/1"]


async def test_what_a_client_sent_comes_back_short() -> None:
    def handler(a: Color) -> None: ...

    ((_, _, detail),) = await faults(handler, "/?a=" + "x" * 5000)
    assert len(detail) <= 300


async def test_the_first_of_repeated_values_is_the_one_that_is_judged() -> None:
    def handler(x_n: Annotated[Small, Header], q: Small) -> None: ...

    request = fake_request("GET", "/?q=1&q=99", {"x-n": "1", "X-N": "99"})
    container = Container()
    signature = read_signature(handler, where="", path_types={}, provides=container.provides)
    assert bind(signature, where="", container=container).call(request).status == 204
    found = await faults(handler, "/?q=99&q=1", {"x-n": "99", "X-N": "1"})
    assert [pointer for _, pointer, _ in found] == ["/x-n", "/q"]


def test_where_the_explanation_finds_nothing_the_refusal_itself_is_told() -> None:
    parameters = [Parameter("q", "query", "q", int)]
    error = explain(parameters, None, fake_request("GET", "/?q=1"), b"", Missing("q"))
    assert isinstance(error, ValidationError)
    assert [each.as_dict() for each in error.errors] == [{"in": "request", "pointer": "", "detail": "q"}]
