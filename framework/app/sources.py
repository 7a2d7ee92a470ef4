"""Where settings come from: TOML files, the environment, flags, code; each becomes layers of values.

Knows the types only to find which key a variable's name means; ``reading`` checks the values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

import msgspec

from framework.app.schema import Shape, known_keys, locate, near_key, shape_of
from framework.app.toml_lines import KeyPath, key_lines, render_key, split_key

__all__ = ["Array", "Leaf", "Node", "Origin", "Sources", "Table", "env_name", "node_of", "plain"]


class Origin(msgspec.Struct, frozen=True):
    """Where a value was set.

    Attributes:
        kind: the sort of source.
        name: the file's path as given, the variable's name or the flag's key; empty for default and code.
        line: the line of the key in a file, counted from 1.
    """

    kind: Literal["default", "file", "environment", "flag", "code"]
    name: str = ""
    line: int | None = None

    def __str__(self) -> str:
        if self.kind == "file":
            return self.name if self.line is None else f"{self.name}:{self.line}"
        if self.kind == "environment":
            return f"environment variable {self.name}"
        return f"flag --{self.name}" if self.kind == "flag" else self.kind


class Leaf(msgspec.Struct, frozen=True):
    """A value with no keys below it. ``text`` marks one that is still to be read as its field's type."""

    value: Any
    origin: Origin
    text: bool = False


class Table(msgspec.Struct, frozen=True):
    """Keys and what was set for them, by one source."""

    children: dict[str, Any]
    origin: Origin


class Array(msgspec.Struct, frozen=True):
    """An array; unlike a table it is never merged with another."""

    items: list[Any]
    origin: Origin


Node = Leaf | Table | Array


def node_of(value: object, origin_of: Callable[[KeyPath], Origin], path: KeyPath = ()) -> Node:
    """The node of a Python value; ``origin_of`` tells where the value at each path was set."""
    origin = origin_of(path)
    if isinstance(value, msgspec.Struct):
        value = _struct_items(value)
    if isinstance(value, Mapping):
        named = {str(key): item for key, item in cast("Mapping[object, object]", value).items()}
        return Table({key: node_of(item, origin_of, (*path, key)) for key, item in named.items()}, origin)
    if isinstance(value, list | tuple):
        array = cast("Sequence[object]", value)
        return Array([node_of(item, origin_of, (*path, index)) for index, item in enumerate(array)], origin)
    return Leaf(value, origin)


def plain(node: Node) -> object:
    """The Python value of a node."""
    if isinstance(node, Table):
        return {key: plain(child) for key, child in node.children.items()}
    return [plain(item) for item in node.items] if isinstance(node, Array) else node.value


def _struct_items(value: msgspec.Struct) -> dict[str, object]:
    config = value.__struct_config__
    items: dict[str, object] = {} if config.tag_field is None else {config.tag_field: config.tag}
    for info in msgspec.structs.fields(value):
        items[info.encode_name] = getattr(value, info.name)
    return items


def env_name(prefix: str, path: KeyPath) -> str:
    """The environment variable for a key: ``server.max-body`` is ``FRAMEWORK_SERVER__MAX_BODY``."""
    return f"{prefix}_" + "__".join(_env_spelling(str(part)) for part in path)


def _env_spelling(part: str) -> str:
    return part.upper().replace("-", "_")


def _flag_spelling(part: str) -> str:
    return part.replace("-", "_")


