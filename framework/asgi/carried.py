"""A request that came by way of another server: made from its scope, with its body read through ``receive``."""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections.abc import Callable, Iterable
from contextvars import Context, copy_context
from os import urandom
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from framework.asgi.types import Receive, Scope
from framework.errors import LocalProtocolError, PeerClosed, RemoteProtocolError
from framework.http.forwarded import TrustedProxies
from framework.http.request import Address, Origin, Request
from framework.wire.leaves import Limits, encode_fields, parse_request

__all__ = ["Carried", "CarriedBody", "read_request"]

AfterWork: TypeAlias = tuple[Callable[..., Any], tuple[Any, ...], Context]

# Of the connection to that server, not of the request; what frames the body is looked at apart.
_HOP_BY_HOP: Final = frozenset(
    {b"connection", b"expect", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
)
# What a target may have as it is; a path is quoted where only its decoded form is known.
_KEPT: Final = "!$&'()*+,-./:;=@_~"
_is_visible = re.compile(rb"[!-~\x80-\xff]++").fullmatch


class CarriedBody:
    """The body of a carried request.

    Attributes:
        complete: all of it was received.
        ended: is set then, or when the client has gone.
    """

    def __init__(self, receive: Receive) -> None:
        self.trailers: list[tuple[str, str]] = []
        self.complete = False
        self.ended = asyncio.Event()
        self._receive = receive

    async def receive(self) -> bytes:
        """More of it, b"" at the end. Raises PeerClosed when the client goes away meanwhile."""
        while not self.complete:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.ended.set()
                raise PeerClosed("the client closed the connection")
            if not message.get("more_body", False):
                self.complete = True
                self.ended.set()
            body: bytes = message.get("body", b"")
            if body:
                return bytes(body)
        return b""


class Carried:
    """The exchange of a carried request: what it may ask of the connection, as far as the scope tells.

    Attributes:
        root_path: where the app is mounted in the other framework.
        transport: None once the client has gone.
        after: what to run behind the response.
        takes_trailers: the other server sends trailer fields.
    """

    def __init__(self, scope: Scope, proxies: TrustedProxies | None) -> None:
        client = scope.get("client")
        scheme: str = scope.get("scheme", "http")
        self.scheme = {"ws": "http", "wss": "https"}.get(scheme, scheme)
        self.peer: Address | None = None if client is None else Address(str(client[0]), int(client[1]))
        self.transport: object = self
        self.after: list[AfterWork] = []
        self.root_path: str = scope.get("root_path", "").rstrip("/")
        self.takes_trailers: bool = "http.response.trailers" in (scope.get("extensions") or {})
        self._server: Any = scope.get("server")
        self._proxies = proxies

    def extra(self, name: str) -> Any:
        """The address that was connected to, as ``sockname``; nothing else is known."""
        return tuple(self._server) if name == "sockname" and self._server else None

    def resolve(self, request: Request) -> Origin:
        """Who asks: as the scope says, and then as the proxies do that this app trusts."""
        if self._proxies is None:
            return Origin(self.peer, self.scheme, request.host)
        seen = self._proxies.resolve(None if self.peer is None else self.peer.host, request.headers)
        client = self.peer if seen.client is None else Address(seen.client, 0)
        return Origin(client, seen.scheme or self.scheme, seen.host or request.host)

    def after_response(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """See ``Request.background``."""
        self.after.append((function, args, copy_context()))


def read_request(
    scope: Scope, exchange: Carried, body: CarriedBody, limits: Limits, *, websocket: bool = False
) -> Request:
    """The request of a scope, below its ``root_path``. It is written out and parsed as any other, and so is checked.

    Args:
        websocket: it asks for a WebSocket, by a handshake that the other server has seen and we have not.

    Raises:
        RemoteProtocolError: the scope makes no request.
    """
    version = scope.get("http_version", "1.1")
    method, target = _method(scope), _target(scope)
    if not (_is_visible(method) and _is_visible(target)):
        raise RemoteProtocolError("an invalid request line")
    try:
        pairs = _fields(scope, version)
        fields = encode_fields(_as_handshake(pairs, scope) if websocket else pairs)
    except LocalProtocolError as error:
        raise RemoteProtocolError(error.reason) from None
    data = b"%b %b HTTP/1.%b\r\n%b\r\n" % (method, target, b"0" if version == "1.0" else b"1", fields)
    request = parse_request(data, 0, limits, Request)
    if request is None or request.end != len(data):
        raise RemoteProtocolError("the scope makes no request")
    # Without these HTTP/1 has no body; later versions frame it elsewhere.
    if websocket:
        request.attach(exchange, b"", None)
    elif request.content_length > 0 or request.chunked or not version.startswith("1"):
        request.attach(exchange, None, body)
    else:
        request.attach(exchange, b"", None)
        body.ended.set()
    return request


def _method(scope: Scope) -> bytes:
    method: str = scope.get("method", "GET")
    return method.encode("latin-1", "replace")


def _fields(scope: Scope, version: str) -> list[tuple[str, str]]:
    fields: list[tuple[str, str]] = []
    headers: Iterable[tuple[bytes, bytes]] = scope.get("headers", ())
    named = {bytes(name).lower() for name, _ in headers}
    for name, value in headers:
        low = bytes(name).lower()
        chunked = low == b"transfer-encoding" and value.strip().lower() == b"chunked"
        if low not in _HOP_BY_HOP or (chunked and b"content-length" not in named and version == "1.1"):
            fields.append((low.decode("latin-1"), bytes(value).decode("latin-1")))
    if b"host" not in named:
        host, port = scope.get("server") or ("localhost", None)
        fields.insert(0, ("host", f"{host}:{port}" if port is not None else "localhost"))
    return fields


def _as_handshake(pairs: list[tuple[str, str]], scope: Scope) -> list[tuple[str, str]]:
    """The fields of an opening handshake that is as good as the one the other server has seen."""
    kept = [pair for pair in pairs if not pair[0].startswith("sec-websocket-")]
    offered = ", ".join(scope.get("subprotocols") or ())
    return [
        *kept,
        ("upgrade", "websocket"),
        ("connection", "upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", b64encode(urandom(16)).decode()),
        *([("sec-websocket-protocol", offered)] if offered else []),
    ]


def _target(scope: Scope) -> bytes:
    """The request target below the root path: of the raw path where that is known, else of the decoded one."""
    root: str = scope.get("root_path", "").rstrip("/")
    path: str = scope["path"]
    raw: bytes | None = scope.get("raw_path")
    below = path[len(root) :] if root and (path == root or path.startswith(f"{root}/")) else path
    if raw is None or b"?" in raw:
        target = quote(below, safe=_KEPT).encode()
    elif below is path:
        target = bytes(raw)
    else:
        prefix = quote(root, safe=_KEPT).encode()
        # A client may have quoted more than it had to; then the decoded path is the one to go by.
        target = raw[len(prefix) :] if raw.startswith(prefix) else quote(below, safe=_KEPT).encode()
    query: bytes = scope.get("query_string") or b""
    return (target or b"/") + (b"?" + query if query else b"")
