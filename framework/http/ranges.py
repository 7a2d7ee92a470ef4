"""Byte ranges (RFC 9110 section 14): the part of a representation that a request wants. It knows sizes, not files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from framework.errors import HTTPError

__all__ = ["MAX_RANGES", "ByteRange", "lay_out_byteranges", "select_ranges"]

MAX_RANGES: Final = 64
"""More ranges than this in one request answer 416; the longest lists of honest clients have some dozens."""

# A part of multipart/byteranges costs about this many bytes: a smaller gap is sent along (section 15.3.7.2).
_PART_OVERHEAD: Final = 80
_spec = re.compile(r"([0-9]++)-([0-9]*+)|-([0-9]++)").fullmatch
# No file is that large, and int() refuses digits by the thousand.
_MAX_DIGITS: Final = 18


class ByteRange(NamedTuple):
    """Bytes from ``start`` up to, not including, ``stop``."""

    start: int
    stop: int

    def content_range(self, size: int) -> str:
        """The value of Content-Range (section 14.4) in a representation of ``size`` bytes."""
        return f"bytes {self.start}-{self.stop - 1}/{size}"


def select_ranges(field: str, size: int, max_ranges: int = MAX_RANGES) -> list[ByteRange] | None:
    """The ranges that a Range field selects of ``size`` bytes.

    Those that overlap, or have less between them than a part of a multipart response costs, are one. They come in
    the order in which the field names them (section 15.3.7.2), none reaches beyond the end, and together they are
    never more than ``size`` bytes. The work is bounded by the field's length and ``max_ranges`` log ``max_ranges``.

    Returns:
        None when the field is to be ignored and the whole is to be sent: another unit than bytes, a malformed
        list (section 14.2 allows that), or the end of something empty.

    Raises:
        HTTPError: 416 with Content-Range, when none of the ranges can be satisfied, or there are too many.
    """
    unit, _, listed = field.partition("=")
    if unit.lower() != "bytes":
        return None
    if listed.count(",") >= max_ranges:
        raise _not_satisfiable(size, f"more than {max_ranges} ranges")
    wanted: list[ByteRange] = []
    specs = [spec for each in listed.split(",") if (spec := each.strip(" \t"))]
    for spec in specs:
        found = _spec(spec)
        if found is None:
            return None
        first, last, suffix = found.groups()
        if suffix is not None:
            if not size and _number(suffix):
                return None
            start, stop = max(size - _number(suffix), 0), size
        else:
            start = _number(first)
            stop = min(_number(last) + 1, size) if last else size
            if last and _number(last) < start:
                return None
        if start < stop:
            wanted.append(ByteRange(start, stop))
    if not specs:
        return None
    if not wanted:
        raise _not_satisfiable(size, "no range lies within the content")
    return _coalesce(wanted)


def _coalesce(wanted: list[ByteRange]) -> list[ByteRange]:
    merged: list[tuple[int, int, int]] = []
    for (start, stop), place in sorted(zip(wanted, range(len(wanted)), strict=True)):
        if merged and start < merged[-1][2] + _PART_OVERHEAD:
            first_place, begin, end = merged[-1]
            merged[-1] = (min(first_place, place), begin, max(end, stop))
        else:
            merged.append((place, start, stop))
    return [ByteRange(start, stop) for _, start, stop in sorted(merged)]


def lay_out_byteranges(
    ranges: Sequence[ByteRange], size: int, media_type: str, boundary: str
) -> tuple[list[bytes | ByteRange], int]:
    """The body of a multipart/byteranges response (section 14.6): literal bytes and ranges, and its length in bytes.

    Args:
        size: of the whole representation, in bytes.
        media_type: the representation's.
        boundary: must not occur in the content: make it at random.
    """
    pieces: list[bytes | ByteRange] = []
    for part in ranges:
        head = f"\r\n--{boundary}\r\ncontent-type: {media_type}\r\ncontent-range: {part.content_range(size)}\r\n\r\n"
        pieces += [head.encode("latin-1"), part]
    pieces.append(f"\r\n--{boundary}--\r\n".encode("latin-1"))
    length = sum(len(piece) if isinstance(piece, bytes) else piece.stop - piece.start for piece in pieces)
    return pieces, length


def _number(digits: str) -> int:
    digits = digits.lstrip("0")
    return int(digits[:_MAX_DIGITS] or "0") if len(digits) <= _MAX_DIGITS else 10**_MAX_DIGITS


def _not_satisfiable(size: int, detail: str) -> HTTPError:
    return HTTPError(416, detail, headers={"content-range": f"bytes */{size}", "accept-ranges": "bytes"})
