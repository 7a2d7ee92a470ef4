"""Request bodies as streams for those who take them apart or put them away."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import cast

from framework.http.request import Request

__all__ = ["limited_stream"]


def limited_stream(request: Request, max_size: int | None = None) -> AsyncGenerator[bytes, None]:
    """The body as it arrives, at most ``max_size`` bytes (the route's ``max_body`` unless given); to be closed.

    Raises:
        HTTPError: 413, by the iteration, as soon as the length, told or counted, is past it.
    """
    limit = request.endpoint.max_body if max_size is None else max_size
    return cast("AsyncGenerator[bytes, None]", request.stream(limit))
