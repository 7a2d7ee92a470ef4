"""Control frames, masks, and a message framed once for many peers."""

from __future__ import annotations

import pytest

from framework.errors import LocalProtocolError
from framework.wire.websocket.events import Ping, Pong
from framework.wire.websocket.frames import Masks, Prepared, encode_compressed, encode_ping, encode_pong
from framework.wire.websocket.leaves import FrameParser


class Counting:
    """Compresses to nothing of note, and counts."""

    def __init__(self, key: str | None, *, pays: bool = True) -> None:
        self.key = key
        self.pays = pays
        self.calls = 0

    def deflate(self, data: bytes) -> bytes | None:
        self.calls += 1
        return b"~" + data[:1] if self.pays else None


def test_pings_and_pongs() -> None:
    data = encode_ping(b"a") + encode_pong(b"b") + encode_ping() + encode_pong()
    assert FrameParser("client").feed(data) == [Ping(b"a"), Pong(b"b"), Ping(), Pong()]
    assert FrameParser("server").feed(encode_ping(b"a", b"mask")) == [Ping(b"a")]
    with pytest.raises(LocalProtocolError):
        encode_ping(bytes(126))


@pytest.mark.parametrize("message", ["text", b"binary"])
def test_a_prepared_message_is_compressed_once_for_each_setting(message: str | bytes) -> None:
    prepared = Prepared(message)
    a, also_a, b = Counting("a"), Counting("a"), Counting("b")
    frames = {prepared.frame(each) for each in (a, also_a, b, a, also_a)}
    assert (a.calls, also_a.calls, b.calls) == (1, 0, 1)
    assert frames == {encode_compressed(message, a)}
    assert FrameParser("client").feed(prepared.frame()) == [message]
    assert prepared.frame() is prepared.frame(None)


def test_a_prepared_message_goes_plain_where_the_context_is_kept() -> None:
    """What was compressed apart would not be in the window that the connection's next message refers to."""
    prepared = Prepared("text")
    own = Counting(None)
    assert prepared.frame(own) == prepared.frame()
    assert own.calls == 0


def test_a_prepared_message_goes_plain_where_compression_does_not_pay() -> None:
    prepared = Prepared("text")
    assert prepared.frame(Counting("a", pays=False)) == prepared.frame()


def test_compressed_frames_say_so() -> None:
    assert encode_compressed("text", Counting("a")) == b"\xc1\x02~t"
    assert encode_compressed(b"text", Counting("a"), bytes(4)) == b"\xc2\x82\x00\x00\x00\x00~t"
    assert encode_compressed("text", Counting("a", pays=False)) == b"\x81\x04text"


def test_a_lone_surrogate_is_no_text() -> None:
    with pytest.raises(LocalProtocolError):
        Prepared("\ud800")
    with pytest.raises(LocalProtocolError):
        encode_compressed("\ud800", Counting("a"))


def test_masks_are_never_given_twice() -> None:
    masks = Masks()
    taken = [masks.take() for _ in range(200)] + [masks.take(50), masks.take(100)]
    assert [len(each) for each in taken[198:]] == [4, 4, 200, 400]
    joined = b"".join(taken)
    keys = [joined[at : at + 4] for at in range(0, len(joined), 4)]
    assert len(set(keys)) >= len(keys) - 1  # two random masks of 350 are alike once in 70,000 runs
