"""What the types of the sections say: which keys there are, and what may stand at each.

Knows nothing of files, environments or values.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    MutableSequence,
    MutableSet,
    Sequence,
    Set,
)
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, is_typeddict

import msgspec
from msgspec.structs import FieldInfo, fields

from framework.app.toml_lines import KeyPath, render_key

__all__ = ["Shape", "faults_of", "known_keys", "locate", "near_key", "near_miss", "shape_of", "struct_class"]

_MAPPINGS: frozenset[object] = frozenset({dict, Mapping, MutableMapping})
_ARRAYS: dict[object, object] = {
    **dict.fromkeys((list, Collection, Sequence, MutableSequence), list[Any]),
    **dict.fromkeys((set, Set, MutableSet), set[Any]),
    frozenset: frozenset[Any],
    tuple: tuple[Any, ...],
}


class Shape(msgspec.Struct, frozen=True):
    """What an annotation accepts, seen as settings.

    Attributes:
        structs: the Structs a table may become (several only when they are tagged).
        mapping: key and value type, where a table may become a dict.
        array: the bare collection type and its item type, where an array may stand.
        other: whether anything but these and None may stand.
        json: whether text for it, in a variable or flag, may be JSON.
        choices: the values of a Literal or Enum.
        bounds: the length limits, to check on a collection whose items are already converted.
    """

    structs: tuple[Any, ...] = ()
    mapping: tuple[Any, Any] | None = None
    array: tuple[Any, Any] | None = None
    other: bool = False
    json: bool = False
    choices: tuple[object, ...] = ()
    bounds: tuple[msgspec.Meta, ...] = ()


def shape_of(annotation: Any) -> Shape:
    """The shape of one field's annotation."""
    structs: list[Any] = []
    mapping: tuple[Any, Any] | None = None
    array: tuple[Any, Any] | None = None
    other = json = False
    choices: tuple[object, ...] = ()
    bounds: list[msgspec.Meta] = []
    for part in _alternatives(annotation, bounds):
        origin, args = get_origin(part) or part, get_args(part)
        cls = struct_class(part)
        if cls is not None:
            structs.append(part)
        elif origin in _MAPPINGS:
            mapping = (args[0], args[1]) if args else (Any, Any)
        elif origin in _ARRAYS and (origin is not tuple or not args or args[-1] is ...):
            array = (_ARRAYS[origin], args[0] if args else Any)
        elif part is not NoneType:
            other = True
            json = json or (isinstance(origin, type) and issubclass(origin, tuple))
            choices += _choices(part)
    json = json or bool(structs) or mapping is not None or array is not None
    return Shape(tuple(structs), mapping, array, other, json, choices, tuple(bounds))


def struct_class(annotation: Any) -> type[msgspec.Struct] | None:
    """The Struct class an annotation names (its generic arguments left off), or None."""
    origin = get_origin(annotation) or annotation
    return origin if isinstance(origin, type) and issubclass(origin, msgspec.Struct) else None


