"""Forms sent as application/x-www-form-urlencoded; always UTF-8 (WHATWG URL, section 5)."""

from __future__ import annotations

from framework.http.multimap import MultiMap
from framework.http.query import MAX_FIELDS, parse_pairs

__all__ = ["FormData", "parse_urlencoded"]


class FormData(MultiMap):
    """The fields of a form, in the order the page has them."""

    __slots__ = ()


def parse_urlencoded(body: bytes, max_fields: int = MAX_FIELDS) -> FormData:
    """The fields of a body of type application/x-www-form-urlencoded.

    Raises:
        HTTPError: 400, before any work, when there are more than ``max_fields`` fields.
    """
    return FormData(parse_pairs(body, max_fields))
