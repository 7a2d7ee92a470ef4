"""The query of a target, in the format that forms have too (WHATWG URL, section 5: x-www-form-urlencoded)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote_to_bytes

from framework.errors import HTTPError
from framework.http.multimap import MultiMap

__all__ = ["MAX_FIELDS", "QueryParams", "parse_pairs"]

MAX_FIELDS: Final = 1000


class QueryParams(MultiMap):
    """The parameters of a query, parsed at the first look.

    Args:
        raw: the query without its "?", as sent (latin-1 decoded).
        max_fields: a query with more answers 400.

    Raises:
        HTTPError: 400, by the first look at a query with too many parameters.
    """

    __slots__ = ("_max_fields", "_parsed", "raw")

    def __init__(self, raw: str, max_fields: int = MAX_FIELDS) -> None:
        super().__init__([])
        self.raw = raw
        self._max_fields = max_fields
        self._parsed = not raw

    def items(self) -> Sequence[tuple[str, str]]:
        """All pairs in order, repeated names included."""
        if not self._parsed:
            self._pairs = parse_pairs(self.raw.encode("latin-1"), self._max_fields)
            self._parsed = True
        return self._pairs


def parse_pairs(data: bytes, max_fields: int) -> list[tuple[str, str]]:
    """Parses application/x-www-form-urlencoded as browsers do (WHATWG URL, section 5.1).

    Only "&" separates, the first "=" splits, "+" is a space, an escape that is none stays as it is, bytes
    that are not UTF-8 become U+FFFD, and a name without "=" has an empty value.

    Raises:
        HTTPError: 400, before any work, when there are more than ``max_fields`` fields.
    """
    if data.count(b"&") >= max_fields:
        raise HTTPError(400, f"more than {max_fields} fields")
    pairs: list[tuple[str, str]] = []
    for field in data.split(b"&"):
        if field:
            name, _, value = field.partition(b"=")
            pairs.append((_decode(name), _decode(value)))
    return pairs


def _decode(text: bytes) -> str:
    text = text.replace(b"+", b" ")
    if b"%" in text:
        text = unquote_to_bytes(text)
    return text.decode(errors="replace")
