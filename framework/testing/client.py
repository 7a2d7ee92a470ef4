"""One test client over three transports: in memory, over a real socket, over a simulated network."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from copy import copy
from typing import Any, Final, Literal, Self, TypeAlias, Unpack

import msgspec

from framework.app.application import App
from framework.app.runtime import Runtime
from framework.http.cookies import parse_cookies
from framework.http.headers import Headers
from framework.net.connection import Connection
from framework.net.link import as_protocol
from framework.net.server import Server
from framework.net.websocket.settings import WebSocketSettings
from framework.testing.answer import Answer
from framework.testing.clock import VirtualTimeLoop
from framework.testing.composing import ComposedRequest, RequestOptions, compose
from framework.testing.exchange import ClientConnection, Incoming
from framework.testing.network import Conditions, Network
from framework.testing.websocket import Handshake, SocketClient, WebSocketDenied

__all__ = ["Answer", "TestClient", "Transport"]

Transport: TypeAlias = Literal["memory", "socket", "network"]

_HERE: Final = "127.0.0.1"
_QUICK: Final = {"server.port": 0, "server.drain_timeout": 1.0, "server.cancel_timeout": 1.0}
_ERROR_LOGS: Final = ("framework.error", "framework.server")
_MAX_ERRORS: Final = 100


class TestClient:
    """Serves an app for the length of an ``async with`` and sends it requests.

    The same test runs over each transport: "memory" (no sockets; fast), "socket" (a free port of the loopback
    interface) and "network" (latency, small pieces, cuts and resets from one seed; best inside ``run_virtual``).
    Whatever the transport, the server core is the real one, and lifespans run. Requests sent at the same time have
    a connection each; one after the other they share one.

    Args:
        app: an App, which is built, or a Runtime.
        settings: by dotted key, such as ``{"server.header_timeout": 1.0}``; needs the App.
        overrides: dependencies to provide otherwise, by type: a value or a factory; needs the App.
        environ: the environment the settings are read from; empty unless given.
        conditions: of the simulated network.
        seed: of the simulated network.
        base_headers: sent with every request.
        host: the address the requests come from; over a socket one of 127.0.0.0/8.
        keep_cookies: what Set-Cookie says is sent from then on, as a browser does.
        timeout: real seconds until a request without an answer fails; in virtual time ``Stuck`` says so instead.

    Attributes:
        cookies: what is kept, by name.
        opened: how many connections were opened so far.
        errors: what the server logged an error for, such as what a handler raised and nobody caught; the last 100.
    """

    __test__ = False

    def __init__(
        self,
        app: App | Runtime,
        *,
        transport: Transport = "memory",
        settings: Mapping[str, object] | None = None,
        overrides: Mapping[Any, object] | None = None,
        environ: Mapping[str, str] | None = None,
        conditions: Conditions | None = None,
        seed: int = 0,
        base_headers: Mapping[str, str] | None = None,
        host: str = _HERE,
        keep_cookies: bool = True,
        timeout: float | None = 30.0,
    ) -> None:
        self._app = app
        self._transport = transport
        self._settings = settings or {}
        self._overrides = overrides or {}
        self._environ = environ or {}
        self._conditions = conditions
        self._seed = seed
        self.base_headers = dict(base_headers or {})
        self.host = host
        self.cookies: dict[str, str] = {}
        self.opened = 0
        self.errors: deque[BaseException] = deque(maxlen=_MAX_ERRORS)
        self._keeps_cookies = keep_cookies
        self._timeout = timeout
        self._idle: list[ClientConnection] = []
        self._pools = [self._idle]
        self._given: list[ClientConnection] = []
        self._stack = AsyncExitStack()
        self._server: Server | None = None
        self._network: Network | None = None

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            runtime = self._built(stack)
            await stack.enter_async_context(runtime.running())
            stack.callback(_collect_errors(self.errors))
            sockets: list[socket.socket] | None = None if self._transport == "socket" else []
            settings = runtime.server_settings
            if isinstance(self._app, Runtime):
                settings = msgspec.structs.replace(settings, port=0)
            self._server = Server(runtime, settings, sockets=sockets, on_not_ready=runtime.not_ready)
            await self._server.start()
            stack.push_async_callback(self._stop)
            if self._transport != "socket":
                self._network = Network(self._conditions, seed=self._seed)
            self._stack = stack.pop_all()
        return self

    def _built(self, stack: AsyncExitStack) -> Runtime:
        app = self._app
        if isinstance(app, Runtime):
            for name in ("settings", "overrides", "environ"):
                if getattr(self, f"_{name}"):
                    raise ValueError(f"{name} need the App; a Runtime is built already")
            return app
        for key, replacement in self._overrides.items():
            stack.enter_context(app.container.override(key, replacement))
        return app.build(environ=self._environ, overrides={**_QUICK, **self._settings})

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def _stop(self) -> None:
        for pool in (*self._pools, self._given):
            while pool:
                pool.pop().close()
        if self._server is not None:
            await self._server.shutdown()

    @property
    def server(self) -> Server:
        """The server; for tests of shutdown and of its books."""
        if self._server is None:
            raise RuntimeError("the client is not open: use it in an async with")
        return self._server

    @property
    def url(self) -> str:
        """Where other programs reach the server, such as "http://127.0.0.1:40123"; over a socket only."""
        if self._network is not None:
            raise RuntimeError('only transport="socket" can be reached from outside')
        return f"http://127.0.0.1:{self.server.port}"

    @property
    def network(self) -> Network:
        """The simulated network; there is none over a socket."""
        if self._network is None:
            raise RuntimeError("this transport has no simulated network")
        return self._network

    def visitor(self, *, host: str | None = None) -> Self:
        """Another client of the same server, with cookies and connections of its own. It ends with this one.

        Args:
            host: the address it comes from, where that is another one too.
        """
        other = copy(self)
        other.host = host or self.host
        other.base_headers = dict(self.base_headers)
        other.cookies = {}
        other.opened = 0
        other._idle = []
        self._pools.append(other._idle)
        return other

    async def connect(self, *, conditions: Conditions | None = None) -> ClientConnection:
        """A new connection, for bytes of one's own: ``connection.write``, ``connection.response``.

        It is closed with the client, if it was not before.

        Args:
            conditions: of this connection alone, on a simulated network: a slow peer among others, say.
        """
        connection = await self._connect(conditions)
        self._given.append(connection)
        return connection

    async def _connect(self, conditions: Conditions | None = None) -> ClientConnection:
        self.opened += 1
        if self._network is not None:
            core = self.server.core
            return self._network.connect(
                ClientConnection, lambda: as_protocol(Connection(core)), conditions=conditions, host=self.host
            )[1]
        local = None if self.host == _HERE else (self.host, 0)
        _, connection = await asyncio.get_running_loop().create_connection(
            ClientConnection, _HERE, self.server.port, local_addr=local
        )
        return connection

    @asynccontextmanager
    async def stream(
        self, method: str, target: str, **options: Unpack[RequestOptions]
    ) -> AsyncGenerator[Incoming]:
        """Sends a request and yields the response as soon as its head is there; iterate it for the body.

        Leaving before the body's end closes the connection, as a browser does.

        Args:
            options: see ``RequestOptions``.

        Raises:
            PeerClosed: the connection ended before the response was whole.
            UnexpectedAnswer: it has another status than ``expect`` says.
        """
        cookies = self.cookies if self._keeps_cookies else {}
        request = compose(method, target, self.base_headers, options, cookies)
        async with self._exchange(request, options.get("expect")) as incoming:
            yield incoming

    async def request(self, method: str, target: str, **options: Unpack[RequestOptions]) -> Answer:
        """Sends a request and reads the whole response; as ``stream``."""
        async with self._patient(f"{method} {target}"), self.stream(method, target, **options) as incoming:
            return await incoming.read()

    async def raw(self, data: bytes, *, method: str = "GET", expect: int | None = None) -> Answer:
        """Sends bytes as they are, on a connection that requests use too, and reads one response."""
        request = ComposedRequest(method, repr(data[:60]), data, b"")
        async with self._patient(str(request)), self._exchange(request, expect) as incoming:
            return await incoming.read()

    async def get(self, target: str, **options: Unpack[RequestOptions]) -> Answer:
        """GET; as ``request``."""
        return await self.request("GET", target, **options)

    async def head(self, target: str, **options: Unpack[RequestOptions]) -> Answer:
        """HEAD; as ``request``."""
        return await self.request("HEAD", target, **options)

    async def options(self, target: str, **options: Unpack[RequestOptions]) -> Answer:
        """OPTIONS; as ``request``."""
        return await self.request("OPTIONS", target, **options)

    async def post(self, target: str, **options: Unpack[RequestOptions]) -> Answer:
        """POST; as ``request``."""
        return await self.request("POST", target, **options)

    async def put(self, target: str, **options: Unpack[RequestOptions]) -> Answer:
        """PUT; as ``request``."""
        return await self.request("PUT", target, **options)

    async def patch(self, target: str, **options: Unpack[RequestOptions]) -> Answer:
        """PATCH; as ``request``."""
        return await self.request("PATCH", target, **options)

    async def delete(self, target: str, **options: Unpack[RequestOptions]) -> Answer:
        """DELETE; as ``request``."""
        return await self.request("DELETE", target, **options)

    @asynccontextmanager
    async def websocket(
        self,
        target: str,
        *,
        subprotocols: Sequence[str] = (),
        compression: bool = False,
        origin: str | None = None,
        settings: WebSocketSettings | None = None,
        **options: Unpack[RequestOptions],
    ) -> AsyncGenerator[SocketClient]:
        """Opens a WebSocket, and closes it at the end of the ``async with`` with 1000, if it is open then.

        Args:
            subprotocols: offered to the server, the best first.
            compression: permessage-deflate is offered.
            origin: the page's, as a browser says it.
            settings: limits and deadlines of this side.

        Raises:
            WebSocketDenied: the server answered otherwise; the error has the answer.
        """
        handshake = Handshake(tuple(subprotocols), compression=compression, origin=origin)
        options["headers"] = handshake.fields(options.get("headers"))
        cookies = self.cookies if self._keeps_cookies else {}
        request = compose("GET", target, self.base_headers, options, cookies)
        connection = await self._connect()
        try:
            async with self._patient(str(request)):
                incoming = await connection.exchange("GET", request.head, b"", str(request))
                if self._keeps_cookies:
                    self._keep_cookies(incoming.headers)
                if incoming.status != 101:
                    raise WebSocketDenied(await incoming.read())
            async with handshake.complete(connection, incoming.headers, settings) as socket:
                yield socket
        finally:
            connection.close()

    # -- one exchange -----------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _exchange(self, request: ComposedRequest, expect: Any) -> AsyncGenerator[Incoming]:
        connection = await self._usable()
        seen = len(self.errors)
        try:
            incoming = await connection.exchange(request.method, request.head, request.body, str(request))
            if self._keeps_cookies:
                self._keep_cookies(incoming.headers)
            if expect is not None and not _is(incoming.status, expect):
                answer = await incoming.read()
                answer.expect(expect, self.errors[-1] if len(self.errors) > seen else None)
            yield incoming
        finally:
            if connection.usable:
                self._idle.append(connection)
            else:
                connection.close()

    @asynccontextmanager
    async def _patient(self, request: str) -> AsyncGenerator[None]:
        virtual = isinstance(asyncio.get_running_loop(), VirtualTimeLoop)
        deadline = asyncio.timeout(None if virtual else self._timeout)
        try:
            async with deadline:
                yield
        except TimeoutError:
            if deadline.expired():
                raise TimeoutError(f"{request} was not answered within {self._timeout:g} s") from None
            raise

    async def _usable(self) -> ClientConnection:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
            connection.close()
        return await self._connect()

    def _keep_cookies(self, headers: Headers) -> None:
        """Takes up Set-Cookie by name and value; an empty or expired one is dropped. Paths and domains do not count."""
        for value in headers.get_all("set-cookie"):
            pair, _, attributes = value.partition(";")
            for name, content in parse_cookies(pair).items():
                if not content or "max-age=0" in attributes.lower().replace(" ", ""):
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = content


class _ErrorCollector(logging.Handler):
    """Keeps the exceptions of what is logged."""

    def __init__(self, errors: deque[BaseException]) -> None:
        super().__init__(logging.ERROR)
        self._errors = errors

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            self._errors.append(record.exc_info[1])


def _collect_errors(errors: deque[BaseException]) -> Callable[[], None]:
    """Begins to; what is returned ends it."""
    handler = _ErrorCollector(errors)
    loggers = [logging.getLogger(name) for name in _ERROR_LOGS]
    for logger in loggers:
        logger.addHandler(handler)

    def end() -> None:
        for logger in loggers:
            logger.removeHandler(handler)

    return end


def _is(status: int, expected: Any) -> bool:
    return status == expected if isinstance(expected, int) else status in expected
