"""What a field of a settings Struct says of itself: its words, its limits, its default. For help and templates."""

from __future__ import annotations

import re
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import PurePath
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from framework.app.schema import shape_of, struct_class
from framework.app.secret import Secret

__all__ = [
    "Field",
    "default_words",
    "description_of",
    "fields_of",
    "limits_of",
    "only_struct",
    "parts_of",
]

_ENTRY = re.compile(r"^(?:    |\t)(\w+):\s*(.*)$")


class Field(msgspec.Struct, frozen=True):
    """A field of a Struct as its reader needs it.

    Attributes:
        name: as it is written in settings.
        type: its annotation.
        doc: its ``Meta(description=...)``, else its entry under "Attributes:" in the docstring of the Struct.
        limits: in words, such as "0 to 65535" or "above 0"; empty without any.
        default: ``msgspec.NODEFAULT`` when it must be set.
    """

    name: str
    type: Any
    doc: str
    limits: str
    default: object


def fields_of(kind: type[msgspec.Struct], base: msgspec.Struct | None = None) -> list[Field]:
    """The fields of a settings type, in their order; their defaults are the values in ``base``, if that is given."""
    documented = _attributes(kind.__doc__ or "")
    return [
        Field(
            info.encode_name,
            info.type,
            description_of(info.type) or documented.get(info.name, ""),
            limits_of(info.type),
            _default(info) if base is None else getattr(base, info.name),
        )
        for info in msgspec.structs.fields(kind)
    ]


def _default(info: msgspec.structs.FieldInfo) -> object:
    return info.default if info.default_factory is msgspec.NODEFAULT else info.default_factory()


def parts_of(annotation: Any) -> list[Any]:
    """The bare types an annotation is made of: ``list[int] | None`` has list, int and NoneType."""
    if get_origin(annotation) is Annotated:
        return parts_of(get_args(annotation)[0])
    if get_args(annotation) and struct_class(annotation) is None and get_origin(annotation) is not Literal:
        inner = [part for each in get_args(annotation) for part in parts_of(each)]
        return inner if _is_union(annotation) else [get_origin(annotation), *inner]
    return [annotation]


def only_struct(annotation: Any) -> type[msgspec.Struct] | None:
    """The Struct that is all a field may hold (None aside), so that its own fields can stand in its place."""
    shape = shape_of(annotation)
    if len(shape.structs) != 1 or shape.array or shape.mapping or shape.other:
        return None
    return struct_class(shape.structs[0])


def default_words(value: object) -> str:
    """A default as help shows it."""
    if value is msgspec.NODEFAULT:
        return "required"
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str | int | float | Secret | PurePath):
        return str(value) or "empty"
    return msgspec.json.encode(value, enc_hook=str).decode() if value else "none"


def _attributes(docstring: str) -> dict[str, str]:
    """The entries of the section "Attributes:" of a docstring, each in one line."""
    found: dict[str, str] = {}
    name = ""
    for line in _section(cleandoc(docstring)):
        entry = _ENTRY.match(line)
        if entry is not None:
            name = entry[1]
            found[name] = entry[2]
        elif name:
            found[name] += f" {line.strip()}"
    return {name: text.replace("``", "").strip().removesuffix(".") for name, text in found.items()}


def _section(docstring: str) -> Iterator[str]:
    inside = False
    for line in docstring.splitlines():
        if line and not line[0].isspace():
            inside = line.strip() == "Attributes:"
        elif inside and line.strip():
            yield line


def _metas(annotation: Any) -> Iterator[msgspec.Meta]:
    """What an annotation says of the value itself, the outermost last; not what it says of a collection's items."""
    if get_origin(annotation) is Annotated:
        inner, *extras = get_args(annotation)
        yield from _metas(inner)
        yield from (extra for extra in extras if isinstance(extra, msgspec.Meta))
    elif _is_union(annotation):
        for part in get_args(annotation):
            yield from _metas(part)


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, UnionType)


def description_of(annotation: Any) -> str:
    """Its ``Meta(description=...)``, or nothing."""
    return next((meta.description for meta in _metas(annotation) if meta.description), "")


_WORDS = {
    "ge": "at least {}",
    "gt": "above {}",
    "le": "at most {}",
    "lt": "below {}",
    "min_length": "length at least {}",
    "max_length": "length at most {}",
}


def limits_of(annotation: Any) -> str:
    """Its bounds in words: "0 to 65535", "above 0"; nothing when it has none."""
    found: dict[str, Any] = {}
    for meta in _metas(annotation):
        found |= {name: getattr(meta, name) for name in _WORDS if getattr(meta, name) is not None}
    if "ge" in found and "le" in found:
        return f"{found['ge']} to {found['le']}"
    return ", ".join(_WORDS[name].format(limit) for name, limit in found.items())
