"""One WebSocket, with a client of its own."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from framework.net.client.client import HTTPClient
from framework.net.client.connect import Connector
from framework.net.client.fields import Fields
from framework.net.client.settings import Timeouts
from framework.net.client.websocket import ClientWebSocket
from framework.net.websocket.settings import WebSocketSettings
from framework.wire.websocket.compression import Offerer

__all__ = ["connect_websocket"]


@asynccontextmanager
async def connect_websocket(
    url: str,
    *,
    subprotocols: Sequence[str] = (),
    compression: bool | Offerer = False,
    headers: Fields | None = None,
    origin: str | None = None,
    timeouts: Timeouts | None = None,
    settings: WebSocketSettings | None = None,
    tls: ssl.SSLContext | None = None,
    unix_socket: str | None = None,
    connector: Connector | None = None,
) -> AsyncGenerator[ClientWebSocket]:
    """Opens one WebSocket: ``HTTPClient.websocket`` with a client of its own. For many, share an ``HTTPClient``."""
    async with (
        HTTPClient(tls=tls, unix_socket=unix_socket, connector=connector) as client,
        client.websocket(
            url,
            subprotocols=subprotocols,
            compression=compression,
            headers=headers,
            origin=origin,
            timeouts=timeouts,
            settings=settings,
        ) as ws,
    ):
        yield ws
