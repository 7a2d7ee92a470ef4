"""A server without sockets: connections over fake transports on a virtual loop, driven step by step from a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from framework.http.endpoint import Endpoint
from framework.http.request import Request
from framework.http.response import Response
from framework.middleware import ErrorMap
from framework.net.connection import Connection
from framework.net.core import Core
from framework.net.link import as_protocol
from framework.net.settings import ServerSettings
from framework.testing import VirtualTimeLoop, virtual_loop
from tests.support.replies import Reply, read_replies
from tests.support.transport import FakeTransport

__all__ = ["App", "Client", "Harness", "harness", "request_bytes"]


class App:
    """A runtime with one endpoint for each path, and a record of what reached it.

    Attributes:
        requests: in the order they were found.
        errors: what the error map was given.
    """

    def __init__(self, handler: Any = None, **options: Any) -> None:
        self.errors: list[BaseException] = []
        self.requests: list[Request] = []
        self._map = ErrorMap()
        self._endpoints: dict[str, Endpoint] = {}
        self._missing = Endpoint(self._miss, self.failed, pattern="missing")
        if handler is not None:
            self.add("/", handler, **options)

    def add(self, path: str, handler: Any, **options: Any) -> None:
        self._endpoints[path] = Endpoint(handler, self.failed, pattern=path, **options)

    async def _miss(self, request: Request) -> Response:
        return Response(f"nothing at {request.raw_path}", 404)

    def find(self, request: Request) -> Endpoint:
        self.requests.append(request)
        request.params = {}
        return self._endpoints.get(request.raw_path, self._missing)

    def started(self, core: Core) -> None:
        pass

    def failed(self, request: Request, error: BaseException) -> Response:
        self.errors.append(error)
        return self._map.render(request, error)


class Client:
    """One connection, seen from its client."""

    def __init__(self, loop: VirtualTimeLoop, connection: Connection, transport: FakeTransport) -> None:
        self.loop = loop
        self.connection = connection
        self.transport = transport
        self._read = 0

    def send(self, data: bytes, then: Callable[[], object] | None = None) -> None:
        """Sends, and lets the server do what it can without time passing; ``then`` comes in the same turn."""
        self.loop.call(self._send, data, then)

    def _send(self, data: bytes, then: Callable[[], object] | None) -> None:
        self.transport.feed(data)
        if then is not None:
            then()

    def send_eof(self) -> None:
        self.loop.call(self.transport.feed_eof)

    def reset(self) -> None:
        self.loop.call(self.transport.reset)

    def take(self, size: int | None) -> None:
        self.loop.call(self.transport.take, size)

    def raw(self) -> bytes:
        """What came since the last look."""
        data = bytes(self.transport.received[self._read :])
        self._read += len(data)
        return data

    def replies(self, *methods: str) -> list[Reply]:
        """The responses that came since the last look."""
        return read_replies(self.raw(), methods, closed=self.transport.lost)

    def reply(self, method: str = "GET") -> Reply:
        """The one response that came since the last look."""
        (reply,) = self.replies(method)
        return reply

    def get(self, path: str = "/", **fields: Any) -> Reply:
        """Sends a GET and returns its answer, which has to be there at once."""
        self.send(request_bytes("GET", path, **fields))
        return self.reply()

    @property
    def closed(self) -> bool:
        """Nothing more will come: the server closed at least its side."""
        return self.transport.lost or self.transport.eof


class Harness:
    """A core, its app and its clients."""

    def __init__(self, loop: VirtualTimeLoop, app: App, settings: ServerSettings) -> None:
        self.loop = loop
        self.app = app
        self.settings = settings
        self.core: Core
        loop.call(self._start)

    def _start(self) -> None:
        self.core = Core(self.loop, self.app, self.settings)

    def connect(self, *, high: int = 65_536, **extra: Any) -> Client:
        connection = Connection(self.core)
        transport = FakeTransport(self.loop, as_protocol(connection), high=high, **extra)
        self.loop.call(transport.connect)
        return Client(self.loop, connection, transport)

    def advance(self, seconds: float) -> None:
        self.loop.advance(seconds)

    def settle(self) -> None:
        self.loop.settle()

    def call(self, function: Callable[..., object], *args: object) -> None:
        self.loop.call(function, *args)

    def close(self) -> None:
        """Closes what is open; nothing may be left then."""
        for connection in tuple(self.core.connections):
            self.loop.call(connection.abort)
        self.loop.run(self._quiet())
        assert not self.core.connections
        left = self.loop.run(self.core.close(1.0))
        assert left == 0, f"{left} handlers did not end"

    async def _quiet(self) -> None:
        self.core.background.cancel()
        await self.core.background.drain()


@contextmanager
def harness(
    app: Any = None, /, *, options: dict[str, Any] | None = None, **settings: Any
) -> Iterator[Harness]:
    """A harness around an App, or a handler served at ``/`` with ``options`` for its Endpoint."""
    made = app if isinstance(app, App) else App(app, **(options or {}))
    with virtual_loop() as loop:
        server = Harness(loop, made, ServerSettings(**settings))
        try:
            yield server
        finally:
            server.close()


def request_bytes(
    method: str = "GET", target: str = "/", body: bytes | None = None, minor: int = 1, **fields: Any
) -> bytes:
    """A request with a Host, further fields (``_`` for ``-``), and a Content-Length where there is a body."""
    lines = {"host": "example.com", **{name.replace("_", "-"): value for name, value in fields.items()}}
    if body is not None and "transfer-encoding" not in lines:
        lines.setdefault("content-length", str(len(body)))
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {target} HTTP/1.{minor}\r\n{head}\r\n".encode("latin-1") + (body or b"")