class Sources:
    """Reads the sources of one ``load``. ``layers`` go from the strongest to the weakest.

    Attributes:
        problems: what was wrong, in the order found.
        complete: False when a file could not be read, so that a missing value proves nothing.
    """

    def __init__(self, sections: Mapping[str, type[msgspec.Struct]], prefix: str) -> None:
        self.layers: list[Table] = []
        self.problems: list[str] = []
        self.complete = True
        self._sections = sections
        self._prefix = prefix

    def read_code(self, overrides: Mapping[str, object]) -> None:
        """Values set by the program, by dotted key; a whole section may be a Struct or a dict."""
        for key, value in _deepest_first(overrides):
            found = self._locate_key(key)
            if found is None:
                self._unknown("override", key, _parts(key), render_key)
            else:
                self._add(found[0], node_of(value, lambda _: Origin("code")))

    def read_flags(self, flags: Mapping[str, str]) -> None:
        """Command line values, by dotted key; ``-`` may stand for ``_``."""
        for key, text in _deepest_first(flags):
            found = self._locate_key(key)
            if found is None:
                self._unknown("flag", f"--{key}", _parts(key), lambda path: f"--{render_key(path)}")
            else:
                self._add_text(found, text, Origin("flag", key))

    def read_environment(self, environ: Mapping[str, str], reserved: Collection[str]) -> None:
        """Every variable that starts with the prefix, but for the reserved names."""
        start = f"{self._prefix}_"
        ours = {name: text for name, text in environ.items() if name.startswith(start)}
        for name, text in _deepest_first(ours, "__"):
            if name in reserved:
                continue
            parts = tuple(name.removeprefix(start).lower().split("__"))
            # Only the upper case spelling counts, or two variables could claim one key.
            found = locate(self._sections, parts, _env_spelling) if name == name.upper() else None
            if found is None:
                self._unknown("environment variable", name, parts, partial(env_name, self._prefix))
            else:
                self._add_text(found, text, Origin("environment", name))

    def read_files(self, files: Sequence[Path]) -> None:
        """TOML files; later ones are stronger."""
        for file in reversed(files):
            table = self._file(file)
            if table is None:
                self.complete = False
            else:
                self.layers.append(table)

    def _file(self, file: Path) -> Table | None:
        import tomllib

        try:
            # Editors on Windows write a byte order mark, which tomllib would take for a key.
            text = file.read_bytes().decode("utf-8-sig")
            content = tomllib.loads(text)
        except FileNotFoundError:
            self.problems.append(f"{file}: no such file")
        except OSError as error:
            self.problems.append(f"{file}: {error.strerror or type(error).__name__}")
        except UnicodeDecodeError as error:
            self.problems.append(f"{file}: not UTF-8 at byte {error.start}")
        except tomllib.TOMLDecodeError as error:
            line = re.search(r" \(at line (\d+), ", str(error))
            self.problems.append(f"{file}{':' + line[1] if line else ''}: not TOML: {error}")
        else:
            lines = key_lines(text)
            table = node_of(content, lambda path: Origin("file", str(file), lines.get(path)))
            return table if isinstance(table, Table) else None
        return None

    def _add_text(self, found: tuple[KeyPath, Any], text: str, origin: Origin) -> None:
        path, annotation = found
        shape = shape_of(annotation)
        node = _text_node(text, shape, origin)
        if node is None:
            self.problems.append(f"{render_key(path)}: expected JSON ({_json_example(shape)}) ({origin})")
        else:
            self._add(path, node)

    def _add(self, path: KeyPath, node: Node) -> None:
        for part in reversed(path[1:]):
            node = Table({str(part): node}, node.origin)
        self.layers.append(Table({str(path[0]): node}, node.origin))

    def _locate_key(self, key: str) -> tuple[KeyPath, Any] | None:
        parts = _parts(key)
        return locate(self._sections, parts, _flag_spelling) if parts else None

    def _unknown(self, what: str, name: str, parts: Sequence[str], spell: Callable[[KeyPath], str]) -> None:
        meant = near_key(tuple(parts), known_keys(self._sections))
        hint = f"; did you mean {spell(meant)}?" if meant else ""
        self.problems.append(f"unknown {what} {name}{hint}")


def _parts(key: str) -> tuple[str, ...]:
    try:
        return split_key(key)
    except ValueError:
        return ()


def _deepest_first(values: Mapping[str, Any], separator: str = ".") -> list[tuple[str, Any]]:
    """A key beats the one that holds it: SERVER__TLS__CERT is stronger than the JSON in SERVER__TLS."""
    return sorted(values.items(), key=lambda item: -item[0].count(separator))


def _text_node(text: str, shape: Shape, origin: Origin) -> Node | None:
    """The node of text from a variable or flag; None when it ought to be JSON and is not."""
    if not shape.json:
        return Leaf(text, origin, text=True)
    if text.lstrip()[:1] in ("[", "{"):
        try:
            return node_of(msgspec.json.decode(text), lambda _: origin)
        except msgspec.DecodeError:
            pass
    return Leaf(text, origin, text=True) if shape.other or text == "null" else None


def _json_example(shape: Shape) -> str:
    return '{"key": ...}' if shape.array is None else "[...]"
