"""Content codings: which are offered, which is chosen, and that all of them come back whole."""

from __future__ import annotations

import builtins
import zlib
from collections.abc import Callable
from typing import Any

import brotli
import pytest
from backports import zstd

from framework.errors import SetupError
from framework.middleware.codings import Coding, load_codings

TEXT = b"the quick brown fox jumps over the lazy dog. " * 200
NAMES = ("zstd", "br", "gzip")


def decoder(name: str) -> Callable[[bytes], bytes]:
    """Decodes a stream piece by piece."""
    if name == "gzip":
        return zlib.decompressobj(wbits=31).decompress
    return brotli.Decompressor().process if name == "br" else zstd.ZstdDecompressor().decompress


def only(name: str) -> Coding:
    return load_codings([name])[0][0]


@pytest.mark.parametrize("name", NAMES)
def test_whole_bodies_come_back(name: str) -> None:
    coded = only(name).whole(TEXT)
    assert len(coded) < len(TEXT) / 10
    assert decoder(name)(coded) == TEXT


@pytest.mark.parametrize("name", NAMES)
def test_every_piece_arrives_at_once(name: str) -> None:
    """Nothing of a piece is held back until more comes: django #36293, starlette #2753."""
    coder, decode = only(name).stream(), decoder(name)
    for number in range(20):
        piece = f"data: {number}\n\n".encode()
        assert decode(coder.piece(piece)) == piece
    assert decode(coder.end()) == b""


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_without_pieces_is_whole(name: str) -> None:
    assert decoder(name)(only(name).stream().end()) == b""


def test_a_zstd_window_fits_every_decoder() -> None:
    """RFC 9659 section 3: at most 8 MiB."""
    coding = load_codings(["zstd"], {"zstd": 19})[0][0]
    coder = coding.stream()
    for coded in (coding.whole(bytes(20_000_000)), coder.piece(TEXT) + coder.end()):
        limited = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: 23})
        assert limited.decompress(coded)


@pytest.mark.parametrize("levels", [{"zstd": 20}, {"zstd": 0}, {"br": 12}, {"gzip": 0}, {"gzip": 10}])
def test_levels_have_a_range(levels: dict[str, int]) -> None:
    with pytest.raises(SetupError, match="level"):
        load_codings(NAMES, levels)


def test_unknown_codings_are_refused() -> None:
    with pytest.raises(SetupError, match="'lzma' is not one of zstd, br, gzip"):
        load_codings(["lzma"])
    with pytest.raises(SetupError, match="'deflate'"):
        load_codings(["gzip"], {"deflate": 6})


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith(("brotli", "backports", "compression")):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr("framework.middleware.codings.import_module", without)
    found, missing = load_codings(NAMES)
    assert [coding.name for coding in found] == ["gzip"]
    assert missing["br"] == "brotli is not installed (extra: framework[compression])"
    assert missing["zstd"] == "backports.zstd is not installed (extra: framework[compression])"
