"""How a command fails: the lines it says, the exit code, and whose traceback is shown."""

from __future__ import annotations

import os
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import click

from framework.cli.paper import styled, warn

__all__ = [
    "INTERRUPTED",
    "PROBLEMS",
    "WRONG_USE",
    "Failure",
    "place_of",
    "tell",
    "tell_problem",
    "user_traceback",
]

PROBLEMS = 1
"""The command did its work and found problems, or what it served failed."""
WRONG_USE = 2
"""The command could not begin: a wrong flag, app path, setting or app."""
INTERRUPTED = 130
"""Ctrl-C came before the command was done."""

_OURS = str(Path(__file__).resolve().parents[1])
_STANDARD = str(Path(os.__file__).resolve().parent)


class Failure(click.ClickException):
    """Ends the command with a line for each problem.

    Args:
        problems: one line each, without a mark of its own.
        code: the exit code.
        detail: shown before the lines, as it is: a traceback.
        mendable: the app's source is what is wrong; after a change of it the same command may do.
    """

    def __init__(
        self,
        problems: str | Sequence[str],
        *,
        code: int = WRONG_USE,
        detail: str = "",
        mendable: bool = False,
    ) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        self.code = code
        self.detail = detail
        self.mendable = mendable
        super().__init__("\n".join(self.problems))


def tell(failure: Failure) -> None:
    """Says what went wrong: the traceback, if there is one, and a line for each problem."""
    if failure.detail:
        warn(failure.detail)
    for problem in failure.problems:
        tell_problem(problem)


def tell_problem(problem: str) -> None:
    """Says one problem on one line."""
    warn(f"{styled('error:', fg='red', bold=True)} {' '.join(problem.split())}")


def user_traceback(error: BaseException) -> str:
    """The traceback of ``error`` from the first frame of the user's code on; the whole when there is none."""
    frames = error.__traceback__
    while frames is not None and not _is_the_users(frames):
        frames = frames.tb_next
    if frames is None and not isinstance(error, SyntaxError):  # whose text has the place
        frames = error.__traceback__
    return "".join(traceback.format_exception(type(error), error, frames)).rstrip()


def place_of(error: BaseException) -> str:
    """``file:line`` of the last frame of ``error`` that is the user's, or nothing."""
    place, frames = "", error.__traceback__
    while frames is not None:
        if _is_the_users(frames):
            place = f"{frames.tb_frame.f_code.co_filename}:{frames.tb_lineno}"
        frames = frames.tb_next
    return place


def _is_the_users(frames: TracebackType) -> bool:
    """Whether a frame is neither ours nor the standard library's; other packages are the user's choice."""
    file = frames.tb_frame.f_code.co_filename
    # Generated code and compiled extensions name no file of this machine.
    if file.startswith(_OURS) or not os.path.isabs(file):
        return False
    return not file.startswith(_STANDARD) or "site-packages" in file or "dist-packages" in file
