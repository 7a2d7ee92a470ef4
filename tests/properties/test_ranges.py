"""Range fields against a naive oracle that marks bytes one by one, and against anything at all."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from framework.errors import HTTPError
from framework.http.ranges import ByteRange, select_ranges

SIZES = st.integers(0, 400)
NUMBERS = st.integers(0, 450)
BLANKS = st.sampled_from(["", " ", "\t", "  "])


@st.composite
def specs(draw: st.DrawFn) -> tuple[str, int | None, int | None]:
    """A valid range-spec with its two numbers; a suffix has no first."""
    kind = draw(st.sampled_from(["both", "first", "suffix"]))
    if kind == "suffix":
        length = draw(NUMBERS)
        return f"-{length}", None, length
    first = draw(NUMBERS)
    if kind == "first":
        return f"{first}-", first, None
    last = draw(st.integers(first, 500))
    return f"{first}-{last}", first, last


def selected(field: str, size: int) -> list[ByteRange] | int | None:
    """What ``select_ranges`` says, or the status it answers."""
    try:
        return select_ranges(field, size)
    except HTTPError as error:
        return error.status


def wanted_bytes(size: int, first: int | None, last: int | None) -> set[int]:
    if first is None:
        assert last is not None
        return set(range(max(size - last, 0), size))
    return {byte for byte in range(size) if byte >= first and (last is None or byte <= last)}


@given(st.lists(specs(), min_size=1, max_size=8), SIZES, st.data())
def test_ranges_cover_what_was_asked_for_and_little_else(
    asked: list[tuple[str, int | None, int | None]], size: int, data: st.DataObject
) -> None:
    field = "bytes=" + ",".join(f"{data.draw(BLANKS)}{text}{data.draw(BLANKS)}" for text, _, _ in asked)
    wanted = [wanted_bytes(size, first, last) for _, first, last in asked]
    ranges = selected(field, size)
    if ranges == 416:
        assert not any(wanted)
        return
    if ranges is None:
        assert size == 0
        return
    assert isinstance(ranges, list)
    covered = [byte for start, stop in ranges for byte in range(start, stop)]
    assert len(covered) == len(set(covered)) <= size
    assert set().union(*wanted) <= set(covered)
    assert all(0 <= start < stop <= size for start, stop in ranges)
    # What was not asked for lies in gaps that cost less than a part.
    for start, stop in ranges:
        run = 0
        for byte in range(start, stop):
            run = 0 if any(byte in each for each in wanted) else run + 1
            assert run < 80
    # Two ranges that are left have more between them than that.
    ordered = sorted(ranges)
    assert all(after.start - before.stop >= 80 for before, after in pairwise(ordered))
    # Each range stands where the first of its parts was asked for.
    places = [
        min(place for place, each in enumerate(wanted) if each and start <= min(each) < stop)
        for start, stop in ranges
    ]
    assert places == sorted(places)


@given(st.text(st.sampled_from("bytes=0123456789-, \t;x"), max_size=40), st.integers(0, 10**12))
def test_no_field_yields_bytes_that_are_not_there(field: str, size: int) -> None:
    for text in (field, f"bytes={field}"):
        ranges = selected(text, size)
        if isinstance(ranges, list):
            assert ranges
            assert all(0 <= start < stop <= size for start, stop in ranges)
            assert sum(stop - start for start, stop in ranges) <= size
