"""Closing, as the Autobahn test suite's client cases 7 have it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from framework.errors import LocalProtocolError
from framework.wire.websocket.events import Close, Event, Ping, Pong, is_close_code
from framework.wire.websocket.frames import encode_close
from framework.wire.websocket.leaves import FrameParser

Sent = Callable[..., bytes]
Read = Callable[..., tuple[list[Event], int]]

VALID = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]
INVALID = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]


def close(code: int, reason: bytes = b"") -> bytes:
    return code.to_bytes(2, "big") + reason


@pytest.mark.parametrize(
    "after", [(8, close(1000), True), (9, b"ping", True), (1, b"text", True), (0, b"end", True)]
)
def test_case_7_1_nothing_after_a_close(sent: Sent, read: Read, after: tuple[int, bytes, bool]) -> None:
    data = sent((1, b"before", True), (8, close(1000), True), after)
    assert read(data) == (["before", Close(1000)], 0)


def test_case_7_1_6_a_close_behind_much(sent: Sent, read: Read) -> None:
    much = b"x" * 262144
    assert read(sent((1, much, True), (8, close(1000), True), (9, b"", True)))[0] == [
        much.decode(),
        Close(1000),
    ]


CASE_7_3 = {
    "7.3.1 nothing": (b"", Close(1005)),
    "7.3.2 half a code": (b"\x03", 1002),
    "7.3.3 a code": (close(1000), Close(1000)),
    "7.3.4 a reason": (close(1000, b"Hello World!"), Close(1000, "Hello World!")),
    "7.3.5 the longest": (close(1000, b"*" * 123), Close(1000, "*" * 123)),
    "7.5.1 no UTF-8": (close(1000, b"\xce\xba\xe1\xbd\xb9\xcf\x83\xed\xa0\x80edited"), 1007),
    "a cut character": (close(1000, b"\xce"), 1007),
}


@pytest.mark.parametrize(("payload", "outcome"), CASE_7_3.values(), ids=CASE_7_3)
def test_case_7_3_payloads(sent: Sent, read: Read, payload: bytes, outcome: Close | int) -> None:
    expected = ([], outcome) if isinstance(outcome, int) else ([outcome], 0)
    assert read(sent((8, payload, True), (9, b"", True))) == expected


def test_case_7_3_6_too_long(read: Read) -> None:
    assert read(b"\x88\xfe\x00\x7e") == ([], 1002)


@pytest.mark.parametrize("code", VALID)
@pytest.mark.parametrize("reason", [b"", b"why"])
def test_case_7_7_valid_codes(sent: Sent, read: Read, code: int, reason: bytes) -> None:
    assert read(sent((8, close(code, reason), True))) == ([Close(code, reason.decode())], 0)


@pytest.mark.parametrize("code", INVALID)
@pytest.mark.parametrize("reason", [b"", b"why"])
def test_case_7_9_and_7_13_invalid_codes(sent: Sent, read: Read, code: int, reason: bytes) -> None:
    assert read(sent((8, close(code, reason), True))) == ([], 1002)


def test_every_other_code() -> None:
    known = {code for code in range(65536) if is_close_code(code)}
    assert known == {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}


def test_a_close_ends_the_parser() -> None:
    parser = FrameParser("client")
    assert not parser.ended
    assert parser.feed(encode_close(1001, "bye") + b"\xff\xff") == [Close(1001, "bye")]
    assert parser.ended
    assert parser.feed(b"\xff\xff") == []


def test_what_was_read_can_be_answered() -> None:
    for answer in (Close(), Close(1000), Close(4000, "so long")):
        assert FrameParser("client").feed(encode_close(answer.code, answer.reason)) == [answer]
    assert encode_close(1005) == b"\x88\x00"


@pytest.mark.parametrize(
    ("code", "reason"),
    [(code, "") for code in (0, 999, 1004, 1006, 1015, 2000, 5000, 70000, -1)]
    + [(1005, "a reason"), (1000, "x" * 124), (1000, "é" * 62), (1000, "\ud800")],
)
def test_what_must_not_be_sent(code: int, reason: str) -> None:
    with pytest.raises(LocalProtocolError):
        encode_close(code, reason)


def test_kinds_of_control_frames_are_not_mixed_up() -> None:
    events: list[Event] = [Ping(b"a"), Pong(b"a"), Close()]
    assert [events.index(event) for event in events] == [0, 1, 2]
    assert repr(Close(1000, "x")) == "Close(code=1000, reason='x')"
