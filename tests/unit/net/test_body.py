from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from framework.errors import LocalProtocolError, PeerClosed, RemoteProtocolError
from framework.net.body import BodyStream
from framework.testing import VirtualTimeLoop, virtual_loop
from framework.wire.leaves import Limits


class Flow:
    """A connection that counts what its body asks for."""

    def __init__(self) -> None:
        self.wanted = 0
        self.full = 0

    def body_wanted(self) -> None:
        self.wanted += 1

    def body_full(self) -> None:
        self.full += 1


async def all_of(body: BodyStream) -> list[bytes]:
    pieces: list[bytes] = []
    while piece := await body.receive():
        pieces.append(piece)
    return pieces


def start(loop: VirtualTimeLoop, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    task = loop.create_task(work)
    loop.settle()
    return task


def test_what_is_there_is_read_without_a_wait() -> None:
    flow = Flow()
    body = BodyStream(flow, 10)
    assert body.feed(b"01234") is None
    assert body.remaining == 5
    assert body.feed(b"56789GET /") == b"GET /"
    assert body.complete
    with virtual_loop() as loop:
        assert loop.run(all_of(body)) == [b"0123456789"]
        assert loop.run(body.receive()) == b""
    assert flow.wanted == 0


def test_a_chunked_body_and_what_lies_behind_it() -> None:
    body = BodyStream(Flow(), None)
    assert body.remaining is None
    assert body.feed(b"3\r\nabc\r\n2;x=y\r\nde\r") is None
    assert body.trailers == []
    assert body.feed(b"\n0\r\nX-Sum: 1\r\n\r\nGET /") == b"GET /"
    assert body.trailers == [("x-sum", "1")]
    with virtual_loop() as loop:
        assert b"".join(loop.run(all_of(body))) == b"abcde"


def test_a_reader_waits_and_is_woken() -> None:
    flow = Flow()
    body = BodyStream(flow, 4)
    with virtual_loop() as loop:
        task = start(loop, all_of(body))
        assert body.reader is task
        assert flow.wanted == 1
        body.feed(b"ab")
        loop.settle()
        body.feed(b"cd")
        loop.settle()
        assert task.result() == [b"ab", b"cd"]
        assert body.reader is None


def test_bytes_that_are_only_framing_wake_nobody() -> None:
    body = BodyStream(Flow(), None)
    with virtual_loop() as loop:
        task = start(loop, body.receive())
        body.feed(b"5")
        body.feed(b"\r\n")
        loop.settle()
        assert not task.done()
        body.feed(b"hello")
        loop.settle()
        assert task.result() == b"hello"


def test_high_watermark_stops_reading_and_the_reader_starts_it_again() -> None:
    flow = Flow()
    body = BodyStream(flow, 1000, high_water=100)
    body.feed(b"x" * 99)
    assert flow.full == 0
    body.feed(b"x")
    assert flow.full == 1
    with virtual_loop() as loop:
        assert loop.run(body.receive()) == b"x" * 100
    assert flow.wanted == 1
    body.feed(b"x" * 99)
    assert flow.full == 1, "the buffer was emptied"


def test_a_body_that_is_complete_never_stops_reading() -> None:
    flow = Flow()
    assert BodyStream(flow, 500, high_water=100).feed(b"x" * 500) == b""
    body = BodyStream(flow, None, high_water=100)
    assert body.feed(b"1f4\r\n" + b"x" * 500 + b"\r\n0\r\n\r\n") == b""
    assert flow.full == 0
    with virtual_loop() as loop:
        loop.run(all_of(body))
    assert flow.wanted == 0, "nothing more is to come"


def test_a_failure_comes_behind_what_was_received() -> None:
    body = BodyStream(Flow(), 10)
    body.feed(b"abc")
    body.fail(PeerClosed("gone"))
    body.fail(RemoteProtocolError("second"))
    assert not body.arriving
    assert not body.complete
    with virtual_loop() as loop:
        assert loop.run(body.receive()) == b"abc"
        for _ in range(2):
            with pytest.raises(PeerClosed, match="gone"):
                loop.run(body.receive())


def test_a_failure_wakes_the_reader() -> None:
    body = BodyStream(Flow(), 10)
    with virtual_loop() as loop:
        task = start(loop, body.receive())
        body.fail(PeerClosed("gone"))
        loop.settle()
        assert isinstance(task.exception(), PeerClosed)


def test_a_failure_of_a_complete_body_is_none() -> None:
    body = BodyStream(Flow(), 3)
    body.feed(b"abc")
    body.fail(PeerClosed("gone"))
    with virtual_loop() as loop:
        assert loop.run(all_of(body)) == [b"abc"]


def test_a_discarded_body_is_decoded_and_dropped() -> None:
    flow = Flow()
    body = BodyStream(flow, 1000, high_water=10)
    body.feed(b"x" * 5)
    body.discard()
    assert body.feed(b"x" * 500) is None
    assert flow.full == 0
    assert body.feed(b"x" * 495 + b"next") == b"next"
    assert body.complete


def test_a_reader_of_a_discarded_body_gets_an_error_and_never_a_torn_body() -> None:
    body = BodyStream(Flow(), 10)
    with virtual_loop() as loop:
        task = start(loop, body.receive())
        body.discard()
        loop.settle()
        assert isinstance(task.exception(), LocalProtocolError)
        body.feed(b"0123456789")
        with pytest.raises(LocalProtocolError):
            loop.run(body.receive())


def test_broken_framing_is_the_peers_fault() -> None:
    body = BodyStream(Flow(), None)
    with pytest.raises(RemoteProtocolError):
        body.feed(b"zz\r\n")


def test_the_trailer_section_is_bounded_by_the_limits_of_heads() -> None:
    body = BodyStream(Flow(), None, limits=Limits(200, 2, 100))
    with pytest.raises(RemoteProtocolError) as caught:
        body.feed(b"0\r\na: 1\r\nb: 2\r\nc: 3\r\n\r\n")
    assert caught.value.status == 431


def test_a_cancelled_reader_loses_nothing() -> None:
    body = BodyStream(Flow(), 3)
    with virtual_loop() as loop:
        task = start(loop, body.receive())
        body.feed(b"abc")
        task.cancel()
        loop.settle()
        assert task.cancelled()
        assert loop.run(body.receive()) == b"abc"
