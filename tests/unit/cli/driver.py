"""A folder with modules in it, and the command line called in it."""

from __future__ import annotations

import importlib
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

from click.testing import CliRunner

from framework.cli.program import program

__all__ = ["Outcome", "Project"]


class Outcome(NamedTuple):
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        """The lines that say what is wrong, without their mark."""
        return [line.removeprefix("error: ") for line in self.err.splitlines() if line.startswith("error: ")]


class Project:
    """The working directory of a test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, path: str, source: str) -> Path:
        """Writes a file; a module's source may be indented."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(source).lstrip())
        importlib.invalidate_caches()
        return file

    def call(self, *arguments: str, environ: dict[str, str | None] | None = None) -> Outcome:
        """``framework ARGUMENTS``, in this process."""
        result = CliRunner().invoke(program, list(arguments), env=environ)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Outcome(result.exit_code, result.stdout, result.stderr)
