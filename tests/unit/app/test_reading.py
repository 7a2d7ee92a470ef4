"""How raw values become the fields of Structs: every shape of a type, its defaults, its faults."""

from __future__ import annotations

import datetime
import enum
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

import msgspec
import pytest

from framework.app.settings import load
from framework.errors import ConfigError


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Weird:
    """A class that nothing reads."""


class Upstream(msgspec.Struct, frozen=True):
    url: str
    weight: Annotated[int, msgspec.Meta(ge=1)] = 1


class Memory(msgspec.Struct, frozen=True, tag="memory", tag_field="kind"):
    max_items: int = 10


class Redis(msgspec.Struct, frozen=True, tag="redis", tag_field="kind"):
    url: str
    db: int = 0


class Limits(msgspec.Struct, frozen=True):
    low: int = 1
    high: int = 9

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low is above high")


def section(**fields: Any) -> type[msgspec.Struct]:
    """A frozen Struct type; a field is an annotation, or an annotation and a default."""
    spec = [(name, *field) if isinstance(field, tuple) else (name, field) for name, field in fields.items()]
    return msgspec.defstruct("S", spec, frozen=True)


class Read:
    """What one load made of a TOML text and the other sources."""

    def __init__(self, kind: type[msgspec.Struct], *texts: str, folder: Path, **sources: Any) -> None:
        files = [folder / f"{index}.toml" for index in range(len(texts))]
        for file, text in zip(files, texts, strict=True):
            file.write_text(text)
        self.problems: list[str] = []
        self.value: Any = None
        self.rows: dict[str, str] = {}
        try:
            settings = load({"s": kind}, files=files, environ=sources.pop("environ", {}), **sources)
        except ConfigError as error:
            self.problems = [problem.replace(f"{folder}/", "") for problem in error.problems]
        else:
            self.value = settings.section("s")
            self.rows = {row.key: str(row.origin).replace(f"{folder}/", "") for row in settings.show()}


GOOD: list[tuple[Any, str, str, Any]] = [
    (int, "1", "1", 1),
    (float, "1", "1.5", None),
    (bool, "true", "TRUE", True),
    (str, '"1"', "1", "1"),
    (bytes, '"eA=="', "eA==", b"x"),
    (Path, '"a/b"', "a/b", Path("a/b")),
    (Colour, '"red"', "red", Colour.RED),
    (Literal["a", "b"], '"b"', "b", "b"),
    (datetime.date, "2026-08-05", "2026-08-05", datetime.date(2026, 8, 5)),
    (datetime.time, "01:02:03", "01:02:03", datetime.time(1, 2, 3)),
    (list[int], "[1, 2]", "[1, 2]", [1, 2]),
    (tuple[int, ...], "[1, 2]", "[1, 2]", (1, 2)),
    (tuple[int, str], '[1, "a"]', '[1, "a"]', (1, "a")),
    (frozenset[int], "[1, 1]", "[1, 1]", frozenset([1])),
    (list[Path], '["a"]', '["a"]', [Path("a")]),
    (dict[str, int], "{ a = 1 }", '{"a": 1}', {"a": 1}),
    (dict[int, Colour], '{ 1 = "red" }', '{"1": "red"}', {1: Colour.RED}),
    (Any, "{ a = [1] }", "text", None),
    (Upstream, '{ url = "u" }', '{"url": "u"}', Upstream("u")),
    (list[Upstream], '[{ url = "u" }]', '[{"url": "u"}]', [Upstream("u")]),
    (dict[str, Upstream], 'a.url = "u"', '{"a": {"url": "u"}}', {"a": Upstream("u")}),
    (Memory | Redis, '{ kind = "redis", url = "u" }', '{"kind": "redis", "url": "u"}', Redis("u")),
    (int | None, "1", "null", None),
    (Upstream | None, '{ url = "u" }', "null", None),
]


