"""What several tests of routes and middleware declare."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from framework import Handler, Request, Response

__all__ = ["Slug", "onion"]


class Slug:
    """A converter of an app's own."""

    name = "slug"
    regex = "[a-z-]+"
    type = str

    def to_python(self, text: str) -> str:
        return text

    def to_text(self, value: Any) -> str:
        return str(value)


def onion(log: list[str], name: str) -> Callable[[Handler], Handler]:
    """A middleware that notes when a request goes in and comes out."""

    def middleware(handler: Handler) -> Handler:
        async def around(request: Request) -> Response:
            log.append(f"{name} in")
            try:
                return await handler(request)
            finally:
                log.append(f"{name} out")

        return around

    return middleware
