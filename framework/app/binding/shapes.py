"""What a type can be read from: one text, several texts, a JSON document. Knows types, not requests."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Union

import msgspec
from msgspec import inspect

__all__ = ["Shape", "bare", "shape_of", "type_name"]

_TEXTS: Final = (
    inspect.StrType,
    inspect.IntType,
    inspect.FloatType,
    inspect.BoolType,
    inspect.BytesType,
    inspect.ByteArrayType,
    inspect.EnumType,
    inspect.LiteralType,
    inspect.DateTimeType,
    inspect.DateType,
    inspect.TimeType,
    inspect.TimeDeltaType,
    inspect.UUIDType,
    inspect.DecimalType,
    inspect.AnyType,
)
_LISTS: Final = (inspect.ListType, inspect.SetType, inspect.FrozenSetType, inspect.VarTupleType)
_ARRAYS: Final = (*_LISTS, inspect.TupleType)
_OBJECTS: Final = (
    inspect.StructType,
    inspect.DataclassType,
    inspect.TypedDictType,
    inspect.DictType,
    inspect.AnyType,
)


class Shape(msgspec.Struct, frozen=True):
    """How a type can be read.

    Args:
        text: one text will do, by msgspec's lax conversion.
        many: it is an array of such; takes every value of a name.
        optional: None is said to be a value of it.
        document: it is or holds a Struct, which only a JSON body can be.
        fields: it is an object of members, as the fields of a form are.
        lists: for ``fields``, the members that take several values.
        opaque: the places inside it that nothing can decode.
    """

    text: bool
    many: bool
    optional: bool
    document: bool
    fields: bool
    lists: frozenset[str]
    opaque: tuple[str, ...]


def shape_of(hint: Any) -> Shape:
    """The shape of a type.

    Raises:
        TypeError: msgspec refuses the type; the text says why.
    """
    try:
        info = inspect.type_info(hint)
    except TypeError:
        raise
    except Exception as error:  # annotations inside a Struct are evaluated now, and can raise anything
        raise TypeError(f"{type_name(hint)} cannot be read: {error}") from error
    every = _options(info)
    options = [option for option in every if not isinstance(option, inspect.NoneType)]
    arrays = [option for option in options if isinstance(option, _ARRAYS)]
    singles = [option for option in options if not isinstance(option, _ARRAYS)]
    texts = all(isinstance(option, _TEXTS) for option in singles)
    return Shape(
        text=bool(singles) and texts and not arrays,
        many=bool(arrays) and texts and all(_is_text(item) for array in arrays for item in _items(array)),
        optional=len(options) < len(every),
        document=any(map(_holds_struct, options)),
        fields=bool(options) and all(isinstance(option, _OBJECTS) for option in options),
        lists=frozenset(name for option in options for name in _list_members(option)),
        opaque=tuple(dict.fromkeys(_Search().opaque(info, type_name(hint)))),
    )


def _options(info: inspect.Type) -> tuple[inspect.Type, ...]:
    """The members of a union, the type alone where it is none; without what only describes it."""
    while isinstance(info, inspect.Metadata):
        info = info.type
    if not isinstance(info, inspect.UnionType):
        return (info,)
    return tuple(option for member in info.types for option in _options(member))


def _items(array: inspect.Type) -> Iterable[inspect.Type]:
    if isinstance(array, inspect.TupleType):
        return array.item_types
    return (array.item_type,) if isinstance(array, _LISTS) else ()


def _is_text(info: inspect.Type) -> bool:
    return all(isinstance(option, (*_TEXTS, inspect.NoneType)) for option in _options(info))


def _holds_struct(info: inspect.Type) -> bool:
    if isinstance(info, _ARRAYS):
        return any(_holds_struct(option) for item in _items(info) for option in _options(item))
    return isinstance(info, inspect.StructType)


def _members(info: inspect.Type) -> Iterator[inspect.Field]:
    if isinstance(info, (inspect.StructType, inspect.DataclassType, inspect.TypedDictType)):
        yield from info.fields


def _list_members(info: inspect.Type) -> Iterator[str]:
    for member in _members(info):
        if any(isinstance(option, _ARRAYS) for option in _options(member.type)):
            yield member.encode_name


class _Search(msgspec.Struct):
    """Walks a type that may contain itself."""

    seen: set[int] = set()

    def opaque(self, info: inspect.Type, place: str) -> Iterator[str]:
        """Each place that holds a type nothing can decode, with that type."""
        for option in _options(info):
            if id(option) in self.seen:
                continue
            self.seen.add(id(option))
            if isinstance(option, inspect.CustomType) and option.cls is not object:
                yield f"{place} is of type {type_name(option.cls)}"
            for item in _items(option):
                yield from self.opaque(item, f"{place}[]")
            if isinstance(option, inspect.DictType):
                yield from self.opaque(option.value_type, f"{place}{{}}")
            for member in _members(option):
                yield from self.opaque(member.type, f"{place}.{member.name}")


def bare(hint: Any) -> Any:
    """The type without ``None``, ``Annotated``, ``NewType`` and aliases around it."""
    while True:
        origin = typing.get_origin(hint)
        if origin in (Union, UnionType):
            left = [option for option in typing.get_args(hint) if option is not NoneType]
            if len(left) != 1:
                return hint
            hint = left[0]
        elif origin is Annotated:
            hint = typing.get_args(hint)[0]
        elif isinstance(hint, typing.NewType):
            hint = hint.__supertype__
        elif type(hint).__name__ == "TypeAliasType":
            hint = hint.__value__
        else:
            return hint


def type_name(hint: Any) -> str:
    """A type as its author wrote it, without modules."""
    return hint.__qualname__ if isinstance(hint, type) else str(hint).replace("typing.", "")
