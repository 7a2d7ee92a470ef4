"""The grammar of route patterns and host patterns, and the joining of prefixes.

pattern = 1*( "/" segment )
segment = text / "{" name [ ":" kind ] "}"
host    = [ "*." / "{" name "}." ] label *( "." label )

Text is written as in canonical paths: decoded, but for ``%2F`` and ``%25``. It may be empty at the end:
``/users/`` is not ``/users``. A parameter takes a whole segment; a ``path`` or ``escaped`` is last and takes the rest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from keyword import iskeyword
from typing import NamedTuple

from framework.errors import SetupError
from framework.routing.converters import Converter, is_segment, takes_rest

__all__ = ["Host", "Param", "Pattern", "Segment", "join", "parse", "parse_host"]

_parameter = re.compile(r"\{([^{}:]*)(?::([^{}:]*))?\}").fullmatch
_find_bad_text = re.compile(r"[?#]|%(?!2F|25)").search
_host = re.compile(
    r"(?:(?P<wild>\*)\.(?!\[)|\{(?P<name>[^{}]*)\}\.(?!\[))?"
    r"(?P<suffix>[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])"
).fullmatch


class Param(NamedTuple):
    """One parameter of a pattern; ``kind`` is what the pattern calls its converter."""

    name: str
    kind: str
    converter: Converter


Segment = str | Param


class Pattern(NamedTuple):
    """A parsed pattern. ``segments`` are what follows each slash: those of ``"/"`` are one empty text."""

    text: str
    segments: tuple[Segment, ...]

    @property
    def shape(self) -> str:
        """The pattern without the names of its parameters: equal for patterns that lead to one leaf."""
        return "".join(f"/{{{s.kind}}}" if isinstance(s, Param) else f"/{s}" for s in self.segments)

    @property
    def params(self) -> tuple[Param, ...]:
        return tuple(segment for segment in self.segments if isinstance(segment, Param))


class Host(NamedTuple):
    """A parsed host pattern: a suffix, and before it one label if there is a name, or any if ``is_wild``."""

    text: str
    suffix: str
    name: str | None
    is_wild: bool

    @property
    def shape(self) -> str:
        """The pattern in lower case and without the name of its parameter."""
        return "*." + self.suffix if self.is_wild else "{}." + self.suffix if self.name else self.suffix


def parse(text: str, converters: Mapping[str, Converter]) -> Pattern:
    """Parse a pattern such as ``/users/{id:int}/files/{rest:path}``; ``{slug}`` is short for ``{slug:str}``.

    Raises:
        SetupError: with every fault of the pattern.
    """
    if not text.startswith("/"):
        raise SetupError(f"pattern {text!r}: it must start with '/'")
    *parents, last = text.split("/")[1:]
    problems = ["an empty segment never occurs in a canonical path"] if "" in parents else []
    segments: list[Segment] = []
    for part in filter(None, (*parents, last)):
        try:
            segments.append(_parse_segment(part, converters))
        except ValueError as fault:
            problems.append(str(fault))
    if not last:
        segments.append("")
    params = [segment for segment in segments if isinstance(segment, Param)]
    names = [param.name for param in params]
    problems += [f"two parameters are called {n!r}" for n in dict.fromkeys(names) if names.count(n) > 1]
    problems += [
        f"{param.kind!r} parameter {param.name!r} takes all that remains and must be last"
        for param in params
        if takes_rest(param.converter) and param is not segments[-1]
    ]
    if problems:
        raise SetupError([f"pattern {text!r}: {problem}" for problem in problems])
    return Pattern(text, tuple(segments))


def parse_host(text: str) -> Host:
    """Parse ``example.com``, ``*.example.com`` (any below it) or ``{name}.example.com`` (one label below it).

    Raises:
        SetupError: for anything else; a port is not part of a host pattern, and case does not count.
    """
    found = _host(text.lower())
    if found is None:
        raise SetupError(
            f"host {text!r}: write 'example.com', '*.example.com' or '{{name}}.example.com', without a port"
        )
    name: str | None = None
    if found["name"] is not None:
        try:
            # From the text as written: the case of a name counts.
            name = _parse_name(text[found.start("name") : found.end("name")])
        except ValueError as fault:
            raise SetupError(f"host {text!r}: {fault}") from None
    return Host(text, found["suffix"], name, found["wild"] is not None)


def join(prefix: str, pattern: str) -> str:
    """Put ``prefix`` before ``pattern``: ``join("/api", "")`` is ``/api``, ``join("/api", "/")`` ``/api/``.

    One slash at the end of ``prefix`` does not count: ``/`` is no prefix at all.

    Raises:
        SetupError: when either is not empty and does not start with a slash.
    """
    for part in (prefix, pattern):
        if part and not part.startswith("/"):
            raise SetupError(f"pattern {part!r}: it must start with '/'")
    return prefix.removesuffix("/") + pattern or "/"


def _parse_segment(part: str, converters: Mapping[str, Converter]) -> Segment:
    parameter = _parameter(part)
    if parameter is None:
        return _parse_text(part)
    name, kind = parameter[1], "str" if parameter[2] is None else parameter[2]
    converter = converters.get(kind)
    if converter is None:
        raise ValueError(f"there is no converter {kind!r}, only {', '.join(sorted(converters))}")
    return Param(_parse_name(name), kind, converter)


def _parse_name(name: str) -> str:
    if not (name.isidentifier() and name.isascii()) or iskeyword(name):
        raise ValueError(f"{name!r} cannot be the name of a parameter")
    return name


def _parse_text(part: str) -> str:
    if "{" in part or "}" in part:
        raise ValueError(f"{part!r} mixes text and braces, a parameter takes a whole segment")
    if _find_bad_text(part):
        raise ValueError(f"{part!r} holds '?', '#' or an escape; write a path, decoded but for %2F and %25")
    if not is_segment(part):
        raise ValueError(f"{part!r} never occurs in a canonical path")
    return part
