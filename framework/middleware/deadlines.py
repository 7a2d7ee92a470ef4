"""Deadlines: one budget of time per request, carried with it and spent by all it waits for."""

from __future__ import annotations

import asyncio

from framework.errors import DeadlineExceeded
from framework.http.handler import Handler
from framework.http.request import Request
from framework.http.response import Response

__all__ = ["Deadline", "time_left"]


class Deadline:
    """Cancels what a handler does after ``seconds`` and answers 504; shortens a budget, never lengthens it.

    ``request.deadline`` (loop time) tells the layers below; ``time_left`` reads it.
    """

    def __init__(self, seconds: float) -> None:
        if seconds <= 0:
            raise ValueError("a deadline is more than 0 seconds away")
        self._seconds = seconds

    def __call__(self, handler: Handler) -> Handler:
        seconds = self._seconds

        async def within_deadline(request: Request) -> Response:
            due = asyncio.get_running_loop().time() + seconds
            if request.deadline is None or due < request.deadline:
                request.deadline = due
            timeout = asyncio.timeout_at(request.deadline)
            try:
                async with timeout:
                    return await handler(request)
            except TimeoutError:
                if timeout.expired():
                    raise DeadlineExceeded("the request", seconds) from None
                raise

        return within_deadline


def time_left(request: Request) -> float:
    """Seconds of the request's budget that are left, at least 0; infinite without a deadline. Call it on the loop."""
    if request.deadline is None:
        return float("inf")
    return max(0.0, request.deadline - asyncio.get_running_loop().time())
