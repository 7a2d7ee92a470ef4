"""The TOML template: valid as it stands, and right once the marks are taken away."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from framework.app.secret import Secret
from framework.app.settings import load
from framework.cli.toml import template
from framework.net.settings import ServerSettings


class Cost(Struct, frozen=True):
    """What it costs."""

    time: Annotated[int, Meta(ge=1, description="passes over the memory")] = 3


class Tree(Struct, frozen=True):
    below: Tree | None = None


class Section(Struct, frozen=True, kw_only=True):
    """What the section is about,
    in two lines.

    Not shown.
    """

    must: str
    password: Secret | None = None
    text: str = 'a "quoted"\n\x7f text'
    number: float = 1.5
    on: bool = True
    day: date = date(2026, 1, 2)
    folder: Path = Path("/tmp")
    names: tuple[str, ...] = ("a",)
    table: dict[str, int] = field(default_factory=lambda: {"a b": 1})
    mode: Literal["fast", "slow"] = "fast"
    cost: Cost = Cost(time=4)
    maybe: Cost | None = None
    tree: Tree | None = None
    late: str = "x"


def test_as_it_stands_it_changes_nothing() -> None:
    text = template({"server": ServerSettings, "web": Section})
    content = tomllib.loads(text)
    assert content == {"server": {}, "web": {"cost": {}}}


def test_every_key_is_there_with_its_words() -> None:
    lines = template({"web": Section}).splitlines()
    assert lines[:2] == ["# What the section is about, in two lines.", "[web]"]
    at = lines.index("# time = 4")
    assert lines[at - 1] == "# passes over the memory (integer, at least 1)"
    assert lines[at - 3 : at - 1] == ["# What it costs.", "[web.cost]"]
    assert "# [web.maybe]" in lines
    assert lines[lines.index("# must =") - 1] == "# text; required"
    assert lines[lines.index("# password =") - 1] == "# secret text; not set by default"
    assert lines[lines.index('# mode = "fast"') - 1] == "# one of fast, slow"
    assert lines[lines.index('# names = ["a"]') - 1] == "# list of text"


def test_without_the_marks_it_gives_the_defaults() -> None:
    kept: list[str] = []
    for line in template({"web": Section}).splitlines():
        if line == "# [web.maybe]":  # the tables from here on are none by default
            break
        bare = line.removeprefix("# ")
        if line.startswith("[") or " = " in bare:
            kept.append(bare)
    text = "\n".join(kept).replace("[web]", '[web]\nmust = "x"', 1)
    settings: Any = load({"web": Section}, environ={}, overrides=tomllib.loads(text))
    assert settings.section("web") == Section(must="x")
