"""Forms in any cut of their bytes against what was put in, and anything at all against the promise of an HTTPError."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from framework.errors import HTTPError
from framework.http.multipart import MultipartLimits, read_multipart
from framework.testing import fake_request

NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters='"\\\r\n%', exclude_categories=["Cc"]), max_size=8
)
CONTENTS = (
    st.lists(
        st.sampled_from([b"\r\n", b"--B", b"--", b"\r", b"\n", b"B", b"x", b"\r\n--", b"\r\n--A", b"\0\xff"]),
        max_size=8,
    )
    .map(b"".join)
    .filter(lambda content: b"\r\n--B" not in b"\r\n" + content)
)
PARTS = st.lists(st.tuples(NAMES, st.none() | NAMES, CONTENTS), max_size=4)
CUTS = st.lists(st.integers(0, 600), max_size=12)

Found = list[tuple[str, str | None, bytes]] | int


def write(parts: Sequence[tuple[str, str | None, bytes]]) -> bytes:
    body = b""
    for name, filename, content in parts:
        file = "" if filename is None else f'; filename="{filename}"'
        body += (
            f'--B\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + content + b"\r\n"
        )
    return body + b"--B--\r\n"


def cut(body: bytes, at: Sequence[int]) -> list[bytes]:
    places = sorted({0, len(body), *(place for place in at if place < len(body))})
    return [body[start:stop] for start, stop in pairwise(places)]


def read(pieces: Sequence[bytes], limits: MultipartLimits | None = None, *, whole: bool = True) -> Found:
    """The parts, or the status of the error that ended them."""

    async def run() -> list[tuple[str, str | None, bytes]]:
        request = fake_request(
            "POST", headers={"content-type": "multipart/form-data; boundary=B"}, body=pieces
        )
        return [
            (part.name, part.filename, await part.read() if whole else b"")
            async for part in read_multipart(request, limits)
        ]

    try:
        return asyncio.run(run())
    except HTTPError as error:
        return error.status


@given(PARTS, CUTS)
@example([("a", None, b"\r\n--"), ("b", "f", b"\r")], list(range(400)))
def test_any_cut_gives_the_parts_that_were_put_in(
    parts: list[tuple[str, str | None, bytes]], at: list[int]
) -> None:
    assert read(cut(write(parts), at)) == parts


@given(PARTS, CUTS)
def test_parts_that_are_skipped_are_still_counted(
    parts: list[tuple[str, str | None, bytes]], at: list[int]
) -> None:
    assert read(cut(write(parts), at), whole=False) == [(name, filename, b"") for name, filename, _ in parts]


HEAD = b'Content-Disposition: form-data; name="a"'
JUNK = st.lists(
    st.sampled_from(
        [
            b"--B",
            b"\r\n",
            b"--",
            b"\n",
            b"\r",
            HEAD,
            b"; filename=x",
            b":",
            b" ",
            b"X: y",
            b"\xff",
            b'"',
            b"Content-Length: 1",
        ]
    ),
    max_size=14,
).map(b"".join)


@given(JUNK, CUTS, CUTS)
def test_whatever_comes_is_read_the_same_in_any_cut_or_refused(
    junk: bytes, one: list[int], other: list[int]
) -> None:
    limits = MultipartLimits(max_parts=2, max_headers=2, max_header=60)
    for body in (junk, b"--B\r\n" + HEAD + junk, b"--B\r\n" + HEAD + b"\r\n\r\n" + junk):
        found, again = read(cut(body, one), limits), read(cut(body, other), limits)
        # A line may be too long before it is seen to be malformed.
        assert found == again or (found in (400, 413) and again in (400, 413))


@given(PARTS.filter(bool), st.data())
def test_no_form_that_was_cut_short_is_whole(
    parts: list[tuple[str, str | None, bytes]], data: st.DataObject
) -> None:
    body = write(parts)[: -len(b"\r\n")]
    assert read([body[: data.draw(st.integers(0, len(body) - 1))]]) == 400
