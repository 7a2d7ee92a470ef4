"""Where a configuration comes from: read again, and every problem told with its file and line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import msgspec

from framework.app.settings import load
from framework.app.toml_lines import KeyPath, key_lines, split_key
from framework.plugins.gateway.config import GatewayConfig

__all__ = ["SECTION", "Source", "Stamp"]

SECTION = "gateway"
Stamp: TypeAlias = tuple[tuple[int, int, int] | None, ...]


class Source:
    """TOML files that have a section ``[gateway]``, with the environment and flags that are stronger.

    Args:
        files: later ones are stronger.
        sections: the types of the other sections that they may have.
        environ, flags, overrides: as for ``App.build``.
    """

    def __init__(
        self,
        files: Sequence[Path],
        sections: Mapping[str, type[msgspec.Struct]],
        *,
        environ: Mapping[str, str] | None = None,
        flags: Mapping[str, str] | None = None,
        overrides: Mapping[str, object] | None = None,
    ) -> None:
        self.files = tuple(files)
        self._sections: dict[str, type[msgspec.Struct]] = {**sections, SECTION: GatewayConfig}
        self._environ = environ
        self._flags = flags
        self._overrides = overrides

    def read(self) -> GatewayConfig:
        """The configuration as it is now. Raises ConfigError with every problem, each with where it is."""
        settings = load(
            self._sections,
            files=self.files,
            environ=self._environ,
            flags=self._flags,
            overrides=self._overrides,
        )
        config = settings.sections[SECTION]
        assert isinstance(config, GatewayConfig)
        return config

    def placed(self, problems: Sequence[str]) -> list[str]:
        """Problems of a whole configuration, which begin with a key of it, with where that is: ``... (file:line)``."""
        lines = [(file, _lines_of(file)) for file in reversed(self.files)]
        return [f"{problem}{_place(_path_of(problem), lines)}" for problem in problems]

    def stamp(self) -> Stamp:
        """Changes when a file does: its inode, time and size; None where it is not there."""
        return tuple(_stamp(file) for file in self.files)


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _lines_of(file: Path) -> dict[KeyPath, int]:
    try:
        return key_lines(file.read_text("utf-8"))
    except (OSError, ValueError, IndexError):
        return {}


def _path_of(problem: str) -> tuple[str, ...]:
    key = problem.partition(": ")[0].removeprefix(f"{SECTION}.")
    try:
        return (SECTION, *split_key(key))
    except ValueError:
        return ()


def _place(path: tuple[str, ...], files: Sequence[tuple[Path, Mapping[KeyPath, int]]]) -> str:
    """Where the key is, or the nearest above it that is written anywhere."""
    for end in range(len(path), 1, -1):
        for file, lines in files:
            line = lines.get(path[:end])
            if line is not None:
                return f" ({file}:{line})"
    return ""
