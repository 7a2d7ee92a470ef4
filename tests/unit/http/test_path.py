"""The canonical path: what it changes, what it keeps and what it refuses."""

from __future__ import annotations

import pytest

from framework.errors import HTTPError
from framework.http.path import canonical_path, unescape_segment


@pytest.mark.parametrize(
    "raw",
    ["/", "/users", "/users/", "/users/42/posts", "/a.b/c..d/e~f", "/a:b@c;d=e,f!$&'()*+"],
)
def test_a_path_with_nothing_to_do_is_returned_as_it_is(raw: str) -> None:
    assert canonical_path(raw) is raw


@pytest.mark.parametrize("path", ["/.well-known/x", "/...", "/..a/.b./c.", "/a/.gitignore"])
def test_a_name_may_start_with_a_dot(path: str) -> None:
    assert canonical_path(path) == path


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ("/%61%62c", "/abc"),
        ("/caf%C3%A9", "/café"),
        ("/caf%c3%a9", "/café"),
        ("/%F0%9F%98%80", "/\U0001f600"),
        ("/a%20b", "/a b"),
        ("/a+b", "/a+b"),
        ("/a%2Bb", "/a+b"),
        ("/a%3Fb%23c", "/a?b#c"),
    ],
)
def test_escapes_are_decoded_as_utf8(raw: str, path: str) -> None:
    assert canonical_path(raw) == path


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ("/a%2Fb", "/a%2Fb"),
        ("/a%2fb", "/a%2Fb"),
        ("/%2F", "/%2F"),
        ("/%2f%2f", "/%2F%2F"),
        ("/a/..%2Fb", "/a/..%2Fb"),
        ("/..%2F..%2Fetc", "/..%2F..%2Fetc"),
    ],
)
def test_an_encoded_slash_never_becomes_a_separator(raw: str, path: str) -> None:
    assert canonical_path(raw) == path


@pytest.mark.parametrize(
    ("raw", "path"),
    [("/%25", "/%25"), ("/%252F", "/%252F"), ("/%252e%252e/a", "/%252e%252e/a"), ("/%2500", "/%2500")],
)
def test_an_escape_is_decoded_once(raw: str, path: str) -> None:
    assert canonical_path(raw) == path


def test_an_encoded_slash_and_an_encoded_escape_of_one_stay_different() -> None:
    assert canonical_path("/a%2Fb") != canonical_path("/a%252Fb")
    assert unescape_segment("a%2Fb") == "a/b"
    assert unescape_segment("a%252Fb") == "a%2Fb"
    assert unescape_segment("100%25") == "100%"
    assert unescape_segment("plain") == "plain"


@pytest.mark.parametrize(
    ("raw", "path"),
    [("//", "/"), ("//a", "/a"), ("/a//b", "/a/b"), ("/a//", "/a/"), ("////a////b////", "/a/b/")],
)
def test_double_slashes_are_merged(raw: str, path: str) -> None:
    assert canonical_path(raw) == path


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ("/.", "/"),
        ("/./", "/"),
        ("/a/.", "/a/"),
        ("/a/./b", "/a/b"),
        ("/a/..", "/"),
        ("/a/b/..", "/a/"),
        ("/a/b/../", "/a/"),
        ("/a/../b", "/b"),
        ("/a/b/../../c", "/c"),
        ("/a//../b", "/b"),
        ("/a/%2e%2e/b", "/b"),
        ("/a/.%2E/b", "/b"),
        ("/a/%2e/b", "/a/b"),
        ("/a/.../b", "/a/.../b"),
        ("/a/..b/c", "/a/..b/c"),
    ],
)
def test_dot_segments_are_resolved_however_they_are_written(raw: str, path: str) -> None:
    assert canonical_path(raw) == path


@pytest.mark.parametrize("raw", ["/..", "/../a", "/a/../..", "/a/../../b", "/%2e%2e/a", "//../a", "/./../a"])
def test_dot_segments_above_the_root_are_refused(raw: str) -> None:
    assert refused(raw)


@pytest.mark.parametrize(
    "raw", ["/%00", "/a%00.txt", "/\x00", "/%0d%0aX:%20y", "/%1F", "/%7f", "/\x7f", "/%C2%85", "/\t", "/a\n"]
)
def test_nul_and_other_control_characters_are_refused(raw: str) -> None:
    assert refused(raw)


@pytest.mark.parametrize(
    "raw", ["/%", "/a%", "/%4", "/%4/", "/%zz", "/%u0041", "/%%41", "/% 41", "/%+1", "/%4\n1"]
)
def test_bad_escapes_are_refused(raw: str) -> None:
    assert refused(raw)


@pytest.mark.parametrize(
    "raw",
    ["/%FF", "/%C3", "/%C3x%A9", "/%C0%AF", "/%C0%AE%C0%AE/", "/%E0%80%AF", "/%ED%A0%80", "/%F4%90%80%80"],
    ids=["lone", "cut", "split", "overlong slash", "overlong dots", "overlong 3", "surrogate", "beyond"],
)
def test_bad_utf8_is_refused(raw: str) -> None:
    assert refused(raw)


@pytest.mark.parametrize("raw", ["", "*", "a", "a/b", "?", "http://x/", "%2Fa", "/é", "/\udce9"])
def test_what_is_no_origin_form_is_refused(raw: str) -> None:
    assert refused(raw)


@pytest.mark.parametrize("raw", ["/a\\b", "/a%5Cb", "/a%5cb"])
def test_a_backslash_is_a_character_however_it_is_written(raw: str) -> None:
    assert canonical_path(raw) == "/a\\b"
    assert canonical_path("/a/..%5C..%5Cb") == "/a/..\\..\\b"


def test_the_reason_is_for_the_client_to_read_and_holds_none_of_its_bytes() -> None:
    with pytest.raises(HTTPError) as caught:
        canonical_path("/<script>%00")
    assert caught.value.status == 400
    assert caught.value.detail is not None
    assert "<" not in caught.value.detail


def refused(raw: str) -> bool:
    with pytest.raises(HTTPError) as caught:
        canonical_path(raw)
    return caught.value.status == 400
