"""The compiled WebSocket leaves and their pure twin are one, for any bytes and any split of them."""

from __future__ import annotations

import importlib
import os
import zlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from framework.errors import LocalProtocolError
from framework.wire.websocket import _pure, leaves
from framework.wire.websocket.events import Event, WebSocketError
from tests.support.pieces import split

Outcome = tuple[list[Event], int, str]

MASK = b"\x37\xfa\x21\x3d"


@pytest.fixture(scope="module")
def compiled() -> SimpleNamespace:
    """The names of the compiled leaves."""
    names: dict[str, Any] = {}
    try:
        for module in ("_frames", "_encode"):
            names.update(vars(importlib.import_module(f"framework.wire.websocket.{module}")))
    except ImportError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI compares the twins, but the leaves are not compiled: {error}")
        pytest.skip(f"there is nothing to compare with: {error}")
    return SimpleNamespace(**names)


class Inflater:
    """Raw deflate, a stream for each message."""

    def __init__(self) -> None:
        self.stream: Any = None

    def inflate(self, payload: bytes, first: bool, final: bool, room: int) -> bytes:
        if first:
            self.stream = zlib.decompressobj(-15)
        try:
            out: bytes = self.stream.decompress(payload + (b"\x00\x00\xff\xff" if final else b""), room + 1)
        except zlib.error:
            raise WebSocketError("no deflate", 1007) from None
        if len(out) > room:
            raise WebSocketError("too much", 1009)
        return out


def outcome(twin: Any, data: bytes, cuts: list[int], options: dict[str, Any]) -> Outcome:
    """What the bytes, cut at some places, come to."""
    options = dict(options)
    side = options.pop("side")
    if options.pop("inflate"):
        options["inflater"] = Inflater()
    parser = twin.FrameParser(side, **options)
    events: list[Event] = []
    for piece in split(data, cuts):
        try:
            events += parser.feed(piece)
        except WebSocketError as error:
            assert parser.ended
            assert parser.feed(data) == []
            return events + error.events, error.code, error.reason
    return events, 0, "ended" if parser.ended else ""


# Frames that are mostly good, payloads that mean something, and bytes that are neither.

CHARACTERS = ["a", "x" * 9, "é", "\u0800", "\ud7ff", "\U00010000", "\U0010ffff"]
BROKEN = [b"\xc0", b"\x80", b"\xed\xa0", b"\xed\xa0\x80", b"\xf4\x90", b"\xe0\x9f", b"\xf0\x8f", b"\xff"]
CUT = [b"\xe4\xbd", b"\xf0\x9f\x98"]
UTF8 = st.sampled_from([*map(str.encode, CHARACTERS), *BROKEN, *CUT])
TEXTS = st.lists(UTF8, max_size=5).map(b"".join)
GOOD_TEXTS = st.text(max_size=30).map(str.encode)
CLOSES = st.builds(
    lambda code, reason: code.to_bytes(2, "big") + reason,
    st.sampled_from([1000, 1001, 1003, 1004, 1005, 1006, 1007, 1014, 1015, 2999, 3000, 4999, 5000, 0]),
    st.one_of(st.just(b""), GOOD_TEXTS, TEXTS),
) | st.sampled_from([b"", b"\x03"])
PAYLOADS = st.one_of(
    GOOD_TEXTS,
    TEXTS,
    st.binary(max_size=20),
    CLOSES,
    st.sampled_from([b"x" * 125, b"x" * 126, b"x" * 300, b"\xc3\xa9" * 200]),
)


