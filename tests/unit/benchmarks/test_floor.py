from __future__ import annotations

import asyncio
from typing import Any

import pytest

from benchmarks.load.probe import parse_reply
from benchmarks.load.scenarios import SCENARIOS, Scenario, complaint, request_bytes
from benchmarks.load.servers.floor import First


class RecordingTransport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.protocol: asyncio.BaseProtocol = First()

    def write(self, data: Any) -> None:
        self.written += data

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def feed(self, data: bytes) -> None:
        assert isinstance(self.protocol, asyncio.Protocol)
        self.protocol.data_received(data)


@pytest.fixture
def transport() -> RecordingTransport:
    made = RecordingTransport()
    made.protocol.connection_made(made)
    return made


def assert_answers(scenario: Scenario, written: bytes, count: int) -> None:
    for _ in range(count):
        parsed = parse_reply(written)
        assert parsed is not None
        assert complaint(scenario, parsed[0]) is None
        written = parsed[1]
    assert written == b""


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_the_floor_gives_the_answers_it_must(scenario: Scenario, transport: RecordingTransport) -> None:
    data = request_bytes(scenario, "h") * scenario.depth
    transport.feed(data)
    transport.feed(data)
    assert_answers(scenario, transport.written, 2 * scenario.depth)


def test_a_body_in_pieces_is_waited_for(transport: RecordingTransport) -> None:
    post = next(scenario for scenario in SCENARIOS if scenario.name == "post")
    data = request_bytes(post, "h")
    for cut in (10, 80, 500, len(data) - 1):
        transport.written = b""
        transport.feed(data[:cut])
        assert transport.written == b""
        transport.feed(data[cut:])
        assert_answers(post, transport.written, 1)
