"""What is written: byte for byte as RFC 6455 section 5.7 has it, and never what must not be."""

from __future__ import annotations

from typing import Any, cast

import pytest

from framework.errors import LocalProtocolError
from framework.wire.websocket.leaves import (
    FrameParser,
    apply_mask,
    encode_batch,
    encode_binary,
    encode_frame,
    encode_text,
)

MASK = b"\x37\xfa\x21\x3d"


def test_the_examples_of_the_rfc() -> None:
    """RFC 6455 section 5.7."""
    assert encode_text("Hello") == bytes.fromhex("810548656c6c6f")
    assert encode_text("Hello", MASK) == bytes.fromhex("818537fa213d7f9f4d5158")
    assert encode_frame(1, b"Hel", fin=False) == bytes.fromhex("010348656c")
    assert encode_frame(0, b"lo") == bytes.fromhex("80026c6f")
    assert encode_frame(9, b"Hello") == bytes.fromhex("890548656c6c6f")
    assert encode_frame(10, b"Hello", mask=MASK) == bytes.fromhex("8a8537fa213d7f9f4d5158")
    assert encode_binary(bytes(256))[:4] == bytes.fromhex("827e0100")
    assert encode_binary(bytes(65536))[:10] == bytes.fromhex("827f0000000000010000")


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
def test_lengths_take_the_fewest_bytes(size: int) -> None:
    head = 2 if size < 126 else 4 if size < 65536 else 10
    assert len(encode_binary(bytes(size))) == head + size
    assert len(encode_binary(bytes(size), MASK)) == head + 4 + size
    assert FrameParser("client").feed(encode_text("a" * size)) == ["a" * size]
    assert FrameParser("server").feed(encode_text("a" * size, MASK)) == ["a" * size]


def test_text_past_ascii() -> None:
    for text in ("é", "κόσμε", "\U0001f600", "a" * 200 + "é"):
        assert FrameParser("server").feed(encode_text(text, MASK)) == [text]
        assert FrameParser("client").feed(encode_batch([text, text])) == [text, text]


@pytest.mark.parametrize("size", [0, 1, 3, 7, 8, 9, 31, 4095, 4096, 4097, 8192, 10001])
def test_masking(size: int) -> None:
    data = bytes(number % 251 for number in range(size))
    masked = apply_mask(data, MASK)
    assert masked == bytes(byte ^ MASK[at % 4] for at, byte in enumerate(data))
    assert apply_mask(masked, MASK) == data


def test_a_batch_is_its_frames_joined() -> None:
    messages: list[str | bytes] = ["a", b"b", "é" * 100, "", b"", "x" * 70000]
    masks = bytes(range(24))
    one_by_one = [
        encode_text(message, masks[4 * at : 4 * at + 4])
        if isinstance(message, str)
        else encode_binary(message, masks[4 * at : 4 * at + 4])
        for at, message in enumerate(messages)
    ]
    assert encode_batch(messages, masks) == b"".join(one_by_one)
    assert FrameParser("client").feed(encode_batch(messages)) == messages
    assert encode_batch([]) == b""


@pytest.mark.parametrize(
    ("opcode", "payload", "options"),
    [
        *[(opcode, b"", {}) for opcode in (-1, 3, 7, 11, 15, 16, 255)],
        (9, bytes(126), {}),
        (8, b"", {"fin": False}),
        (10, b"", {"rsv1": True}),
        (1, b"", {"mask": b"123"}),
        (1, b"", {"mask": b"12345"}),
        (1, b"", {"mask": b""}),
    ],
)
def test_what_must_not_be_sent(opcode: int, payload: bytes, options: dict[str, Any]) -> None:
    with pytest.raises(LocalProtocolError):
        encode_frame(opcode, payload, **options)


def test_a_lone_surrogate_is_no_text() -> None:
    for write in (encode_text, lambda text: encode_batch([text])):
        with pytest.raises(LocalProtocolError, match="surrogate"):
            write("a\ud800")


def test_masks_of_a_batch_fit_its_messages() -> None:
    with pytest.raises(LocalProtocolError):
        encode_batch(["a", "b"], MASK)


def test_a_batch_is_of_str_and_bytes() -> None:
    for other in (1, None, bytearray(b"x"), ["a"]):
        with pytest.raises(TypeError):
            encode_batch([cast("Any", other)])
