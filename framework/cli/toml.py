"""A TOML file that shows every key of the settings, commented out at its default, with what is known of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time
from textwrap import wrap
from typing import Any, cast

import msgspec

from framework.app.schema import shape_of
from framework.app.secret import Secret
from framework.app.toml_lines import render_key
from framework.cli.fields import Field, fields_of, only_struct, parts_of

__all__ = ["template"]

_WIDTH = 98


def template(sections: Mapping[str, type[msgspec.Struct]]) -> str:
    """The text of the file. It is valid TOML as it stands, and changes nothing."""
    tables = [lines for name, kind in sections.items() for lines in _table((name,), kind)]
    return "\n\n".join("\n".join(lines) for lines in tables)


def _table(
    path: tuple[str, ...],
    kind: type[msgspec.Struct],
    inside: tuple[type[msgspec.Struct], ...] = (),
    base: object = msgspec.NODEFAULT,
) -> Iterator[list[str]]:
    """The lines of a table, then those of the tables within it: TOML wants a table's own keys first."""
    doc = (kind.__doc__ or "").strip().partition("\n\n")[0]
    # An empty table where the default is none would be a value.
    header = f"{'# ' if base is None else ''}[{render_key(path)}]"
    lines = [*_comment(" ".join(doc.split())), header]
    below: list[list[str]] = []
    for field in fields_of(kind, base if isinstance(base, msgspec.Struct) else None):
        inner = only_struct(field.type)
        if inner is not None and inner not in inside:
            below += _table((*path, field.name), inner, (*inside, kind), field.default)
        else:
            lines += _entry(field)
    yield lines
    yield from below


def _entry(field: Field) -> list[str]:
    about = ", ".join(filter(None, (_kind(field.type), field.limits)))
    doc = f"{field.doc} ({about})" if field.doc else about
    key, value = render_key((field.name,)), _value(field.default)
    if field.default is msgspec.NODEFAULT:
        return [*_comment(f"{doc}; required"), f"# {key} ="]
    if value is None:
        missing = "not set by default" if field.default is None else "not shown"
        return [*_comment(f"{doc}; {missing}"), f"# {key} ="]
    return [*_comment(doc), f"# {key} = {value}"]


def _kind(annotation: Any) -> str:
    shape = shape_of(annotation)
    if shape.choices:
        return f"one of {', '.join(map(str, shape.choices))}"
    words = {str: "text", int: "integer", float: "number", bool: "true or false", Secret: "secret text"}
    parts = parts_of(annotation)
    inner = next((words[part] for part in parts if part in words), "")
    if shape.array is not None:
        return f"list of {inner}" if inner else "list"
    return "table" if shape.mapping or shape.structs else inner or getattr(parts[0], "__name__", "text")


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in wrap(text, _WIDTH - 2)]


def _value(value: object) -> str | None:
    """A default in TOML; None for what cannot or must not be said."""
    if isinstance(value, Secret) or value is msgspec.NODEFAULT:
        return None
    plain: object = msgspec.to_builtins(value, enc_hook=str, builtin_types=(datetime, date, time))
    return _text(plain)


def _text(plain: object) -> str | None:
    if isinstance(plain, bool):
        return "true" if plain else "false"
    if isinstance(plain, str):
        return json.dumps(plain, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(plain, int | float):
        return repr(plain)
    if isinstance(plain, datetime | date | time):
        return plain.isoformat()
    if isinstance(plain, list | tuple):
        return _joined("[{}]", [_text(item) for item in cast("Sequence[object]", plain)])
    if isinstance(plain, dict):
        table = cast("Mapping[object, object]", plain)
        items = [(render_key((str(key),)), _text(item)) for key, item in table.items()]
        return _joined("{{{}}}", [None if text is None else f"{key} = {text}" for key, text in items])
    return None


def _joined(frame: str, parts: list[str | None]) -> str | None:
    return None if None in parts else frame.format(", ".join(part for part in parts if part is not None))
