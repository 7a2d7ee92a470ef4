"""Binding on generated types and values: what is sent is what the handler gets, and nothing a client sends is a 500."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import enum
import json
import uuid
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import quote_plus

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta

from framework import Body, Cookie, Form, Header, Query, Request, Response
from framework.app.binding import Bound, bind, read_signature
from framework.di import Container
from framework.middleware import ErrorMap
from framework.testing import fake_request

ERRORS = ErrorMap()
SAFE_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
# What a header can carry, and a cookie without quoting.
PLAIN_TEXT = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='",;\\ %'), max_size=6
)


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 7


class Kind(NamedTuple):
    """A type, values of it, and how a value is written as one text."""

    type: Any
    values: st.SearchStrategy[Any]
    text: Callable[[Any], str] = str


SIMPLE: list[Kind] = [
    Kind(str, SAFE_TEXT),
    Kind(int, st.integers(-(2**70), 2**70)),
    Kind(Annotated[int, Meta(ge=-3, le=99)], st.integers(-3, 99)),
    Kind(float, st.floats(allow_nan=False, allow_infinity=False), repr),
    Kind(bool, st.booleans(), lambda value: "true" if value else "false"),
    Kind(Color, st.sampled_from(Color), lambda value: str(value.value)),
    Kind(Level, st.sampled_from(Level), lambda value: str(value.value)),
    Kind(Literal["a", "b"], st.sampled_from(["a", "b"])),
    Kind(Literal[1, 2], st.sampled_from([1, 2])),
    Kind(uuid.UUID, st.uuids()),
    Kind(datetime.date, st.dates(), lambda value: value.isoformat()),
    Kind(datetime.datetime, st.datetimes(timezones=st.just(datetime.UTC)), lambda value: value.isoformat()),
    Kind(
        datetime.timedelta,
        st.timedeltas(datetime.timedelta(0), datetime.timedelta(days=999)),
        lambda v: f"PT{v.total_seconds():f}S",
    ),
    Kind(decimal.Decimal, st.decimals(allow_nan=False, allow_infinity=False)),
]
kinds = st.sampled_from(SIMPLE)


class Field(NamedTuple):
    kind: Kind
    form: str  # "one", "many" or "optional"

    @property
    def type(self) -> Any:
        match self.form:
            case "many":
                return list[self.kind.type]  # type: ignore[name-defined]
            case "optional":
                return self.kind.type | None
            case _:
                return self.kind.type

    @property
    def values(self) -> st.SearchStrategy[Any]:
        match self.form:
            case "many":
                return st.lists(self.kind.values, min_size=1, max_size=3)
            case "optional":
                return st.none() | self.kind.values
            case _:
                return self.kind.values

    def texts(self, value: Any) -> list[str]:
        if value is None:
            return []
        return [self.kind.text(each) for each in value] if self.form == "many" else [self.kind.text(value)]


fields = st.builds(Field, kinds, st.sampled_from(["one", "many", "optional"]))
structs = st.dictionaries(
    st.from_regex(r"[a-z]{1,5}", fullmatch=True).filter(str.isidentifier), fields, max_size=4
)


def struct_of(parts: Mapping[str, Field], **options: Any) -> type[msgspec.Struct]:
    members: list[Any] = [
        (f"f_{name}", field.type, None) if field.form == "optional" else (f"f_{name}", field.type)
        for name, field in parts.items()
    ]
    return msgspec.defstruct("Made", members, kw_only=True, **options)


def binder(annotation: Any, seen: list[Any], **options: Any) -> Bound:
    """A handler with one parameter ``it``, which it puts into ``seen``."""

    async def handler(it: Any) -> None:
        seen.append(it)

    handler.__annotations__ = {"it": annotation}
    container = Container()
    signature = read_signature(handler, where="POST /x", path_types={}, provides=container.provides)
    return bind(signature, where="POST /x", container=container, **options)


def request(target: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Request:
    made = fake_request("POST", target, {"content-length": str(len(body)), **(headers or {})})
    made.received = body
    return made


def run(bound: Bound, made: Request) -> Response:
    """The response of the server to what is bound: the error map's where the binder refuses."""

    async def called() -> Response:
        result = bound.call(made)
        result = await result if bound.is_async else result
        response = result if bound.respond is None else bound.respond(result)
        assert isinstance(response, Response)
        return response

    try:
        return asyncio.run(called())
    except Exception as error:
        return ERRORS.render(made, error)


