"""Which worker accepts on which listening socket.

Sockets with one address (SO_REUSEPORT) have a queue each, which the kernel fills evenly: every worker gets its own.
A socket that is alone at its address is shared by all: whoever wakes first accepts.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence

from framework.net.listener import listen_beside

__all__ = ["share_out", "widen"]


def share_out(sockets: Sequence[socket.socket], workers: int) -> list[tuple[int, ...]]:
    """For each worker, the indices of its sockets. Each socket has a worker, each worker a socket of each address."""
    shares: list[list[int]] = [[] for _ in range(workers)]
    for group in _groups(sockets):
        for turn in range(max(len(group), workers)):
            shares[turn % workers].append(group[turn % len(group)])
    return [tuple(sorted(set(share))) for share in shares]


def widen(sockets: Sequence[socket.socket], workers: int, backlog: int) -> list[socket.socket]:
    """Sockets that were handed over, and more at those addresses that were opened to be spread, up to one for each
    worker. Addresses at which no more can be opened stay as they are."""
    found = list(sockets)
    if sys.platform != "linux":
        return found
    for group in _groups(sockets):
        first = sockets[group[0]]
        if first.family == socket.AF_UNIX or not first.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT):
            continue
        try:
            found.extend(listen_beside(first, backlog) for _ in range(workers - len(group)))
        except OSError:
            continue  # another user's socket, say: its workers share what there is
    return found


def _groups(sockets: Sequence[socket.socket]) -> list[list[int]]:
    """The indices of the sockets, by address."""
    groups: dict[object, list[int]] = {}
    for index, sock in enumerate(sockets):
        groups.setdefault((sock.family, sock.getsockname()), []).append(index)
    return list(groups.values())
