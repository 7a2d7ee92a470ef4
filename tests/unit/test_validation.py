"""Every fault of a document at once, each with its JSON Pointer."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Generic, NamedTuple, NewType, Required, TypedDict, TypeVar

import msgspec
import pytest
from msgspec import Meta, Struct

from framework.validation import Schema, collect_errors, locate, pointer_of

Age = NewType("Age", Annotated[int, Meta(ge=0)])
T = TypeVar("T")


class Address(Struct, forbid_unknown_fields=True):
    street: Annotated[str, Meta(min_length=1)]
    zip_code: Annotated[str, Meta(pattern=r"^\d{5}$")] = "00000"


class User(Struct, rename="camel"):
    first_name: str
    age: Age
    addresses: Annotated[list[Address], Meta(max_length=2)] = []
    scores: dict[str, int] = {}
    boss: User | None = None
    nick: str | msgspec.UnsetType = msgspec.UNSET


class Cat(Struct, tag="cat", tag_field="kind", forbid_unknown_fields=True):
    lives: int


class Dog(Struct, tag="dog", tag_field="kind"):
    tricks: list[str]


class Move(Struct, tag="move", array_like=True):
    x: int
    y: int


class Say(Struct, tag="say", array_like=True):
    text: str
    to: User


class Page(Struct, Generic[T]):
    items: list[T]
    total: int


class Corner(NamedTuple):
    x: int
    label: str


class Options(TypedDict, total=False):
    size: Required[int]
    colour: str


@dataclasses.dataclass
class Box:
    unit: ClassVar[str] = "cm"
    width: int
    content: list[int] = dataclasses.field(default_factory=list)


class Positive(Struct):
    value: int

    def __post_init__(self) -> None:
        if self.value < 0:
            raise ValueError("the value is negative")


class Odd(Struct):
    slash: int = msgspec.field(name="a/b")
    tilde: int = msgspec.field(name="c~d")
    dotted: int = msgspec.field(name="e.f[0]")
    empty: int = msgspec.field(name="")


def pointers(type: Any, data: bytes, **options: Any) -> list[str]:
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(data, type=type)
    return [error.pointer for error in collect_errors(type, data, **options)]


@pytest.mark.parametrize(
    ("type", "data", "expected"),
    [
        (User, b'{"firstName":1,"age":-1}', ["/firstName", "/age"]),
        (User, b"{}", ["/firstName", "/age"]),
        (User, b"[]", [""]),
        (User, b'{"firstName":"a","age":1,"nick":3}', ["/nick"]),
        (
            User,
            b'{"firstName":"a","age":1,"addresses":[{"street":"","zipCode":1},{"zip_code":"x"},3]}',
            [
                "/addresses",
                "/addresses/0/street",
                "/addresses/0/zipCode",
                "/addresses/1/street",
                "/addresses/1/zip_code",
                "/addresses/2",
            ],
        ),
        (
            User,
            b'{"firstName":"a","age":1,"scores":{"x":"1","y/z":null,"ok":1}}',
            ["/scores/x", "/scores/y~1z"],
        ),
        (User, b'{"firstName":"a","age":1,"boss":{"age":"x"}}', ["/boss/firstName", "/boss/age"]),
        (User, b'{"firstName":"a","age":1,"boss":7}', ["/boss"]),
        (
            list[Cat | Dog],
            b'[{"kind":"cat"},{"kind":"dog","tricks":[1,2]}]',
            ["/0/lives", "/1/tricks/0", "/1/tricks/1"],
        ),
        (
            list[Cat | Dog],
            b'[{"kind":"cow"},{"lives":1},{"kind":3},null]',
            ["/0/kind", "/1/kind", "/2/kind", "/3"],
        ),
        (Cat, b'{"kind":"dog","lives":"x","z":1}', ["/kind", "/lives", "/z"]),
        (
            list[Move | Say],
            b'[["move",1,"y"],["say",2,{"age":1}],["fly"],[]]',
            ["/0/2", "/1/1", "/1/2/firstName", "/2/0", "/3"],
        ),
        (Page[User], b'{"items":[{"firstName":1,"age":1}],"total":"x"}', ["/items/0/firstName", "/total"]),
        (dict[int, bool], b'{"1":true,"x":1,"2":0}', ["/x", "/x", "/2"]),
        (Annotated[dict[str, int], Meta(max_length=1)], b'{"a":"x","b":1}', ["", "/a"]),
        (tuple[int, str], b'["a",2]', ["/0", "/1"]),
        (tuple[int, str], b'["a"]', ["", "/0"]),
        (tuple[int, ...], b'["a",2,"c"]', ["/0", "/2"]),
        (set[int], b'["a",2,"c"]', ["/0", "/2"]),
        (Sequence[int], b'["a",2,"c"]', ["/0", "/2"]),
        (Mapping[str, list[int]], b'{"k":[1,"x"]}', ["/k/1"]),
        (list[Corner], b'[["x",1],[1]]', ["/0/0", "/0/1", "/1"]),
        (Options, b'{"colour":3}', ["/size", "/colour"]),
        (Box, b'{"content":["x"],"unit":3}', ["/width", "/content/0"]),
        (Positive, b'{"value":-1}', [""]),
        (list[Positive | None], b'[{"value":-1},{"value":"x"},null]', ["/0", "/1/value"]),
        (Odd, b'{"a/b":"x","c~d":"x","e.f[0]":"x","":"x"}', ["/a~1b", "/c~0d", "/e.f[0]", "/"]),
        (int, b'"x"', [""]),
        (int | list[int], b'["x"]', ["/0"]),
        (list[int], b"[1", [""]),
        (dict[str, int], b'{"a":1,"a":', [""]),
    ],
)
def test_every_fault_has_its_pointer(type: Any, data: bytes, expected: list[str]) -> None:
    assert pointers(type, data) == expected


def test_the_wording_is_msgspecs() -> None:
    errors = collect_errors(User, b'{"firstName":1,"age":-1,"boss":{}}', source="form")
    assert [(error.source, error.pointer, error.detail) for error in errors] == [
        ("form", "/firstName", "Expected `str`, got `int`"),
        ("form", "/age", "Expected `int` >= 0"),
        ("form", "/boss/firstName", "Object missing required field `firstName`"),
        ("form", "/boss/age", "Object missing required field `age`"),
    ]


@pytest.mark.parametrize("data", [b'{"firstName":"a","age":1}', b' {"age":1,"firstName":"a","zzz":[1]} '])
def test_an_accepted_document_has_no_errors(data: bytes) -> None:
    assert msgspec.json.decode(data, type=User).age == 1
    assert collect_errors(User, data) == []


def test_numbers_are_judged_as_they_are_spelled() -> None:
    data = b'{"a":1.0,"b":18446744073709551616,"c":"x"}'
    assert pointers(dict[str, int], data) == ["/a", "/c"]


def test_a_first_value_that_a_duplicate_hides_is_still_refused() -> None:
    assert pointers(User, b'{"firstName":1,"firstName":"a","age":1}') == ["/firstName"]


def test_the_list_is_bounded() -> None:
    data = msgspec.json.encode(["x"] * 1000)
    assert len(collect_errors(list[int], data)) == 100
    assert len(collect_errors(list[int], data, max_errors=3)) == 3
    many = msgspec.json.encode({str(number): 0 for number in range(1000)} | {"street": "s"})
    assert len(collect_errors(Address, many)) == 100


def test_what_the_client_sent_does_not_come_back_at_length() -> None:
    key = "k" * 100_000
    for type, document in (
        (Address, {"street": "s", key: 1}),
        (dict[str, int], {key: "x"}),
        (Cat, {"kind": key, "lives": 9}),
    ):
        (error,) = collect_errors(type, msgspec.json.encode(document))
        assert len(error.pointer) < 300
        assert len(error.detail) <= 300


@pytest.mark.parametrize(
    ("type", "data", "expected"),
    [
        (User, b'{"firstName":"a","age":1,"z":1,"boss":{"firstName":"b","age":2,"y":[]}}', ["/boss/y", "/z"]),
        (list[Cat | Dog], b'[{"kind":"dog","tricks":[],"z":1}]', ["/0/z"]),
        (list[Move | Say], b'[["say","hi",{"firstName":"a","age":1,"q":1}]]', ["/0/2/q"]),
        (Options, b'{"size":1,"z":1}', ["/z"]),
        (tuple[int, Box], b'[1,{"width":1,"z":1}]', ["/1/z"]),
        (dict[str, Page[Box]], b'{"k":{"items":[{"width":1,"z":1}],"total":1}}', ["/k/items/0/z"]),
        (User | None, b'{"firstName":"a","age":1,"scores":{"free":1}}', []),
        (User | None, b"null", []),
        (list[int] | Options, b"[1]", []),
    ],
)
def test_strict_unknown_finds_what_msgspec_lets_pass(type: Any, data: bytes, expected: list[str]) -> None:
    msgspec.json.decode(data, type=type)
    schema = Schema(type)
    assert schema.open
    assert schema.has_unknown(msgspec.json.decode(data)) == bool(expected)
    assert [error.pointer for error in schema.errors(data, strict_unknown=True)] == expected
    assert schema.errors(data) == []


@pytest.mark.parametrize("type", [Address, list[Address], dict[str, Cat | None], int, dict[str, Any], Any])
def test_types_that_forbid_by_themselves_are_closed(type: Any) -> None:
    assert not Schema(type).open


def test_values_are_explained_like_documents() -> None:
    schema = Schema(User)
    value = {"firstName": 3, "age": "4", "addresses": [{"street": "a", "zipCode": 1}], "scores": {"k": "v"}}
    assert [error.pointer for error in schema.value_errors(value, source="config")] == [
        "/firstName", "/age", "/addresses/0/zipCode", "/scores/k",
    ]  # fmt: skip
    assert [
        error.pointer for error in schema.value_errors({"firstName": "a", "age": "4"}, source="form")
    ] == ["/age"]
    assert schema.value_errors({"firstName": "a", "age": "4"}, source="form", strict=False) == []
    assert [error.pointer for error in schema.value_errors({1: 2}, source="config")] == [""]
    assert [error.pointer for error in Schema(dict[int, int]).value_errors({"x": 1}, source="config")] == [
        "/x"
    ]


@pytest.mark.parametrize(
    ("message", "detail", "pointer"),
    [
        ("Expected `int`, got `str`", "Expected `int`, got `str`", ""),
        ("Expected `int`, got `str` - at `$.a[0].b`", "Expected `int`, got `str`", "/a/0/b"),
        ("Expected `int`, got `str` - at `$.a[...][3]`", "Expected `int`, got `str`", "/a"),
        ("Expected `int`, got `str` - at `key` in `$.a`", "Expected `int`, got `str`", "/a"),
        ("Object missing required field `x/y` - at `$.a`", "Object missing required field `x/y`", "/a/x~1y"),
        ("Object contains unknown field `x`", "Object contains unknown field `x`", "/x"),
    ],
)
def test_locate_splits_msgspecs_message(message: str, detail: str, pointer: str) -> None:
    assert locate(message) == (detail, pointer)
    assert pointer_of(message) == pointer
