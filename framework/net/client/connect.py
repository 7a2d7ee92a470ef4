"""Opens connections: names to addresses, addresses raced (RFC 8305), TLS on top. The only file that makes sockets."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol, TypeAlias

from framework.net.client.connection import ClientConnection, as_protocol
from framework.net.client.errors import ConnectError, NameResolutionError, TLSError
from framework.net.client.origin import Origin

__all__ = ["Connector", "Dial", "Resolve", "SocketAddress", "SocketConnector", "client_tls", "interleaved"]

# RFC 8305 section 8: the Connection Attempt Delay.
ATTEMPT_DELAY: Final = 0.25
MAX_ADDRESSES: Final = 16

SocketAddress: TypeAlias = tuple[socket.AddressFamily, Any]
Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[SocketAddress]]]
Dial: TypeAlias = Callable[[SocketAddress], Awaitable[socket.socket]]


class Connector(Protocol):
    """What makes a pool's connections. A test's one may join them to a simulated network."""

    async def connect(self, origin: Origin, factory: Callable[[], ClientConnection]) -> ClientConnection:
        """A new connection to ``origin``. Raises ConnectError; leaves nothing behind when it is cancelled."""
        ...


def client_tls(
    *,
    ca_file: str | None = None,
    certificate: str | None = None,
    key: str | None = None,
    verify: bool = True,
    min_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
) -> ssl.SSLContext:
    """A context for a client that verifies: against the system's authorities, or those of ``ca_file`` alone.

    Args:
        ca_file: PEM.
        certificate: what this client shows if asked: a PEM chain, with ``key`` where that is a file of its own.
        verify: without it anybody can pose as the server.

    Raises OSError (ssl.SSLError is one) for files that cannot be read or used.
    """
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = min_version
    context.set_alpn_protocols(["http/1.1"])
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def interleaved(addresses: Sequence[SocketAddress]) -> list[SocketAddress]:
    """The order to try them in: the families take turns, beginning with that of the first (RFC 8305 section 4)."""
    families = dict.fromkeys(family for family, _ in addresses)
    queues = [[each for each in addresses if each[0] == family] for family in families]
    longest = max(map(len, queues), default=0)
    return [queue[turn] for turn in range(longest) for queue in queues if turn < len(queue)]


class SocketConnector:
    """Connects by TCP or unix socket.

    Args:
        resolve: a host and a port to socket addresses, in the order of preference; raises OSError. ``getaddrinfo`` in a
            thread where it is None; literal addresses need neither.
        dial: opens a connected socket to an address; raises OSError, and leaves nothing behind when it is cancelled.
        attempt_delay: seconds before the next address is tried beside those that have not answered yet.
        handshake_timeout: seconds for TLS; the ``connect`` deadline bounds it as well.
    """

    def __init__(
        self,
        *,
        resolve: Resolve | None = None,
        dial: Dial | None = None,
        attempt_delay: float = ATTEMPT_DELAY,
        handshake_timeout: float = 30.0,
    ) -> None:
        self._resolve = resolve or resolved
        self._dial = dial or dialled
        self._attempt_delay = attempt_delay
        self._handshake_timeout = handshake_timeout

    async def connect(self, origin: Origin, factory: Callable[[], ClientConnection]) -> ClientConnection:
        """As ``Connector.connect``; also raises NameResolutionError and TLSError."""
        loop = asyncio.get_running_loop()
        if origin.unix_socket is not None:
            addresses: list[SocketAddress] = [(socket.AF_UNIX, origin.unix_socket)]
        else:
            addresses = await self._addresses(origin)
        try:
            sock = await self._race(addresses)
        except OSError as error:
            raise ConnectError(str(origin), [error]) from error
        except ExceptionGroup as group:
            causes = [error for error in group.exceptions if isinstance(error, OSError)]
            raise ConnectError(str(origin), causes) from group
        options: dict[str, Any] = {}
        if origin.tls is not None:
            options = {
                "ssl": origin.tls,
                "server_hostname": origin.server_name or origin.host,
                "ssl_handshake_timeout": self._handshake_timeout,
                "ssl_shutdown_timeout": 1.0,
            }
        made: list[ClientConnection] = []

        def make() -> asyncio.Protocol:
            made.append(factory())
            return as_protocol(made[0])

        try:
            await loop.create_connection(make, sock=sock, **options)
        except OSError as error:  # ssl.SSLError is one
            raise (ConnectError if origin.tls is None else TLSError)(str(origin), [error]) from error
        finally:
            if not made:  # else the socket is the transport's, which closes it
                sock.close()
        return made[0]

    async def _addresses(self, origin: Origin) -> list[SocketAddress]:
        literal = _literal(origin.host, origin.port)
        if literal is not None:
            return [literal]
        try:
            found = await self._resolve(origin.host, origin.port)
        except (OSError, UnicodeError) as error:
            cause = error if isinstance(error, OSError) else OSError(str(error))
            raise NameResolutionError(str(origin), [cause]) from error
        if not found:
            raise NameResolutionError(str(origin), [OSError("the name has no address")])
        return interleaved(found)[:MAX_ADDRESSES]

    async def _race(self, addresses: Sequence[SocketAddress]) -> socket.socket:
        """A connected socket to the first address that answers; the others are given up."""
        if len(addresses) == 1:
            return await self._dial(addresses[0])
        loop = asyncio.get_running_loop()
        attempts: set[asyncio.Task[socket.socket]] = set()
        failures: list[OSError] = []
        rest = list(addresses)
        won: socket.socket | None = None
        try:
            while rest or attempts:
                if rest:
                    attempts.add(loop.create_task(self._try(rest.pop(0))))
                done, _ = await asyncio.wait(
                    attempts,
                    timeout=self._attempt_delay if rest else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for attempt in done:
                    attempts.discard(attempt)
                    error = attempt.exception()
                    if error is None:
                        attempts |= done - {attempt}
                        won = attempt.result()
                        return won
                    if not isinstance(error, OSError):
                        raise error
                    failures.append(error)
        finally:
            try:
                await _give_up(attempts)
            except BaseException:
                if won is not None:
                    won.close()
                raise
        raise ExceptionGroup("no address answered", failures)

    async def _try(self, address: SocketAddress) -> socket.socket:
        return await self._dial(address)


async def resolved(host: str, port: int) -> list[SocketAddress]:
    """The addresses of a name, as the system finds them."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [(family, address) for family, _, _, _, address in found]


def _literal(host: str, port: int) -> SocketAddress | None:
    """The address that ``host`` is, without asking anybody."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return family, (host, port)
    return None


async def dialled(address: SocketAddress) -> socket.socket:
    """A socket that is connected to ``address``."""
    family, where = address
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(sock, where)
    except BaseException:
        sock.close()
        raise
    return sock


async def _give_up(attempts: set[asyncio.Task[socket.socket]]) -> None:
    """Ends attempts that lost, and closes the socket of one that won too late."""
    for attempt in attempts:
        attempt.cancel()
        attempt.add_done_callback(_close_late)
    if attempts:
        await asyncio.wait(attempts, timeout=1.0)


def _close_late(attempt: asyncio.Task[socket.socket]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()
