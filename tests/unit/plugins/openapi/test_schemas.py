"""Schemas of types, and the names of components."""

from __future__ import annotations

import enum
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
import pytest
from msgspec import Meta, Struct

from framework.errors import SetupError
from framework.plugins.openapi.schemas import Schemas, builtin, without_null

T = TypeVar("T")


class Box(Struct, Generic[T]):
    """Holds
    several lines.

        indented
    """

    item: T
    label: Literal["only"] = "only"


class Pair(Struct, Generic[T]):
    left: T


class Loop(Struct):
    inner: list[Loop] = []


class Mixed(enum.Enum):
    """No order sorts its values."""

    A = 1
    B = "b"


class Unknown:
    """A class that msgspec does not know."""


def named(name: str, module: str) -> Any:
    return msgspec.defstruct(name, [("x", int)], module=module)


def schema(type: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    schemas = Schemas()
    found = schemas.of(type)
    return found, schemas.fill()


def test_generic_names_are_readable() -> None:
    found, components = schema(Box[int])
    assert found == {"$ref": "#/components/schemas/Box_int"}
    assert components["Box_int"]["title"] == "Box[int]"


def test_descriptions_are_cleaned_of_their_indentation() -> None:
    assert schema(Box[int])[1]["Box_int"]["description"] == "Holds\nseveral lines.\n\n    indented"


def test_a_single_choice_is_a_constant() -> None:
    assert schema(Box[int])[1]["Box_int"]["properties"]["label"] == {"const": "only", "default": "only"}


def test_a_type_may_contain_itself() -> None:
    components = schema(Loop)[1]
    assert components["Loop"]["properties"]["inner"]["items"] == {"$ref": "#/components/schemas/Loop"}


def test_types_of_one_name_keep_apart() -> None:
    schemas = Schemas()
    first, second = schemas.of(named("Item", "a")), schemas.of(named("Item", "b"))
    assert sorted(schemas.fill()) == ["a.Item", "b.Item"]
    assert first != second


def test_generic_types_that_cannot_be_told_apart_are_a_setup_error() -> None:
    schemas = Schemas()
    box: Any = Box
    schemas.of(box[named("Item", "a")])
    schemas.of(box[named("Item", "b")])
    with pytest.raises(SetupError, match="another generic type is called the same"):
        schemas.fill()


def test_short_names_do_not_collide() -> None:
    schemas = Schemas()
    schemas.of(Pair[int])
    schemas.of(named("Pair_int", "a"))
    assert len(schemas.fill()) == 2


def test_what_is_not_known_of_a_type_is_left_open() -> None:
    assert schema(object)[0] == {}
    assert schema(Unknown)[0] == {"title": "Unknown"}


def test_a_type_without_a_schema_is_a_setup_error() -> None:
    with pytest.raises(SetupError, match="a type without a JSON Schema"):
        schema(Mixed)


def test_null_is_taken_out() -> None:
    found, _ = schema(Annotated[int, Meta(ge=1)] | None)
    without_null(found)
    assert found == {"type": "integer", "minimum": 1}
    several, _ = schema(int | str | None)
    without_null(several)
    assert several == {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    choices, _ = schema(Literal["a", None])
    without_null(choices)
    assert choices == {"enum": ["a"]}


def test_defaults_are_as_json_has_them() -> None:
    assert builtin(frozenset({"b", "a"})) == ["a", "b"]
    assert builtin(("b", "a")) == ("b", "a")
    assert builtin(Pair(1)) == {"left": 1}
