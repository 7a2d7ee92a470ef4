"""The two conversations with systemd, without its library: sockets it hands over, and what it is told.

sd_listen_fds(3), sd_notify(3), systemd.service(5). Both are plain environment variables; whoever else starts a server
can speak them too.
"""

from __future__ import annotations

import os
import socket
import stat
import time
from collections.abc import MutableMapping
from typing import Final

from framework.errors import SetupError

__all__ = ["FIRST_DESCRIPTOR", "Notifier", "inherited_sockets"]

FIRST_DESCRIPTOR: Final = 3


def inherited_sockets(
    environ: MutableMapping[str, str] | None = None, *, first: int = FIRST_DESCRIPTOR
) -> list[socket.socket]:
    """The listening sockets this process was started with (``LISTEN_FDS``); none when it was not meant by
    ``LISTEN_PID``. Takes the variables out of the environment, so that no child believes they are its own.

    Raises:
        SetupError: a descriptor that is no listening stream socket; each is named.
    """
    environ = os.environ if environ is None else environ
    pid, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
    names = environ.pop("LISTEN_FDNAMES", "").split(":")
    if pid != str(os.getpid()) or not count:
        return []
    if not (count.isascii() and count.isdigit()):
        raise SetupError(f"LISTEN_FDS: {count!r} is no count of sockets")
    sockets: list[socket.socket] = []
    problems: list[str] = []
    for index in range(int(count)):
        descriptor = first + index
        fault = _fault(descriptor)
        if fault:
            name = f" ({names[index]})" if index < len(names) and names[index] else ""
            problems.append(f"LISTEN_FDS: descriptor {descriptor}{name} {fault}")
            continue
        os.set_inheritable(descriptor, False)
        sock = socket.socket(fileno=descriptor)
        sock.setblocking(False)
        sockets.append(sock)
    if problems:
        for sock in sockets:
            sock.close()
        raise SetupError(problems)
    return sockets


def _fault(descriptor: int) -> str:
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            return "is no socket"
    except OSError as error:
        return f"cannot be used: {error.strerror}"
    sock = socket.socket(fileno=descriptor)
    try:
        if sock.family not in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
            return "is a socket of an unknown family"
        if sock.type != socket.SOCK_STREAM:
            return "is no stream socket (ListenStream= makes one)"
        if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return "does not listen (Accept=no is needed)"
    finally:
        sock.detach()
    return ""


class Notifier:
    """Tells the service manager how this service is. Without one, it says nothing.

    Args:
        address: of a datagram socket, as in ``NOTIFY_SOCKET``: a path, or "@" and an abstract name.
        watchdog_interval: seconds between the signs of life that are to be sent; None when none are wanted.
    """

    def __init__(self, address: str | None = None, *, watchdog_interval: float | None = None) -> None:
        self._address = address
        self.watchdog_interval = watchdog_interval if address is not None else None
        self._socket: socket.socket | None = None

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str] | None = None) -> Notifier:
        """Takes ``NOTIFY_SOCKET`` and ``WATCHDOG_USEC`` out of the environment: they are not for children.

        Signs of life go out twice in the time that systemd waits for one.
        """
        environ = os.environ if environ is None else environ
        address = environ.pop("NOTIFY_SOCKET", None)
        pid, microseconds = environ.pop("WATCHDOG_PID", ""), environ.pop("WATCHDOG_USEC", "")
        interval = None
        if microseconds.isascii() and microseconds.isdigit() and pid in ("", str(os.getpid())):
            interval = int(microseconds) / 2e6 or None
        usable = address is not None and address[:1] in ("/", "@")
        return cls(address if usable else None, watchdog_interval=interval)

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which another process of this service can speak too."""
        if self._address is None:
            return {}
        found = {"NOTIFY_SOCKET": self._address}
        if self.watchdog_interval is not None:
            found["WATCHDOG_USEC"] = str(round(self.watchdog_interval * 2e6))
        return found

    def ready(self, status: str) -> None:
        """The start, or a reload, is complete."""
        self._send("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """A reload has begun (Type=notify-reload wants to know when)."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", "STATUS=reloading")

    def stopping(self) -> None:
        """The shutdown has begun."""
        self._send("STOPPING=1", "STATUS=stopping")

    def alive(self) -> None:
        """A sign of life for the watchdog."""
        self._send("WATCHDOG=1")

    def successor(self, pid: int) -> None:
        """Another process goes on as this service."""
        self._send(f"MAINPID={pid}")

    def _send(self, *fields: str) -> None:
        if self._address is None:
            return
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
        address = f"\0{self._address[1:]}" if self._address[0] == "@" else self._address
        try:
            self._socket.sendto("\n".join(fields).encode(), address)
        except OSError:
            return  # a manager that does not listen, or is behind, must not stop the service

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
