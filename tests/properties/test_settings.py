"""Settings on generated input: the line finder against tomllib, the sources' order against a plain dict."""

from __future__ import annotations

import string
import tomllib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.app.settings import Origin, load
from framework.app.toml_lines import KeyPath, key_lines, render_key, split_key

BARE = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=4)
ODD = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


def quoted(text: str) -> str:
    """A TOML basic string, with every character that could need it escaped."""
    return '"' + "".join(c if c.isalnum() and c.isascii() else f"\\U{ord(c):08x}" for c in text) + '"'


@st.composite
def literals(draw: st.DrawFn) -> str:
    """A value without keys; the strings among them are full of what looks like keys."""
    inside = draw(st.text("ab [x]=#{},.'\"\\\n1", max_size=12))
    form = draw(st.sampled_from(["basic", "literal", "long basic", "long literal", "number", "date", "bool"]))
    if form == "basic":
        return '"' + inside.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    if form == "literal":
        return "'" + inside.replace("'", "").replace("\n", "") + "'"
    if form == "long basic":
        closing = '"' * draw(st.integers(3, 5))
        return '"""' + inside.replace("\\", "\\\\").replace('"""', '""x').rstrip('"') + closing
    if form == "long literal":
        closing = "'" * draw(st.integers(3, 5))
        return "'''" + inside.replace("'''", "''x").rstrip("'") + closing
    return {"number": "-1_000.5e3", "date": "1979-05-27 07:32:00Z", "bool": "true"}[form]


class Writer:
    """Writes a document piece by piece and notes the line on which it wrote each key."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.text = ""
        self.lines: dict[KeyPath, int] = {}

    def here(self) -> int:
        return self.text.count("\n") + 1

    def write(self, text: str) -> None:
        self.text += text

    def gap(self, *, newlines: bool) -> None:
        choices = ["", " ", "\t "] + (["\n", " # [x]\n", "\n# y = 1, ]}\n\n"] if newlines else [])
        self.write(self.draw(st.sampled_from(choices)))

    def fresh(self, path: KeyPath) -> str:
        """A key that the table at the path does not have yet."""
        return self.draw(st.one_of(BARE, ODD).filter(lambda key: (*path, key) not in self.lines))

    def spelled(self, parts: list[str]) -> str:
        """A dotted key, each part bare or quoted."""
        words: list[str] = []
        for part in parts:
            bare = part.isascii() and part.replace("_", "").replace("-", "").isalnum()
            words.append(part if bare and self.draw(st.booleans()) else quoted(part))
        return self.draw(st.sampled_from([".", " . "])).join(words)

    def assignment(self, path: KeyPath, depth: int) -> None:
        parts = [self.fresh(path), *self.draw(st.lists(st.one_of(BARE, ODD), max_size=2))]
        for part in parts:
            path = (*path, part)
            self.lines[path] = self.here()
        self.write(self.spelled(parts))
        self.write(self.draw(st.sampled_from(["=", " = ", "\t=  "])))
        self.value(path, depth)

    def value(self, path: KeyPath, depth: int) -> None:
        form = self.draw(st.sampled_from(["literal", "array", "table"] if depth else ["literal"]))
        if form == "literal":
            self.write(self.draw(literals()))
        elif form == "array":
            self.array(path, depth)
        else:
            self.inline_table(path, depth)

    def array(self, path: KeyPath, depth: int) -> None:
        self.write("[")
        self.gap(newlines=True)
        count = self.draw(st.integers(0, 3))
        for index in range(count):
            self.lines[(*path, index)] = self.here()
            self.value((*path, index), depth - 1)
            self.gap(newlines=True)
            if index < count - 1 or self.draw(st.booleans()):
                self.write(",")
                self.gap(newlines=True)
        self.write("]")

    def inline_table(self, path: KeyPath, depth: int) -> None:
        self.write("{ ")
        for index in range(self.draw(st.integers(0, 3))):
            self.write(", " if index else "")
            self.assignment(path, depth - 1)
        self.write(" }")

    def header(self, tables: list[KeyPath]) -> KeyPath:
        """``[table]`` or ``[[array]]`` below one of the tables that can still be reached."""
        base = self.draw(st.sampled_from(tables))
        counts = {
            str(path[-2]): int(path[-1]) + 1
            for path in tables
            if path[:-2] == base and path and isinstance(path[-1], int)
        }
        many = self.draw(st.booleans())
        known = list(counts) if many and self.draw(st.booleans()) else []
        name = self.draw(st.sampled_from(known)) if known else self.fresh(base)
        path: KeyPath = (*base, name)
        line = self.here()
        key = self.spelled([part for part in path if isinstance(part, str)])
        self.write(f"[[{key}]]" if many else f"[ {key} ]")
        self.lines.setdefault(path, line)
        if many:
            # Headers reach only the last item of an array, and the tables in it.
            tables[:] = [table for table in tables if table[: len(path)] != path]
            path = (*path, counts.get(name, 0))
            self.lines[path] = line
        tables.append(path)
        return path


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[KeyPath, int]]:
    """A TOML text, and the line of every key in it."""
    writer = Writer(draw)
    table: KeyPath = ()
    tables: list[KeyPath] = [()]
    for _ in range(draw(st.integers(0, 8))):
        writer.gap(newlines=True)
        if draw(st.booleans()):
            table = writer.header(tables)
        else:
            writer.assignment(table, 2)
        writer.gap(newlines=False)
        writer.write(draw(st.sampled_from(["\n", "# c = 1 [x]\n"])))
    return writer.text, writer.lines


def paths_of(value: object, path: KeyPath = ()) -> set[KeyPath]:
    found: set[KeyPath] = {path} if path else set()
    if isinstance(value, dict):
        for key, item in value.items():
            found |= paths_of(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found |= paths_of(item, (*path, index))
    return found


@given(documents())
def test_every_key_of_a_document_is_found_on_its_line(document: tuple[str, dict[KeyPath, int]]) -> None:
    text, lines = document
    assert set(lines) == paths_of(tomllib.loads(text)), "the test's own writer is wrong"
    assert key_lines(text) == lines
    assert key_lines(text.replace("\n", "\r\n")) == lines


HEADERS = ["[a]", "[[a]]", "[a.b]", "[[a.b]]", "a = 1\n", "b.c = [\n", "]\n", "x = { y = 2 }\n"]
FRAGMENTS = st.sampled_from([*HEADERS, *"ab.={}[],#'\"\n\t 1\\", " = 1", "'''", '"""', "\r\n"])


