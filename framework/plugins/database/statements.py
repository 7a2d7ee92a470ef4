"""One way to write parameters, ``?``, into each database's own. Texts, names and comments are left alone."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from framework.errors import LocalProtocolError

__all__ = ["check_count", "for_asyncpg", "for_mysql", "for_sqlite", "reads_only"]

# What a question mark may be inside of: '...' "..." `...` [...] $tag$...$tag$ -- ... /* ... */
_PARTS: Final = re.compile(
    r"""'(?:[^']|'')*+'|"(?:[^"]|"")*+"|`[^`]*+`|--[^\n]*+|/\*.*?\*/|(\$[A-Za-z_0-9]*\$).*?\1|(\?\?)|(\?)""",
    re.DOTALL,
)
_MAX: Final = 1024


def _translated(sql: str, placeholder: str, *, escape: bool = False) -> tuple[str, int]:
    count = 0

    def one(part: re.Match[str]) -> str:
        nonlocal count
        if part[2]:
            return "?"
        if part[3]:
            count += 1
            return placeholder.format(count)
        return part[0]

    if escape:
        sql = sql.replace("%", "%%")
    return _PARTS.sub(one, sql), count


@lru_cache(_MAX)
def for_asyncpg(sql: str) -> tuple[str, int]:
    """With ``$1``, and how many there are."""
    return _translated(sql, "${}")


@lru_cache(_MAX)
def for_mysql(sql: str) -> tuple[str, int]:
    """With ``%s``."""
    return _translated(sql, "%s", escape=True)


@lru_cache(_MAX)
def for_sqlite(sql: str) -> tuple[str, int]:
    """As it is, but for ``??``."""
    return _translated(sql, "?")


_first = re.compile(r"(?:\s++|--[^\n]*+\n|/\*.*?\*/|\()*+([A-Za-z]+)", re.DOTALL)
_writes = re.compile(r"\b(?:insert|update|delete|replace|returning|create|drop|alter)\b", re.IGNORECASE)


@lru_cache(_MAX)
def reads_only(sql: str) -> bool:
    """Whether a statement surely changes nothing, so that a reader may run it."""
    found = _first.match(sql)
    word = "" if found is None else found[1].lower()
    if word in ("select", "values", "explain", "pragma"):
        return True
    return word == "with" and _writes.search(_PARTS.sub(" ", sql)) is None


def check_count(sql: str, wanted: int, given: int) -> None:
    """Raises LocalProtocolError where parameters and places are not as many."""
    if wanted != given:
        raise LocalProtocolError(f"{given} parameters for a statement with places for {wanted}: {sql[:80]}")
