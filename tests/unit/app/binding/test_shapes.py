"""What types can be read from."""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from collections.abc import Sequence
from typing import Annotated, Any, Literal, NewType, TypedDict

import msgspec
import pytest
from msgspec import Meta, Struct
from typing_extensions import TypeAliasType

from framework.app.binding.shapes import bare, shape_of, type_name


class Color(enum.Enum):
    RED = "red"


class Mixed(enum.Enum):
    A = "a"
    B = 2


class Opaque: ...


class Item(Struct):
    name: str
    tags: list[str] = []


class Cat(Struct, tag=True):
    lives: int


class Dog(Struct, tag=True):
    age: int


class Holder(Struct):
    inner: list[dict[str, Opaque]]
    again: Holder | None = None


class Pair(TypedDict):
    left: int
    right: tuple[int, ...]


UserId = NewType("UserId", int)
Described = Annotated[str, Meta(description="told", extra_json_schema={"pattern": "x"})]


@pytest.mark.parametrize(
    "hint",
    [
        str,
        int,
        float,
        bool,
        bytes,
        Color,
        Literal["a", "b"],
        Literal[1, 2],
        uuid.UUID,
        datetime.datetime,
        datetime.date,
        datetime.time,
        datetime.timedelta,
        decimal.Decimal,
        UserId,
        Annotated[int, Meta(ge=1)],
        Described,
        int | None,
        Described | None,
        Annotated[int | None, Meta(description="told")],
        int | str,
        Any,
    ],
)
def test_types_that_one_text_can_be(hint: Any) -> None:
    shape = shape_of(hint)
    assert shape.text
    assert not shape.many
    assert not shape.document
    assert shape.opaque == ()


@pytest.mark.parametrize(
    "hint",
    [
        list,
        list[int],
        list[Color] | None,
        set[str],
        frozenset[int],
        tuple[int, ...],
        tuple[int, str],
        Sequence[int],
        Annotated[list[Annotated[int, Meta(ge=1)]], Meta(max_length=3)],
        Annotated[list[Described], Meta(description="told")],
        int | list[int],
    ],
)
def test_types_that_several_texts_can_be(hint: Any) -> None:
    shape = shape_of(hint)
    assert shape.many
    assert not shape.text


@pytest.mark.parametrize(
    "hint", [Item, Item | None, list[Item], Cat | Dog, Cat | int, tuple[Item, ...], list[Item | None]]
)
def test_types_that_only_a_document_can_hold(hint: Any) -> None:
    shape = shape_of(hint)
    assert shape.document
    assert not shape.text
    assert not shape.many


@pytest.mark.parametrize("hint", [dict[str, int], Pair, Opaque, list[dict[str, int]], list[list[int]], None])
def test_types_that_are_neither(hint: Any) -> None:
    shape = shape_of(hint)
    assert (shape.text, shape.many, shape.document) == (False, False, False)


def test_none_is_a_value_of_what_allows_it() -> None:
    assert shape_of(int | None).optional
    assert shape_of(Annotated[str | None, Meta(description="told")]).optional
    assert not shape_of(Any).optional
    assert not shape_of(int).optional


def test_members_that_take_several_values() -> None:
    assert shape_of(Item).lists == {"tags"}
    assert shape_of(Pair).lists == {"right"}
    assert shape_of(Item).fields
    assert shape_of(dict[str, str]).fields
    assert not shape_of(list[Item]).fields
    assert not shape_of(str).fields


def test_members_are_called_as_on_the_wire() -> None:
    class Renamed(Struct, rename="camel"):
        many_tags: list[str]

    assert shape_of(Renamed).lists == {"manyTags"}


def test_what_nothing_decodes_is_found_wherever_it_is() -> None:
    assert shape_of(Holder).opaque == ("Holder.inner[]{} is of type Opaque",)
    assert shape_of(list[Opaque]).opaque == (
        "list[test_shapes.Opaque][] is of type Opaque".replace("test_shapes", __name__),
    )


@pytest.mark.parametrize(
    "hint", [Mixed, Item | Pair | Dog | Cat | dict[str, int], Annotated[int, Meta(pattern="x")]]
)
def test_types_that_msgspec_refuses_are_told_apart(hint: Any) -> None:
    with pytest.raises(TypeError):
        shape_of(hint)


def test_a_member_that_cannot_be_evaluated_is_told() -> None:
    broken = msgspec.defstruct("Broken", [("x", "Nowhere")])
    with pytest.raises(TypeError, match=r"Broken cannot be read: name 'Nowhere' is not defined"):
        shape_of(broken)


def test_the_type_beneath() -> None:
    assert bare(Annotated[UserId | None, Meta(ge=1)]) is int
    assert bare(Item) is Item
    assert bare(int | str) == int | str


def test_aliases_are_what_they_stand_for() -> None:
    assert bare(TypeAliasType("alias", Annotated[int, Meta(ge=1)])) is int


def test_type_names_leave_modules_of_typing_out() -> None:
    assert type_name(Item) == "Item"
    assert type_name(Literal["a"]) == "Literal['a']"
