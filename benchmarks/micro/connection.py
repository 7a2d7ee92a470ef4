"""A connection of the benchmark's app over a transport that drops what is written: the framework alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from benchmarks.load.probe import parse_reply
from benchmarks.load.scenarios import SCENARIOS, Scenario, Variant, complaint, request_bytes
from benchmarks.load.servers import floor, ours
from benchmarks.micro.runner import Case
from framework.net.connection import Connection
from framework.net.core import Core
from framework.net.settings import ServerSettings


class NullTransport(asyncio.Transport):
    """Keeps the last write only."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 50000)})
        self.written = b""

    def write(self, data: Any) -> None:
        self.written = data

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        raise RuntimeError(f"the connection was closed after {self.written!r}")


def connect(loop: asyncio.AbstractEventLoop, variant: Variant) -> tuple[Connection, NullTransport]:
    core = Core(loop, ours.application(variant.routes, variant.onions).build(), ServerSettings())
    connection, transport = Connection(core), NullTransport()
    connection.connection_made(transport)
    return connection, transport


def check(scenario: Scenario, written: bytes) -> None:
    """Raises RuntimeError unless the bytes are all the scenario's answers."""
    for _ in range(scenario.depth):
        parsed = parse_reply(written)
        problem = "an answer is missing" if parsed is None else complaint(scenario, parsed[0])
        if parsed is None or problem:
            raise RuntimeError(f"{scenario.name}: {problem}")
        written = parsed[1]


def cases() -> Iterator[Case]:
    """To be called, and its cases run, in a callback of a running loop: in no Task, as a transport calls."""
    loop = asyncio.get_running_loop()
    for scenario in SCENARIOS:
        data = request_bytes(scenario, "127.0.0.1:8000") * scenario.depth
        connection, transport = connect(loop, scenario.variant)
        connection.data_received(data)
        check(scenario, transport.written)
        yield Case(
            "connection",
            scenario.title,
            "receive(data)",
            {"receive": connection.data_received, "data": data},
            operations=scenario.depth,
            baseline="floor: constant bytes",
        )
    constant = floor.Constant(NullTransport(), floor.TEXT)
    yield Case("connection", "floor: constant bytes", "receive(b'')", {"receive": constant.data_received})
