"""A limit on request bodies for a group of routes, or for all."""

from __future__ import annotations

from framework.errors import HTTPError, SetupError
from framework.http.request import Request
from framework.middleware.chain import Hooks

__all__ = ["BodyLimit"]


class BodyLimit(Hooks):
    """Answers 413 to larger bodies. Hooks for phase TRAFFIC, of an app, a group or a route.

    A body whose length is told is refused before a byte of it is asked for; one that comes in chunks is counted as it
    is read, by whatever reads it: ``request.body()``, ``request.stream()``, forms, bound parameters. The smallest
    limit holds: that of the route (``max_body``), of the reader (``max_size``), of this layer or of one further out.

    Args:
        max_size: bytes.
        chunked: takes bodies whose length is not told; else they are answered by 411 (RFC 9110 section 15.5.12).

    Raises:
        SetupError: ``max_size`` is negative.
    """

    def __init__(self, max_size: int, *, chunked: bool = True) -> None:
        if max_size < 0:
            raise SetupError(f"body limit: {max_size} bytes are less than nothing")
        self._max_size = max_size
        self._chunked = chunked

    def before(self, request: Request) -> None:
        """Raises HTTPError 413 for a body that is too large, 411 for one of unknown length where that is refused."""
        if request.chunked and not self._chunked:
            raise HTTPError(411, "the length of the body must be told")
        request.limit_body(self._max_size)

    def __repr__(self) -> str:
        return f"<BodyLimit {self._max_size}>"
