"""permessage-deflate (RFC 7692): every parameter both ways, bombs, and what is kept per connection."""

from __future__ import annotations

import os
import tracemalloc
import zlib
from typing import Any

import pytest
from websockets.extensions.permessage_deflate import PerMessageDeflate

from framework.errors import RemoteProtocolError
from framework.wire.websocket.deflate import ClientDeflation, Deflate, ServerDeflation
from framework.wire.websocket.events import Ping, WebSocketError
from framework.wire.websocket.frames import Prepared, encode_compressed
from framework.wire.websocket.leaves import FrameParser, encode_frame, encode_text

NAME = "permessage-deflate"
MASK = b"\x37\xfa\x21\x3d"
MIB = 1 << 20
TEXT = "the quick brown fox jumps over the lazy dog; " * 20


def server(**options: Any) -> ServerDeflation:
    """One that asks for nothing unless told to, and compresses everything."""
    nothing: dict[str, Any] = {
        "server_no_context_takeover": False,
        "server_max_window_bits": None,
        "client_max_window_bits": None,
        "threshold": 0,
    }
    return ServerDeflation(**(nothing | options))


def agreed(offer: str = NAME, **options: Any) -> Deflate:
    answer = server(**options).accept(offer)
    assert answer is not None
    return answer[1]


def inflated(stream: Any, data: bytes) -> bytes:
    out: bytes = stream.decompress(data + b"\x00\x00\xff\xff")
    return out


def raw(data: bytes, bits: int = 15) -> bytes:
    stream = zlib.compressobj(9, zlib.DEFLATED, -bits)
    return (stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]


# RFC 7692 section 7.1: the offer, what this server wants, the answer.
ANSWERS: list[tuple[str, dict[str, Any], str | None]] = [
    ("", {}, ""),
    ("; server_no_context_takeover", {}, "; server_no_context_takeover"),
    ("", {"server_no_context_takeover": True}, "; server_no_context_takeover"),
    ("; client_no_context_takeover", {}, "; client_no_context_takeover"),
    ("", {"client_no_context_takeover": True}, "; client_no_context_takeover"),
    ("; server_max_window_bits=10", {}, "; server_max_window_bits=10"),
    ("; server_max_window_bits=10", {"server_max_window_bits": 12}, "; server_max_window_bits=10"),
    ("; server_max_window_bits=15", {"server_max_window_bits": 12}, "; server_max_window_bits=12"),
    ("", {"server_max_window_bits": 12}, "; server_max_window_bits=12"),
    ("; server_max_window_bits=8", {}, None),
    ("; client_max_window_bits", {}, ""),
    ("; client_max_window_bits", {"client_max_window_bits": 12}, "; client_max_window_bits=12"),
    ("; client_max_window_bits=10", {"client_max_window_bits": 12}, "; client_max_window_bits=10"),
    ("; client_max_window_bits=8", {}, "; client_max_window_bits=8"),
    ("", {"client_max_window_bits": 12}, ""),
    ('; server_max_window_bits="10"', {}, "; server_max_window_bits=10"),
    ("; server_max_window_bits", {}, None),
    ("; server_max_window_bits=7", {}, None),
    ("; server_max_window_bits=16", {}, None),
    ("; server_max_window_bits=010", {}, None),
    ("; server_max_window_bits=10; server_max_window_bits=10", {}, None),
    ("; client_max_window_bits=99", {}, None),
    ("; server_no_context_takeover=1", {}, None),
    ("; client_no_context_takeover; client_no_context_takeover", {}, None),
    ("; unheard_of", {}, None),
]


@pytest.mark.parametrize(("offer", "options", "answer"), ANSWERS)
def test_negotiation(offer: str, options: dict[str, Any], answer: str | None) -> None:
    found = server(**options).accept(NAME + offer)
    if answer is None:
        assert found is None
    else:
        assert found is not None
        assert found[0] == NAME + answer
        assert (found[1].key is None) == ("server_no_context_takeover" not in answer)


