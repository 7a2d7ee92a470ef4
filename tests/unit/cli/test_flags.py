"""Settings as flags: the texts that reach the loader."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import click
import pytest
from click.testing import CliRunner
from msgspec import Meta, Struct

from framework.app.settings import load
from framework.cli.flags import Text, read_flags, setting_options
from framework.net.settings import ServerSettings


class Limits(Struct, frozen=True):
    head: int = 10


class Section(Struct, frozen=True, kw_only=True):
    host: Annotated[str, Meta(description="where to listen")] = "localhost"
    max_size: Annotated[int, Meta(ge=1)] | None = None
    half_close: bool = False
    names: tuple[str, ...] = ()
    ports: list[int] = []
    limits: Limits = Limits()
    mode: Literal["fast", "slow"] = "fast"
    folder: Path = Path("/tmp")
    hosts: dict[str, int] = {}


OPTIONS = setting_options("web", Section)


def read(*arguments: str) -> Mapping[str, str]:
    """The flags as a command reads them."""
    found: dict[str, str] = {}

    def callback(**values: Any) -> None:
        assignments = values.pop("set_")
        found.update(read_flags(OPTIONS, values, assignments))

    command = click.Command(
        "run", callback=callback, params=[*OPTIONS, click.Option(["--set", "set_"], multiple=True)]
    )
    result = CliRunner().invoke(command, list(arguments))
    if result.exit_code:
        raise click.UsageError(result.output)
    return found


def test_nothing_typed_is_nothing_set() -> None:
    assert read() == {}


@pytest.mark.parametrize(
    ("arguments", "key", "text", "value"),
    [
        (["--host", "h"], "web.host", "h", "h"),
        (["--max-size", "3"], "web.max_size", "3", 3),
        (["--half-close"], "web.half_close", "true", True),
        (["--no-half-close"], "web.half_close", "false", False),
        (["--names", "a", "--names", 'b"c'], "web.names", r'["a","b\"c"]', ("a", 'b"c')),
        (["--names", '["a","b"]'], "web.names", '["a","b"]', ("a", "b")),
        (["--ports", "1", "--ports", "2"], "web.ports", "[1,2]", [1, 2]),
        (["--limits-head", "5"], "web.limits.head", "5", 5),
        (["--mode", "slow"], "web.mode", "slow", "slow"),
        (["--folder", "/x"], "web.folder", "/x", Path("/x")),
        (["--hosts", '{"a": 1}'], "web.hosts", '{"a": 1}', {"a": 1}),
        (["--set", "web.max_size=4"], "web.max_size", "4", 4),
        (["--set", "web.host=a=b"], "web.host", "a=b", "a=b"),
    ],
)
def test_what_is_typed_arrives_as_its_value(arguments: list[str], key: str, text: str, value: object) -> None:
    flags = read(*arguments)
    assert flags == {key: text}
    found: Any = load({"web": Section}, environ={}, flags=flags).section("web")
    for name in key.split(".")[1:]:
        found = getattr(found, name)
    assert found == value


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--set", "web.host"], "--set web.host: expected section.key=value"),
        (["--set", "=x"], "--set =x: expected section.key=value"),
        (["--host", "a", "--set", "web.host=b"], "web.host is set twice: to a and to b"),
        (["--set", "web.host=a", "--set", "web.host=b"], "web.host is set twice: to a and to b"),
        (["--max-size", "1", "--set", "web.max-size=2"], "web.max-size is set twice: to 1 and to 2"),
    ],
)
def test_what_cannot_be_an_assignment_is_refused(arguments: list[str], problem: str) -> None:
    with pytest.raises(click.UsageError, match="Error") as caught:
        read(*arguments)
    assert problem in str(caught.value)


def test_the_keys_of_a_table_keep_their_dashes() -> None:
    assert read("--set", "web.hosts.a-b=1") == {"web.hosts.a-b": "1"}


def test_help_tells_words_default_and_limits() -> None:
    helps = {option.opts[0]: option.help for option in OPTIONS}
    assert helps["--host"] == "where to listen  [localhost]"
    assert helps["--max-size"] == "[not set; at least 1]"
    assert helps["--half-close"] == "[off]"


def test_every_server_setting_has_a_flag() -> None:
    keys = {option.key for option in setting_options("server", ServerSettings)}
    assert keys == {f"server.{name}" for name in ServerSettings.__struct_fields__}


def test_choices_and_paths_complete_themselves() -> None:
    context = click.Context(click.Command("x"))
    by_name = {option.opts[0]: option for option in OPTIONS}
    mode, folder = by_name["--mode"], by_name["--folder"]
    assert [item.value for item in mode.shell_complete(context, "s")] == ["slow"]
    assert [item.type for item in folder.shell_complete(context, "/t")] == ["file"]


def test_a_text_is_named_by_its_choices() -> None:
    option = click.Option(["--x"], type=Text("choice", ["a", 1]))
    assert option.make_metavar(click.Context(click.Command("x"))) == "[a|1]"
