"""What annotations say about settings."""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, TypedDict, TypeVar

import msgspec
import pytest

from framework.app.schema import (
    Shape,
    faults_of,
    known_keys,
    locate,
    near_key,
    near_miss,
    shape_of,
    struct_class,
)
from framework.app.toml_lines import KeyPath

T = TypeVar("T")


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Point(NamedTuple):
    x: int
    y: int


class Inner(msgspec.Struct, frozen=True):
    a: int = 0


class Generic1(msgspec.Struct, Generic[T], frozen=True):
    a: T


class Red(msgspec.Struct, frozen=True, tag="red", tag_field="kind"):
    url: str
    shared: int = 1


class Blue(msgspec.Struct, frozen=True, tag="blue", tag_field="kind"):
    path: str
    shared: list[int] = []


class Section(msgspec.Struct, frozen=True, rename="kebab"):
    max_body: int = 1
    inner: Inner = Inner()
    store: Red | Blue | None = None
    many: dict[str, Inner] = {}
    again: Section | None = None


SECTIONS: dict[str, type[msgspec.Struct]] = {"the-section": Section}

SHAPES: list[tuple[Any, Shape]] = [
    (int, Shape(other=True)),
    (int | None, Shape(other=True)),
    (Any, Shape(other=True)),
    (Inner, Shape(structs=(Inner,), json=True)),
    (Inner | None, Shape(structs=(Inner,), json=True)),
    (Annotated[Inner, msgspec.Meta(description="x")], Shape(structs=(Inner,), json=True)),
    (Red | Blue, Shape(structs=(Red, Blue), json=True)),
    (Generic1[int], Shape(structs=(Generic1[int],), json=True)),
    (dict, Shape(mapping=(Any, Any), json=True)),
    (Mapping[str, int], Shape(mapping=(str, int), json=True)),
    (list, Shape(array=(list[Any], Any), json=True)),
    (Sequence[int], Shape(array=(list[Any], int), json=True)),
    (Collection[int], Shape(array=(list[Any], int), json=True)),
    (tuple[int, ...], Shape(array=(tuple[Any, ...], int), json=True)),
    (tuple, Shape(array=(tuple[Any, ...], Any), json=True)),
    (frozenset[int], Shape(array=(frozenset[Any], int), json=True)),
    (set[int], Shape(array=(set[Any], int), json=True)),
    (tuple[int, str], Shape(other=True, json=True)),
    (Point, Shape(other=True, json=True)),
    (str | list[str], Shape(array=(list[Any], str), other=True, json=True)),
    (Colour, Shape(other=True, choices=("red", "blue"))),
    (Literal["a", 1] | None, Shape(other=True, choices=("a", 1))),
    (NewType("Named", Inner), Shape(structs=(Inner,), json=True)),
]


@pytest.mark.parametrize(("annotation", "shape"), SHAPES)
def test_shapes(annotation: Any, shape: Shape) -> None:
    assert shape_of(annotation) == shape


def test_a_named_type_is_what_it_names() -> None:
    extensions = pytest.importorskip("typing_extensions")
    assert shape_of(extensions.TypeAliasType("Named", Inner | None)).structs == (Inner,)


def test_only_length_limits_are_kept_for_collections() -> None:
    annotation = Annotated[list[int] | int, msgspec.Meta(ge=1), msgspec.Meta(min_length=2, title="x")]
    assert shape_of(annotation).bounds == (msgspec.Meta(min_length=2),)


def test_struct_class() -> None:
    assert struct_class(Inner) is Inner
    assert struct_class(Generic1[int]) is Generic1
    assert struct_class(list[Inner]) is None
    assert struct_class(None) is None


def test_known_keys_end_at_a_struct_that_holds_itself() -> None:
    assert known_keys(SECTIONS) == [
        ("the-section", "max-body"),
        ("the-section", "inner"),
        ("the-section", "inner", "a"),
        ("the-section", "store"),
        ("the-section", "store", "url"),
        ("the-section", "store", "shared"),
        ("the-section", "store", "kind"),
        ("the-section", "store", "path"),
        ("the-section", "many"),
        ("the-section", "again"),
    ]


def folded(part: str) -> str:
    return part.replace("-", "_")


@pytest.mark.parametrize(
    ("names", "path", "annotation"),
    [
        (["the_section"], ("the-section",), Section),
        (["the_section", "max_body"], ("the-section", "max-body"), int),
        (["the_section", "again", "again", "max_body"], ("the-section", "again", "again", "max-body"), int),
        (["the_section", "many", "x-y", "a"], ("the-section", "many", "x-y", "a"), int),
        (["the_section", "store", "kind"], ("the-section", "store", "kind"), str),
        (["the_section", "store", "shared"], ("the-section", "store", "shared"), int | list[int]),
    ],
)
def test_locate(names: list[str], path: KeyPath, annotation: Any) -> None:
    assert locate(SECTIONS, names, folded) == (path, annotation)


@pytest.mark.parametrize("names", [["x"], ["the-section", "x"], ["the-section", "max-body", "x"]])
def test_locate_finds_nothing(names: list[str]) -> None:
    assert locate(SECTIONS, names, folded) is None


class Mutable(msgspec.Struct):
    a: int = 0


class Lists(msgspec.Struct, frozen=True, array_like=True):
    a: int = 0


@dataclass
class Data:
    a: int = 0


class Typed(TypedDict):
    a: int


class Unresolved(msgspec.Struct, frozen=True):
    a: Nowhere  # type: ignore[name-defined]  # noqa: F821 - the fault under test


FAULTS: list[tuple[Any, str]] = [
    (Mutable, "s.x: Mutable is not frozen; settings do not change"),
    (dict[str, Mutable | None], "s.x: Mutable is not frozen; settings do not change"),
    (Lists, "s.x: Lists is array_like; settings have names"),
    (Data, "s.x: Data would accept unknown keys; use a frozen Struct"),
    (list[Typed], "s.x: Typed would accept unknown keys; use a frozen Struct"),
    (Unresolved, f"s.x: an annotation of {Unresolved!r} does not resolve: name 'Nowhere' is not defined"),
    (
        tuple[Inner, int],
        f"s.x: {tuple[Inner, int]!r} holds Structs where their keys cannot be named; use a list or a dict",
    ),
]


@pytest.mark.parametrize(("annotation", "fault"), FAULTS)
def test_types_unfit_for_settings(annotation: Any, fault: str) -> None:
    section = msgspec.defstruct("S", [("x", annotation)], frozen=True)
    assert faults_of({"s": section}) == [fault]


def test_types_fit_for_settings() -> None:
    assert faults_of(SECTIONS) == []


def test_near_key_wants_every_part_to_be_close() -> None:
    known: list[KeyPath] = [("server", "port"), ("server", "max-body"), ("items", 0, "url")]
    assert near_key(("server", "port"), known) is None
    assert near_key(("server", "prot"), known) == ("server", "port")
    assert near_key(("servr", "max_bdy"), known) == ("server", "max-body")
    assert near_key(("server", "xyz"), known) is None
    assert near_key(("server_port",), known) == ("server", "port")
    assert near_key(("items", 0, "ulr"), known) == ("items", 0, "url")
    assert near_key((), known) is None


def test_near_miss() -> None:
    assert near_miss("inof", ["debug", "info"]) == "; did you mean info?"
    assert near_miss("xyz", ["debug", "info"]) == ""
