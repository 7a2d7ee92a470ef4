"""Frames, as the Autobahn test suite's client cases 1 to 5 have them, and what they leave out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from framework.wire.websocket.events import Close, Event, Ping, Pong, WebSocketError
from framework.wire.websocket.leaves import FrameParser, encode_binary, encode_frame, encode_text

Sent = Callable[..., bytes]
Read = Callable[..., tuple[list[Event], int]]

MASK = b"\x01\x02\x03\x04"
SIZES = [0, 1, 125, 126, 127, 128, 65535, 65536]


@pytest.mark.parametrize("size", SIZES)
def test_case_1_messages_of_every_length_form(sent: Sent, read: Read, size: int) -> None:
    assert read(sent((1, b"*" * size, True))) == (["*" * size], 0)
    assert read(sent((2, b"\xfe" * size, True))) == ([b"\xfe" * size], 0)


@pytest.mark.parametrize("chop", [997, 16384, 65535])
def test_case_1_a_long_message_in_chops(sent: Sent, chop: int) -> None:
    data = sent((1, b"*" * 65536, True))
    parser = FrameParser("server")
    events = [event for at in range(0, len(data), chop) for event in parser.feed(data[at : at + chop])]
    assert events == ["*" * 65536]


@pytest.mark.parametrize("size", SIZES)
def test_a_client_reads_what_is_not_masked(size: int) -> None:
    data = encode_text("é" * size) + encode_binary(b"\xfe" * size)
    expected = ["é" * size, b"\xfe" * size]
    assert FrameParser("client").feed(data) == expected
    parser = FrameParser("client")
    assert parser.feed(data[: size + 3]) + parser.feed(data[size + 3 :]) == expected


@pytest.mark.parametrize(
    "payload", [b"", b"Hello, world!", b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", b"\xfe" * 125]
)
def test_case_2_pings(sent: Sent, read: Read, payload: bytes) -> None:
    assert read(sent((9, payload, True))) == ([Ping(payload)], 0)
    assert read(sent((10, payload, True), (9, b"x", True))) == ([Pong(payload), Ping(b"x")], 0)


def test_case_2_5_a_ping_of_126_bytes() -> None:
    with pytest.raises(WebSocketError) as caught:
        FrameParser("server").feed(b"\x89\xfe\x00\x7e")
    assert caught.value.code == 1002


@pytest.mark.parametrize("count", [10, 500])
def test_case_2_10_many_pings(sent: Sent, read: Read, count: int) -> None:
    pings = [b"payload-%d" % number for number in range(count)]
    assert read(sent(*[(9, ping, True) for ping in pings])) == ([*map(Ping, pings)], 0)


@pytest.mark.parametrize("reserved", range(1, 8))
@pytest.mark.parametrize("opcode", [0, 1, 2, 8, 9, 10])
def test_case_3_reserved_bits(sent: Sent, read: Read, opcode: int, reserved: int) -> None:
    """What was complete before the fault arrives, nothing after it does."""
    bad = bytes((0x80 | reserved << 4 | opcode, 0x85)) + MASK + b"*****"
    good = sent((1, b"before", True))
    assert read(good + bad + good) == (["before"], 1002)


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
@pytest.mark.parametrize("payload", [b"", b"bad"])
def test_case_4_opcodes_without_a_meaning(sent: Sent, read: Read, opcode: int, payload: bytes) -> None:
    bad = bytes((0x80 | opcode, 0x80 | len(payload))) + MASK + payload
    good = sent((1, b"before", True))
    assert read(good + bad + good) == (["before"], 1002)


CASE_5 = {
    "5.1 ping in fragments": ([(9, b"1", False), (0, b"2", True)], [], 1002),
    "5.2 pong in fragments": ([(10, b"1", False), (0, b"2", True)], [], 1002),
    "5.3 text in two": ([(1, b"1", False), (0, b"2", True)], ["12"], 0),
    "5.6 ping between": ([(1, b"1", False), (9, b"p", True), (0, b"2", True)], [Ping(b"p"), "12"], 0),
    "5.9 continuation first": ([(0, b"1", True), (1, b"2", True)], [], 1002),
    "5.10 unfinished": ([(0, b"1", False), (1, b"2", True)], [], 1002),
    "5.15 continuation behind": (
        [(1, b"1", False), (0, b"2", True), (0, b"3", False), (1, b"4", True)],
        ["12"],
        1002,
    ),
    "5.16 continuation of nothing": ([(0, b"1", False), (1, b"2", False), (0, b"3", True)], [], 1002),
    "5.18 text in text": ([(1, b"1", False), (1, b"2", True)], [], 1002),
    "5.18 binary in text": ([(1, b"1", False), (2, b"2", True)], [], 1002),
    "5.19 pings in five fragments": (
        [
            (1, b"f1", False),
            (0, b"f2", False),
            (9, b"p1", True),
            (0, b"f3", False),
            (0, b"f4", False),
            (9, b"p2", True),
            (0, b"f5", True),
        ],
        [Ping(b"p1"), Ping(b"p2"), "f1f2f3f4f5"],
        0,
    ),
    "empty fragments": ([(2, b"", False), (0, b"", False), (0, b"", True)], [b""], 0),
    "empty text fragments": ([(1, b"", False), (0, b"", False), (0, b"", True)], [""], 0),
    "two messages": (
        [(1, b"1", False), (0, b"2", True), (2, b"3", False), (0, b"4", True), (1, b"5", True)],
        ["12", b"34", "5"],
        0,
    ),
    "close between": ([(1, b"1", False), (8, b"", True), (0, b"2", True)], [Close()], 0),
}


@pytest.mark.parametrize(("fragments", "events", "code"), CASE_5.values(), ids=CASE_5)
def test_case_5_fragments(
    read: Read, fragments: list[tuple[int, bytes, bool]], events: object, code: int
) -> None:
    data = b"".join(
        bytes(((0x80 if fin else 0) | opcode, 0x80 | len(payload)))
        + MASK
        + bytes(byte ^ MASK[at % 4] for at, byte in enumerate(payload))
        for opcode, payload, fin in fragments
    )
    assert read(data) == (events, code)


# What RFC 6455 demands and the suite does not ask.


@pytest.mark.parametrize(
    "head",
    [
        b"\x82\xfe\x00\x00",
        b"\x82\xfe\x00\x7d",
        b"\x82\xff" + (0).to_bytes(8, "big"),
        b"\x82\xff" + (65535).to_bytes(8, "big"),
        b"\x82\xff" + (2**63 + 70000).to_bytes(8, "big"),
        b"\x82\xff" + b"\xff" * 8,
    ],
)
def test_a_length_is_written_in_the_fewest_bytes(read: Read, head: bytes) -> None:
    """RFC 6455 section 5.2; the 64-bit form has its highest bit clear."""
    assert read(head) == ([], 1002)


def test_a_client_masks_and_a_server_does_not() -> None:
    """RFC 6455 section 5.1."""
    for side, data in (("server", encode_text("a")), ("client", encode_text("a", MASK))):
        with pytest.raises(WebSocketError, match="mask") as caught:
            FrameParser("server" if side == "server" else "client").feed(data)
        assert caught.value.code == 1002


def test_a_kind_of_message_that_is_not_taken_is_refused_by_its_head() -> None:
    for parser, taken, head in (
        (FrameParser("server", binary=False), encode_text("a", MASK), b"\x82\xff"),
        (FrameParser("server", text=False), encode_binary(b"a", MASK), b"\x01\x80"),
    ):
        assert len(parser.feed(taken)) == 1
        with pytest.raises(WebSocketError) as caught:
            parser.feed(head)
        assert caught.value.code == 1003


def test_nothing_is_delivered_of_a_broken_message(read: Read) -> None:
    data = encode_frame(1, b"never", fin=False, mask=MASK) + b"\xf0\x80"
    assert read(data) == ([], 1002)


def test_the_pieces_of_a_message_keep_their_mask_apart() -> None:
    """However the payload is cut, each byte meets its own byte of the mask."""
    data = encode_binary(bytes(range(100)), MASK)
    for cut in range(len(data)):
        for other in range(cut, min(len(data), cut + 9)):
            parser = FrameParser("server")
            parts = (data[:cut], data[cut:other], data[other:])
            assert [event for part in parts for event in parser.feed(part)] == [bytes(range(100))]


def test_arguments_that_make_no_sense() -> None:
    for name in ("max_frame", "max_message", "max_fragments"):
        for value in (0, -1, 2**62):
            with pytest.raises(ValueError, match="limit"):
                FrameParser("server", **{name: value})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="side"):
        FrameParser("proxy")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        FrameParser("server").feed("text")  # type: ignore[arg-type]