@pytest.mark.parametrize(("annotation", "toml", "text", "value"), GOOD)
def test_values_of_every_type(annotation: Any, toml: str, text: str, value: Any, tmp_path: Path) -> None:
    document = f"[s]\nx = {toml}" if not toml.startswith("a.") else f"[s]\nx.{toml}"
    from_file = Read(section(x=annotation), document, folder=tmp_path)
    from_text = Read(section(x=annotation), folder=tmp_path, environ={"FRAMEWORK_S__X": text})
    assert (from_file.problems, from_text.problems) == ([], [])
    if value is not None:
        assert from_file.value.x == from_text.value.x == value
        again = Read(section(x=annotation), folder=tmp_path, overrides={"s.x": value})
        assert again.value.x == value


BAD: list[tuple[Any, str, list[str]]] = [
    (int, 'x = "1"', ["s.x: expected int, got str (0.toml:2)"]),
    (int, "x = 1.5", ["s.x: expected int, got float (0.toml:2)"]),
    (int, "x = true", ["s.x: expected int, got bool (0.toml:2)"]),
    (int, "x = [1]", ["s.x: expected int, got array (0.toml:2)"]),
    (int, "x.y = 1", ["s.x: expected int, got object (0.toml:2)"]),
    (Upstream, "x = 1", ["s.x: expected a table, got int (0.toml:2)"]),
    (Upstream, "x = []", ["s.x: expected a table, got array (0.toml:2)"]),
    (Path, "x = 1", ["s.x: expected str, got int (0.toml:2)"]),
    (Colour, 'x = "rde"', ["s.x: expected one of red, blue; did you mean red? (0.toml:2)"]),
    (Literal["a", 5], "x = 6", ["s.x: expected one of a, 5 (0.toml:2)"]),
    (Annotated[str, msgspec.Meta(pattern="^a")], 'x = "b"', [
        "s.x: expected str matching regex '^a' (0.toml:2)",
    ]),
    (list[int], 'x = [\n"a",\n1,\n"b"]', [
        "s.x[0]: expected int, got str (0.toml:3)",
        "s.x[2]: expected int, got str (0.toml:5)",
    ]),
    (dict[str, int], 'x.a = "a"\nx.b = 1\nx.c = "c"', [
        "s.x.a: expected int, got str (0.toml:2)",
        "s.x.c: expected int, got str (0.toml:4)",
    ]),
    (dict[int, int], "x.a = 1", ["s.x.a: expected int (0.toml:2)"]),
    (tuple[int, str], "x = [1, 2]", ["s.x[1]: expected str, got int (0.toml:2)"]),
    (Annotated[list[int], msgspec.Meta(min_length=2)], "x = [1]", [
        "s.x: expected array of length >= 2 (0.toml:2)",
    ]),
    (Annotated[dict[str, int], msgspec.Meta(max_length=0)], "x.a = 1", [
        "s.x: expected a table of length <= 0 (0.toml:2)",
    ]),
    (list[Upstream], 'x = [{ url = 1 },\n{ weight = 0, urll = "u" }]', [
        "s.x[0].url: expected str, got int (0.toml:2)",
        "unknown key s.x[1].urll (0.toml:3); did you mean s.x[1].url?",
        "missing s.x[1].url (0.toml:3): set url under [s.x[1]] in {file}",
        "s.x[1].weight: expected int >= 1 (0.toml:3)",
    ]),
    (dict[str, Upstream], '[s.x."a b"]\nweight = 2', [
        'missing s.x."a b".url (0.toml:2): set url under [s.x."a b"] in {file} or '
        '--s.x."a b".url on the command line',
    ]),
    (Memory | Redis, "x = {}", [
        "missing s.x.kind (0.toml:2): set kind under [s.x] in {file} or FRAMEWORK_S__X__KIND in the "
        "environment or --s.x.kind on the command line",
    ]),
    (Memory | Redis, 'x.kind = "reddis"', [
        "s.x.kind: expected one of memory, redis; did you mean redis? (0.toml:2)",
    ]),
    (Memory | Redis, 'x.kind = "redis"\nx.max_items = 1\nx.url = "u"', [
        "unknown key s.x.max_items (0.toml:3)",
    ]),
    (Memory, 'x.kind = "redis"', ["s.x.kind: expected one of memory (0.toml:2)"]),
    (Limits, "x.low = 10\nx.high = 1", ["s.x: low is above high (0.toml:2, 0.toml:3)"]),
    (Limits, "x.low = 10", ["s.x: low is above high (0.toml:2)"]),
    (Weird, 'x = "a"', ["s.x: a Weird cannot be written in settings (0.toml:2)"]),
]  # fmt: skip


