"""Frames for the tests, read by the twin that the environment chose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from framework.wire.websocket.events import Event, WebSocketError
from framework.wire.websocket.leaves import FrameParser, encode_frame

MASK = b"\x37\xfa\x21\x3d"

# A frame to send: opcode, payload, and whether it is the last of its message.
Fragment = tuple[int, bytes, bool]


@pytest.fixture(scope="session")
def sent() -> Callable[..., bytes]:
    """What a client sends: fragments (opcode, payload, fin), masked."""

    def sent(*fragments: Fragment) -> bytes:
        return b"".join(
            encode_frame(opcode, payload, fin=fin, mask=MASK) for opcode, payload, fin in fragments
        )

    return sent


@pytest.fixture(scope="session")
def read() -> Callable[..., tuple[list[Event], int]]:
    """What a server makes of the bytes: the events, and the code of the fault, 0 without one.

    Fed whole, in octets and in halves: the outcome must be the same.
    """

    def read(data: bytes, **limits: Any) -> tuple[list[Event], int]:
        sizes = [len(data) or 1, (len(data) + 1) // 2 or 1]
        if len(data) <= 5000:
            sizes.append(1)
        outcomes = [outcome(data, size, limits) for size in sizes]
        assert all(each == outcomes[0] for each in outcomes)
        return outcomes[0]

    return read


def outcome(data: bytes, size: int, limits: dict[str, Any]) -> tuple[list[Event], int]:
    parser = FrameParser("server", **limits)
    events: list[Event] = []
    for at in range(0, len(data), size):
        try:
            events += parser.feed(data[at : at + size])
        except WebSocketError as error:
            assert parser.ended
            assert parser.feed(data) == []
            return events + error.events, error.code
    return events, 0
