"""Lines go to the stream whole, in order, and never fail whoever logs."""

from __future__ import annotations

import asyncio
import io
import sys
import threading

import pytest

from framework.plugins.logs.sink import LineBuffer, Sink

pytestmark = pytest.mark.anyio


class Stream(io.StringIO):
    """Counts its writes; ``written`` is set by the first."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0
        self.written = asyncio.Event()

    def write(self, text: str) -> int:
        self.writes += 1
        self.written.set()
        return super().write(text)


def captured(monkeypatch: pytest.MonkeyPatch) -> Stream:
    """Standard error. Not a fixture: pytest puts its own stream there between those and the test."""
    made = Stream()
    monkeypatch.setattr(sys, "stderr", made)
    return made


async def test_the_stream_is_looked_up_for_each_write(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = Sink("stdout")
    for _ in range(2):
        stream = Stream()
        monkeypatch.setattr(sys, "stdout", stream)
        sink.write("a\n")
        assert stream.getvalue() == "a\n"


async def test_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(Stream):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    closed = Stream()
    closed.close()
    for stream in (None, closed, Gone()):
        monkeypatch.setattr(sys, "stderr", stream)
        sink = Sink("stderr")
        sink.write("a\n")
        assert not sink.is_terminal


async def test_threads_do_not_tear_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = captured(monkeypatch)
    sink = Sink("stderr")

    def log() -> None:
        for _ in range(200):
            sink.write("0123456789\n")

    threads = [threading.Thread(target=log) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(stream.getvalue()), set(stream.getvalue().splitlines())) == (8800, {"0123456789"})


async def test_lines_wait_to_be_written_together(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = captured(monkeypatch)
    buffer = LineBuffer(Sink("stderr"), 0.01)
    buffer.open(asyncio.get_running_loop())
    for number in range(3):
        buffer.add(str(number))
    assert stream.getvalue() == ""
    await stream.written.wait()
    assert (stream.getvalue(), stream.writes) == ("0\n1\n2\n", 1)


async def test_many_lines_do_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = captured(monkeypatch)
    buffer = LineBuffer(Sink("stderr"), 60.0)
    buffer.open(asyncio.get_running_loop())
    for number in range(512):
        buffer.add(str(number))
    assert stream.getvalue().count("\n") == 512
    buffer.add("last")
    buffer.close()
    assert stream.getvalue().endswith("last\n")
    buffer.add("later")
    assert stream.getvalue().endswith("later\n")


async def test_without_an_interval_nothing_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = captured(monkeypatch)
    buffer = LineBuffer(Sink("stderr"), 0.0)
    buffer.open(asyncio.get_running_loop())
    buffer.add("a")
    assert stream.getvalue() == "a\n"
    buffer.flush()
    assert stream.writes == 1
