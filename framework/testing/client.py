"""One test client over three transports: in memory, over a real socket, over a simulated network."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlencode

import msgspec

from framework.app.application import App
from framework.app.runtime import Runtime
from framework.codec import decode_json, encode_json
from framework.errors import LocalProtocolError
from framework.http.cookies import parse_cookies
from framework.http.headers import Headers
from framework.net.connection import Connection
from framework.net.link import as_protocol
from framework.net.server import Server
from framework.testing.exchange import ClientConnection, Incoming
from framework.testing.network import Conditions, Network
from framework.wire.chunked import LAST_CHUNK, encode_chunk
from framework.wire.leaves import encode_fields

__all__ = ["Answer", "TestClient", "Transport"]

Transport: TypeAlias = Literal["memory", "socket", "network"]
_QUICK: Final = {"server.port": 0, "server.drain_timeout": 1.0, "server.cancel_timeout": 1.0}


class Answer:
    """A whole response."""

    def __init__(
        self,
        status: int,
        headers: Headers,
        body: bytes,
        trailers: list[tuple[str, str]],
        informational: list[int],
    ) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.trailers = trailers
        self.informational = informational

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode()

    def json(self) -> Any:
        """The body as JSON. Raises CodecError where it is none."""
        return decode_json(self.body)

    def __repr__(self) -> str:
        return f"<Answer {self.status} {self.headers.get('content-type')} {len(self.body)} bytes>"


class TestClient:
    """Serves an app for the length of an ``async with`` and sends it requests.

    The same test runs over each transport: "memory" (no sockets; fast), "socket" (a real port of the loopback
    interface) and "network" (latency, small pieces, cuts and resets from one seed; best inside ``run_virtual``).
    Whatever the transport, the server core is the real one, lifespans run, and cookies are kept between requests.

    Args:
        app: an App, which is built, or a Runtime.
        settings: by dotted key, such as ``{"server.header_timeout": 1.0}``.
        overrides: dependencies to provide otherwise, by type: a value or a factory.
        conditions: of the simulated network.
        seed: of the simulated network.
        base_headers: sent with every request.
    """

    __test__ = False

    def __init__(
        self,
        app: App | Runtime,
        *,
        transport: Transport = "memory",
        settings: Mapping[str, object] | None = None,
        overrides: Mapping[Any, object] | None = None,
        conditions: Conditions | None = None,
        seed: int = 0,
        base_headers: Mapping[str, str] | None = None,
    ) -> None:
        self._app = app
        self._transport = transport
        self._settings = {**_QUICK, **(settings or {})}
        self._overrides = overrides or {}
        self._conditions = conditions
        self._seed = seed
        self.base_headers = dict(base_headers or {})
        self.cookies: dict[str, str] = {}
        self._idle: list[ClientConnection] = []
        self._stack = AsyncExitStack()
        self._server: Server | None = None
        self._network: Network | None = None

    async def __aenter__(self) -> TestClient:
        app = self._app
        async with AsyncExitStack() as stack:
            if isinstance(app, App):
                for key, replacement in self._overrides.items():
                    stack.enter_context(app.container.override(key, replacement))
                runtime = app.build(environ={}, overrides=self._settings)
            elif self._overrides:
                raise ValueError("overrides need the App; a Runtime is built already")
            else:
                runtime = app
            await stack.enter_async_context(runtime.running())
            sockets: list[socket.socket] | None = None if self._transport == "socket" else []
            self._server = Server(
                runtime, runtime.server_settings, sockets=sockets, on_not_ready=runtime.not_ready
            )
            await self._server.start()
            stack.push_async_callback(self._stop)
            if self._transport != "socket":
                self._network = Network(self._conditions, seed=self._seed)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def _stop(self) -> None:
        for connection in self._idle:
            if connection.transport is not None:
                connection.transport.close()
        self._idle.clear()
        if self._server is not None:
            await self._server.shutdown()

    @property
    def server(self) -> Server:
        """The server; for tests of shutdown and of its books."""
        if self._server is None:
            raise RuntimeError("the client is not open: use it in an async with")
        return self._server

    @property
    def network(self) -> Network:
        """The simulated network; there is none over a socket."""
        if self._network is None:
            raise RuntimeError("this transport has no simulated network")
        return self._network

    async def connect(self) -> ClientConnection:
        """A new connection, for bytes of one's own: ``connection.write``, ``connection.response``."""
        if self._network is not None:
            core = self.server.core
            return self._network.connect(ClientConnection, lambda: as_protocol(Connection(core)))[1]
        _, connection = await asyncio.get_running_loop().create_connection(
            ClientConnection, "127.0.0.1", self.server.port
        )
        return connection

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        target: str,
        *,
        params: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | str | AsyncIterator[bytes] | None = None,
        json: Any = msgspec.UNSET,
        form: Mapping[str, object] | None = None,
    ) -> AsyncGenerator[Incoming]:
        """Sends a request and yields the response as soon as its head is there; iterate it for the body.

        Leaving before the body's end closes the connection, as a browser does.
        """
        head, body = self._compose(method, target, params, headers, content, json, form)
        connection = await self._usable()
        try:
            connection.send(method, head + (body if isinstance(body, bytes) else b""))
            if not isinstance(body, bytes):
                async for piece in body:
                    connection.write(encode_chunk(piece))
                connection.write(LAST_CHUNK)
            incoming = await connection.response()
            self._keep_cookies(incoming.headers)
            yield incoming
        finally:
            if connection.usable:
                self._idle.append(connection)
            elif connection.transport is not None:
                connection.transport.close()

    async def request(self, method: str, target: str, **options: Any) -> Answer:
        """Sends a request and reads the whole response; options as of ``stream``."""
        async with self.stream(method, target, **options) as incoming:
            body = b"".join([piece async for piece in incoming])
            informational = incoming.informational
        return Answer(incoming.status, incoming.headers, body, incoming.trailers, informational)

    async def get(self, target: str, **options: Any) -> Answer:
        """GET; options as of ``stream``."""
        return await self.request("GET", target, **options)

    async def head(self, target: str, **options: Any) -> Answer:
        """HEAD; options as of ``stream``."""
        return await self.request("HEAD", target, **options)

    async def options(self, target: str, **options: Any) -> Answer:
        """OPTIONS; options as of ``stream``."""
        return await self.request("OPTIONS", target, **options)

    async def post(self, target: str, **options: Any) -> Answer:
        """POST; options as of ``stream``."""
        return await self.request("POST", target, **options)

    async def put(self, target: str, **options: Any) -> Answer:
        """PUT; options as of ``stream``."""
        return await self.request("PUT", target, **options)

    async def patch(self, target: str, **options: Any) -> Answer:
        """PATCH; options as of ``stream``."""
        return await self.request("PATCH", target, **options)

    async def delete(self, target: str, **options: Any) -> Answer:
        """DELETE; options as of ``stream``."""
        return await self.request("DELETE", target, **options)

    # -- requests ---------------------------------------------------------------------------------------------------

    async def _usable(self) -> ClientConnection:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        return await self.connect()

    def _compose(
        self,
        method: str,
        target: str,
        params: Mapping[str, object] | None,
        headers: Mapping[str, str] | None,
        content: bytes | str | AsyncIterator[bytes] | None,
        json: Any,
        form: Mapping[str, object] | None,
    ) -> tuple[bytes, bytes | AsyncIterator[bytes]]:
        given = sum(one is not None for one in (content, form)) + (json is not msgspec.UNSET)
        if given > 1:
            raise LocalProtocolError("a request has one body: content, json or form")
        fields = {"host": "testserver", **_lower(self.base_headers), **_lower(headers or {})}
        if self.cookies:
            fields.setdefault("cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items()))
        body: bytes | AsyncIterator[bytes] = b""
        if json is not msgspec.UNSET:
            body = encode_json(json)
            fields.setdefault("content-type", "application/json")
        elif form is not None:
            body = urlencode(form, doseq=True).encode()
            fields.setdefault("content-type", "application/x-www-form-urlencoded")
        elif content is not None:
            body = content.encode() if isinstance(content, str) else content
        if not isinstance(body, bytes):
            fields.setdefault("transfer-encoding", "chunked")
        elif given:
            fields.setdefault("content-length", str(len(body)))
        if params:
            target += ("&" if "?" in target else "?") + urlencode(params, doseq=True)
        line = f"{method} {target} HTTP/1.1\r\n".encode("ascii")
        return line + encode_fields(list(fields.items())) + b"\r\n", body

    def _keep_cookies(self, headers: Headers) -> None:
        """Takes up Set-Cookie by name and value; an empty or expired one is dropped. Paths and domains do not count."""
        for value in headers.get_all("set-cookie"):
            pair, _, attributes = value.partition(";")
            for name, content in parse_cookies(pair).items():
                if not content or "max-age=0" in attributes.lower().replace(" ", ""):
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = content


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