@pytest.mark.parametrize(("annotation", "toml", "problems"), BAD)
def test_faults_of_every_type(annotation: Any, toml: str, problems: list[str], tmp_path: Path) -> None:
    read = Read(section(x=annotation), f"[s]\n{toml}", folder=tmp_path)
    assert read.problems == [problem.replace("{file}", "0.toml") for problem in problems]


def test_a_type_that_msgspec_refuses(tmp_path: Path) -> None:
    read = Read(section(x=int | Path), "[s]\nx = 1", folder=tmp_path)
    assert read.problems[0].startswith("s.x: its type cannot be read from settings: Type unions")


def test_a_section_that_is_no_table(tmp_path: Path) -> None:
    read = Read(section(x=(int, 1)), "s = 1\nport = 2", folder=tmp_path)
    assert read.problems == ["unknown key port (0.toml:2)", "s: expected a table, got int (0.toml:1)"]


def test_a_key_outside_its_section_is_found_elsewhere(tmp_path: Path) -> None:
    read = Read(section(max_body=(int, 1)), "max_body = 2", folder=tmp_path)
    assert read.problems == ["unknown key max_body (0.toml:1); did you mean s.max_body?"]


def test_the_default_of_a_rule_across_fields_has_an_origin_too(tmp_path: Path) -> None:
    class Broken(msgspec.Struct, frozen=True):
        def __post_init__(self) -> None:
            raise ValueError("never right")

    assert Read(Broken, folder=tmp_path).problems == ["s: never right (default)"]


def test_tables_merge_and_arrays_replace(tmp_path: Path) -> None:
    kind = section(labels=dict[str, int], hosts=list[str], up=Upstream)
    read = Read(
        kind,
        '[s]\nhosts = ["a", "b"]\nlabels = { a = 1, b = 1 }\nup.url = "u"\n',
        '[s]\nhosts = ["c"]\nlabels = { b = 2, c = 2 }\n',
        folder=tmp_path,
        environ={"FRAMEWORK_S__LABELS__C": "3", "FRAMEWORK_S__UP": '{"weight": 2}'},
    )
    assert read.value == kind(labels={"a": 1, "b": 2, "c": 3}, hosts=["c"], up=Upstream("u", 2))
    assert read.rows == {
        "s.labels.a": "0.toml:3",
        "s.labels.b": "1.toml:3",
        "s.labels.c": "environment variable FRAMEWORK_S__LABELS__C",
        "s.hosts": "1.toml:2",
        "s.up.url": "0.toml:4",
        "s.up.weight": "environment variable FRAMEWORK_S__UP",
    }


def test_a_value_that_is_no_table_hides_the_tables_below_it(tmp_path: Path) -> None:
    kind = section(up=(Upstream | None, None))
    texts = ['[s.up]\nurl = "u"\n']
    assert Read(kind, *texts, folder=tmp_path, environ={"FRAMEWORK_S__UP": "null"}).value == kind(up=None)
    hidden = Read(
        kind, *texts, folder=tmp_path, overrides={"s.up": None}, environ={"FRAMEWORK_S__UP__WEIGHT": "2"}
    )
    assert hidden.value == kind(up=None)
    assert hidden.rows == {"s.up": "code"}


