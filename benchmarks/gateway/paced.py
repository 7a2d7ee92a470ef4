"""Requests at a constant rate, whatever their answers take:  python -m benchmarks.gateway.paced PORT PATH RATE SECONDS

Each request has its time, and its latency counts from there: one that finds no free connection, or a sender that is
late, waits at its own expense (a client that waits for answers would not have sent it, and would have told no latency).
Prints percentiles in milliseconds as JSON.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

__all__ = ["OverloadError", "Pace", "Reading", "drive", "percentile", "summary"]

WARM_UP = 0.2
"""Of all requests, whose latencies are not told."""
PATIENCE = 2.0
"""Times the time they should take: who has not answered by then cannot keep up."""


class OverloadError(Exception):
    """The server does not keep up with the rate."""


class Pace:
    """When each request is due, on which connection it goes, and what it took. ``now``: seconds from the beginning.

    Attributes:
        latencies: in seconds, of those after the warm-up.
        under_way: the number of the request on each busy connection.
    """

    def __init__(self, rate: float, count: int, connections: int) -> None:
        self.latencies: list[float] = []
        self.under_way: dict[int, int] = {}
        self._rate = rate
        self._count = count
        self._warm = int(count * WARM_UP)
        self._next = 0
        self._free = deque(range(connections))

    @property
    def done(self) -> bool:
        return self._next >= self._count and not self.under_way

    def take(self, now: float) -> int | None:
        """The connection that the next request goes on; None where none is due, or no connection is free."""
        if self._next >= self._count or not self._free or now < self._next / self._rate:
            return None
        connection = self._free.popleft()
        self.under_way[connection] = self._next
        self._next += 1
        return connection

    def wait(self, now: float) -> float | None:
        """Seconds until ``take`` has one; None until a connection is answered."""
        if self._next >= self._count or not self._free:
            return None
        return max(0.0, self._next / self._rate - now)

    def answered(self, connection: int, now: float) -> None:
        """Its latency counts from when it was due."""
        request = self.under_way.pop(connection)
        self._free.append(connection)
        if request >= self._warm:
            self.latencies.append(now - request / self._rate)


class Reading:
    """What comes on a connection: whole answers of known length, all of them 200."""

    def __init__(self) -> None:
        self._data = b""
        self._left = 0

    def feed(self, data: bytes) -> bool:
        """Whether the answer is whole now. Raises ValueError for what is no answer, or another than 200."""
        if self._left:
            self._left -= len(data)
        else:
            self._data += data
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                return False
            self._left = length_of(self._data[:end]) - (len(self._data) - end - 4)
            self._data = b""
        if self._left < 0:
            raise ValueError("more came than was asked for")
        return not self._left


def length_of(head: bytes) -> int:
    head = head.lower()
    if b" 200" not in head[:13]:
        raise ValueError(f"not 200: {head.decode('latin-1')}")
    at = head.find(b"\r\ncontent-length:")
    if at < 0:
        raise ValueError("an answer without its length")
    return int(head[at + 17 :].partition(b"\r")[0])


def drive(
    pace: Pace,
    sockets: Sequence[socket.socket],
    request: bytes,
    *,
    limit: float,
    clock: Callable[[], float] = time.perf_counter,
) -> None:
    """Sends and reads to the end. Raises OverloadError after ``limit`` seconds, or where a connection ends."""
    readings = [Reading() for _ in sockets]
    numbers = {sock: number for number, sock in enumerate(sockets)}
    began = clock()
    now = 0.0
    while not pace.done:
        while (number := pace.take(now)) is not None:
            sockets[number].sendall(request)
            now = clock() - began
        if now > limit:
            raise OverloadError(f"{len(pace.under_way)} requests have no answer after {now:.1f} s")
        # select waits microseconds; epoll and the timers of event loops know but milliseconds.
        wait = pace.wait(now)
        ready, _, _ = select.select(
            [sockets[number] for number in pace.under_way],
            (),
            (),
            max(0.0, limit - now) if wait is None else wait,
        )
        for sock in ready:
            data = sock.recv(65_536)
            if not data:
                raise OverloadError("a connection was closed")
            if readings[numbers[sock]].feed(data):
                pace.answered(numbers[sock], clock() - began)
        now = clock() - began


def percentile(ordered: Sequence[float], part: float) -> float:
    """The smallest value that ``part`` of all are not above."""
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def summary(latencies: Sequence[float]) -> dict[str, float]:
    """In milliseconds."""
    ordered = sorted(latencies)
    parts = {"p50": 0.5, "p99": 0.99, "p999": 0.999}
    return {name: round(percentile(ordered, part) * 1e3, 4) for name, part in parts.items()}


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.gateway.paced", description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("path")
    parser.add_argument("rate", type=float, help="requests a second")
    parser.add_argument("seconds", type=float)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--field", action="append", default=[], metavar="NAME: VALUE", help="sent along")
    options = parser.parse_args(arguments)
    with suppress(OSError):
        Path("/proc/self/timerslack_ns").write_text("1000")
    lines = [f"GET {options.path} HTTP/1.1", f"host: 127.0.0.1:{options.port}", *options.field, "", ""]
    sockets = [socket.create_connection(("127.0.0.1", options.port)) for _ in range(options.connections)]
    for sock in sockets:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    pace = Pace(options.rate, max(1, int(options.rate * options.seconds)), options.connections)
    gc.disable()
    try:
        drive(pace, sockets, "\r\n".join(lines).encode(), limit=options.seconds * PATIENCE)
    except (OverloadError, ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        for sock in sockets:
            sock.close()
    print(json.dumps(summary(pace.latencies)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
