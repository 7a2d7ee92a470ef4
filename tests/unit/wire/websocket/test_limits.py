"""Limits: 1009 before the payload, linear time, bounded memory (Autobahn cases 9 and 10 among them)."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from framework.wire.websocket.events import Event, WebSocketError
from framework.wire.websocket.leaves import FrameParser, encode_binary, encode_frame, encode_text

Sent = Callable[..., bytes]
Read = Callable[..., tuple[list[Event], int]]

MASK = b"\x37\xfa\x21\x3d"
MIB = 1 << 20


@pytest.mark.parametrize("form", [b"\x82\xfe\x03\xe9", b"\x82\xff" + (1 << 24).to_bytes(8, "big")])
def test_a_declared_length_past_the_limit_is_refused_before_its_payload(form: bytes) -> None:
    for parser in (FrameParser("server", max_frame=1000), FrameParser("server", max_message=1000)):
        with pytest.raises(WebSocketError) as caught:
            parser.feed(form)
        assert caught.value.code == 1009


def test_the_limit_itself_passes(read: Read, sent: Sent) -> None:
    for limits in ({"max_frame": 100}, {"max_message": 100}):
        assert read(sent((1, b"x" * 100, True)), **limits) == (["x" * 100], 0)
        assert read(sent((1, b"x" * 101, True)), **limits) == ([], 1009)


def test_fragments_add_up(read: Read, sent: Sent) -> None:
    data = sent((1, b"x" * 60, False), (9, b"ping", True), (0, b"x" * 40, False), (0, b"", True))
    assert read(data, max_message=100)[1] == 0
    assert read(data, max_message=99)[1] == 1009
    again = sent((2, b"x" * 100, True), (2, b"x" * 60, False), (0, b"x" * 40, True))
    assert read(again, max_message=100) == ([b"x" * 100] * 2, 0)


def test_control_frames_are_not_part_of_a_message(read: Read, sent: Sent) -> None:
    assert read(sent((9, b"x" * 125, True)), max_frame=1, max_message=1)[1] == 0


def test_the_number_of_fragments(read: Read, sent: Sent) -> None:
    for empty in (b"", b"x"):
        good = [(2, empty, False), (0, empty, False), (0, empty, True)]
        assert read(sent(*good, *good), max_fragments=3) == ([empty * 3] * 2, 0)
        assert read(sent(*good), max_fragments=2) == ([], 1009)
    assert read(sent((2, b"", True), (2, b"", True)), max_fragments=1) == ([b"", b""], 0)


@pytest.mark.parametrize("size", [64 << 10, 256 << 10, MIB, 4 * MIB])
def test_case_9_1_large_messages(size: int) -> None:
    limits: dict[str, Any] = {"max_frame": size, "max_message": size}
    for frame, message in (
        (encode_text("*" * size, MASK), "*" * size),
        (encode_binary(b"\xfe" * size, MASK), b"\xfe" * size),
    ):
        assert FrameParser("server", **limits).feed(frame) == [message]


@pytest.mark.parametrize("fragment", [64, 256, 1024, 65536])
def test_case_9_3_a_large_message_in_fragments(fragment: int) -> None:
    payload = b"*" * MIB
    frames = [
        encode_frame(0 if at else 1, payload[at : at + fragment], fin=at + fragment >= MIB, mask=MASK)
        for at in range(0, MIB, fragment)
    ]
    assert FrameParser("server").feed(b"".join(frames)) == [payload.decode()]


@pytest.mark.parametrize("chop", [64, 512, 2048])
def test_case_9_5_a_large_message_in_chops(chop: int) -> None:
    data = encode_text("*" * MIB, MASK)
    parser = FrameParser("server")
    assert [e for at in range(0, len(data), chop) for e in parser.feed(data[at : at + chop])] == ["*" * MIB]


@pytest.mark.parametrize("size", [0, 16, 256, 4096])
def test_case_9_7_a_thousand_messages(size: int) -> None:
    data = encode_text("*" * size, MASK) * 1000
    assert FrameParser("server").feed(data) == ["*" * size] * 1000


def test_case_10_1_automatic_fragments(read: Read, sent: Sent) -> None:
    payload = b"*" * 65536
    frames = [
        (1 if at == 0 else 0, payload[at : at + 1300], at + 1300 >= 65536) for at in range(0, 65536, 1300)
    ]
    assert read(sent(*frames)) == ([payload.decode()], 0)


def peak(fragments: int) -> int:
    """The most bytes ever held for a text in so many fragments of one byte."""
    frames = (
        encode_frame(1, b"x", fin=False, mask=MASK) + encode_frame(0, b"x", fin=False, mask=MASK) * fragments
    )
    parser = FrameParser("server")
    tracemalloc.start()
    try:
        for at in range(0, len(frames), 700):
            parser.feed(frames[at : at + 700])
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_thousand_tiny_fragments_are_kept_as_bytes_not_objects() -> None:
    assert peak(10_000) < 64_000


def test_a_length_that_is_only_declared_takes_no_memory() -> None:
    parsers = [FrameParser("server") for _ in range(100)]
    tracemalloc.start()
    try:
        for parser in parsers:
            parser.feed(b"\x82\xff" + MIB.to_bytes(8, "big") + MASK + b"x")
        assert tracemalloc.get_traced_memory()[0] < 100 * 1024
    finally:
        tracemalloc.stop()


def test_a_message_that_was_delivered_or_failed_leaves_nothing_behind() -> None:
    endings = (
        encode_frame(0, b"", mask=MASK),
        b"\xf0\x80",
        encode_frame(8, b"", mask=MASK),
    )
    fragment = encode_frame(2, b"x" * 60000, fin=False, mask=MASK)
    for ending in endings:
        parser = FrameParser("server")
        tracemalloc.start()
        try:
            parser.feed(fragment[:40000])
            before = tracemalloc.get_traced_memory()[0]
            assert before >= 30000
            parser.feed(fragment[40000:])
            try:
                parser.feed(ending)
            except WebSocketError:
                pass
            assert tracemalloc.get_traced_memory()[0] < 10000
        finally:
            tracemalloc.stop()