def test_the_first_offer_that_suits_is_taken() -> None:
    offers = f"x-other; a=b, {NAME}; server_max_window_bits=8, {NAME}; server_max_window_bits=9, {NAME}"
    answer = server().accept(offers)
    assert answer is not None
    assert answer[0] == f"{NAME}; server_max_window_bits=9"
    assert server().accept("x-webkit-deflate-frame, x-other") is None


@pytest.mark.parametrize(
    "value", ["", ";", f"{NAME};", f"{NAME}; =1", f"{NAME}; a=", f'{NAME}; a="', "a b", "é"]
)
def test_a_malformed_field(value: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        server().accept(value)
    assert caught.value.status == 400


def test_what_a_client_offers() -> None:
    assert ClientDeflation().offer() == f"{NAME}; client_max_window_bits"
    everything = ClientDeflation(
        server_no_context_takeover=True,
        client_no_context_takeover=True,
        server_max_window_bits=10,
        client_max_window_bits=11,
    )
    assert everything.offer() == (
        f"{NAME}; server_no_context_takeover; client_no_context_takeover; "
        "server_max_window_bits=10; client_max_window_bits=11"
    )


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({}, "x-other"),
        ({}, f"{NAME}, {NAME}"),
        ({}, f"{NAME}; unheard_of"),
        ({}, f"{NAME}; client_max_window_bits"),
        ({}, f"{NAME}; client_max_window_bits=8"),
        ({}, f"{NAME}; client_max_window_bits=10; client_max_window_bits=10"),
        ({}, f"{NAME};"),
        ({"client_max_window_bits": None}, f"{NAME}; client_max_window_bits=10"),
        ({"client_max_window_bits": 10}, f"{NAME}; client_max_window_bits=11"),
        ({"server_no_context_takeover": True}, NAME),
        ({"server_max_window_bits": 10}, NAME),
        ({"server_max_window_bits": 10}, f"{NAME}; server_max_window_bits=11"),
    ],
)
def test_an_answer_that_was_not_offered(options: dict[str, Any], answer: str) -> None:
    with pytest.raises(RemoteProtocolError):
        ClientDeflation(**options).confirm(answer)


@pytest.mark.parametrize("server_fresh", [False, True])
@pytest.mark.parametrize("client_fresh", [False, True])
@pytest.mark.parametrize("bits", [9, 12, 15])
def test_both_sides_understand_each_other(server_fresh: bool, client_fresh: bool, bits: int) -> None:
    client_side = ClientDeflation(
        server_no_context_takeover=server_fresh,
        client_no_context_takeover=client_fresh,
        server_max_window_bits=bits,
        client_max_window_bits=bits,
        threshold=0,
    )
    found = server().accept(client_side.offer())
    assert found is not None
    theirs, ours = client_side.confirm(found[0]), found[1]
    to_client = FrameParser("client", inflater=theirs)
    to_server = FrameParser("server", inflater=ours)
    messages: list[str | bytes] = [TEXT, TEXT.encode(), "", b"", "é" * 5000, os.urandom(40000), TEXT, "", ""]
    for message in messages:
        assert to_client.feed(encode_compressed(message, ours)) == [message]
        assert to_server.feed(encode_compressed(message, theirs, MASK)) == [message]


def test_context_takeover_makes_the_second_message_shorter() -> None:
    kept, fresh = agreed(), agreed(server_no_context_takeover=True)
    data = os.urandom(1000)
    assert len(kept.deflate(data * 2) or b"") > 1000
    assert len(kept.deflate(data) or b"") < 100
    first, second = fresh.deflate(data * 2), fresh.deflate(data * 2)
    assert first == second


def test_what_one_connection_sends_is_not_in_the_next_ones_window() -> None:
    """The shared compressor forgets: each message inflates alone, and refers to nothing before it."""
    deflation = server(server_no_context_takeover=True)
    one, other = deflation.accept(NAME), deflation.accept(NAME)
    assert one is not None
    assert other is not None
    secret = os.urandom(500).hex().encode()
    assert one[1].deflate(secret) is not None
    compressed = other[1].deflate(secret)
    assert compressed is not None
    assert len(compressed) > 450
    assert inflated(zlib.decompressobj(-15), compressed) == secret
    assert one[1].key == other[1].key


