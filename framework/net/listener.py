"""Sockets to accept on: TCP and unix, bound before the loop turns, so that what is wrong with them is said at once."""

from __future__ import annotations

import errno
import os
import socket
import stat

from framework.errors import SetupError
from framework.net.settings import ServerSettings

__all__ = ["bind", "describe"]


def bind(settings: ServerSettings) -> list[socket.socket]:
    """The listening sockets of ``[server]``. Raises SetupError saying which address cannot be had, and why."""
    if settings.unix_socket is not None:
        return [_bind_unix(settings.unix_socket, settings.backlog)]
    return _bind_tcp(settings.host, settings.port, settings.backlog)


def _bind_tcp(host: str, port: int, backlog: int) -> list[socket.socket]:
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise SetupError(f"server.host: {host!r} is no address of this machine ({error.strerror})") from error
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            sock = socket.socket(family, kind, protocol)
            sockets.append(sock)
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(address)
            sock.listen(backlog)
    except OSError as error:
        for sock in sockets:
            sock.close()
        raise SetupError(_why_not(host, port, error)) from error
    return sockets


def _why_not(host: str, port: int, error: OSError) -> str:
    where = f"server.port: cannot listen on {host}:{port}"
    if error.errno == errno.EADDRINUSE:
        return f"{where}: the port is taken; stop what listens there or choose another port (0 takes a free one)"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{where}: this user may not; ports below 1024 need privileges"
    return f"{where}: {error.strerror}"


def _bind_unix(path: str, backlog: int) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        if os.path.exists(path) and stat.S_ISSOCK(os.stat(path).st_mode):
            _remove_stale(path)
        sock.bind(path)
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        reason = "a server listens there already" if error.errno == errno.EADDRINUSE else error.strerror
        raise SetupError(f"server.unix_socket: cannot listen on {path}: {reason}") from error
    return sock


def _remove_stale(path: str) -> None:
    """Removes a socket file that no server answers on any more; a live one stays, and bind says so."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)


def describe(sock: socket.socket) -> str:
    """A URL for a banner: ``http://127.0.0.1:8000`` or ``unix:/run/app.sock``."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return f"unix:{name}"
    host, port = name[0], name[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
