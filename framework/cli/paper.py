"""Writing to a terminal, a file or a pipe: lines, tables, and colour where somebody is there to see it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TextIO

import click

__all__ = ["say", "styled", "table", "wants_colour", "warn"]


def wants_colour(stream: TextIO, environ: Mapping[str, str] | None = None) -> bool:
    """Whether what goes to ``stream`` may be coloured: it is a terminal, and nobody said otherwise.

    ``NO_COLOR``, then ``FORCE_COLOR``, decide when set to anything but nothing (no-color.org); ``environ`` is
    ``os.environ`` when None.
    """
    environ = os.environ if environ is None else environ
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and environ.get("TERM") != "dumb"


def styled(text: str, *, fg: str | None = None, bold: bool | None = None, dim: bool | None = None) -> str:
    """``text`` in a colour or weight, which ``say`` and ``warn`` take out again where nobody would see it."""
    return click.style(text, fg=fg, bold=bold, dim=dim)


def say(text: str) -> None:
    """Writes a line to standard output: what the command was asked for."""
    click.echo(text, color=wants_colour(sys.stdout))


def warn(text: str) -> None:
    """Writes a line to standard error: what is said about the work, not its result."""
    click.echo(text, err=True, color=wants_colour(sys.stderr))


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table with aligned columns, none cut; a column without any text is left out."""
    cells = [tuple(header), *(tuple(row) for row in rows)]
    shown = [index for index in range(len(header)) if any(row[index] for row in cells[1:])]
    widths = {index: max(len(row[index]) for row in cells) for index in shown}
    lines = ["  ".join(row[index].ljust(widths[index]) for index in shown).rstrip() for row in cells]
    return [styled(lines[0], bold=True), *lines[1:]]