def test_window_bits_are_kept_to() -> None:
    for bits in (9, 10, 15):
        compressed = agreed(server_max_window_bits=bits, server_no_context_takeover=True).deflate(
            TEXT.encode() * 100
        )
        assert compressed is not None
        assert inflated(zlib.decompressobj(-bits), compressed) == TEXT.encode() * 100


def test_messages_below_the_threshold_go_plain() -> None:
    deflate = agreed(threshold=100)
    assert deflate.deflate(b"x" * 99) is None
    assert deflate.deflate(b"x" * 100) is not None
    assert agreed().deflate(b"") is None
    assert encode_compressed("x" * 99, deflate) == encode_text("x" * 99)


def test_what_grows_goes_plain_where_no_context_is_kept() -> None:
    noise = os.urandom(1000)
    assert agreed(server_no_context_takeover=True).deflate(noise) is None
    assert agreed().deflate(noise) is not None


@pytest.mark.parametrize("fresh", [False, True])
def test_a_decompression_bomb_stops_at_the_message_limit(fresh: bool) -> None:
    """64 MiB in 64 KiB: refused by 1009, and never more than the limit of it in memory."""
    bomb = encode_frame(2, raw(bytes(64 * MIB)), mask=MASK, rsv1=True)
    assert len(bomb) < 70_000
    parser = FrameParser("server", inflater=agreed(client_no_context_takeover=fresh))
    tracemalloc.start()
    try:
        with pytest.raises(WebSocketError) as caught:
            parser.feed(bomb)
        assert tracemalloc.get_traced_memory()[1] < 4 * MIB
    finally:
        tracemalloc.stop()
    assert caught.value.code == 1009
    assert parser.feed(bomb) == []


def test_a_bomb_in_fragments_stops_at_the_message_limit() -> None:
    """Also where nothing is left of the limit: zlib takes a limit of 0 for none."""
    data = raw(bytes(4 * MIB))
    for limit in (1000, MIB, 1):
        stream = b"".join(
            encode_frame(0 if at else 2, data[at : at + 100], fin=False, mask=MASK, rsv1=not at)
            for at in range(0, len(data), 100)
        )
        with pytest.raises(WebSocketError) as caught:
            FrameParser("server", max_message=limit, inflater=agreed()).feed(stream)
        assert caught.value.code == 1009


def test_the_limit_itself_passes() -> None:
    for size in (1, 999, 1000, 1001):
        for message in (bytes(size), os.urandom(size)):
            parser = FrameParser("server", max_message=1000, max_frame=1000, inflater=agreed())
            frame = encode_frame(2, raw(message), mask=MASK, rsv1=True)
            if size <= 1000:
                assert parser.feed(frame) == [message]
            else:
                with pytest.raises(WebSocketError):
                    parser.feed(frame)


@pytest.mark.parametrize("fresh", [False, True])
def test_fragments_with_control_frames_between(fresh: bool) -> None:
    parser = FrameParser("server", inflater=agreed(client_no_context_takeover=fresh))
    text = "κόσμε " * 1000
    data = raw(text.encode())
    for _ in range(2):
        stream = encode_frame(1, data[:7], fin=False, mask=MASK, rsv1=True)
        stream += encode_frame(9, b"ping", mask=MASK)
        stream += encode_frame(0, data[7:20], fin=False, mask=MASK) + encode_frame(
            0, b"", fin=False, mask=MASK
        )
        stream += encode_frame(0, data[20:], mask=MASK) + encode_text("plain", MASK)
        events = [event for at in range(0, len(stream), 3) for event in parser.feed(stream[at : at + 3])]
        assert events == [Ping(b"ping"), text, "plain"]


def test_compressed_text_is_checked_at_each_fragment() -> None:
    parser = FrameParser("server", inflater=agreed())
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    bad = stream.compress(b"\xff") + stream.flush(zlib.Z_SYNC_FLUSH)
    with pytest.raises(WebSocketError) as caught:
        parser.feed(encode_frame(1, bad, fin=False, mask=MASK, rsv1=True))
    assert caught.value.code == 1007


