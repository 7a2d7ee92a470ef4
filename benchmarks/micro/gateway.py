"""A request through the whole gateway without sockets: both connections write to transports that are none.

The upstream's transport answers each write at once with a response of 1 kB, in the next turn of the loop. What is timed
is all of a proxied request but the system calls: parse, route, pick, forward, wait, parse, answer.

    python -m benchmarks.micro.gateway [--rounds N]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any, cast

from benchmarks.micro.connection import NullTransport
from framework.app.runtime import Runtime
from framework.net.client.connect import SocketConnector
from framework.net.client.connection import ClientConnection
from framework.net.client.origin import Origin
from framework.net.collector import collecting_seldom
from framework.net.connection import Connection
from framework.net.core import Core
from framework.net.loop import new_event_loop
from framework.net.settings import ServerSettings
from framework.plugins.gateway.app import create_app

__all__ = ["main"]

CONNECTIONS = 64
TURNS = 4
REQUEST = b"GET /x HTTP/1.1\r\nHost: 127.0.0.1:9202\r\n\r\n"
RESPONSE = (
    b"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Wed, 25 Nov 2026 04:00:00 GMT\r\nContent-Type: text/plain\r\n"
    b"Content-Length: 1024\r\nConnection: keep-alive\r\n\r\n" + b"x" * 1024
)
CONFIG = """
[logging]
access = 'never'
level = 'error'
[metrics]
enabled = false
[gateway]
watch = false
[gateway.clusters.c]
endpoints = ['http://127.0.0.1:9201']
outliers = { max_ejected = 0 }
[gateway.routes.all]
cluster = 'c'
"""


class Upstream(NullTransport):
    """Answers whatever is written to it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._call_soon = loop.call_soon
        self.protocol: Any = None

    def write(self, data: Any) -> None:
        self._call_soon(self.protocol.data_received, RESPONSE)

    def close(self) -> None:
        pass

    abort = close


async def connect(
    self: SocketConnector, origin: Origin, factory: Callable[[], ClientConnection]
) -> ClientConnection:
    """In place of the connector's own."""
    connection = factory()
    transport = Upstream(asyncio.get_running_loop())
    transport.protocol = connection
    connection.connection_made(transport)
    return connection


class Client(NullTransport):
    """Counts answers."""

    answers = 0

    def write(self, data: Any) -> None:
        self.written = data
        Client.answers += 1


def build() -> Runtime:
    with tempfile.TemporaryDirectory() as name:
        file = Path(name, "gateway.toml")
        file.write_text(CONFIG)
        return create_app([file]).build(files=[file])


async def measure(runtime: Runtime, rounds: int) -> float:
    """Microseconds for one request, the best of the rounds."""
    cast("Any", SocketConnector).connect = connect
    loop = asyncio.get_running_loop()
    async with runtime.running():
        # As where it is served.
        with collecting_seldom(ServerSettings().gc_threshold):
            return await timed(loop, runtime, rounds)


async def timed(loop: asyncio.AbstractEventLoop, runtime: Runtime, rounds: int) -> float:
    core = Core(loop, runtime, ServerSettings())
    connections = [Connection(core) for _ in range(CONNECTIONS)]
    for connection in connections:
        connection.connection_made(Client())
    best = float("inf")
    for _ in range(rounds):
        best = min(best, await one_round(loop, connections))
    for connection in connections:
        connection.connection_lost(None)
    if Client.answers != rounds * TURNS * CONNECTIONS:
        raise RuntimeError(f"{Client.answers} answers")
    return best


async def one_round(loop: asyncio.AbstractEventLoop, connections: list[Connection]) -> float:
    began = perf_counter()
    for _ in range(TURNS):
        wanted = Client.answers + len(connections)
        for connection in connections:
            # As a transport calls: in no Task.
            loop.call_soon(connection.data_received, REQUEST)
        while Client.answers < wanted:  # noqa: ASYNC110 - the turns of the loop are what is timed
            await asyncio.sleep(0)
    return (perf_counter() - began) / (TURNS * len(connections)) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.micro.gateway")
    parser.add_argument("--rounds", type=int, default=1000)
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        sys.stdout.write(f"{runner.run(measure(build(), options.rounds)):.2f} us for each request\n")


if __name__ == "__main__":
    main()
