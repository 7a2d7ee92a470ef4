"""One end in memory: buffers, pauses, half-closing and ends, as a socket's transport has them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from framework.testing import MemoryTransport, VirtualTimeLoop, virtual_loop


class Narrow(MemoryTransport):
    """Takes as many bytes as its test says."""

    def __init__(self, loop: VirtualTimeLoop, protocol: asyncio.BaseProtocol, *, high: int = 100) -> None:
        super().__init__(loop, protocol, high=high)
        self.left = 0
        self.taken = b""
        self.eof = False

    @property
    def room(self) -> int:
        return self.left

    def carry(self, data: bytes) -> None:
        self.taken += data
        self.left -= len(data)

    def carry_eof(self) -> None:
        self.eof = True


class Listening(asyncio.Protocol):
    """Notes what it is told."""

    def __init__(self, *, half_open: bool = False) -> None:
        self.told: list[object] = []
        self.half_open = half_open

    def data_received(self, data: bytes) -> None:
        self.told.append(data)

    def eof_received(self) -> bool:
        self.told.append("eof")
        return self.half_open

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append(("lost", type(exc)))


class Buffered(asyncio.BufferedProtocol):
    """Takes three bytes at a time."""

    def __init__(self) -> None:
        self.space = bytearray(3)
        self.got = b""

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.space

    def buffer_updated(self, nbytes: int) -> None:
        self.got += self.space[:nbytes]


@pytest.fixture
def loop() -> Iterator[VirtualTimeLoop]:
    with virtual_loop() as loop:
        yield loop


def test_watermarks(loop: VirtualTimeLoop) -> None:
    protocol = Listening()
    transport = Narrow(loop, protocol)
    assert transport.get_write_buffer_limits() == (25, 100)
    transport.write(b"x" * 100)
    assert protocol.told == []
    transport.write(b"x")
    assert (protocol.told, transport.get_write_buffer_size()) == (["pause"], 101)
    transport.left = 75
    transport.drain()
    assert protocol.told == ["pause"]
    transport.left = 1
    transport.drain()
    assert (protocol.told, transport.get_write_buffer_size()) == (["pause", "resume"], 25)
    transport.set_write_buffer_limits(high=8)
    assert transport.get_write_buffer_limits() == (2, 8)


def test_what_comes_while_reading_is_paused_waits(loop: VirtualTimeLoop) -> None:
    protocol = Listening(half_open=True)
    transport = Narrow(loop, protocol)
    transport.pause_reading()
    loop.call(transport.feed, b"a")
    loop.call(transport.feed_eof)
    assert protocol.told == []
    loop.call(transport.resume_reading)
    assert protocol.told == [b"a", "eof"]
    assert not transport.is_closing()


def test_the_end_of_reading_closes_unless_the_protocol_keeps_it_half_open(loop: VirtualTimeLoop) -> None:
    protocol = Listening()
    transport = Narrow(loop, protocol)
    loop.call(transport.feed_eof)
    assert protocol.told == ["eof", ("lost", type(None))]


def test_closing_waits_for_what_is_written(loop: VirtualTimeLoop) -> None:
    protocol = Listening()
    transport = Narrow(loop, protocol)
    transport.write(b"bye")
    loop.call(transport.close)
    transport.write(b"too late")
    loop.call(transport.feed, b"not read any more")
    assert (transport.is_closing(), protocol.told) == (True, [])
    transport.left = 10
    loop.call(transport.drain)
    assert (transport.taken, protocol.told) == (b"bye", [("lost", type(None))])


def test_the_end_of_writing_comes_after_all_that_is_written(loop: VirtualTimeLoop) -> None:
    transport = Narrow(loop, Listening())
    transport.write(b"bye")
    transport.write_eof()
    assert not transport.eof
    transport.left = 3
    transport.drain()
    assert (transport.taken, transport.eof, transport.is_closing()) == (b"bye", True, False)
    with pytest.raises(RuntimeError, match="after write_eof"):
        transport.write(b"more")


@pytest.mark.parametrize(("end", "error"), [("abort", type(None)), ("reset", ConnectionResetError)])
def test_a_sudden_end_is_told_once(loop: VirtualTimeLoop, end: str, error: type) -> None:
    protocol = Listening()
    transport = Narrow(loop, protocol)
    transport.write(b"never arrives")
    for _ in range(2):
        loop.call(getattr(transport, end))
    loop.call(transport.feed, b"late")
    assert (protocol.told, transport.taken) == ([("lost", error)], b"")


def test_a_protocol_with_a_buffer_of_its_own(loop: VirtualTimeLoop) -> None:
    protocol = Buffered()
    loop.call(Narrow(loop, protocol).feed, b"seven b")
    assert protocol.got == b"seven b"
