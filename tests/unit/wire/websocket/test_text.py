"""UTF-8, as the Autobahn test suite's client cases 6 have it: valid text passes, other fails as soon as it can."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from framework.wire.websocket.events import Event, WebSocketError
from framework.wire.websocket.leaves import FrameParser, encode_frame, encode_text

Sent = Callable[..., bytes]
Read = Callable[..., tuple[list[Event], int]]

MASK = b"\x37\xfa\x21\x3d"

KOSME = "κ\u1f79σμε"
VALID = {
    "6.1 empty": "",
    "6.2 mixed": "Hello-µ@ßöäüàá-UTF-8!!",
    "6.5 kosme": KOSME,
    "6.6 boundaries": "\x00\x7f\x80߿ࠀ￿\U00010000\U0010ffff",
    "6.7 first of each length": "\x00\x80ࠀ\U00010000",
    "6.9 last of each length": "\x7f߿￿\U0010ffff",
    "6.11 around the surrogates": "퟿�",
    "6.22 no characters": "".join(chr(plane << 16 | 0xFFFE | low) for plane in range(17) for low in (0, 1)),
    "6.23 specials": "￹￺￻￼�￾￿﻿",
}
# What is not UTF-8, and how many of its bytes it takes to know.
INVALID = {
    "6.3 behind kosme": (KOSME.encode() + b"\xed\xa0\x80edited", 13),
    "6.4 past U+10FFFF": (KOSME.encode() + b"\xf4\x90\x80\x80edited", 13),
    "6.8 first of 5 bytes": (b"\xf8\x88\x80\x80\x80", 1),
    "6.8 first of 6 bytes": (b"\xfc\x84\x80\x80\x80\x80", 1),
    "6.10 last of 4 bytes": (b"\xf7\xbf\xbf\xbf", 1),
    "6.10 last of 5 bytes": (b"\xfb\xbf\xbf\xbf\xbf", 1),
    "6.10 last of 6 bytes": (b"\xfd\xbf\xbf\xbf\xbf\xbf", 1),
    "6.11 the one past the last": (b"\xf4\x90\x80\x80", 2),
    "6.12 a continuation first": (b"\x80", 1),
    "6.12 the last continuation first": (b"\xbf", 1),
    "6.12 two": (b"\x80\xbf", 1),
    "6.13 a start of 2 alone": (b"\xc3 \xc4 ", 2),
    "6.13 a start of 3 alone": (b"\xe0 \xe1 ", 2),
    "6.13 a start of 4 alone": (b"\xf0 \xf1 ", 2),
    "6.13 a start of 5 alone": (b"\xf8 ", 1),
    "6.13 a start of 6 alone": (b"\xfc ", 1),
    "6.16 cut sequences": (b"\xc3\xe0\x80", 2),
    "6.17 FE": (b"\xfe", 1),
    "6.17 FF": (b"\xff", 1),
    "6.18 overlong 2": (b"\xc0\xaf", 1),
    "6.18 overlong 3": (b"\xe0\x80\xaf", 2),
    "6.18 overlong 4": (b"\xf0\x80\x80\xaf", 2),
    "6.18 overlong 5": (b"\xf8\x80\x80\x80\xaf", 1),
    "6.19 the largest overlong 2": (b"\xc1\xbf", 1),
    "6.19 the largest overlong 3": (b"\xe0\x9f\xbf", 2),
    "6.19 the largest overlong 4": (b"\xf0\x8f\xbf\xbf", 2),
    "6.20 overlong NUL": (b"\xc0\x80", 1),
    "6.21 the first surrogate": (b"\xed\xa0\x80", 2),
    "6.21 the last high surrogate": (b"\xed\xaf\xbf", 2),
    "6.21 the last surrogate": (b"\xed\xbf\xbf", 2),
    "6.21 a pair of surrogates": (b"\xed\xa0\x80\xed\xb0\x80", 2),
    "the third byte": (b"\xe4\xbd\x20", 3),
    "the fourth byte": (b"\xf0\x9f\x98\x20", 4),
    "behind eight of ASCII": (b"12345678\xff", 9),
}
# What lacks something (6.14, 6.15): known only at the end of the message.
CUT = [b"\xc3", b"\xe0\xa0", b"\xef\xbf", b"\xf0\x90\x80", b"\xf4\x8f\xbf", KOSME.encode()[:-1]]


@pytest.mark.parametrize("text", VALID.values(), ids=VALID)
def test_case_6_valid(sent: Sent, read: Read, text: str) -> None:
    payload = text.encode()
    assert read(sent((1, payload, True))) == ([text], 0)
    octets = [payload[at : at + 1] for at in range(len(payload))]
    fragments = [(1, b"", False), *((0, octet, False) for octet in octets), (0, b"", True)]
    assert read(sent(*fragments)) == ([text], 0)


@pytest.mark.parametrize(("payload", "needed"), INVALID.values(), ids=INVALID)
def test_case_6_invalid(sent: Sent, read: Read, payload: bytes, needed: int) -> None:
    assert read(sent((1, payload, True), (1, b"after", True))) == ([], 1007)
    octets = [payload[at : at + 1] for at in range(len(payload))]
    fragments = [(1, b"", False), *((0, octet, False) for octet in octets), (0, b"", True)]
    assert read(sent(*fragments)) == ([], 1007)


@pytest.mark.parametrize(("payload", "needed"), INVALID.values(), ids=INVALID)
@pytest.mark.parametrize("in_fragments", [False, True])
def test_case_6_4_fails_fast(payload: bytes, needed: int, in_fragments: bool) -> None:
    """At the byte that decides, with most of the frame (6.4.3, 6.4.4) or of the message (6.4.1, 6.4.2) to come."""
    if in_fragments:
        data = encode_frame(1, payload[: needed - 1], fin=False, mask=MASK)
        last = encode_frame(0, payload[needed - 1 : needed], fin=False, mask=MASK)
    else:
        frame = encode_frame(1, payload[:needed] + b"x" * 100, mask=MASK)
        data, last = frame[: 6 + needed - 1], frame[6 + needed - 1 : 6 + needed]
    parser = FrameParser("server")
    assert parser.feed(data) == []
    with pytest.raises(WebSocketError) as caught:
        parser.feed(last)
    assert caught.value.code == 1007


@pytest.mark.parametrize("payload", CUT)
def test_case_6_14_incomplete_at_the_end(sent: Sent, read: Read, payload: bytes) -> None:
    assert read(sent((1, payload, True))) == ([], 1007)
    assert read(sent((1, payload, False), (0, b"", True))) == ([], 1007)
    assert read(sent((1, payload, False), (0, b"a", True))) == ([], 1007)


def test_every_character_passes_in_pieces() -> None:
    text = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000, 7)]))
    data = encode_text(text, MASK)
    parser = FrameParser("server", max_frame=len(data), max_message=len(data))
    assert [event for at in range(0, len(data), 4099) for event in parser.feed(data[at : at + 4099])] == [
        text
    ]


@pytest.mark.parametrize("first", range(0x80, 0x100))
def test_every_pair_of_bytes_is_judged_as_by_the_codec(first: int) -> None:
    for second in [*range(0x7E, 0xC2), 0xFF]:
        payload = bytes((first, second))
        parser = FrameParser("server")
        try:
            expected: list[Event] | None = [payload.decode()]
        except UnicodeDecodeError as error:
            incomplete = error.reason == "unexpected end of data"
            expected = [] if incomplete else None
        data = encode_frame(1, payload, fin=expected != [], mask=MASK)
        if expected is None:
            with pytest.raises(WebSocketError) as caught:
                parser.feed(data)
            assert caught.value.code == 1007
        else:
            assert parser.feed(data[:7]) + parser.feed(data[7:]) == expected