@given(st.lists(FRAGMENTS, max_size=20).map("".join))
def test_whatever_tomllib_accepts_has_the_same_keys(text: str) -> None:
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert set(key_lines(text)) == paths_of(content)


@given(st.lists(ODD, min_size=1, max_size=4))
def test_a_rendered_key_splits_into_its_parts(parts: list[str]) -> None:
    assert split_key(render_key(tuple(parts))) == tuple(parts)


class Inner(msgspec.Struct, frozen=True):
    a: int = 0
    b: int = 0


class Outer(msgspec.Struct, frozen=True):
    a: int = 0
    b: int = 0
    inner: Inner = Inner()


KEYS = ["outer.a", "outer.b", "outer.inner.a", "outer.inner.b"]
VARIABLES = {key: "FRAMEWORK_" + key.upper().replace(".", "__") for key in KEYS}
VALUES = st.dictionaries(st.sampled_from(KEYS), st.integers(-9, 9))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("settings")


@given(first=VALUES, later=VALUES, environ=VALUES, flags=VALUES, code=VALUES)
def test_the_strongest_source_of_each_key_wins(
    folder: Path,
    first: dict[str, int],
    later: dict[str, int],
    environ: dict[str, int],
    flags: dict[str, int],
    code: dict[str, int],
) -> None:
    expected = {key: (0, Origin("default")) for key in KEYS}
    files = {folder / "first.toml": first, folder / "later.toml": later}
    for path, values in files.items():
        path.write_text("".join(f"{key} = {value}\n" for key, value in values.items()))
        lines = enumerate(values.items(), 1)
        expected |= {key: (value, Origin("file", str(path), line)) for line, (key, value) in lines}
    expected |= {key: (value, Origin("environment", VARIABLES[key])) for key, value in environ.items()}
    expected |= {key: (value, Origin("flag", key)) for key, value in flags.items()}
    expected |= {key: (value, Origin("code")) for key, value in code.items()}
    settings = load(
        {"outer": Outer},
        files=list(files),
        environ={VARIABLES[key]: str(value) for key, value in environ.items()},
        flags={key: str(value) for key, value in flags.items()},
        overrides=code,
    )
    assert {row.key: (row.value, row.origin) for row in settings.show()} == expected
    assert [row.key for row in settings.show()] == KEYS
