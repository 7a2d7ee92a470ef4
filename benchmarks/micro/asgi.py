"""What ASGI costs on this server, in process: a bare application, and the parts of a call that are ours."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from benchmarks.load.probe import parse_reply
from benchmarks.micro.connection import NullTransport
from benchmarks.micro.runner import Case
from framework.asgi.exchange import HTTPExchange
from framework.asgi.host import ASGIHost
from framework.asgi.scope import http_scope
from framework.http.request import Request
from framework.net.connection import Connection
from framework.net.core import Core
from framework.net.settings import ServerSettings
from framework.wire.leaves import Limits, parse_request

_SHORT = b"GET /hello?x=1 HTTP/1.1\r\nhost: 127.0.0.1:8000\r\nuser-agent: wrk\r\naccept: */*\r\n\r\n"
_BROWSER = (
    b"GET /hello?x=1 HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nConnection: keep-alive\r\nCache-Control: max-age=0\r\n"
    b'Sec-CH-UA: "Chromium";v="140", "Not=A?Brand";v="24"\r\nSec-CH-UA-Mobile: ?0\r\nUpgrade-Insecure-Requests: 1\r\n'
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nSec-Fetch-Site: none\r\n"
    b"Sec-Fetch-Mode: navigate\r\nAccept-Encoding: gzip, deflate, br\r\nAccept-Language: en-GB,en;q=0.9\r\n\r\n"
)
_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain"), (b"content-length", b"5")],
}
_BODY = {"type": "http.response.body", "body": b"hello"}


async def bare(scope: Any, receive: Any, send: Any) -> None:
    await send(_START)
    await send(_BODY)


async def nothing(exchange: HTTPExchange) -> None:
    await exchange.send(_START)
    await exchange.send(_BODY)


def send_both(request: Request) -> None:
    """An exchange with both its messages, without an event loop: neither waits."""
    try:
        nothing(HTTPExchange(request)).send(None)
    except StopIteration:
        return
    raise RuntimeError("sending a whole response waited")


def connect(loop: asyncio.AbstractEventLoop) -> tuple[Connection, NullTransport]:
    settings = ServerSettings()
    host = ASGIHost(bare, settings)
    core = Core(loop, host, settings)
    host.started(core)
    connection, transport = Connection(core), NullTransport()
    connection.connection_made(transport)
    return connection, transport


def cases() -> Iterator[Case]:
    """To be called, and its cases run, in a callback of a running loop."""
    loop = asyncio.get_running_loop()
    for name, data in (("curl's head", _SHORT), ("a browser's head", _BROWSER)):
        connection, transport = connect(loop)
        connection.data_received(data)
        parsed = parse_reply(transport.written)
        if parsed is None or not transport.written.endswith(b"\r\n\r\nhello"):
            raise RuntimeError(f"the application answered {transport.written!r}")
        yield Case(
            "asgi",
            f"bytes to bytes, {name}",
            "receive(data)",
            {"receive": connection.data_received, "data": data},
        )
        request = parse_request(data, 0, Limits(), Request)
        if request is None:
            raise RuntimeError("the head goes on")
        request.attach(connection, b"", None)
        yield Case(
            "asgi",
            f"the scope, {name}",
            "scope(request, state)",
            {"scope": http_scope, "request": request, "state": {}},
        )
        if data is _SHORT:
            yield Case(
                "asgi", "exchange and two messages", "send(request)", {"send": send_both, "request": request}
            )
