"""A built app as an ASGI application: under another server, or mounted in another framework."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol

from framework.asgi.carried import Carried, CarriedBody, read_request
from framework.asgi.carried_sockets import answer_handshake
from framework.asgi.replies import checked, hooked, send_response
from framework.asgi.types import Receive, Scope, Send
from framework.errors import DeadlineExceeded, PeerClosed, RemoteProtocolError, ResourceError, SetupError
from framework.http.endpoint import Endpoint
from framework.http.forwarded import TrustedProxies
from framework.http.problem import PROBLEM_JSON, problem
from framework.http.request import Request
from framework.http.response import Response
from framework.net.background import Background
from framework.net.core import Core
from framework.net.handling import run_whole
from framework.net.runner import Resumed
from framework.net.settings import ServerSettings
from framework.net.step import Suspended
from framework.wire.leaves import Limits

__all__ = ["Application", "Built"]

_LOG: Final = logging.getLogger("framework.asgi")


class Built(Protocol):
    """The built app, as far as it is needed here."""

    ready: bool

    @property
    def server_settings(self) -> ServerSettings: ...

    def find(self, request: Request) -> Endpoint: ...

    def failed(self, request: Request, error: BaseException) -> Response: ...

    def started(self, core: Core) -> None: ...

    def running(self) -> AbstractAsyncContextManager[Any]: ...

    def not_ready(self) -> None: ...


class Application:
    """Answers what ASGI calls it for.

    The ``lifespan`` scope runs the app's own. Mounted where no lifespan comes to it (Starlette passes none on), the app
    is started by its first request and closed when the event loop is; to have it closed in order, enter
    ``Runtime.running()`` in the outer application's lifespan.

    Args:
        build: makes the app at the first call.
    """

    def __init__(self, build: Callable[[], Built]) -> None:
        self._build = build
        self._built: Built | None = None
        self._limits = Limits()
        self._proxies: TrustedProxies | None = None
        self._background: Background | None = None
        self._core: Core | None = None
        self._owner: asyncio.Task[None] | None = None
        self._opened: asyncio.Future[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            await self._http(scope, receive, send)
        elif kind == "lifespan":
            await self._lifespan(receive, send)
        elif kind == "websocket":
            await self._websocket(scope, receive, send)
        else:
            raise RuntimeError(f"a scope of type {kind!r}, which this app does not know")

    # -- its life ---------------------------------------------------------------------------------------------------

    def _app(self) -> Built:
        built = self._built
        if built is None:
            built = self._built = self._build()
            settings = built.server_settings
            self._limits = Limits(settings.max_head, settings.max_fields, settings.max_target)
            self._proxies = TrustedProxies(settings.trusted_proxies) if settings.trusted_proxies else None
        return built

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        started = False
        try:
            built = self._app()
            async with built.running():
                started = True
                await send({"type": "lifespan.startup.complete"})
                await receive()
                built.not_ready()
                await self._drain(built)
        except Exception as error:
            if not isinstance(error, SetupError):
                _LOG.exception("the app failed to %s", "stop" if started else "start")
            stage = "shutdown" if started else "startup"
            await send({"type": f"lifespan.{stage}.failed", "message": f"{type(error).__name__}: {error}"})
        else:
            await send({"type": "lifespan.shutdown.complete"})

    async def _drain(self, built: Built) -> None:
        """Background work has the time that it has on our own server. WebSockets were the other server's to close."""
        background, settings = self._background, built.server_settings
        self._background = None
        core, self._core = self._core, None
        if core is not None:
            for connection in tuple(core.connections):
                connection.cancel()
            await core.close(settings.cancel_timeout)
        if background is None or not len(background):
            return
        try:
            async with asyncio.timeout(settings.drain_timeout):
                await background.drain()
        except TimeoutError:
            _LOG.warning(
                "cancelled %d background tasks that outlived the drain deadline", background.cancel()
            )
            try:
                async with asyncio.timeout(settings.cancel_timeout):
                    await background.drain()
            except TimeoutError:
                _LOG.error("%d background tasks ignore their cancellation", len(background))

    async def _open(self) -> Built:
        """The app, started. One that no lifespan has started is started in a Task of its own, which ends with the
        event loop."""
        built = self._app()
        if built.ready:
            return built
        loop = asyncio.get_running_loop()
        if self._opened is None or self._opened.get_loop() is not loop or _failed(self._opened):
            self._opened = loop.create_future()
            self._owner = loop.create_task(self._live(built, self._opened))
        await asyncio.shield(self._opened)
        return built

    async def _live(self, built: Built, opened: asyncio.Future[None]) -> None:
        try:
            ending: asyncio.CancelledError | None = None
            async with built.running():
                opened.set_result(None)
                try:
                    await asyncio.get_running_loop().create_future()
                except asyncio.CancelledError as error:  # as every Task is when its loop ends
                    ending = error
                built.not_ready()
                await self._drain(built)
            if ending is not None:
                raise ending
        except Exception as error:
            if opened.done():
                _LOG.exception("the app failed to stop")
            else:
                opened.set_exception(error)

    # -- requests ---------------------------------------------------------------------------------------------------

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        built = await self._open()
        body = CarriedBody(receive)
        exchange = Carried(scope, self._proxies)
        try:
            request = read_request(scope, exchange, body, self._limits)
        except RemoteProtocolError as error:
            await _refuse(send, error)
            return
        try:
            await Handling(built, request, exchange, body, receive).run(send)
        finally:
            self._after(exchange, built)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        built = await self._open()
        await receive()
        body = CarriedBody(receive)
        exchange = Carried(scope, self._proxies)
        try:
            request = read_request(scope, exchange, body, self._limits, websocket=True)
        except RemoteProtocolError:
            await send({"type": "websocket.close", "code": 1002})
            return
        core = self._core
        if core is None:
            core = self._core = Core(asyncio.get_running_loop(), built, built.server_settings)
        try:
            await answer_handshake(built, request, core, scope, receive, send)
        finally:
            self._after(exchange, built)

    def _after(self, exchange: Carried, built: Built) -> None:
        if not exchange.after:
            return
        background = self._background
        if background is None:
            limit = built.server_settings.max_background_tasks
            background = self._background = Background(_background_failed, max_tasks=limit)
        for function, args, context in exchange.after:
            try:
                background.spawn(function, *args, context=context)
            except ResourceError as error:
                _LOG.error("background work was dropped: %s", error)