def test_another_member_of_a_tagged_union_starts_afresh(tmp_path: Path) -> None:
    kind = section(store=(Memory | Redis, Memory()))
    base = '[s.store]\nkind = "memory"\nmax_items = 3\n'
    read = Read(kind, base, '[s.store]\nkind = "redis"\nurl = "u"\n', folder=tmp_path)
    assert read.value == kind(store=Redis("u"))
    assert read.rows == {"s.store.kind": "1.toml:2", "s.store.url": "1.toml:3", "s.store.db": "default"}
    same = Read(kind, base, "[s.store]\nmax_items = 4\n", folder=tmp_path)
    assert same.value == kind(store=Memory(4))


def test_a_default_struct_lends_its_fields(tmp_path: Path) -> None:
    kind = section(up=(Upstream, Upstream("default", 7)), store=(Memory | Redis, Redis("default", 7)))
    read = Read(kind, '[s]\nup.url = "u"\nstore.url = "v"\n', folder=tmp_path)
    assert read.value == kind(up=Upstream("u", 7), store=Redis("v", 7))
    assert read.rows["s.up.weight"] == "default"
    other = Read(kind, '[s.store]\nkind = "memory"\n', folder=tmp_path)
    assert other.value.store == Memory()


def test_a_required_struct_of_defaults_needs_no_table(tmp_path: Path) -> None:
    kind = section(memory=Memory, limits=Limits)
    assert Read(kind, folder=tmp_path).value == kind(memory=Memory(), limits=Limits())


def test_a_single_tagged_struct_needs_no_tag(tmp_path: Path) -> None:
    read = Read(section(memory=Memory), "[s.memory]\nmax_items = 2\n", folder=tmp_path)
    assert read.value.memory == Memory(2)
    assert read.rows == {"s.memory.kind": "default", "s.memory.max_items": "0.toml:2"}


def test_code_may_give_structs_and_they_are_checked(tmp_path: Path) -> None:
    kind = section(ups=(list[Upstream], []), store=(Memory | Redis, Memory()))
    good = Read(kind, folder=tmp_path, overrides={"s": kind(ups=[Upstream("u")], store=Redis("v"))})
    assert good.value == kind(ups=[Upstream("u")], store=Redis("v"))
    assert set(good.rows.values()) == {"code"}
    bad = Read(kind, folder=tmp_path, overrides={"s": kind(ups=[Upstream("u", 0)])})
    assert bad.problems == ["s.ups[0].weight: expected int >= 1 (code)"]


def test_code_may_give_any_mapping_and_its_keys_are_checked(tmp_path: Path) -> None:
    values: Mapping[Any, Any] = MappingProxyType({"url": "u", 5: 1})
    read = Read(section(up=Upstream), folder=tmp_path, overrides={"s.up": values})
    assert read.problems == ["unknown key s.up.5 (code)"]


def test_names_that_are_renamed(tmp_path: Path) -> None:
    class Kebab(msgspec.Struct, frozen=True, rename="kebab"):
        max_body: int

    read = Read(Kebab, "[s]\nmax_body = 1\n", folder=tmp_path)
    assert read.problems[0] == "unknown key s.max_body (0.toml:2); did you mean s.max-body?"
    assert Read(Kebab, "[s]\nmax-body = 1\n", folder=tmp_path).value == Kebab(1)


def test_rows_of_collections(tmp_path: Path) -> None:
    kind = section(
        none=(dict[str, int], {}),
        items=(list[int], []),
        ups=(list[Upstream], []),
        deep=(dict[str, Any], {}),
        pair=(tuple[int, Path], (1, Path("p"))),
    )
    text = '[s]\nitems = [1,\n2]\ndeep = { a.b = 1 }\n[[s.ups]]\nurl = "u"\n[s.none]\n'
    assert Read(kind, text, folder=tmp_path).rows == {
        "s.none": "0.toml:7",
        "s.items": "0.toml:2",
        "s.ups[0].url": "0.toml:6",
        "s.ups[0].weight": "default",
        "s.deep.a.b": "0.toml:4",
        "s.pair": "default",
    }
