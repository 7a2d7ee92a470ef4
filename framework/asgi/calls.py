"""Calls an ASGI application for a request of this server, as the handler of an endpoint.

Alone on a server (``InlineCall``) the application takes its first step inside the connection's, so that most answers
cost no Task. One that suspends keeps the Task it began in (its timeouts and task groups belong to that one), and the
connection waits for the response in another.

Inside an app of ours (``TaskCall``) it runs in a Task of its own from the start, because the middleware around it has
set context variables and timeouts in the connection's, where it goes on with the response.

Either way nothing cancels the application when its client goes away: it is told so by ``receive`` and ``send``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from types import CoroutineType
from typing import Any, Final, Protocol, TypeAlias

from framework.asgi.exchange import is_gone
from framework.asgi.types import ASGIApp, Message, Scope
from framework.http.request import Request
from framework.http.response import Response
from framework.net.runner import Resumed, Runners
from framework.net.step import Suspended

__all__ = ["Begin", "Exchange", "InlineCall", "TaskCall"]

_COROUTINE: Final[Any] = (
    CoroutineType  # what nearly every application returns; asking for it costs less than looking
)


class Exchange(Protocol):
    """What calling an application needs of the two sides of a call: see ``HTTPExchange`` and ``SocketExchange``."""

    request: Request
    response: Response | None
    over: bool

    async def receive(self) -> Message: ...

    async def send(self, message: Message) -> None: ...

    def goes_alone(self) -> None: ...

    async def answer(self) -> Response: ...

    def answered(self) -> Response: ...

    def ended(self, error: BaseException | None) -> None: ...

    async def until_over(self) -> None: ...

    def keeps(self, task: asyncio.Task[Any]) -> bool: ...

    def lose(self) -> None: ...


Begin: TypeAlias = Callable[[Request], tuple[Scope, Exchange]]
"""Makes the scope of a request and its exchange. Raises HTTPError for one that no application is called for."""


class TaskCall:
    """Calls an application in a Task of its own; usable as a handler.

    Args:
        app: the application.
        begin: makes scope and exchange of a request.
    """

    __slots__ = ("_app", "_begin")

    def __init__(self, app: ASGIApp, begin: Begin) -> None:
        self._app = app
        self._begin = begin

    async def __call__(self, request: Request) -> Response:
        return await _in_task(self._app, *self._begin(request))


class InlineCall:
    """Calls an application in the connection's Task as far as it goes without waiting.

    Args:
        app: the application.
        begin: makes scope and exchange of a request.
        runners: the server's parked Tasks.
    """

    __slots__ = ("_app", "_begin", "_runners")

    def __init__(self, app: ASGIApp, begin: Begin, runners: Runners) -> None:
        self._app = app
        self._begin = begin
        self._runners = runners

    async def call(self, request: Request) -> Response:
        """The response. Raises what the application raises in place of one."""
        scope, exchange = self._begin(request)
        runners = self._runners
        if (
            asyncio.current_task(runners.loop) is not runners.spare.task
        ):  # to look the loop up is a system call
            return await _in_task(self._app, scope, exchange)
        called: Any = self._app(scope, exchange.receive, exchange.send)
        coro: Any = called if type(called) is _COROUTINE else _as_coroutine(called)
        try:
            yielded = coro.send(None)
        except StopIteration:
            return exchange.response or exchange.answered()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            exchange.ended(error)
            return exchange.answered()
        runner = runners.take()
        runners.lend(runner)  # the request counts once: as the connection's, which waits for the response
        runner.hand_over(partial(_drive, exchange, Suspended(coro, yielded)))
        return await _answer(exchange, runner.task)


async def _drive(exchange: Exchange, suspended: Suspended, interrupt: asyncio.CancelledError | None) -> None:
    """Finishes an application that suspended; runs in the parked Task in which it began."""
    exchange.goes_alone()
    await _finish(exchange, Resumed(suspended, interrupt))


async def _in_task(app: ASGIApp, scope: Scope, exchange: Exchange) -> Response:
    """Runs ``app`` in a new Task. Returns its response; raises what it raises in place of one."""
    exchange.goes_alone()
    called = app(scope, exchange.receive, exchange.send)
    task = asyncio.get_running_loop().create_task(_finish(exchange, called))
    return await _answer(exchange, task)


async def _finish(exchange: Exchange, called: Awaitable[None]) -> None:
    try:
        await called
    except (GeneratorExit, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        exchange.ended(error)
    else:
        exchange.ended(None)


async def _answer(exchange: Exchange, task: asyncio.Task[Any]) -> Response:
    """Waits for the response; runs in the connection's Task, which is cancelled when the client goes away."""
    try:
        response = await exchange.answer()
    except asyncio.CancelledError:
        if is_gone(exchange.request.exchange):
            exchange.lose()
            _outlive(exchange, task)
        else:  # a deadline, or the server's shutdown
            await _cancel(exchange, task)
        raise
    if not exchange.over and not exchange.keeps(task):
        _outlive(exchange, task)
    return response


async def _cancel(exchange: Exchange, task: asyncio.Task[Any]) -> None:
    if not exchange.over:
        task.cancel()
        await exchange.until_over()


def _outlive(exchange: Exchange, task: asyncio.Task[Any]) -> None:
    """The application goes on without its request. The server owns it as it does background work: shutdown waits for
    it, then cancels it."""
    if exchange.over:
        return

    async def accompany() -> None:
        try:
            await exchange.until_over()
        except asyncio.CancelledError:
            await _cancel(exchange, task)
            raise

    exchange.request.background(accompany)


def _as_coroutine(called: Awaitable[None]) -> Any:
    """What an application returned, as something that can be stepped."""
    if hasattr(called, "send"):
        return called

    async def awaited() -> None:
        await called

    return awaited()