class Handling:
    """One request under way. Its handler is cancelled when the client goes away, as on our own server."""

    def __init__(
        self, built: Built, request: Request, exchange: Carried, body: CarriedBody, receive: Receive
    ) -> None:
        self._built = built
        self._request = request
        self._exchange = exchange
        self._body = body
        self._receive = receive
        self._watch: asyncio.Task[None] | None = None
        self._gone = False

    async def run(self, send: Send) -> None:
        """Handles the request and sends the response. Raises what cuts a stream off."""
        request = self._request
        endpoint = request.endpoint = self._built.find(request)
        task = asyncio.current_task()
        assert task is not None
        try:
            try:
                response = await self._handled(endpoint, task)
            except (Exception, asyncio.CancelledError) as error:
                response = self._failed(self._reason(error, task))
            response = hooked(request, response, self._failed)
            await send_response(send, request, response, self._failed)
        except OSError:
            if not self._gone and not self._exchange.transport:
                raise
        except asyncio.CancelledError as error:
            self._failed(self._reason(error, task))  # for its line in the log; it was on its way
        finally:
            if self._watch is not None:
                self._watch.cancel()
                await asyncio.wait((self._watch,))

    async def _handled(self, endpoint: Endpoint, task: asyncio.Task[Any]) -> Response:
        request = self._request
        handler = run_whole(request)
        try:
            yielded = handler.send(None)
        except StopIteration as stop:
            return checked(stop.value)
        loop = asyncio.get_running_loop()
        self._watch = loop.create_task(self._look_out(task))
        timeout = endpoint.timeout
        if timeout is not None:
            due = loop.time() + timeout
            request.deadline = due if request.deadline is None else min(due, request.deadline)
        deadline = asyncio.timeout(timeout)
        try:
            async with deadline:
                return checked(await Resumed(Suspended(handler, yielded), None))
        except TimeoutError as error:
            if deadline.expired() and timeout is not None:
                raise DeadlineExceeded("the handler", timeout) from error
            raise

    async def _look_out(self, task: asyncio.Task[Any]) -> None:
        """Cancels the handler when the client goes away. Not before its body was received: who reads that learns of
        it there."""
        await self._body.ended.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        self._exchange.transport = None
        task.cancel("the client closed the connection")

    def _reason(self, error: BaseException, task: asyncio.Task[Any]) -> BaseException:
        """What is behind a cancellation: the client's leave, which is ours to tell; another is the server's."""
        if isinstance(error, asyncio.CancelledError):
            if not self._gone:
                raise error
            task.uncancel()
            return PeerClosed("the client closed the connection")
        return error

    def _failed(self, error: BaseException) -> Response:
        return self._built.failed(self._request, error)


def _failed(future: asyncio.Future[None]) -> bool:
    return future.done() and (future.cancelled() or future.exception() is not None)


async def _refuse(send: Send, error: RemoteProtocolError) -> None:
    body = problem(error.status, detail=error.reason)
    headers = [(b"content-type", PROBLEM_JSON.encode()), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _background_failed(error: BaseException) -> None:
    _LOG.error("background work failed", exc_info=error)
