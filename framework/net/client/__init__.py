"""The client's side of HTTP/1.1 and of WebSockets: kept connections, bodies streamed both ways, deadlines everywhere.

``HTTPClient`` is the front door. Below it, for a gateway: ``Pools.pool(Origin(...))`` gives an ``OriginPool``, whose
``exchange(OutgoingRequest(...))`` returns a ``RawResponse``: heads and bodies pass through as they are.
"""

from framework.net.client.client import HTTPClient
from framework.net.client.connect import Connector, SocketConnector, client_tls
from framework.net.client.connect_websocket import connect_websocket
from framework.net.client.cookiejar import CookieJar
from framework.net.client.errors import (
    ConnectError,
    ExchangeDeadline,
    NameResolutionError,
    PoolExhausted,
    ResponseTooLarge,
    StaleConnection,
    TLSError,
    TooManyRedirects,
)
from framework.net.client.fields import Fields
from framework.net.client.incoming import RawResponse, Tunnel
from framework.net.client.keeper import Pools
from framework.net.client.origin import Origin
from framework.net.client.outgoing import OutgoingRequest
from framework.net.client.pool import OriginPool
from framework.net.client.proxy import ProxyConnector
from framework.net.client.response import ClientResponse
from framework.net.client.settings import PoolSettings, Timeouts
from framework.net.client.websocket import ClientWebSocket
from framework.wire.websocket.handshake_client import UpgradeRefused

__all__ = [
    "ClientResponse",
    "ClientWebSocket",
    "ConnectError",
    "Connector",
    "CookieJar",
    "ExchangeDeadline",
    "Fields",
    "HTTPClient",
    "NameResolutionError",
    "Origin",
    "OriginPool",
    "OutgoingRequest",
    "PoolExhausted",
    "PoolSettings",
    "Pools",
    "ProxyConnector",
    "RawResponse",
    "ResponseTooLarge",
    "SocketConnector",
    "StaleConnection",
    "TLSError",
    "Timeouts",
    "TooManyRedirects",
    "Tunnel",
    "UpgradeRefused",
    "client_tls",
    "connect_websocket",
]
