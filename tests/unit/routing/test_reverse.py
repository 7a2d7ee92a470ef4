"""From a pattern and values to a path."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from framework.errors import CodecError
from framework.routing import RouterBuilder, reverse
from framework.routing.converters import Converter


class Word:
    name, regex, type = "word", "[a-z]+", str

    def to_python(self, text: str) -> str:
        return text

    def to_text(self, value: str) -> str:
        return value


CONVERTERS: Mapping[str, Converter] = {"word": Word()}


def path_of(pattern: str, **params: object) -> str:
    return reverse(RouterBuilder[None](CONVERTERS).parse(pattern), params)


@pytest.mark.parametrize(
    ("pattern", "params", "path"),
    [
        ("/", {}, "/"),
        ("/users/", {}, "/users/"),
        ("/users/{id:int}/posts/{slug}", {"slug": "x", "id": 7}, "/users/7/posts/x"),
        ("/{x}", {"x": "a b"}, "/a%20b"),
        ("/{x}", {"x": "café"}, "/caf%C3%A9"),
        ("/{x}", {"x": '?#[]"<>\\^`{|}'}, "/%3F%23%5B%5D%22%3C%3E%5C%5E%60%7B%7C%7D"),
        ("/{x}", {"x": "~-._!$&'()*+,;=:@"}, "/~-._!$&'()*+,;=:@"),
        ("/{x}", {"x": "100%"}, "/100%25"),
        ("/{x}", {"x": "%2F"}, "/%252F"),
        ("/{x}", {"x": "..."}, "/..."),
        ("/{x:word}/y", {"x": "abc"}, "/abc/y"),
        ("/f/{rest:path}", {"rest": "a b/c%/d"}, "/f/a%20b/c%25/d"),
        ("/f/{rest:path}", {"rest": ""}, "/f/"),
        ("/f/{rest:path}", {"rest": "a/"}, "/f/a/"),
        ("/f/{rest:escaped}", {"rest": "a b%2Fc/%25"}, "/f/a%20b%2Fc/%25"),
        ("/café/x%2Fy", {}, "/caf%C3%A9/x%2Fy"),
    ],
)
def test_paths(pattern: str, params: dict[str, object], path: str) -> None:
    assert path_of(pattern, **params) == path


def test_a_slash_in_a_str_is_encoded() -> None:
    assert path_of("/repos/{name}", name="a/b") == "/repos/a%2Fb"
    assert path_of("/repos/{name}", name="/../x") == "/repos/%2F..%2Fx"


@pytest.mark.parametrize(
    "rest", ["/evil.com", "//evil.com", "a//b", "../x", "a/../b", "a/.", "..", "a/\x00", "\n"]
)
def test_a_path_value_never_makes_a_scheme_relative_or_climbing_url(rest: str) -> None:
    with pytest.raises(CodecError, match="has no text that matches 'path'"):
        path_of("/{rest:path}", rest=rest)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("str", ""),
        ("str", "."),
        ("str", ".."),
        ("str", "a\x00b"),
        ("str", "a\r\nb"),
        ("str", 7),
        ("int", "7"),
        ("int", -1),
        ("int", 2**63),
        pytest.param("int", 10**5000, id="huge int"),
        pytest.param("float", 10**5000, id="huge float"),
        ("int", True),
        ("float", -1.5),
        ("float", float("inf")),
        ("float", float("nan")),
        ("float", 1e300),
        ("uuid", "12345678-1234-5678-9abc-def012345678"),
        ("word", "ABC"),
        ("word", ""),
        ("path", None),
    ],
)
def test_values_that_the_pattern_would_not_match_raise(kind: str, value: object) -> None:
    with pytest.raises(CodecError, match=f"/{{v:{kind}}}: v: "):
        path_of(f"/{{v:{kind}}}", v=value)


def test_surrogates_have_no_bytes() -> None:
    with pytest.raises(CodecError, match="surrogate"):
        path_of("/{x}", x="\ud800")


@pytest.mark.parametrize("params", [{}, {"id": 1, "more": 2}, {"key": 1}])
def test_missing_extra_and_wrong_names_raise(params: dict[str, object]) -> None:
    with pytest.raises(CodecError, match="takes the parameters: id; given: "):
        path_of("/users/{id:int}", **params)


def test_a_static_pattern_takes_no_parameters() -> None:
    with pytest.raises(CodecError, match="takes the parameters: none; given: a"):
        path_of("/users", a=1)
