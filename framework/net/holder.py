"""Who holds a port or a socket file: looked up in /proc, as far as this user may look."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

__all__ = ["holder_of_path", "holder_of_port"]

_LISTENING: Final = "0A"
_ACCEPTING: Final = "00010000"
_MAX_COMMAND: Final = 80


def holder_of_port(address: Any, *, proc: Path = Path("/proc")) -> str | None:
    """Names what listens on a TCP address (as ``bind`` takes it): "process 123 (python -m shop)". None when that
    cannot be found out."""
    host, port = address[0], address[1]
    table = proc / "net" / ("tcp6" if ":" in host else "tcp")
    wildcard = "::" if ":" in host else "0.0.0.0"
    for line in _lines(table):
        fields = line.split()
        if len(fields) < 10 or fields[3] != _LISTENING:
            continue
        where, there = _decode(fields[1])
        if there == port and (where in (host, wildcard) or host == wildcard):
            return _name(fields[9], int(fields[7]), proc)
    return None


def holder_of_path(path: str, *, proc: Path = Path("/proc")) -> str | None:
    """Names what listens on a unix socket."""
    wanted = os.path.abspath(path)
    for line in _lines(proc / "net" / "unix"):
        fields = line.split(maxsplit=7)
        if len(fields) == 8 and fields[3] == _ACCEPTING and fields[7] in (path, wanted):
            return _name(fields[6], None, proc)
    return None


def _lines(table: Path) -> Iterator[str]:
    try:
        text = table.read_text()
    except OSError:
        return
    yield from text.splitlines()[1:]


def _decode(field: str) -> tuple[str, int]:
    """``0100007F:1F90`` is 127.0.0.1:8080: words of the machine's byte order, each in hex."""
    address, port = field.split(":")
    words = [int(address[start : start + 8], 16) for start in range(0, len(address), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    family = socket.AF_INET if len(words) == 1 else socket.AF_INET6
    return socket.inet_ntop(family, packed), int(port, 16)


def _name(inode: str, uid: int | None, proc: Path) -> str | None:
    wanted = f"socket:[{inode}]"
    for folder in sorted(proc.glob("[0-9]*"), key=lambda folder: int(folder.name)):
        try:
            with os.scandir(folder / "fd") as entries:
                if any(os.readlink(entry.path) == wanted for entry in entries):
                    return f"process {folder.name}{_command(folder)}"
        except OSError:
            continue  # gone meanwhile, or another user's
    return None if uid is None else f"a process of user {_user(uid)}"


def _command(folder: Path) -> str:
    try:
        words = (folder / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return ""
    text = b" ".join(words).decode(errors="replace").replace("\n", " ")
    return f" ({text if len(text) <= _MAX_COMMAND else text[: _MAX_COMMAND - 3] + '...'})" if text else ""


def _user(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
