"""Contents of streamed responses that know what became of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from framework.http.request import Request
from framework.http.response import Response, StreamingResponse
from tests.support.harness import App

__all__ = ["Source", "serving"]


class Source:
    """Makes pieces, one each second where ``wait`` is set, and knows how it ended."""

    def __init__(self, *pieces: bytes | str | BaseException, wait: float = 0.0) -> None:
        self._pieces = pieces
        self._wait = wait
        self.made = 0
        self.ended = False

    async def __call__(self) -> AsyncIterator[bytes | str]:
        try:
            for piece in self._pieces:
                if self._wait:
                    await asyncio.sleep(self._wait)
                if isinstance(piece, BaseException):
                    raise piece
                self.made += 1
                yield piece
        finally:
            self.ended = True


def serving(source: Source, **options: Any) -> App:
    async def handler(request: Request) -> Response:
        return StreamingResponse(source(), **options)

    return App(handler, timeout=None)
