"""Content codings (RFC 9110 section 8.4.1): gzip from the standard library, br and zstd where their packages are
installed. Each compresses a whole body at once, or a stream piece by piece. Knows no request and no response."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any, Final, NamedTuple, Protocol

from framework.errors import SetupError

__all__ = ["LEVELS", "Coder", "Coding", "load_codings"]

# Measured on JSON: what each needs at these levels is within 20 % of the size its best level makes.
LEVELS: Final[Mapping[str, int]] = {"zstd": 3, "br": 4, "gzip": 6}

# zstd: levels above 19 need a window over 8 MiB, which RFC 9659 section 3 forbids for this coding.
_RANGES: Final[Mapping[str, range]] = {"zstd": range(1, 20), "br": range(12), "gzip": range(1, 10)}
_PACKAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "zstd": ("compression.zstd", "backports.zstd"),
    "br": ("brotli",),
}
_BROTLI_WINDOW: Final = 19
# A stream may live for hours beside thousands of others: about 250 KiB for each instead of 800.
_ZSTD_STREAM: Final = {"window_log": 18, "hash_log": 16, "chain_log": 15}
_GZIP: Final = zlib.MAX_WBITS + 16


class Coder(Protocol):
    """Compresses one stream."""

    def piece(self, data: bytes) -> bytes:
        """All that ``data`` becomes: nothing is held back for the next piece."""
        ...

    def end(self) -> bytes:
        """The end of the stream."""
        ...


class Coding(NamedTuple):
    """One content coding, at one level."""

    name: str
    whole: Callable[[bytes], bytes]
    stream: Callable[[], Coder]


def load_codings(
    names: Iterable[str], levels: Mapping[str, int] | None = None
) -> tuple[list[Coding], dict[str, str]]:
    """The codings that can be used here, in the order of ``names``, and why each of the others cannot.

    Args:
        names: some of ``zstd``, ``br``, ``gzip``.
        levels: of those that shall not have the level of ``LEVELS``.

    Raises:
        SetupError: an unknown name, or a level out of range.
    """
    names, wanted = list(names), {**LEVELS, **(levels or {})}
    unknown = sorted({*names, *wanted} - {*LEVELS})
    problems = [f"content coding {name!r} is not one of {', '.join(LEVELS)}" for name in unknown]
    problems += [
        f"content coding {name}: level {wanted[name]} is not in {allowed[0]} to {allowed[-1]}"
        for name, allowed in _RANGES.items()
        if wanted[name] not in allowed
    ]
    if problems:
        raise SetupError(problems)
    found: list[Coding] = []
    missing: dict[str, str] = {}
    for name in names:
        level = wanted[name]
        if name == "gzip":
            found.append(_gzip(level))
        elif (module := _module(_PACKAGES[name])) is None:
            missing[name] = f"{_PACKAGES[name][-1]} is not installed (extra: framework[compression])"
        else:
            found.append((_zstd if name == "zstd" else _brotli)(module, level))
    return found, missing


def _module(names: Iterable[str]) -> ModuleType | None:
    for name in names:
        try:
            return import_module(name)
        except ImportError:
            continue
    return None


class _GzipCoder:
    def __init__(self, level: int) -> None:
        self._compressor = zlib.compressobj(level, wbits=_GZIP)

    def piece(self, data: bytes) -> bytes:
        return self._compressor.compress(data) + self._compressor.flush(zlib.Z_SYNC_FLUSH)

    def end(self) -> bytes:
        return self._compressor.flush()


class _BrotliCoder:
    def __init__(self, compressor: Any) -> None:
        self._compressor = compressor

    def piece(self, data: bytes) -> bytes:
        made: bytes = self._compressor.process(data) + self._compressor.flush()
        return made

    def end(self) -> bytes:
        made: bytes = self._compressor.finish()
        return made


class _ZstdCoder:
    def __init__(self, compressor: Any) -> None:
        self._compressor = compressor

    def piece(self, data: bytes) -> bytes:
        made: bytes = self._compressor.compress(data, self._compressor.FLUSH_BLOCK)
        return made

    def end(self) -> bytes:
        made: bytes = self._compressor.flush(self._compressor.FLUSH_FRAME)
        return made


def _gzip(level: int) -> Coding:
    return Coding("gzip", partial(zlib.compress, level=level, wbits=_GZIP), lambda: _GzipCoder(level))


def _brotli(module: ModuleType, level: int) -> Coding:
    options = {"quality": level, "lgwin": _BROTLI_WINDOW}
    return Coding(
        "br", partial(module.compress, **options), lambda: _BrotliCoder(module.Compressor(**options))
    )


def _zstd(module: ModuleType, level: int) -> Coding:
    parameter = module.CompressionParameter
    whole = {parameter.compression_level: level}
    stream = whole | {getattr(parameter, name): value for name, value in _ZSTD_STREAM.items()}
    return Coding(
        "zstd",
        partial(module.compress, options=whole),
        lambda: _ZstdCoder(module.ZstdCompressor(options=stream)),
    )