def check_refusal(response: Response) -> None:
    assert response.status in (400, 422), response.body
    assert response.media_type == "application/problem+json"
    document = json.loads(response.body)
    assert document["status"] == response.status
    if response.status == 422:
        assert document["errors"]
        for error in document["errors"]:
            assert error.keys() == {"in", "pointer", "detail"}
            assert error["pointer"] == "" or error["pointer"].startswith("/")
    else:
        assert document["detail"]


@settings(max_examples=60, deadline=None)
@given(st.data(), structs)
def test_a_body_made_from_a_value_binds_to_an_equal_value(
    data: st.DataObject, parts: dict[str, Field]
) -> None:
    made = struct_of(parts)
    value = made(**{f"f_{name}": data.draw(field.values) for name, field in parts.items()})
    seen: list[Any] = []
    body = msgspec.json.encode(value)
    response = run(binder(made, seen), request("/", {"content-type": "application/json"}, body))
    assert response.status == 204, response.body
    assert seen == [value]


@settings(max_examples=60, deadline=None)
@given(st.data(), structs)
def test_a_form_made_from_a_value_binds_to_an_equal_value(
    data: st.DataObject, parts: dict[str, Field]
) -> None:
    made = struct_of(parts)
    value = made(**{f"f_{name}": data.draw(field.values) for name, field in parts.items()})
    pairs = [(f"f_{n}", text) for n, field in parts.items() for text in field.texts(getattr(value, f"f_{n}"))]
    body = "&".join(f"{name}={quote_plus(text)}" for name, text in pairs).encode()
    seen: list[Any] = []
    kind = {"content-type": "application/x-www-form-urlencoded"}
    response = run(binder(Annotated[made, Form], seen), request("/", kind, body))
    assert response.status == 204, response.body
    assert seen == [value]


@settings(max_examples=80, deadline=None)
@given(st.data(), fields)
def test_a_query_made_from_a_value_binds_to_an_equal_value(data: st.DataObject, field: Field) -> None:
    value = data.draw(field.values)
    query = "&".join(f"it={quote_plus(text)}" for text in field.texts(value))
    seen: list[Any] = []
    response = run(binder(Annotated[field.type, Query], seen), request(f"/?{query}"))
    assert response.status == 204, response.body
    assert seen == [value]


@settings(max_examples=60, deadline=None)
@given(st.data(), kinds.filter(lambda kind: kind.type is not str))
def test_headers_and_cookies_made_from_a_value_bind_to_an_equal_value(
    data: st.DataObject, kind: Kind
) -> None:
    value = data.draw(kind.values)
    for annotation, name in ((Annotated[kind.type, Header], "it"), (Annotated[kind.type, Cookie], "cookie")):
        seen: list[Any] = []
        text = kind.text(value)
        response = run(binder(annotation, seen), request("/", {name: text if name == "it" else f"it={text}"}))
        assert response.status == 204, response.body
        assert seen == [value]


@settings(max_examples=40, deadline=None)
@given(PLAIN_TEXT.filter(bool))
def test_texts_in_headers_and_cookies_stay_as_they_are(text: str) -> None:
    for annotation, name in ((Annotated[str, Header], "it"), (Annotated[str, Cookie], "cookie")):
        seen: list[Any] = []
        run(binder(annotation, seen), request("/", {name: text if name == "it" else f"it={text}"}))
        assert seen == [text]


