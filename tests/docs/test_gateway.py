"""The samples of docs/gateway.md are true: each file is one that a gateway takes, each command one that there is."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from framework.cli.program import program
from framework.plugins.gateway.app import create_app
from framework.plugins.gateway.config import PoliciesConfig

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "gateway.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILES = [found[2] for found in FENCE.finditer(PAGE) if found[1] == "toml"]
COMMANDS = [
    line.partition("#")[0].partition(">")[0].strip()
    for found in FENCE.finditer(PAGE)
    if found[1] == "sh"
    for line in found[2].splitlines()
]


@pytest.mark.parametrize("number", range(len(FILES)))
def test_a_file_that_is_shown_is_taken(number: int, tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(FILES[number])
    runtime = create_app([file]).build(files=[file], environ={})
    assert runtime.routes


@pytest.mark.parametrize("command", [one for one in COMMANDS if " run " not in one])
def test_a_command_that_is_shown_runs(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("gateway.toml", "new.toml"):
        (tmp_path / name).write_text(FILES[0])
    result = CliRunner().invoke(program, shlex.split(command)[1:])
    assert result.exit_code == 0, result.output


def test_every_policy_is_told_of() -> None:
    missing = [name for name in PoliciesConfig.__struct_fields__ if name not in PAGE]
    assert missing == []


def test_the_bundled_example_is_taken() -> None:
    file = Path(__file__).resolve().parents[2] / "apps" / "gateway" / "gateway.toml"
    assert create_app([file]).build(files=[file], environ={}).routes