@pytest.mark.parametrize("data", [b"\xff\xff\xff", b"\x07", b"\x06\x00\x00\x01"])
def test_what_does_not_inflate(data: bytes) -> None:
    parser = FrameParser("server", inflater=agreed())
    with pytest.raises(WebSocketError) as caught:
        parser.feed(encode_frame(2, data, mask=MASK, rsv1=True))
    assert caught.value.code == 1007


@pytest.mark.parametrize("opcode", [0, 8, 9, 10])
def test_rsv1_belongs_to_the_first_frame_of_a_message(opcode: int) -> None:
    parser = FrameParser("server", inflater=agreed())
    parser.feed(encode_frame(2, raw(b"x"), fin=False, mask=MASK, rsv1=True))
    with pytest.raises(WebSocketError, match="reserved"):
        parser.feed(bytes((0xC0 | opcode, 0x80)) + MASK)


@pytest.mark.parametrize("fresh", [False, True])
def test_what_follows_a_final_deflate_block_is_not_lost(fresh: bool) -> None:
    """RFC 7692 section 7.2.3.4: the sender may close its stream, and appends a zero byte."""
    parser = FrameParser("server", inflater=agreed(client_no_context_takeover=fresh))
    for number in range(3):
        stream = zlib.compressobj(9, zlib.DEFLATED, -15)
        message = b"message %d " % number * 10
        closed = stream.compress(message) + stream.flush(zlib.Z_FINISH) + b"\x00"
        assert parser.feed(encode_frame(2, closed, mask=MASK, rsv1=True)) == [message]
    assert parser.feed(encode_frame(2, raw(b"after"), mask=MASK, rsv1=True)) == [b"after"]


def test_a_row_of_final_deflate_blocks_costs_no_quadratic_time() -> None:
    parser = FrameParser("server", inflater=agreed())
    with pytest.raises(WebSocketError) as caught:
        parser.feed(encode_frame(2, b"\x03\x00" * 500_000, mask=MASK, rsv1=True))
    assert caught.value.code == 1007


def test_a_broadcast_is_compressed_once() -> None:
    deflation = server(server_no_context_takeover=True)
    members = [deflation.accept(NAME) for _ in range(3)]
    prepared = Prepared(TEXT)
    frames = [prepared.frame(member[1]) for member in members if member is not None]
    assert frames[0] is frames[1] is frames[2]
    assert FrameParser("client", inflater=agreed()).feed(frames[0]) == [TEXT]


def test_memory_per_connection_is_bounded() -> None:
    """By default: at most 16 KiB while talking, and nothing before the first compressed message."""
    deflation = ServerDeflation()
    offer = f"{NAME}; client_max_window_bits"
    theirs = ClientDeflation(client_max_window_bits=12, threshold=0).confirm(
        f"{NAME}; client_max_window_bits=12"
    )
    frame = encode_compressed(TEXT, theirs, MASK)
    tracemalloc.start()
    try:
        found = [deflation.accept(offer) for _ in range(100)]
        parsers = [FrameParser("server", inflater=each[1]) for each in found if each is not None]
        assert tracemalloc.get_traced_memory()[0] < 100 * 2048
        for parser, each in zip(parsers, found, strict=True):
            assert parser.feed(frame) == [TEXT]
            assert each is not None
            assert encode_compressed(TEXT, each[1])
        assert tracemalloc.get_traced_memory()[0] < 100 * 16384 + 65536
    finally:
        tracemalloc.stop()


def test_the_packages_own_streams_understand_ours() -> None:
    from websockets.frames import Frame, Opcode

    ours = agreed(server_max_window_bits=10)
    theirs = PerMessageDeflate(False, False, 10, 15)
    for message in (TEXT.encode(), b"", os.urandom(3000), TEXT.encode()):
        frame = theirs.encode(Frame(Opcode.BINARY, message))
        assert ours.inflate(bytes(frame.data), True, True, MIB) == message
        compressed = ours.deflate(message)
        if compressed is not None:
            assert theirs.decode(Frame(Opcode.BINARY, compressed, rsv1=True)).data == message
