from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from importlib import import_module
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.errors import RemoteProtocolError
from framework.net.client.decoding import STEP, body_decoder, known_codings

CODINGS = known_codings()
MAKE: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": lambda data: import_module("brotli").compress(data),
    "zstd": lambda data: import_module("backports.zstd").compress(data),
}


def decoded(coding: str, *pieces: bytes) -> bytes:
    decoder = body_decoder(CODINGS, coding)
    assert decoder is not None
    out = b""
    for piece in pieces:
        for made in decoder.decode(piece):
            assert 0 < len(made) <= STEP
            out += made
    decoder.end()
    return out


@pytest.mark.parametrize("coding", list(MAKE))
@given(data=st.binary(max_size=2000), cuts=st.lists(st.integers(0, 2000), max_size=5))
def test_any_split_decodes(coding: str, data: bytes, cuts: list[int]) -> None:
    packed = MAKE[coding](data * 100)
    edges = sorted({0, len(packed), *(cut for cut in cuts if cut < len(packed))})
    pieces = [packed[start:end] for start, end in pairwise(edges)]
    assert decoded(coding, *pieces) == data * 100


@pytest.mark.parametrize("coding", list(MAKE))
def test_a_bomb_comes_a_bounded_piece_at_a_time(coding: str) -> None:
    packed = MAKE[coding](bytes(50_000_000))
    decoder = body_decoder(CODINGS, coding)
    assert decoder is not None
    assert len(packed) < 100_000
    sizes = [len(piece) for _, piece in zip(range(20), decoder.decode(packed), strict=False)]
    assert max(sizes) <= STEP
    assert len(sizes) == 20


@pytest.mark.parametrize("coding", list(MAKE))
def test_what_is_cut_short_is_an_error(coding: str) -> None:
    packed = MAKE[coding](b"hello world" * 100)
    with pytest.raises(RemoteProtocolError, match="cut short") as caught:
        decoded(coding, packed[:-3])
    assert caught.value.status == 502


@pytest.mark.parametrize("coding", list(MAKE))
def test_what_is_another_thing_is_an_error(coding: str) -> None:
    with pytest.raises(RemoteProtocolError, match="Content-Encoding"):
        decoded(coding, b"<html>this is no such thing</html>" * 10)


@pytest.mark.parametrize("coding", list(MAKE))
def test_an_empty_body_is_empty(coding: str) -> None:
    assert decoded(coding) == b""


def test_gzip_of_several_members() -> None:
    assert decoded("GZIP", gzip.compress(b"a") + gzip.compress(b"b"), gzip.compress(b"c")) == b"abc"


@pytest.mark.parametrize("value", [None, "identity", "gzip, br", "unknown", ""])
def test_others_are_left_as_they_are(value: str | None) -> None:
    assert body_decoder(CODINGS, value) is None
