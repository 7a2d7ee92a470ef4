"""Sockets to accept on: TCP and unix, bound before the loop turns, so that what is wrong with them is said at once."""

from __future__ import annotations

import errno
import os
import socket
import stat
import sys
from typing import Any

from framework.errors import SetupError
from framework.net.holder import holder_of_path, holder_of_port
from framework.net.settings import ServerSettings

__all__ = ["bind", "describe", "listen_beside"]


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
    except socket.gaierror as error:
        raise SetupError(f"server.host: {host!r} is no address of this machine ({error.strerror})") from error
    sockets: list[socket.socket] = []
    address: Any = (host, port)
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            sock = socket.socket(family, kind, protocol)
            sockets.append(sock)
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(address)
            if backlog is not None:
                sock.listen(backlog)
    except OSError as error:
        for sock in sockets:
            sock.close()
        raise SetupError(_why_not(address, error)) from error
    return sockets


def _why_not(address: Any, error: OSError) -> str:
    host, port = address[0], address[1]
    where = f"server.port: cannot listen on {f'[{host}]' if ':' in host else host}:{port}"
    if error.errno == errno.EADDRINUSE:
        holder = holder_of_port(address)
        taken = f"{where}: the port is taken{f' by {holder}' if holder else ''}"
        return f"{taken}; stop what listens there or choose another port (0 takes a free one)"
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
        reason = error.strerror
        if error.errno == errno.EADDRINUSE:
            reason = f"{holder_of_path(path) or 'a server'} listens there already"
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


def describe(sock: socket.socket, *, secure: bool = False) -> str:
    """A URL for a banner: ``http://127.0.0.1:8000`` or ``unix:/run/app.sock``."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return f"unix:{name}"
    host, port = name[0], name[1]
    scheme = "https" if secure else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
