"""A handshake that came by way of another server: asked as any request, then bridged, or denied."""

from __future__ import annotations

import asyncio
from typing import Any

from framework.asgi.bridge import Bridge
from framework.asgi.replies import checked, hooked, send_response
from framework.asgi.types import Message, Receive, Scope, Send
from framework.errors import DeadlineExceeded
from framework.http.request import Request
from framework.http.response import Response
from framework.http.upgrade import Upgrade
from framework.net.core import Core, Runtime
from framework.net.handling import run_whole
from framework.net.upgrade import TakenLink

__all__ = ["answer_handshake"]


async def answer_handshake(
    built: Runtime, request: Request, core: Core, scope: Scope, receive: Receive, send: Send
) -> None:
    """Handles the request; returns when its WebSocket is closed, or was denied."""

    def failed(error: BaseException) -> Response:
        return built.failed(request, error)

    endpoint = request.endpoint = built.find(request)
    timeout = endpoint.timeout
    deadline = asyncio.timeout(timeout)
    try:
        async with deadline:
            request.deadline = deadline.when()
            response = checked(await run_whole(request))
    except TimeoutError as error:
        late = deadline.expired() and timeout is not None
        response = failed(DeadlineExceeded("the handler", timeout or 0.0) if late else error)
    except Exception as error:
        response = failed(error)
    response = hooked(request, response, failed)
    if isinstance(response, Upgrade):
        await _connect(response, request, core, scope, receive, send)
    else:
        await _deny(response, request, built, scope, send)


async def _connect(
    upgrade: Upgrade, request: Request, core: Core, scope: Scope, receive: Receive, send: Send
) -> None:
    headers = [] if upgrade.fields is None else upgrade.fields.pairs
    accept: Message = {
        "type": "websocket.accept",
        "subprotocol": next((value for name, value in headers if name == "sec-websocket-protocol"), None),
        "headers": [
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in headers
            if not name.startswith("sec-websocket-")
        ],
    }
    try:
        await send(accept)
    except BaseException:
        upgrade.dropped()
        raise
    exchange = request.exchange
    bridge = Bridge(asyncio.get_running_loop(), core.runners.context, exchange.extra("sockname"))
    link = TakenLink(core, bridge, peer=exchange.peer, scheme=exchange.scheme)
    await bridge.run(receive, send, lambda: upgrade.connect(link))


async def _deny(response: Response, request: Request, built: Runtime, scope: Scope, send: Send) -> None:
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 1008})
        return

    async def as_denial(message: Any) -> None:
        await send({**message, "type": f"websocket.{message['type']}"})

    await send_response(as_denial, request, response, lambda error: built.failed(request, error))
