"""Every code sample of the README and the docs runs: Python is executed, curl lines are played and compared."""

from __future__ import annotations

import asyncio
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from framework import App
from framework.testing import TestClient


@pytest.fixture(autouse=True)
def _folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a sample writes stays out of the tree; what it reads is there."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "LICENSE", tmp_path)
    monkeypatch.chdir(tmp_path)


ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("**/*.md")])
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def samples(page: Path) -> list[tuple[str, str, int]]:
    """The fenced blocks of a page: language, text and line."""
    text = page.read_text(encoding="utf-8")
    return [(found[1], found[2], text.count("\n", 0, found.start()) + 2) for found in FENCE.finditer(text)]


def python_samples() -> Iterator[Any]:
    for page in PAGES:
        for language, code, line in samples(page):
            if language == "python":
                yield pytest.param(page, code, line, id=f"{page.name}:{line}")


def execute(page: Path, code: str, line: int) -> dict[str, Any]:
    module = ModuleType("sample")
    sys.modules["sample"] = module  # annotations are looked up there
    exec(compile("\n" * (line - 1) + code, str(page), "exec", dont_inherit=True), module.__dict__)
    return module.__dict__


@pytest.mark.parametrize(("page", "code", "line"), list(python_samples()))
def test_python_samples_run(page: Path, code: str, line: int) -> None:
    namespace = execute(page, code, line)
    for value in list(namespace.values()):
        if isinstance(value, App):
            value.build(environ={})


def console_samples() -> Iterator[Any]:
    """Console blocks with curl, each with the Python block that stands before it on its page."""
    for page in PAGES:
        before: tuple[str, int] | None = None
        for language, text, line in samples(page):
            if language == "python":
                before = (text, line)
            elif language == "console" and "curl " in text and before is not None:
                yield pytest.param(page, before, text, id=f"{page.name}:{line}")


def exchanges(text: str) -> Iterator[tuple[str, str]]:
    """The commands of a console block, each with the output shown under it."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        while command.endswith("\\"):
            more, _, output = output.partition("\n")
            command = f"{command[:-1]} {more}"
        yield command, output.strip()


@pytest.mark.parametrize(("page", "before", "text"), list(console_samples()))
def test_curl_samples_answer_as_shown(page: Path, before: tuple[str, int], text: str) -> None:
    app = execute(page, *before)["app"]
    commands = list(exchanges(text))
    answers = asyncio.run(play(app, [command for command, _ in commands if command.startswith("curl ")]))
    expected = [output for command, output in commands if command.startswith("curl ")]
    for shown, answer in zip(expected, answers, strict=True):
        pattern = re.escape(shown).replace(re.escape("..."), ".*")
        assert re.fullmatch(pattern, answer.strip(), re.DOTALL), answer


async def play(app: App, commands: list[str]) -> list[str]:
    answers: list[str] = []
    async with TestClient(app, transport="socket") as client:
        address = client.url.removeprefix("http://")
        for command in commands:
            arguments = shlex.split(command.replace("127.0.0.1:8000", address))
            done = await asyncio.to_thread(
                subprocess.run, [*arguments, "--silent", "--max-time", "10"], capture_output=True, check=True
            )
            answers.append(done.stdout.decode().replace("\r\n", "\n"))
    return answers
