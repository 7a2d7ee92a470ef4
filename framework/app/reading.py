"""Layers of raw values become Structs, field by field: every fault is found and named with its origin."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import PurePath
from typing import Annotated, Any, TypeGuard, cast

import msgspec
from msgspec.structs import FieldInfo, fields

from framework.app.schema import Shape, known_keys, locate, near_key, near_miss, shape_of, struct_class
from framework.app.secret import HIDDEN, Secret
from framework.app.sources import Array, Leaf, Node, Origin, Table, env_name, plain
from framework.app.toml_lines import KeyPath, render_key

__all__ = ["Reader", "Row", "rows_of"]

# No value: either the field has no default, or what was set for it is wrong and has been reported.
_NOTHING = object()


class Row(msgspec.Struct, frozen=True):
    """One setting, fit to print: ``value`` is plain data (str, int, list ...) with its secrets hidden."""

    key: str
    value: Any
    origin: Origin

    def __str__(self) -> str:
        return f"{self.key} = {msgspec.json.encode(self.value).decode()}  # {self.origin}"


class Reader:
    """Builds the sections from the layers, strongest first.

    Attributes:
        problems: what was wrong, one line each.
        origins: where each value that is not a default was set.
    """

    def __init__(
        self, sections: Mapping[str, type[msgspec.Struct]], *, prefix: str, file: str, complete: bool
    ) -> None:
        self.problems: list[str] = []
        self.origins: dict[KeyPath, Origin] = {}
        self._sections = sections
        self._prefix = prefix
        self._file = file
        self._complete = complete

    def read(self, layers: Sequence[Table]) -> dict[str, msgspec.Struct]:
        """A Struct for each section that is right; those that are missing have left problems."""
        names = [(name,) for name in self._sections]
        for layer in reversed(layers):
            for name, node in layer.children.items():
                if name not in self._sections:
                    self._unknown((name,), node, "section" if isinstance(node, Table) else "key", names)
        read: dict[str, msgspec.Struct] = {}
        for name, section in self._sections.items():
            value = self._field(section, _below(layers, name), (name,), _NOTHING, None)
            if isinstance(value, msgspec.Struct):
                read[name] = value
        return read

    def _field(
        self, annotation: Any, nodes: Sequence[Node], path: KeyPath, default: object, owner: Origin | None
    ) -> object:
        if nodes:
            return self._value(annotation, nodes, path, default)
        if default is not _NOTHING:
            return default
        shape = shape_of(annotation)
        if len(shape.structs) == 1:
            return self._fill(shape.structs[0], (), path, None)
        self._missing(path, owner)
        return _NOTHING

    def _value(self, annotation: Any, nodes: Sequence[Node], path: KeyPath, default: object) -> object:
        shape, top = shape_of(annotation), nodes[0]
        if isinstance(top, Array) and shape.array is not None:
            return self._array(shape, shape.array, top, path)
        if isinstance(top, Table):
            # A value that is no table hides what weaker sources say of the keys below it.
            tables = [node for node in takewhile(_is_table, nodes) if _is_table(node)]
            if shape.structs:
                return self._struct(shape.structs, tables, path, default)
            if shape.mapping is not None:
                return self._mapping(shape, shape.mapping, tables, path)
        self.origins[path] = top.origin
        return self._leaf(annotation, top, path, shape.choices)

    def _leaf(self, annotation: Any, node: Node, path: KeyPath, choices: Sequence[object]) -> object:
        text = isinstance(node, Leaf) and node.text
        return self._convert(plain(node), annotation, path, node.origin, text=text, choices=choices)

    def _array(self, shape: Shape, types: tuple[Any, Any], array: Array, path: KeyPath) -> object:
        bare, item_type = types
        items = [
            self._value(item_type, [node], (*path, index), _NOTHING) for index, node in enumerate(array.items)
        ]
        if _NOTHING in items:
            return _NOTHING
        return self._collection(bare, shape, items, array.origin, path)

    def _mapping(
        self, shape: Shape, types: tuple[Any, Any], tables: Sequence[Table], path: KeyPath
    ) -> object:
        key_type, value_type = types
        items: dict[Any, object] = {}
        # From the weakest table on, in the order in which a reader of the files meets the keys.
        for name in dict.fromkeys(name for table in reversed(tables) for name in table.children):
            nodes, here = _below(tables, name), (*path, name)
            key = self._leaf(key_type, Leaf(name, nodes[0].origin, text=True), here, ())
            items[key] = self._value(value_type, nodes, here, _NOTHING)
        if _NOTHING in items or _NOTHING in items.values():
            return _NOTHING
        return self._collection(dict[Any, Any], shape, items, tables[0].origin, path)

    def _collection(self, bare: Any, shape: Shape, items: object, origin: Origin, path: KeyPath) -> object:
        for bound in shape.bounds:
            bare = Annotated[bare, bound]
        if not _branches(path, items):
            self.origins[path] = origin
        return self._convert(items, bare, path, origin)

    def _convert(
        self,
        value: object,
        annotation: Any,
        path: KeyPath,
        origin: Origin,
        *,
        text: bool = False,
        choices: Sequence[object] = (),
    ) -> object:
        try:
            return msgspec.convert(value, annotation, strict=not text, dec_hook=_decode_custom)
        except msgspec.ValidationError as error:
            message, _, where = str(error).partition(" - at `")
            key = render_key(path) + (where[1:].rstrip("`") if where.startswith("$") else "")
            if message.startswith("Invalid enum value"):
                message = _one_of(value, choices)
            self.problems.append(f"{key}: {_plainly(message, text=text)} ({origin})")
        except TypeError as error:
            self.problems.append(f"{render_key(path)}: its type cannot be read from settings: {error}")
        return _NOTHING

    def _struct(
        self, structs: Sequence[Any], tables: Sequence[Table], path: KeyPath, default: object
    ) -> object:
        base = default if isinstance(default, msgspec.Struct) else None
        tag_field = _tag_field(structs[0])
        if tag_field is None:
            return self._fill(structs[0], tables, path, base)
        by_tag = {_tag(struct): struct for struct in structs}
        chosen = next(iter(_below(tables, tag_field)), None)
        if chosen is not None:
            tag = str(plain(chosen))
            self.origins[(*path, tag_field)] = chosen.origin
        elif base is not None:
            tag = _tag(type(base))
        elif len(by_tag) == 1:
            tag = next(iter(by_tag))
        else:
            self._missing((*path, tag_field), tables[0].origin)
            return _NOTHING
        if tag not in by_tag:
            origin = chosen.origin if chosen is not None else tables[0].origin
            self.problems.append(f"{render_key((*path, tag_field))}: {_one_of(tag, list(by_tag))} ({origin})")
            return _NOTHING
        # What weaker sources say of another member of the union is no part of this one.
        ours = list(takewhile(lambda table: _tells(table, tag_field) in (None, tag), tables))
        same = base is not None and _tag(type(base)) == tag
        return self._fill(by_tag[tag], ours, path, base if same else None)

    def _fill(
        self, struct: Any, tables: Sequence[Table], path: KeyPath, base: msgspec.Struct | None
    ) -> object:
        before = len(self.problems)
        infos = fields(struct)
        keys = [(*path, info.encode_name) for info in infos]
        for table in reversed(tables):
            for name, node in table.children.items():
                if (*path, name) not in keys and name != _tag_field(struct):
                    self._unknown((*path, name), node, "key", keys)
        owner = tables[0].origin if tables else None
        values: dict[str, object] = {}
        for info, key in zip(infos, keys, strict=True):
            nodes = _below(tables, info.encode_name)
            values[info.name] = self._field(info.type, nodes, key, _default(info, base), owner)
        if len(self.problems) > before or _NOTHING in values.values():
            return _NOTHING
        try:
            return struct(**values)
        except (ValueError, TypeError) as error:
            message = _hide(str(error), _secrets(values))
            self.problems.append(f"{render_key(path)}: {message} ({self._origins_below(path)})")
            return _NOTHING

    def _origins_below(self, path: KeyPath) -> str:
        below = {str(origin): None for key, origin in self.origins.items() if key[: len(path)] == path}
        return ", ".join(below) or "default"

    def _unknown(self, path: KeyPath, node: Node, what: str, siblings: Sequence[KeyPath]) -> None:
        everywhere = known_keys(self._sections)
        hint = near_key(path, siblings) or near_key(path, everywhere)
        hint = hint or next((key for key in everywhere if key[-1] == path[-1] and key != path), None)
        ending = f"; did you mean {render_key(hint)}?" if hint else ""
        self.problems.append(f"unknown {what} {render_key(path)} ({node.origin}){ending}")

    def _missing(self, path: KeyPath, owner: Origin | None) -> None:
        if not self._complete:
            return
        above, last = path[:-1], path[-1:]
        variable = env_name(self._prefix, path)
        names = variable.removeprefix(f"{self._prefix}_").lower().split("__")
        found = locate(self._sections, names, lambda part: part.lower().replace("-", "_"))
        ways = [f"{render_key(last)} under [{render_key(above)}] in {self._file}"]
        # Not every key of a dict can be spelled as a variable, and nothing names an item of an array.
        if found is not None and found[0] == path and re.fullmatch(r"\w+", variable, re.ASCII):
            ways.append(f"{variable} in the environment")
        if all(isinstance(part, str) for part in path):
            ways.append(f"--{render_key(path)} on the command line")
        inside = f" ({owner})" if owner is not None else ""
        self.problems.append(f"missing {render_key(path)}{inside}: set {' or '.join(ways)}")


def rows_of(values: Mapping[str, msgspec.Struct], origins: Mapping[KeyPath, Origin]) -> list[Row]:
    """A row for every value of the sections, in their order; secrets are hidden."""
    rows: list[Row] = []

    def walk(path: KeyPath, value: object, origin: Origin) -> None:
        origin = origins.get(path, origin)
        inner = _branches(path, value)
        if not inner:
            shown = msgspec.to_builtins(value, str_keys=True, enc_hook=_show_custom)
            rows.append(Row(render_key(path), shown, origin))
        for key, item in inner:
            walk(key, item, origin)

    for name, section in values.items():
        walk((name,), section, Origin("default"))
    return rows


def _branches(path: KeyPath, value: object) -> list[tuple[KeyPath, object]]:
    """The settings below a value, or nothing when it is one setting itself."""
    if isinstance(value, msgspec.Struct):
        tag = _tag_field(type(value))
        inner: list[tuple[KeyPath, object]] = [((*path, tag), value.__struct_config__.tag)] if tag else []
        return inner + [((*path, info.encode_name), getattr(value, info.name)) for info in fields(value)]
    if isinstance(value, dict):
        return [((*path, str(key)), item) for key, item in cast("dict[object, object]", value).items()]
    if isinstance(value, list | tuple):
        items = cast("Sequence[object]", value)
        if any(isinstance(item, msgspec.Struct) for item in items):
            return [((*path, index), item) for index, item in enumerate(items)]
    return []


def _is_table(node: Node) -> TypeGuard[Table]:
    return isinstance(node, Table)


def _below(tables: Iterable[Table], name: str) -> list[Node]:
    return [table.children[name] for table in tables if name in table.children]


def _default(info: FieldInfo, base: msgspec.Struct | None) -> object:
    if base is not None:
        return getattr(base, info.name)
    if info.default is not msgspec.NODEFAULT:
        return info.default
    return _NOTHING if info.default_factory is msgspec.NODEFAULT else info.default_factory()


def _tag_field(struct: Any) -> str | None:
    cls = struct_class(struct)
    return None if cls is None else cls.__struct_config__.tag_field


def _tag(struct: Any) -> str:
    cls = struct_class(struct)
    return "" if cls is None else str(cls.__struct_config__.tag)


def _tells(table: Table, tag_field: str) -> str | None:
    return str(plain(table.children[tag_field])) if tag_field in table.children else None


def _decode_custom(wanted: type, value: object) -> object:
    if isinstance(value, wanted):
        return value
    if wanted is Secret or issubclass(wanted, PurePath):
        if isinstance(value, str):
            return wanted(value)
        raise TypeError(f"Expected `str`, got `{type(value).__name__}`")
    raise TypeError(f"a {wanted.__name__} cannot be written in settings")


def _show_custom(value: object) -> str:
    return HIDDEN if isinstance(value, Secret) else str(value)


def _plainly(message: str, *, text: bool) -> str:
    """msgspec's words without its code quotes; that text "got str" tells nobody anything."""
    message = message.replace("Expected `object`", "Expected a table").replace("`", "")
    return message[:1].lower() + (message[1:].removesuffix(", got str") if text else message[1:])


def _one_of(wrong: object, allowed: Sequence[object]) -> str:
    names = [str(choice) for choice in allowed]
    return f"expected one of {', '.join(names)}{near_miss(str(wrong), names)}"


def _secrets(value: object) -> Iterator[str]:
    if isinstance(value, Secret):
        yield value.reveal()
    elif isinstance(value, dict):
        for item in cast("dict[object, object]", value).values():
            yield from _secrets(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in cast("Iterable[object]", value):
            yield from _secrets(item)
    elif isinstance(value, msgspec.Struct):
        for info in fields(value):
            yield from _secrets(getattr(value, info.name))


def _hide(message: str, secrets: Iterable[str]) -> str:
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        message = message.replace(secret, HIDDEN)
    return message
