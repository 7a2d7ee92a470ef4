"""Typed settings, read once: defaults < TOML < environment < command line < code; checked, frozen, injected.

Nothing here is global: each ``load`` returns its own ``Settings``, which the app injects where they are
wanted. Tables (of a Struct or a dict) merge key by key from the weakest source to the strongest; everything
else replaces.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar, overload

import msgspec

from framework.app.reading import Reader, Row, rows_of
from framework.app.schema import faults_of, near_miss
from framework.app.secret import Secret
from framework.app.sources import Origin, Sources
from framework.errors import ConfigError

__all__ = ["Origin", "Row", "Secret", "Settings", "load"]

S = TypeVar("S", bound=msgspec.Struct)


class Settings:
    """The settings of one app: a frozen Struct per section, and where each value came from."""

    __slots__ = ("_rows", "sections")
    sections: Mapping[str, msgspec.Struct]
    _rows: Mapping[str, Row]

    def __init__(self, sections: Mapping[str, msgspec.Struct], rows: Sequence[Row]) -> None:
        object.__setattr__(self, "sections", MappingProxyType(dict(sections)))
        object.__setattr__(self, "_rows", MappingProxyType({row.key: row for row in rows}))

    @overload
    def section(self, wanted: type[S]) -> S: ...
    @overload
    def section(self, wanted: str) -> msgspec.Struct: ...
    def section(self, wanted: str | type[msgspec.Struct]) -> msgspec.Struct:
        """One section, by its name or by its type.

        Raises:
            ConfigError: there is no such section, or several of that type.
        """
        if isinstance(wanted, str):
            if wanted in self.sections:
                return self.sections[wanted]
            raise ConfigError(f"no section {wanted}{near_miss(wanted, self.sections)}")
        named = [name for name, section in self.sections.items() if type(section) is wanted]
        if len(named) == 1:
            return self.sections[named[0]]
        found = f"sections {', '.join(named)} are all of type" if named else "no section is of type"
        raise ConfigError(f"{found} {wanted.__name__}; ask by name")

    def origin(self, key: str) -> Origin:
        """Where the value of a key, such as ``server.port``, was set.

        Raises:
            ConfigError: there is no such value.
        """
        row = self._rows.get(key)
        if row is None:
            raise ConfigError(f"no value {key}{near_miss(key, self._rows)}")
        return row.origin

    def show(self) -> list[Row]:
        """Every value with its key and origin, in the order of the sections; secrets are ``***``."""
        return list(self._rows.values())

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("settings do not change")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("settings do not change")

    def __repr__(self) -> str:
        return f"Settings({', '.join(self.sections)})"


def load(
    sections: Mapping[str, type[msgspec.Struct]],
    *,
    files: Sequence[Path] = (),
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
    prefix: str = "FRAMEWORK",
    overrides: Mapping[str, object] | None = None,
    reserved: Collection[str] = ("FRAMEWORK_PURE",),
) -> Settings:
    """Read the settings of every section.

    Args:
        sections: a frozen Struct type per section name. Unknown fields are refused whatever the type says.
        files: TOML files, each of which must exist; later ones are stronger.
        environ: the environment, ``os.environ`` when None. ``FRAMEWORK_SERVER__PORT`` sets ``server.port``:
            names in upper case, ``-`` as ``_``, levels joined by ``__``; lists, dicts and Structs as JSON.
        flags: values from the command line by dotted key, written as in the environment.
        prefix: what the variables start with, before a ``_``.
        overrides: values from code by dotted key, stronger than all others; a Struct or dict sets all its
            keys at once.
        reserved: variables that start with the prefix and are no settings.

    Raises:
        ConfigError: one line for each thing wrong: unknown or missing keys and sections, wrong types, values
            out of range, unreadable files, unknown variables and flags. Secrets do not show in it.
        ValueError: the prefix is empty, so that every variable of the machine would be a setting.
    """
    if not prefix:
        raise ValueError("settings need a prefix for their environment variables")
    faults = faults_of(sections)
    if faults:
        raise ConfigError(faults)
    sources = Sources(sections, prefix)
    sources.read_code(overrides or {})
    sources.read_flags(flags or {})
    sources.read_environment(os.environ if environ is None else environ, reserved)
    sources.read_files(files)
    named = str(files[-1]) if files else "a TOML file"
    reader = Reader(sections, prefix=prefix, file=named, complete=sources.complete)
    values = reader.read(sources.layers)
    problems = [*sources.problems, *reader.problems]
    if problems:
        raise ConfigError(problems)
    return Settings(values, rows_of(values, reader.origins))
