"""Cache-Control (RFC 9111 section 5.2) read once, and how it is decided by: no I/O, no clock."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

__all__ = ["MAX_AGE", "parse_directives", "seconds_of"]

MAX_AGE: Final = 2_147_483_648  # what a greater number counts as (section 1.2.2)

# A list of tokens with arguments that are tokens or quoted; what is between is skipped. A comma may be quoted.
_directives: Final = re.compile(
    r"[ \t,]*+([!#$%&'*+\-.^_`|~0-9A-Za-z]++)(?:[ \t]*+=[ \t]*+(?:\"((?:[^\"\\]|\\.)*+)\"|([^\",; \t]*+)))?+[^,]*+"
).finditer
_is_seconds: Final = re.compile(r"[0-9]++").fullmatch


def parse_directives(field: str | None) -> dict[str, str | None]:
    """The directives by name, lower case, with their arguments, None where there is none.

    Of one that is there twice with two numbers the smaller counts, which is the stricter for those of responses.
    """
    found: dict[str, str | None] = {}
    if not field:
        return found
    for match in _directives(field):
        name = match[1].lower()
        value = match[2] if match[2] is not None else match[3]
        if name in found:
            first, second = found[name], value
            if first is None or second is None or (seconds_of(first) or 0) <= (seconds_of(second) or 0):
                continue
        found[name] = value
    return found


def seconds_of(argument: str | None) -> int | None:
    """The number of seconds; None for what is none. Digits only: neither sign nor blank nor any other spelling."""
    if argument is None or _is_seconds(argument) is None:
        return None
    return MAX_AGE if len(argument) > 10 else min(int(argument), MAX_AGE)


def lifetime_in(directives: Mapping[str, str | None], name: str) -> int | None:
    """The seconds of a response's directive: None where it is not there, 0 where it is no number (section 4.2.1: what
    cannot be read is stale)."""
    if name not in directives:
        return None
    return seconds_of(directives[name]) or 0
