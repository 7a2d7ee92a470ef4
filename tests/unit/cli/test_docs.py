"""The samples of docs/cli.md are true: the app in it is written to a file, and the commands are given."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from .driver import Project

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "cli.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    return [found[2] for found in FENCE.finditer(PAGE) if found[1] == language]


def exchanges() -> Iterator[tuple[str, str]]:
    """Each command that is shown, and what is shown under it."""
    for block in blocks("console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            yield command, output


@pytest.mark.parametrize(("command", "shown"), list(exchanges()))
def test_a_command_prints_what_is_shown(project: Project, command: str, shown: str) -> None:
    (app,) = blocks("python")
    project.write("shop.py", app)
    outcome = project.call(*shlex.split(command)[1:])
    pattern = re.escape(shown.strip()).replace(re.escape("..."), ".*")
    assert re.fullmatch(pattern, (outcome.out + outcome.err).strip(), re.DOTALL), outcome.out + outcome.err
