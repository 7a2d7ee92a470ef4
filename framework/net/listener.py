"""Sockets to accept on: TCP and unix, bound before the loop turns, so that what is wrong with them is said at once."""

from __future__ import annotations

import errno
import os
import socket
import stat
import sys
from contextlib import suppress
from typing import Any

from framework.errors import SetupError
from framework.net.holder import holder_of_path, holder_of_port
from framework.net.settings import ServerSettings

__all__ = ["SocketFile", "bind", "describe", "listen_beside", "socket_file"]

PROBE_TIMEOUT = 1.0
NO_SUCH_FAMILY = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


def bind(settings: ServerSettings, *, copies: int = 1) -> list[socket.socket]:
    """The listening sockets of ``[server]``. Raises SetupError saying which address cannot be had, and why.

    ``copies`` above 1: that many sockets for each TCP address, between which Linux spreads the connections
    (SO_REUSEPORT); elsewhere, and for a unix socket, there is one all the same.
    """
    if settings.unix_socket is not None:
        return [_bind_unix(settings.unix_socket, settings.backlog)]
    if copies > 1 and sys.platform == "linux":
        # These only claim the address, which several programs could share otherwise; they never listen.
        claims = _bind_tcp(settings.host, settings.port, None)
        try:
            return [spread for sock in claims for spread in _spread(sock, copies, settings.backlog)]
        finally:
            for sock in claims:
                sock.close()
    return _bind_tcp(settings.host, settings.port, settings.backlog)


def _spread(claim: socket.socket, copies: int, backlog: int) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    try:
        sockets.extend(listen_beside(claim, backlog) for _ in range(copies))
    except OSError as error:
        for sock in sockets:
            sock.close()
        raise SetupError(_why_not(claim.getsockname(), error)) from error
    return sockets


def listen_beside(other: socket.socket, backlog: int) -> socket.socket:
    """Another socket on the same address, with a queue of its own. Raises OSError when it cannot be had."""
    sock = socket.socket(other.family, other.type, other.proto)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if other.family == socket.AF_INET6:
            only = other.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
        sock.bind(other.getsockname())
        sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    return sock


def _bind_tcp(host: str, port: int, backlog: int | None) -> list[socket.socket]:
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SetupError(f"server.host: {host!r} is no address of this machine ({reason})") from error
    sockets: list[socket.socket] = []
    address: Any = (host, port)
    missing: OSError | None = None
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            try:
                sockets.append(_listening(socket.AddressFamily(family), kind, protocol, address, backlog))
            except OSError as error:
                if error.errno not in NO_SUCH_FAMILY:  # a name may stand for IPv6 where there is none
                    raise
                missing = error
        if missing is not None and not sockets:
            raise missing
    except OSError as error:
        for sock in sockets:
            sock.close()
        raise SetupError(_why_not(address, error)) from error
    return sockets


def _listening(
    family: socket.AddressFamily, kind: int, protocol: int, address: tuple[object, ...], backlog: int | None
) -> socket.socket:
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        if backlog is not None:
            sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    return sock


def _why_not(address: Any, error: OSError) -> str:
    host, port = address[0], address[1]
    where = f"server.port: cannot listen on {f'[{host}]' if ':' in host else host}:{port}"
    if error.errno == errno.EADDRINUSE:
        holder = holder_of_port(address)
        taken = f"{where}: the port is taken{f' by {holder}' if holder else ''}"
        return f"{taken}; stop what listens there or choose another port (0 takes a free one)"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{where}: this user may not; ports below 1024 need privileges"
    if error.errno in NO_SUCH_FAMILY:
        return f"server.host: {host!r} is no address of this machine ({error.strerror})"
    return f"{where}: {error.strerror}"


def _bind_unix(path: str, backlog: int) -> socket.socket:
    path = os.path.abspath(path)  # to be found again at shutdown, wherever the process is then
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if _is_socket(path) and not _answers(path):
            os.unlink(path)
        sock.bind(path)
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        raise SetupError(
            f"server.unix_socket: cannot listen on {path}: {_why_not_unix(path, error)}"
        ) from error
    return sock


def _why_not_unix(path: str, error: OSError) -> str:
    if error.errno != errno.EADDRINUSE:
        return error.strerror or str(error)
    if not _is_socket(path):
        return "there is a file that is no socket"
    return f"{holder_of_path(path) or 'a server'} listens there already"


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except FileNotFoundError:
        return False


def _answers(path: str) -> bool:
    """Whether a server listens on a socket file; one that is only slow does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_TIMEOUT)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except (BlockingIOError, TimeoutError):
            return True
    return True


class SocketFile:
    """The file of a listening unix socket, to be removed when the server stops. Make it while the socket listens."""

    def __init__(self, path: str) -> None:
        self._path = os.path.abspath(path)
        self._identity = self._identify()

    def _identify(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_mtime_ns

    def remove(self) -> None:
        """Removes the file, unless another server has put its own in its place, or it is gone already."""
        if self._identity is not None and self._identify() == self._identity:
            with suppress(OSError):
                os.unlink(self._path)


def socket_file(sock: socket.socket) -> SocketFile | None:
    """The file of a unix socket that has one."""
    name = sock.getsockname() if sock.family == socket.AF_UNIX else None
    return SocketFile(name) if isinstance(name, str) and name else None


def describe(sock: socket.socket, *, secure: bool = False) -> str:
    """A URL for a banner: ``http://127.0.0.1:8000`` or ``unix:/run/app.sock``."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return f"unix:{name}"
    host, port = name[0], name[1]
    scheme = "https" if secure else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