@st.composite
def mutations(draw: st.DrawFn, body: bytes) -> bytes:
    """A document with one thing changed, at a byte or at a value."""
    if draw(st.booleans()):
        at = draw(st.integers(0, len(body)))
        junk = draw(
            st.sampled_from([b"", b'"', b"\xff", b"{", b"]", b"null", b"1e999", b"9" * 400, b"\\ud800", b"0"])
        )
        return body[:at] + junk + body[at + draw(st.integers(0, 2)) :]
    document = json.loads(body)
    junk_value = draw(
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats(allow_nan=False, allow_infinity=False)
            | SAFE_TEXT,
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(SAFE_TEXT, inner, max_size=2),
            max_leaves=4,
        )
    )
    if not document or draw(st.booleans()):
        document[draw(SAFE_TEXT)] = junk_value
    else:
        name = draw(st.sampled_from(sorted(document)))
        document[name] = junk_value
        if draw(st.booleans()):
            del document[name]
    return json.dumps(document).encode()


@settings(max_examples=120, deadline=None)
@given(st.data(), structs, st.booleans())
def test_any_change_of_a_body_binds_or_is_explained(
    data: st.DataObject, parts: dict[str, Field], strict: bool
) -> None:
    made = struct_of(parts)
    value = made(**{f"f_{name}": data.draw(field.values) for name, field in parts.items()})
    body = data.draw(mutations(msgspec.json.encode(value)))
    seen: list[Any] = []
    response = run(
        binder(made, seen, strict_unknown=strict), request("/", {"content-type": "application/json"}, body)
    )
    if seen:
        assert response.status == 204
        assert isinstance(seen[0], made)
    else:
        check_refusal(response)


@settings(max_examples=100, deadline=None)
@given(st.data(), fields, st.sampled_from(["query", "header", "cookie", "form"]))
def test_any_text_binds_or_is_explained(data: st.DataObject, field: Field, source: str) -> None:
    junk = data.draw(
        st.binary(max_size=12) | st.sampled_from([b"nan", b"-inf", b"1e999", b"9" * 1500, b"null", b""])
    )
    escaped = "".join(f"%{byte:02x}" for byte in junk)
    seen: list[Any] = []
    match source:
        case "query":
            bound, made = binder(Annotated[field.type, Query], seen), request(f"/?it={escaped}")
        case "header":
            text = "".join(chr(byte) for byte in junk if byte in range(0x20, 0x7F) or byte >= 0xA0).strip()
            bound, made = binder(Annotated[field.type, Header], seen), request("/", {"it": text})
        case "cookie":
            bound = binder(Annotated[field.kind.type, Cookie], seen)
            made = request("/", {"cookie": f"it={escaped}"})
        case _:
            struct = struct_of({"x": field})
            bound = binder(Annotated[struct, Form], seen)
            kind = {"content-type": "application/x-www-form-urlencoded"}
            made = request("/", kind, f"f_x={escaped}".encode())
    response = run(bound, made)
    if not seen:
        check_refusal(response)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=40), st.sampled_from([Any, dict[str, Any], list[int], dict[str, list[uuid.UUID]]]))
def test_any_bytes_as_a_body_bind_or_are_explained(body: bytes, kind: Any) -> None:
    seen: list[Any] = []
    response = run(
        binder(Annotated[kind, Body], seen), request("/", {"content-type": "application/json"}, body)
    )
    if not seen:
        check_refusal(response)


class Tree(msgspec.Struct):
    inner: list[Tree] = []


@pytest.mark.parametrize(
    "document", [b'{"inner":[' * 20_000, b"[" * 20_000, b'{"inner":[' * 2000 + b"]}" * 2000]
)
@pytest.mark.parametrize("kind", [Any, Tree])
def test_nesting_without_end_is_refused(document: bytes, kind: Any) -> None:
    bound = binder(Annotated[kind, Body], [])
    check_refusal(run(bound, request("/", {"content-type": "application/json"}, document)))
