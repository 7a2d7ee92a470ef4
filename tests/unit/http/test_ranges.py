"""Byte ranges: what RFC 9110 section 14 has examples of, and what made peers fall over."""

from __future__ import annotations

import pytest

from framework.errors import HTTPError
from framework.http.ranges import MAX_RANGES, ByteRange, lay_out_byteranges, select_ranges


@pytest.mark.parametrize(
    ("field", "ranges"),
    [
        ("bytes=0-499", [(0, 500)]),
        ("bytes=500-999", [(500, 1000)]),
        ("bytes=-500", [(9500, 10000)]),
        ("bytes=9500-", [(9500, 10000)]),
        ("bytes=0-0,-1", [(0, 1), (9999, 10000)]),
        ("bytes= 0-999, 4500-5499, -1000", [(0, 1000), (4500, 5500), (9000, 10000)]),
        ("bytes=500-700,601-999", [(500, 1000)]),
        ("BYTES=0-0", [(0, 1)]),
        ("bytes=,, 0-0 ,\t,", [(0, 1)]),
        ("bytes=0-99999", [(0, 10000)]),
        ("bytes=0-,20000-", [(0, 10000)]),
        ("bytes=" + "0" * 5000 + "7-7", [(7, 8)]),
        ("bytes=0-" + "9" * 5000, [(0, 10000)]),
    ],
)
def test_ranges_of_ten_thousand_bytes(field: str, ranges: list[tuple[int, int]]) -> None:
    assert select_ranges(field, 10_000) == ranges


@pytest.mark.parametrize(
    "field",
    [
        "items=0-1",
        "bytes",
        "bytes 0-1",
        "bytes =0-1",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=5-2",
        "bytes=0-1,5-2",
        "bytes=0-1;2-3",
        "bytes=a-b",
        "bytes=0 - 1",
        "bytes=+1-2",
        "bytes=1_0-2_0",
        "bytes=0x1-2",
        "bytes=\u0661-\u0662",
        "bytes=--1",
        "bytes=1-2-3",
    ],
)
def test_what_is_no_list_of_byte_ranges_is_ignored(field: str) -> None:
    assert select_ranges(field, 10_000) is None


@pytest.mark.parametrize("field", ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=" + "9" * 400 + "-"])
def test_a_range_beyond_the_end_is_not_satisfiable(field: str) -> None:
    with pytest.raises(HTTPError) as caught:
        select_ranges(field, 10)
    assert caught.value.status == 416
    assert caught.value.headers["content-range"] == "bytes */10"


def test_starlette_3307_a_suffix_range_larger_than_the_file_is_the_whole_file() -> None:
    assert select_ranges("bytes=-500", 10) == [(0, 10)]


def test_the_end_of_an_empty_file_is_the_empty_file() -> None:
    assert select_ranges("bytes=-5", 0) is None
    with pytest.raises(HTTPError):
        select_ranges("bytes=0-", 0)


def test_cve_2025_62727_the_number_of_ranges_is_capped_before_any_work() -> None:
    most = ",".join(f"{at * 1000}-{at * 1000}" for at in range(MAX_RANGES))
    selected = select_ranges(f"bytes={most}", 1_000_000)
    assert selected is not None
    assert len(selected) == MAX_RANGES
    for field in (f"bytes={most},1-1", "bytes=" + "0-," * 500_000, "bytes=" + "," * 500_000):
        with pytest.raises(HTTPError) as caught:
            select_ranges(field, 1_000_000)
        assert caught.value.status == 416


def test_cve_2025_62727_ranges_that_overlap_are_sent_once() -> None:
    assert select_ranges("bytes=" + ",".join(["0-"] * 60), 1000) == [(0, 1000)]
    assert select_ranges("bytes=0-10,0-20,5-30,31-40", 1000) == [(0, 41)]


def test_a_gap_smaller_than_the_head_of_a_part_is_sent_along() -> None:
    assert select_ranges("bytes=0-9,80-89", 1000) == [(0, 90)]
    assert select_ranges("bytes=0-9,90-99", 1000) == [(0, 10), (90, 100)]


def test_parts_keep_the_order_in_which_they_were_asked_for() -> None:
    assert select_ranges("bytes=900-,500-510,0-10,505-520", 1000) == [(900, 1000), (500, 521), (0, 11)]


def test_the_layout_of_a_multipart_body() -> None:
    pieces, length = lay_out_byteranges([ByteRange(0, 2), ByteRange(8, 10)], 10, "text/plain", "B")
    content = b"0123456789"
    body = b"".join(
        piece if isinstance(piece, bytes) else content[piece.start : piece.stop] for piece in pieces
    )
    assert body == (
        b"\r\n--B\r\ncontent-type: text/plain\r\ncontent-range: bytes 0-1/10\r\n\r\n01"
        b"\r\n--B\r\ncontent-type: text/plain\r\ncontent-range: bytes 8-9/10\r\n\r\n89"
        b"\r\n--B--\r\n"
    )
    assert length == len(body)