def _alternatives(annotation: Any, bounds: list[msgspec.Meta]) -> Iterator[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *extras = get_args(annotation)
        bounds += [
            msgspec.Meta(min_length=extra.min_length, max_length=extra.max_length)
            for extra in extras
            if isinstance(extra, msgspec.Meta) and (extra.min_length, extra.max_length) != (None, None)
        ]
        yield from _alternatives(inner, bounds)
    elif origin is Union or isinstance(annotation, UnionType):
        for part in get_args(annotation):
            yield from _alternatives(part, bounds)
    elif hasattr(annotation, "__supertype__"):  # typing.NewType
        yield from _alternatives(annotation.__supertype__, bounds)
    elif hasattr(annotation, "__value__"):  # the type statement of Python 3.12
        yield from _alternatives(annotation.__value__, bounds)
    else:
        yield annotation


def _choices(part: Any) -> tuple[object, ...]:
    if get_origin(part) is Literal:
        return get_args(part)
    if isinstance(part, type) and issubclass(part, enum.Enum):
        return tuple(member.value for member in part)
    return ()


def faults_of(sections: Mapping[str, type[msgspec.Struct]]) -> list[str]:
    """What makes these types unfit for settings.

    Structs that are not frozen, annotations that do not resolve, classes that would accept unknown keys.
    """
    faults: list[str] = []
    seen: set[Any] = set()
    for name, section in sections.items():
        _check(section, (name,), seen, faults)
    return faults


def _check(annotation: Any, path: KeyPath, seen: set[Any], faults: list[str]) -> None:
    shape = shape_of(annotation)
    for struct in shape.structs:
        if struct in seen:
            continue
        seen.add(struct)
        cls = struct_class(struct)
        if cls is not None and not cls.__struct_config__.frozen:
            faults.append(f"{render_key(path)}: {cls.__name__} is not frozen; settings do not change")
        if cls is not None and cls.__struct_config__.array_like:
            faults.append(f"{render_key(path)}: {cls.__name__} is array_like; settings have names")
        try:
            infos = fields(struct)
        except (NameError, AttributeError) as error:
            faults.append(f"{render_key(path)}: an annotation of {struct!r} does not resolve: {error}")
            continue
        for info in infos:
            _check(info.type, (*path, info.encode_name), seen, faults)
    for inner in (shape.mapping or ())[1:] + (shape.array or ())[1:]:
        _check(inner, path, seen, faults)
    faults += [
        f"{render_key(path)}: {part.__name__} would accept unknown keys; use a frozen Struct"
        for part in _alternatives(annotation, [])
        if isinstance(part, type) and _accepts_unknown_keys(part)
    ]
    faults += [
        f"{render_key(path)}: {part!r} holds Structs where their keys cannot be named; use a list or a dict"
        for part in _alternatives(annotation, [])
        if get_origin(part) is tuple and any(shape_of(arg).structs for arg in get_args(part))
        if shape_of(part).array is None
    ]


def _accepts_unknown_keys(cls: Any) -> bool:
    return dataclasses.is_dataclass(cls) or is_typeddict(cls) or hasattr(cls, "__attrs_attrs__")


def known_keys(sections: Mapping[str, type[msgspec.Struct]]) -> list[KeyPath]:
    """Every key that the types name, in their order; what stands inside dicts and arrays has no name yet."""
    found: list[KeyPath] = []
    for name, section in sections.items():
        _collect(section, (name,), (), found)
    return found


def _collect(annotation: Any, path: KeyPath, inside: tuple[Any, ...], found: list[KeyPath]) -> None:
    for struct in shape_of(annotation).structs:
        if struct in inside:
            continue
        for name, types in _fields_by_key((struct,)).items():
            key = (*path, name)
            if key not in found:
                found.append(key)
            _collect(types[0], key, (*inside, struct), found)


def locate(
    sections: Mapping[str, type[msgspec.Struct]], names: Sequence[str], fold: Callable[[str], str]
) -> tuple[KeyPath, Any] | None:
    """The key that loosely written names mean, and the type of its value; None when there is none.

    Args:
        sections: the sections by name.
        names: the parts of the key as they were written.
        fold: what makes two spellings of a field's name equal.
    """
    head = _same(names[0], sections, fold)
    if head is None:
        return None
    path: KeyPath = (head,)
    annotation: Any = sections[head]
    for name in names[1:]:
        shape = shape_of(annotation)
        options = _fields_by_key(shape.structs)
        key = _same(name, options, fold)
        if key is not None:
            annotation = Union[tuple(options[key])]  # noqa: UP007 - the parts are known only now
        elif shape.mapping is not None:
            key, annotation = name, shape.mapping[1]
        else:
            return None
        path = (*path, key)
    return path, annotation


def _same(name: str, among: Iterable[str], fold: Callable[[str], str]) -> str | None:
    return next((known for known in among if fold(known) == fold(name)), None)


def _fields_by_key(structs: Iterable[Any]) -> dict[str, list[Any]]:
    options: dict[str, list[Any]] = {}
    for struct in structs:
        infos: tuple[FieldInfo, ...] = fields(struct)
        for info in infos:
            options.setdefault(info.encode_name, []).append(info.type)
        cls = struct_class(struct)
        if cls is not None and cls.__struct_config__.tag_field is not None:
            options.setdefault(cls.__struct_config__.tag_field, []).append(str)
    return options


def near_key(wrong: KeyPath, known: Iterable[KeyPath]) -> KeyPath | None:
    """Another known key that a wrong one was probably meant to be: every part of it is close."""
    best: KeyPath | None = None
    best_closeness = 0.0
    for key in known:
        closeness = 0.0 if key == wrong else _closeness(wrong, key)
        if closeness > best_closeness:
            best, best_closeness = key, closeness
    return best


def _closeness(wrong: KeyPath, key: KeyPath) -> float:
    from difflib import SequenceMatcher

    def ratio(*parts: object) -> float:
        # Variables cannot spell a dash.
        a, b = (str(part).replace("-", "_") for part in parts)
        return SequenceMatcher(None, a, b).ratio()

    if len(wrong) == len(key):
        parts = [ratio(a, b) for a, b in zip(wrong, key, strict=True)]
        return sum(parts) / len(parts) if min(parts) >= 0.6 else 0.0
    # SERVER_PORT for SERVER__PORT: the parts are right and only their joint is wrong.
    joined = ratio("_".join(map(str, wrong)), "_".join(map(str, key)))
    return joined if joined >= 0.9 else 0.0


def near_miss(wrong: str, known: Iterable[str]) -> str:
    """`"; did you mean ...?"` with the known word closest to the wrong one, or nothing."""
    from difflib import get_close_matches

    close = get_close_matches(wrong, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""
