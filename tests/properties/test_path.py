"""The canonical path against what it promises, and against a slow reading of the same rules."""

from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st

from framework.errors import HTTPError
from framework.http.path import canonical_path, unescape_segment

UNRESERVED = "abzAZ09-._~"
PIECES = ["/", "/", ".", "..", "a", "b", "%2e", "%2E", "%2F", "%2f", "%25", "%5C", "%C3%A9", "%61", "~"]
BAD_PIECES = ["%", "%0", "%00", "%C3", "%ff", "\x00", "\n", "é", "%7F", "%E2%80"]

good_paths = st.lists(st.sampled_from(PIECES), max_size=14).map(lambda pieces: "/" + "".join(pieces))
any_paths = st.one_of(
    good_paths,
    st.lists(st.sampled_from(PIECES + BAD_PIECES), max_size=14).map("".join),
    st.text(st.characters(max_codepoint=0x17F), max_size=20).map(lambda text: "/" + text),
)


def canonical(raw: str) -> str | None:
    try:
        return canonical_path(raw)
    except HTTPError as error:
        return None if error.status == 400 else f"{error}"


def read_slowly(raw: str) -> str | None:
    """The same rules, segment by segment and byte by byte."""
    if raw[:1] != "/":
        return None
    kept: list[str] = []
    segment = ""
    for part in raw[1:].split("/"):
        data = bytearray()
        i = 0
        while i < len(part):
            if part[i] == "%":
                digits = part[i + 1 : i + 3]
                if len(digits) < 2 or any(digit not in "0123456789abcdefABCDEF" for digit in digits):
                    return None
                byte = int(digits, 16)
                data += {0x2F: b"%2F", 0x25: b"%25"}.get(byte, bytes([byte]))
                i += 3
            elif ord(part[i]) < 0x80:
                data.append(ord(part[i]))
                i += 1
            else:
                return None
        try:
            segment = data.decode("utf-8")
        except UnicodeDecodeError:
            return None
        if any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 for char in segment):
            return None
        kept.append(segment)
    resolved: list[str] = []
    climbed = False
    for name in kept:
        if name == "..":
            climbed = climbed or not resolved
            resolved = resolved[:-1]
        elif name not in ("", "."):
            resolved.append(name)
    if climbed:
        return None
    return "/" + "/".join(resolved) + ("/" if resolved and kept[-1] in ("", ".", "..") else "")


def encode(text: str, is_escaped: list[bool]) -> str:
    """Percent-encode the marked characters of ``text``."""
    return "".join(
        "".join(f"%{byte:02x}" for byte in char.encode()) if mark else char
        for char, mark in zip(text, is_escaped, strict=True)
    )


@given(any_paths)
@example("/a/%2e%2e/%2e%2e")
@example("/%C3/%A9")
@example("/%C3%2F%A9")
def test_the_fast_reading_is_the_slow_one(raw: str) -> None:
    assert canonical(raw) == read_slowly(raw)


@given(good_paths)
def test_a_canonical_path_has_nothing_that_could_be_read_twice(raw: str) -> None:
    path = canonical(raw)
    if path is None:
        return
    assert path.startswith("/")
    assert "//" not in path
    assert not {".", ".."} & set(path.split("/"))
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", path)
    assert not re.search("%(?!2F|25)", path)


@given(good_paths)
def test_the_canonical_path_of_a_canonical_path_is_itself(raw: str) -> None:
    path = canonical(raw)
    if path is not None:
        written = re.sub(r"[^!-~]", lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), path)
        assert canonical(written) == path


@given(st.text(UNRESERVED + "/", max_size=12).map(lambda text: "/" + text), st.data())
def test_the_encoding_of_unreserved_characters_does_not_matter(raw: str, data: st.DataObject) -> None:
    marks = [char != "/" and data.draw(st.booleans()) for char in raw]
    assert canonical(encode(raw, marks)) == canonical(raw)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), min_size=1))
def test_every_text_can_be_a_segment_and_comes_back(texts: list[str]) -> None:
    if {".", ".."} & set(texts):
        return
    raw = "/" + "/".join(encode(text, [True] * len(text)) for text in texts)
    path = canonical_path(raw)
    assert [unescape_segment(segment) for segment in path[1:].split("/")] == texts
