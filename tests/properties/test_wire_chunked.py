"""The chunked decoder, for any stream and any split of it."""

from __future__ import annotations

import re

from hypothesis import event, given, settings
from hypothesis import strategies as st

from framework.errors import RemoteProtocolError
from framework.wire.chunked import FORBIDDEN_TRAILERS, LAST_CHUNK, ChunkedDecoder, encode_chunk
from framework.wire.leaves import Limits

Outcome = tuple[object, ...]
LIMITS = Limits(max_head=200, max_fields=3, max_target=10)


def decode(parts: list[bytes]) -> Outcome:
    """What the parts say, fed one after the other: payload, trailers and leftover, or the fault."""
    decoder = ChunkedDecoder(LIMITS)
    payload = b""
    for index, part in enumerate(parts):
        try:
            payload += b"".join(decoder.feed(part))
        except RemoteProtocolError as error:
            return "fault", error.status, error.reason
        assert decoder.size == len(payload)
        if decoder.complete:
            rest = decoder.leftover + b"".join(parts[index + 1 :])
            return "complete", payload, tuple(decoder.trailers), rest
    return "incomplete", payload, tuple(decoder.trailers)


# Each byte of the coding comes from here: chunks, extensions and trailers by the grammar, then spoilt in a few places.

SIZES = st.sampled_from(["{:x}", "{:X}", "0{:x}", "00000{:x}", "{:x} ", "+{:x}", "0x{:x}"])
EXTENSIONS = st.sampled_from(
    ["", "", "", "", ";a", ";a=b", '; a="b;\\" c"', " ; a ; b", ";a=", ";", " ", ";a \xa0"]
)
TRAILERS = st.sampled_from(
    ["a: b\r\n", "A:\t1 \r\n", "x-y:\r\n", "host: a\r\n", "a : b\r\n", f"b: {'c' * 90}\r\n"]
)
ODD = st.sampled_from(
    [
        b"\r",
        b"\n",
        b"\r\n",
        b" ",
        b"\t",
        b";",
        b'"',
        b"\\",
        b"0",
        b"5",
        b"\x85",
        b"\xa0",
        b"_",
        b"-",
        b"a: b\r\n",
    ]
)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    out = b""
    for data in draw(st.lists(st.binary(min_size=1, max_size=20), max_size=4)):
        size = draw(st.sampled_from(["{:x}"] * 9) | SIZES).format(len(data))
        out += f"{size}{draw(EXTENSIONS)}\r\n".encode("latin-1") + data + b"\r\n"
    trailers = "".join(draw(st.lists(TRAILERS, max_size=3)))
    return out + f"0{draw(EXTENSIONS)}\r\n{trailers}\r\n".encode("latin-1") + draw(st.binary(max_size=5))


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    data = draw(streams())
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2]))):
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(ODD | st.just(b"")) + data[at + draw(st.integers(0, 2)) :]
    return data


@settings(max_examples=200)
@given(data=spoilt(), draw=st.data())
def test_any_split_gives_the_same(data: bytes, draw: st.DataObject) -> None:
    whole = decode([data])
    event(" ".join(map(str, whole[:3])) if whole[0] == "fault" else str(whole[0]))
    by_byte = decode([data[at : at + 1] for at in range(len(data))])
    places = sorted(draw.draw(st.sets(st.integers(0, len(data)), max_size=8)))
    parts = [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]
    assert decode(parts) == whole
    assert by_byte == whole


def naive(data: bytes) -> Outcome | None:
    """The same by the letter of the grammar, all at once, on a stream that is all there; None for any fault.

    It knows no limit; LIMITS is only reached by trailers, which are counted below.
    """
    token = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
    quoted = rb'"(?:[\t !\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'
    extension = rb"(?:[ \t]*;[ \t]*" + token + rb"(?:[ \t]*=[ \t]*(?:" + token + rb"|" + quoted + rb"))?)*"
    payload = b""
    while True:
        line = re.match(rb"([0-9A-Fa-f]+)" + extension + rb"\r\n", data)
        if line is None:
            return None
        size = int(line[1], 16)
        data = data[line.end() :]
        if size == 0:
            break
        if len(data) < size + 2 or data[size : size + 2] != b"\r\n":
            return None
        payload += data[:size]
        data = data[size + 2 :]
    trailers: list[tuple[str, str]] = []
    room = LIMITS.max_head
    while not data.startswith(b"\r\n"):
        line = re.match(rb"(" + token + rb"):([\t \x21-\x7e\x80-\xff]*)\r\n", data)
        if line is None or line[1].decode().lower() in FORBIDDEN_TRAILERS:
            return None
        trailers.append((line[1].decode().lower(), line[2].decode("latin-1").strip(" \t")))
        room -= line.end()
        data = data[line.end() :]
    if len(trailers) > LIMITS.max_fields or room < 2:
        return None
    return "complete", payload, tuple(trailers), data[2:]


@settings(max_examples=300)
@given(data=spoilt())
def test_what_is_complete_is_what_the_grammar_says(data: bytes) -> None:
    outcome = decode([data])
    event(str(outcome[0]))
    expected = naive(data)
    assert expected == outcome if outcome[0] == "complete" else expected is None


@given(
    parts=st.lists(st.binary(max_size=300), max_size=20), rest=st.binary(max_size=20), size=st.integers(1, 64)
)
def test_what_is_encoded_is_decoded(parts: list[bytes], rest: bytes, size: int) -> None:
    data = b"".join(map(encode_chunk, parts)) + LAST_CHUNK + rest
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert decode(pieces) == ("complete", b"".join(parts), (), rest)
