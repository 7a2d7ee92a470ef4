"""What one URL comes to: its parts, its pool, the first lines of a request to it."""

from __future__ import annotations

from typing import Final

from framework.net.client.pool import OriginPool
from framework.net.client.url import URL
from framework.wire.leaves import encode_fields
from framework.wire.request_head import request_line

__all__ = ["Place"]

MAX_METHODS: Final = 16


class Place:
    """What a URL comes to, worked out once."""

    __slots__ = ("_begins", "pool", "url")

    def __init__(self, url: URL, pool: OriginPool) -> None:
        self.url = url
        self.pool = pool
        self._begins: dict[str, bytes] = {}

    def begin(self, method: str, host: str | None) -> bytes:
        """The request line, and Host."""
        if host is not None:
            return request_line(method, self.url.target) + encode_fields([("host", host)])
        begin = self._begins.get(method)
        if begin is None:
            begin = self.begin(method, self.pool.origin.authority)
            if len(self._begins) < MAX_METHODS:
                self._begins[method] = begin
        return begin
