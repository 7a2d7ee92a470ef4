"""Encoded slashes: what a route does with a path that servers behind it could read in two ways.

To the matcher ``%2F`` is a character of a segment. To a server that decodes first it is a separator, and the path may
be another: ``/admin%2Fx`` is below ``/admin`` there. Such a path goes on where both readings lead to the same route,
so that none of another route's rules is passed by.
"""

from __future__ import annotations

import re

from framework.errors import HTTPError

__all__ = ["other_reading"]

_find_dots = re.compile(r"/\.{1,2}(?:[/;]|$)").search
_merge = re.compile(r"//+").sub


def other_reading(path: str) -> str:
    """A canonical path as servers see it that take an encoded slash for a separator.

    Raises:
        HTTPError: 400 where it has dot segments in that reading: they would climb, here or there.
    """
    read = path.replace("%2F", "/")
    if _find_dots(read) is not None:
        raise HTTPError(400, "The path has dot segments behind encoded slashes.")
    return _merge("/", read)
