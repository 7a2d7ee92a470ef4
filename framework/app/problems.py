"""Collects what is wrong with an app, so that all of it is told at once."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from framework.errors import SetupError

__all__ = ["Problems"]


class Problems:
    """SetupErrors, kept until everything has been looked at. A problem is told once."""

    def __init__(self) -> None:
        self._found: dict[type[SetupError], list[str]] = {}

    @contextmanager
    def collect(self, where: str = "") -> Generator[None]:
        """Keeps a SetupError that the block raises. ``where`` is put before problems that do not begin with it."""
        try:
            yield
        except SetupError as error:
            kept = self._found.setdefault(type(error), [])
            for problem in error.problems:
                kept.append(problem if problem.startswith(where) else f"{where}: {problem}")

    def raise_if_any(self) -> None:
        """Raises what was kept: as one error of its class, as SetupError where there are several classes."""
        if not self._found:
            return
        kind = next(iter(self._found)) if len(self._found) == 1 else SetupError
        raise kind(list(dict.fromkeys(problem for kept in self._found.values() for problem in kept)))
