"""The sources: how each is read and spelled."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import pytest

from framework.app.sources import Array, Leaf, Node, Origin, Sources, Table, env_name, node_of, plain


class Tls(msgspec.Struct, frozen=True):
    cert: str = ""


class Server(msgspec.Struct, frozen=True, rename="kebab"):
    max_body: int = 1
    hosts: list[str] = []
    pair: tuple[int, str] = (1, "")
    either: str | list[str] = ""
    tls: Tls | None = None
    labels: dict[str, int] = {}


def sources() -> Sources:
    return Sources({"the-server": Server}, "APP")


def told(read: Sources) -> list[Any]:
    assert read.problems == []
    return [plain(layer) for layer in read.layers]


@pytest.mark.parametrize(
    ("origin", "text"),
    [
        (Origin("default"), "default"),
        (Origin("code"), "code"),
        (Origin("file", "a.toml", 3), "a.toml:3"),
        (Origin("file", "a.toml"), "a.toml"),
        (Origin("environment", "APP_X"), "environment variable APP_X"),
        (Origin("flag", "a.b"), "flag --a.b"),
    ],
)
def test_an_origin_reads_well(origin: Origin, text: str) -> None:
    assert str(origin) == text


def test_env_name() -> None:
    assert env_name("APP", ("the-server", "max-body")) == "APP_THE_SERVER__MAX_BODY"


def test_nodes_keep_the_origin_of_each_path() -> None:
    node: Node = node_of({"a": [1, {"b": 2}]}, lambda path: Origin("file", "f", len(path)))
    assert isinstance(node, Table)
    array = node.children["a"]
    assert isinstance(array, Array)
    assert array.items[0] == Leaf(1, Origin("file", "f", 2))
    assert array.items[1].children["b"].origin.line == 3
    assert plain(node) == {"a": [1, {"b": 2}]}


def test_structs_and_mappings_in_code_are_tables() -> None:
    class Tagged(msgspec.Struct, frozen=True, tag="red", tag_field="kind"):
        n: int = 1

    values: Mapping[object, object] = MappingProxyType({1: Tagged(), "x": (1, 2)})
    assert plain(node_of(values, lambda _: Origin("code"))) == {"1": {"kind": "red", "n": 1}, "x": [1, 2]}


def test_environment_names_fold_case_and_dashes() -> None:
    read = sources()
    read.read_environment({"APP_THE_SERVER__MAX_BODY": "7", "APPLE": "x"}, ())
    assert told(read) == [{"the-server": {"max-body": "7"}}]


@pytest.mark.parametrize(
    "name", ["APP_the_server__max_body", "APP_", "APP___", "APP_THE_SERVER__MAX_BODY__X", "APP_X"]
)
def test_other_variables_with_the_prefix_are_unknown(name: str) -> None:
    read = sources()
    read.read_environment({name: "7"}, ())
    assert read.layers == []
    assert read.problems[0].startswith(f"unknown environment variable {name}")


def test_a_single_underscore_is_a_near_miss() -> None:
    read = sources()
    read.read_environment({"APP_THE_SERVER_MAX_BODY": "7"}, ())
    assert read.problems == [
        "unknown environment variable APP_THE_SERVER_MAX_BODY; did you mean APP_THE_SERVER__MAX_BODY?"
    ]


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("hosts", '["a", "b"]', ["a", "b"]),
        ("pair", '[1, "b"]', [1, "b"]),
        ("either", '["a"]', ["a"]),
        ("either", "[a", "[a"),
        ("either", "a", "a"),
        ("tls", '{"cert": "x"}', {"cert": "x"}),
        ("tls", "null", "null"),
        ("tls.cert", "{x}", "{x}"),
        ("labels", '{"a": 1}', {"a": 1}),
        ("labels.b", "2", {"b": "2"}),
    ],
)
def test_flags_are_text_or_json_as_the_type_wants(key: str, text: str, value: object) -> None:
    read = sources()
    read.read_flags({f"the-server.{key}": text})
    name, _, inner = key.partition(".")
    found = told(read)[0]["the-server"][name]
    assert found == (value if not inner or isinstance(value, dict) else {inner: value})


@pytest.mark.parametrize(
    ("key", "text", "problem"),
    [
        ("hosts", "a,b", "the-server.hosts: expected JSON ([...]) (flag --the-server.hosts)"),
        ("hosts", '["a"', "the-server.hosts: expected JSON ([...]) (flag --the-server.hosts)"),
        ("labels", "x", 'the-server.labels: expected JSON ({"key": ...}) (flag --the-server.labels)'),
        ("labels", "", 'the-server.labels: expected JSON ({"key": ...}) (flag --the-server.labels)'),
    ],
)
def test_what_ought_to_be_json(key: str, text: str, problem: str) -> None:
    read = sources()
    read.read_flags({f"the-server.{key}": text})
    assert read.problems == [problem]


@pytest.mark.parametrize("key", ["", ".", "the-server.", "the server.x", "x", "the-server.max-body.x"])
def test_unknown_flags_and_overrides(key: str) -> None:
    read = sources()
    read.read_flags({key: "1"})
    read.read_code({key: 1})
    assert [problem.partition(";")[0] for problem in read.problems] == [
        f"unknown flag --{key}",
        f"unknown override {key}",
    ]


def test_a_deeper_key_is_stronger_than_the_json_around_it() -> None:
    read = sources()
    read.read_environment({"APP_THE_SERVER": '{"max-body": 1}', "APP_THE_SERVER__MAX_BODY": "2"}, ())
    assert told(read) == [{"the-server": {"max-body": "2"}}, {"the-server": {"max-body": 1}}]


def test_later_files_come_first(tmp_path: Path) -> None:
    files = [tmp_path / "a.toml", tmp_path / "b.toml"]
    for index, file in enumerate(files):
        file.write_text(f"x = {index}")
    read = sources()
    read.read_files(files)
    assert told(read) == [{"x": 1}, {"x": 0}]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"a = 1\nb =\n", ":2: not TOML: Invalid value (at line 2, column 4)"),
        (b"a = [", ": not TOML: Invalid value (at end of document)"),
        (b"a = '\xff'", ": not UTF-8 at byte 5"),
    ],
)
def test_a_bad_file_is_a_problem(tmp_path: Path, content: bytes, problem: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_bytes(content)
    read = sources()
    read.read_files([file])
    assert read.problems == [f"{file}{problem}"]
    assert not read.complete


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    read = sources()
    read.read_files([tmp_path])
    assert read.problems == [f"{tmp_path}: Is a directory"]
    assert not read.complete


def test_a_byte_order_mark_and_windows_line_ends(tmp_path: Path) -> None:
    file = tmp_path / "notepad.toml"
    file.write_bytes(b"\xef\xbb\xbf[a]\r\nb = 1\r\n")
    read = sources()
    read.read_files([file])
    assert told(read) == [{"a": {"b": 1}}]
    assert read.layers[0].children["a"].children["b"].origin == Origin("file", str(file), 2)
