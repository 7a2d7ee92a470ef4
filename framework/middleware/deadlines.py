"""Deadlines: one budget of time per request, carried with it and spent by all it waits for."""

from __future__ import annotations

import asyncio
from typing import Final

from framework.errors import DeadlineExceeded
from framework.http.handler import Handler
from framework.http.request import Request, StateKey
from framework.http.response import Response

__all__ = ["Deadline", "time_left"]

# Besides request.deadline, which is the server's: it is set when the handler first waits, whatever was set before.
_DUE: Final[StateKey[float]] = StateKey("deadlines.due")


class Deadline:
    """Cancels what a handler does after ``seconds`` and answers 504; shortens a budget, never lengthens it.

    It covers the time until there is a response, not that of sending a stream. ``time_left`` tells the layers below
    what remains. A cancellation from elsewhere passes through.
    """

    def __init__(self, seconds: float) -> None:
        if not seconds > 0:
            raise ValueError("a deadline is more than 0 seconds away")
        self._seconds = seconds

    def __call__(self, handler: Handler) -> Handler:
        """Puts ``handler`` under the deadline."""
        seconds = self._seconds

        async def within_deadline(request: Request) -> Response:
            if time_left(request) <= seconds:
                return await handler(request)
            outer = request.get(_DUE)
            request[_DUE] = due = asyncio.get_running_loop().time() + seconds
            timeout = asyncio.timeout_at(due)
            try:
                async with timeout:
                    return await handler(request)
            except TimeoutError:
                if timeout.expired():
                    raise DeadlineExceeded("the request", seconds) from None
                raise
            finally:
                request[_DUE] = float("inf") if outer is None else outer

        return within_deadline


def time_left(request: Request) -> float:
    """Seconds of the request's budget that are left, at least 0; infinite without a deadline. Call it on the loop.

    The budget is the shortest of the route's timeout and the deadlines around the caller. It is for the response's
    head: in the body of a stream and on a WebSocket each call has the route's timeout anew.
    """
    now = asyncio.get_running_loop().time()
    due = request.get(_DUE)
    left = float("inf") if due is None else due - now
    if request.deadline is not None:
        left = min(left, request.deadline - now)
    elif request.endpoint.timeout is not None:
        # The handler has not waited yet, and the time begins when it does; or the head is out, and with it the budget.
        left = min(left, request.endpoint.timeout)
    return max(0.0, left)
