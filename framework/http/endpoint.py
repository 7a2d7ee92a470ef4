"""What a route leads to once the app is built: a flat thing the server runs for each request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Endpoint"]


class Endpoint:
    """Binder, handler and middleware of one route, composed. It knows requests and responses by use only.

    Args:
        call: takes the request; a coroutine function, or with ``is_async=False`` a plain one run on the loop.
        before: hooks run ahead of ``call``; the first that returns a response ends the request.
        after: hooks run on the final response, errors included; what one returns replaces it.
        pattern: the route's pattern, the label of logs and metrics; never the raw path.
        max_body: bytes of body ``request.body()`` accepts.
        timeout: seconds until a response's head must be ready; None waits for ever.
        failed: takes the request and what it raised, returns the response; never raises itself.
        respond: makes the response of what ``call`` comes to; None where that is the response already.
    """

    __slots__ = ("after", "before", "call", "failed", "is_async", "max_body", "pattern", "respond", "timeout")

    def __init__(
        self,
        call: Callable[[Any], Any],
        failed: Callable[[Any, BaseException], Any],
        *,
        before: tuple[Callable[[Any], Any], ...] = (),
        after: tuple[Callable[[Any, Any], Any], ...] = (),
        pattern: str = "",
        max_body: int = 1_048_576,
        timeout: float | None = 60.0,
        is_async: bool = True,
        respond: Callable[[Any], Any] | None = None,
    ) -> None:
        self.call = call
        self.failed = failed
        self.before = before
        self.after = after
        self.pattern = pattern
        self.max_body = max_body
        self.timeout = timeout
        self.is_async = is_async
        self.respond = respond

    def __repr__(self) -> str:
        return f"Endpoint({self.pattern!r})"