def deflated(data: bytes) -> bytes:
    stream = zlib.compressobj(1, zlib.DEFLATED, -9, 1)  # small, so that it is made quickly
    return (stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    opcode = draw(st.sampled_from([0] * 8 + [1] * 12 + [2] * 10 + [9, 9, 9, 10, 8, 3, 15]))
    fin = draw(st.sampled_from([0x80, 0])) if opcode < 8 else draw(st.sampled_from([0x80] * 9 + [0]))
    reserved = draw(st.sampled_from([0] * 30 + [0x40] * 5 + [0x20, 0x10]))
    payload = draw(CLOSES if opcode == 8 else PAYLOADS)
    if reserved == 0x40 and draw(st.booleans()):
        payload = deflated(payload)
    size = len(payload)
    forms = [bytes((size,))] if size < 126 else []
    if draw(st.sampled_from([False] * 9 + [True])) or not forms:
        forms = [b"\x7e" + size.to_bytes(2, "big"), b"\x7f" + size.to_bytes(8, "big")]
    length = draw(st.sampled_from(forms[:1] * 9 + forms))
    first = bytes((fin | reserved | opcode,))
    if draw(st.sampled_from([True] * 30 + [False])):
        mask = draw(st.binary(min_size=4, max_size=4))
        return first + bytes((length[0] | 0x80,)) + length[1:] + mask + _pure.apply_mask(payload, mask)
    return first + length + payload


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    data = b"".join(draw(st.lists(frames(), max_size=8)))
    if draw(st.sampled_from([False, False, True])) and data:
        at = draw(st.integers(0, len(data) - 1))
        data = data[:at] + draw(st.binary(max_size=2)) + data[at + draw(st.integers(0, 2)) :]
    return data


CUTS = st.lists(st.integers(0, 2000), max_size=12) | st.just(list(range(2000)))
OPTIONS = st.fixed_dictionaries(
    {
        "side": st.sampled_from(["server"] * 4 + ["client"]),
        "inflate": st.booleans(),
        "max_frame": st.sampled_from([1 << 20, 1 << 20, 300, 20, 1]),
        "max_message": st.sampled_from([1 << 20, 1 << 20, 300, 20, 1]),
        "max_fragments": st.sampled_from([1 << 16, 3, 2, 1]),
        "text": st.sampled_from([True] * 5 + [False]),
        "binary": st.sampled_from([True] * 5 + [False]),
    }
)


@settings(max_examples=400, deadline=None)
@given(data=streams(), cuts=CUTS, options=OPTIONS)
def test_frames(compiled: SimpleNamespace, data: bytes, cuts: list[int], options: dict[str, Any]) -> None:
    expected = outcome(compiled, data, [], options)
    event(f"{expected[1]} {expected[2]}")
    assert outcome(compiled, data, cuts, options) == expected
    assert outcome(_pure, data, [], options) == expected
    assert outcome(_pure, data, cuts, options) == expected


@given(data=st.binary(max_size=60), cuts=CUTS, options=OPTIONS)
def test_any_bytes(compiled: SimpleNamespace, data: bytes, cuts: list[int], options: dict[str, Any]) -> None:
    expected = outcome(compiled, data, [], options)
    assert outcome(compiled, data, cuts, options) == expected
    assert outcome(_pure, data, cuts, options) == expected


@settings(max_examples=300, deadline=None)
@given(pieces=st.lists(TEXTS | GOOD_TEXTS, min_size=1, max_size=6), cuts=CUTS)
def test_text_in_fragments(compiled: SimpleNamespace, pieces: list[bytes], cuts: list[int]) -> None:
    """The fault comes at the same byte, and exactly where the whole is not UTF-8."""
    data = b"".join(
        leaves.encode_frame(0 if at else 1, piece, fin=at == len(pieces) - 1, mask=MASK)
        for at, piece in enumerate(pieces)
    )
    options = {"side": "server", "inflate": False}
    try:
        expected: Outcome = ([b"".join(pieces).decode()], 0, "")
    except UnicodeDecodeError:
        expected = ([], 1007, "text that is not UTF-8")
    assert outcome(compiled, data, cuts, options) == expected
    assert outcome(_pure, data, cuts, options) == expected
    for size in range(len(data)):
        early = outcome(compiled, data[:size], [], options)
        assert early == outcome(_pure, data[:size], [], options)
        assert early == ([], 0, "") or early == expected


def written(write: Callable[[], bytes]) -> object:
    try:
        return write()
    except (LocalProtocolError, TypeError) as error:
        return type(error), str(error)


MASKS = st.none() | st.binary(min_size=4, max_size=4) | st.sampled_from([b"", b"123", b"12345"])
SIZES = st.sampled_from([0, 1, 7, 8, 9, 125, 126, 127, 4095, 4096, 4097, 65535, 65536])
DATA = st.binary(max_size=40) | SIZES.map(lambda size: bytes(number % 253 for number in range(size)))
ANY_TEXT = st.text(st.characters(), max_size=20) | st.sampled_from(["\ud800", "a" * 70000, "é" * 100])


@settings(deadline=None)
@given(
    opcode=st.integers(-2, 20), payload=DATA, mask=MASKS, fin=st.booleans(), rsv1=st.booleans(), text=ANY_TEXT
)
def test_what_they_write(
    compiled: SimpleNamespace,
    opcode: int,
    payload: bytes,
    mask: bytes | None,
    fin: bool,
    rsv1: bool,
    text: str,
) -> None:
    def all_of(twin: Any) -> list[object]:
        return [
            written(lambda: twin.encode_frame(opcode, payload, fin=fin, mask=mask, rsv1=rsv1)),
            written(lambda: twin.encode_text(text, mask)),
            written(lambda: twin.encode_binary(payload, mask)),
            written(lambda: twin.apply_mask(payload, mask or b"")),
        ]

    assert all_of(_pure) == all_of(compiled)


@settings(deadline=None)
@given(
    messages=st.lists(ANY_TEXT | DATA | st.just(None), max_size=6),
    masks=st.none() | st.binary(min_size=24, max_size=24),
    shorter=st.sampled_from([0, 0, 0, 1]),
)
def test_batches(compiled: SimpleNamespace, messages: list[Any], masks: bytes | None, shorter: int) -> None:
    keys = None if masks is None else masks[: max(4 * len(messages) - shorter, 0)]
    assert written(lambda: _pure.encode_batch(messages, keys)) == written(
        lambda: compiled.encode_batch(messages, keys)
    )


@given(messages=st.lists(st.text(max_size=20) | st.binary(max_size=20), max_size=6), cuts=CUTS)
def test_what_is_written_is_read_back(messages: list[str | bytes], cuts: list[int]) -> None:
    masks = bytes(range(4 * len(messages)))
    options: dict[str, Any] = {"inflate": False, "max_message": 1 << 20}
    for side, data in (
        ("client", leaves.encode_batch(messages)),
        ("server", leaves.encode_batch(messages, masks)),
    ):
        assert outcome(leaves, data, cuts, {"side": side, **options}) == (messages, 0, "")
