"""Connections through an HTTP proxy: a tunnel by CONNECT (RFC 9110 section 9.3.6), then as if there were none."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from framework.errors import LocalProtocolError, PeerClosed, RemoteProtocolError
from framework.net.client.connect import Connector, SocketConnector, client_tls
from framework.net.client.connection import ClientConnection, as_protocol
from framework.net.client.errors import ConnectError, TLSError
from framework.net.client.fields import Fields, pairs
from framework.net.client.incoming import Tunnel
from framework.net.client.link import ClientLink
from framework.net.client.origin import Origin
from framework.net.client.outgoing import OutgoingRequest
from framework.net.client.settings import PoolSettings, Timeouts
from framework.net.client.url import parse_url
from framework.net.wheel import TimerWheel
from framework.wire.leaves import Limits
from framework.wire.request_head import encode_request_head

__all__ = ["ProxyConnector"]


class ProxyConnector:
    """Tunnels every connection, plain ones too, through one proxy. The ``connect`` deadline bounds it all.

    Args:
        proxy: http or https URL of the proxy.
        headers: for the proxy alone, such as Proxy-Authorization.
        tls: for an https proxy; the origin's own TLS runs inside the tunnel.
        connector: opens the connections to the proxy.
    """

    def __init__(
        self,
        proxy: str,
        *,
        headers: Fields | None = None,
        tls: ssl.SSLContext | None = None,
        connector: Connector | None = None,
    ) -> None:
        url = parse_url(proxy)
        if url.scheme not in ("http", "https"):
            raise LocalProtocolError("a proxy has an http or https URL")
        context = (tls or client_tls()) if url.is_secure else None
        self._proxy = Origin(url.host, url.port, context)
        self._fields = pairs(headers)
        self._connector: Connector = connector or SocketConnector()

    async def connect(self, origin: Origin, factory: Callable[[], ClientConnection]) -> ClientConnection:
        """As ``Connector.connect``. Raises ConnectError where the proxy cannot be reached or refuses, TLSError."""
        tunnel = await self._tunnel(origin)
        transport = tunnel.transport
        connection = factory()
        try:
            if origin.tls is not None:
                loop = asyncio.get_running_loop()
                made = await loop.start_tls(
                    transport,
                    as_protocol(connection),
                    origin.tls,
                    server_hostname=origin.server_name or origin.host,
                    ssl_shutdown_timeout=1.0,
                )
                if made is None:
                    raise ConnectionAbortedError("the connection ended in the handshake")
                connection.connection_made(made)
            else:
                transport.set_protocol(as_protocol(connection))
                connection.connection_made(transport)
                transport.resume_reading()
        except OSError as error:
            transport.abort()
            raise TLSError(str(origin), [error]) from error
        except BaseException:
            transport.abort()
            raise
        return connection

    async def _tunnel(self, origin: Origin) -> Tunnel:
        host = f"[{origin.host}]" if ":" in origin.host else origin.host
        target = f"{host}:{origin.port}"
        head = encode_request_head("CONNECT", target, [("host", target), *self._fields])
        holder = _Holder(str(self._proxy))
        try:
            connection = await self._connector.connect(self._proxy, lambda: ClientConnection(holder))
            if not connection.adopt():
                raise _refused(origin, f"the proxy {self._proxy} closed the connection")
            try:
                raw = await connection.exchange(OutgoingRequest(method="CONNECT", head=head), Timeouts())
                if not raw.is_tunnel:
                    raw.close()
                    connection.drop()
                    raise _refused(origin, f"the proxy {self._proxy} answered {raw.head.status}")
                tunnel = raw.detach()
            except (PeerClosed, RemoteProtocolError) as error:
                raise _refused(origin, str(error)) from error
        finally:
            holder.wheel.close()
        if tunnel.received:
            tunnel.transport.abort()
            raise _refused(origin, f"the proxy {self._proxy} sent bytes ahead of the tunnel's first")
        return tunnel


class _Holder:
    """Of one connection, until it is a tunnel."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.loop = asyncio.get_running_loop()
        self.wheel = TimerWheel(self.loop, self._broken)
        self.settings = PoolSettings()
        self.limits = Limits(self.settings.max_head, self.settings.max_fields)

    def released(self, connection: ClientLink) -> None:
        connection.close()

    def lost(self, connection: ClientLink) -> None:
        pass

    def closed(self, connection: ClientLink) -> None:
        pass

    def sends(self, task: asyncio.Task[None]) -> None:
        raise LocalProtocolError("CONNECT has no body")

    def _broken(self, error: BaseException) -> None:
        raise error


def _refused(origin: Origin, reason: str) -> ConnectError:
    return ConnectError(str(origin), [OSError(reason)])
