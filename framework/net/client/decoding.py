"""Takes content codings off a response's body (RFC 9110 section 8.4.1), a bounded piece at a time.

A few bytes can stand for gigabytes. Nothing here makes more than ``STEP`` bytes at once, whatever comes in, so that
the limit of whoever reads is met before the memory is gone.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from typing import Any, Final, Protocol

from framework.errors import RemoteProtocolError

__all__ = ["STEP", "BodyDecoder", "body_decoder", "known_codings"]

STEP: Final = 65_536


class BodyDecoder(Protocol):
    """Decodes one body."""

    def decode(self, data: bytes) -> Iterator[bytes]:
        """What ``data`` stands for, in pieces of at most ``STEP`` bytes. Raises RemoteProtocolError (502)."""
        ...

    def end(self) -> None:
        """The body is over. Raises RemoteProtocolError (502) where the coding is not."""
        ...


class _Zlib:
    """gzip, of any number of members, and deflate with the zlib wrapper it shall have."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._decompressor = zlib.decompressobj(window)
        self._begun = False

    def decode(self, data: bytes) -> Iterator[bytes]:
        try:
            while data:
                if self._decompressor.eof:
                    self._decompressor = zlib.decompressobj(self._window)
                self._begun = True
                piece = self._decompressor.decompress(data, STEP)
                if piece:
                    yield piece
                data = self._decompressor.unconsumed_tail or self._decompressor.unused_data
                while len(piece) == STEP and not data and not self._decompressor.eof:
                    piece = self._decompressor.decompress(b"", STEP)
                    if piece:
                        yield piece
        except zlib.error as error:
            raise RemoteProtocolError(
                f"the body is not what its Content-Encoding says: {error}", 502
            ) from None

    def end(self) -> None:
        if self._begun and not self._decompressor.eof:
            raise RemoteProtocolError("the compressed body is cut short", 502)


class _Zstd:
    def __init__(self, module: Any) -> None:
        self._module = module
        self._options = {module.DecompressionParameter.window_log_max: 23}  # RFC 9659: 8 MiB
        self._decompressor = module.ZstdDecompressor(options=self._options)
        self._begun = False

    def decode(self, data: bytes) -> Iterator[bytes]:
        try:
            while data or not (self._decompressor.needs_input or self._decompressor.eof):
                if self._decompressor.eof:
                    self._decompressor = self._module.ZstdDecompressor(options=self._options)
                self._begun = True
                piece = self._decompressor.decompress(data, STEP)
                if piece:
                    yield piece
                data = self._decompressor.unused_data if self._decompressor.eof else b""
        except self._module.ZstdError as error:
            raise RemoteProtocolError(
                f"the body is not what its Content-Encoding says: {error}", 502
            ) from None

    def end(self) -> None:
        if self._begun and not self._decompressor.eof:
            raise RemoteProtocolError("the compressed body is cut short", 502)


class _Brotli:
    def __init__(self, module: Any) -> None:
        self._module = module
        self._decompressor = module.Decompressor()
        self._begun = False

    def decode(self, data: bytes) -> Iterator[bytes]:
        try:
            while data or not self._decompressor.can_accept_more_data():
                self._begun = True
                piece = self._decompressor.process(data, output_buffer_limit=STEP)
                data = b""
                if piece:
                    # The limit is where it stops to begin another block; pieces are cut to what was promised.
                    for at in range(0, len(piece), STEP):
                        yield piece[at : at + STEP]
        except self._module.error as error:
            raise RemoteProtocolError(
                f"the body is not what its Content-Encoding says: {error}", 502
            ) from None

    def end(self) -> None:
        if self._begun and not self._decompressor.is_finished():
            raise RemoteProtocolError("the compressed body is cut short", 502)


def known_codings() -> dict[str, Callable[[], BodyDecoder]]:
    """By name, what makes a decoder: gzip and deflate, br and zstd where their packages are installed."""
    found: dict[str, Callable[[], BodyDecoder]] = {}
    for name in ("compression.zstd", "backports.zstd"):
        zstd = _module(name)
        if zstd is not None:
            found["zstd"] = partial(_Zstd, zstd)
            break
    brotli = _module("brotli")
    if brotli is not None and hasattr(brotli.Decompressor, "can_accept_more_data"):
        found["br"] = partial(_Brotli, brotli)
    found["gzip"] = found["x-gzip"] = partial(_Zlib, zlib.MAX_WBITS + 16)
    found["deflate"] = partial(_Zlib, zlib.MAX_WBITS)
    return found


def body_decoder(
    codings: dict[str, Callable[[], BodyDecoder]], content_encoding: str | None
) -> BodyDecoder | None:
    """The decoder for a response; None for no coding, for one that is not known, and for several."""
    make = None if content_encoding is None else codings.get(content_encoding.strip(" \t").lower())
    return None if make is None else make()


def _module(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        return None
