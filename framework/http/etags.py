"""Entity tags (RFC 9110 section 8.8.3) and the lists of them in If-Match and If-None-Match (section 13.1)."""

from __future__ import annotations

import re
from typing import Final

from framework.errors import HTTPError, LocalProtocolError

__all__ = ["ANY", "matches_strong", "matches_weak", "parse_etags", "quote_etag"]

ANY: Final = "*"

_TAG: Final = r'(?:W/)?+"[!#-~\x80-\xff]*+"'
_is_list = re.compile(rf"[ \t]*+(?:{_TAG}[ \t]*+)?+(?:,[ \t]*+(?:{_TAG}[ \t]*+)?+)*+").fullmatch
_tags = re.compile(_TAG).findall
_is_opaque = re.compile(r"[!#-~\x80-\xff]*+").fullmatch


def quote_etag(value: str, *, weak: bool = False) -> str:
    """An entity tag as fields carry it: ``"value"``, or ``W/"value"`` where equal tags may differ in bytes.

    Raises:
        LocalProtocolError: the value has a quote, a blank, a control character or one beyond latin-1.
    """
    if _is_opaque(value) is None:
        raise LocalProtocolError(f"{value!r} cannot be an entity tag")
    return f'W/"{value}"' if weak else f'"{value}"'


def parse_etags(field: str) -> list[str]:
    """The tags of an If-Match or If-None-Match field as written, or ``[ANY]``.

    Raises:
        HTTPError: 400, for a list that breaks the grammar; a precondition that cannot be read must not pass.
    """
    if field.strip(" \t") == ANY:
        return [ANY]
    tags: list[str] = _tags(field) if _is_list(field) else []
    if not tags:
        raise HTTPError(400, "malformed list of entity tags")
    return tags


def matches_strong(field: str, current: str | None) -> bool:
    """Whether If-Match holds (section 13.1.1): a tag of the list is strong and the same as the current one.

    Args:
        field: the field's lines joined by commas.
        current: the representation's tag, quoted; None where there is none, which nothing matches.

    Raises:
        HTTPError: 400, as ``parse_etags``.
    """
    tags = parse_etags(field)
    return current is not None and (tags == [ANY] or (current in tags and not current.startswith("W/")))


def matches_weak(field: str, current: str | None) -> bool:
    """Whether a tag of If-None-Match (section 13.1.2) is the current one, weak or not: answer 304 or 412.

    Args:
        field: the field's lines joined by commas.
        current: the representation's tag, quoted; None where there is none, which nothing matches.

    Raises:
        HTTPError: 400, as ``parse_etags``.
    """
    tags = parse_etags(field)
    if current is None:
        return False
    opaque = current.removeprefix("W/")
    return tags == [ANY] or any(tag.removeprefix("W/") == opaque for tag in tags)
