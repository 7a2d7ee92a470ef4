"""Media types and the choice among them."""

from __future__ import annotations

import pytest

from framework.errors import CodecError
from framework.http.media import best_match, is_json, parse_media_type


@pytest.mark.parametrize(
    ("value", "essence", "parameters"),
    [
        ("text/html", "text/html", {}),
        (" Text/HTML ", "text/html", {}),
        ("text/html;charset=UTF-8", "text/html", {"charset": "UTF-8"}),
        ('text/html ; Charset="utf-8" ;a=b', "text/html", {"charset": "utf-8", "a": "b"}),
        (r'a/b;c="x\"y\\ ;z,"', "a/b", {"c": 'x"y\\ ;z,'}),
        ('a/b;c=""', "a/b", {"c": ""}),
        ("a/b;", "a/b", {}),
        ("a/b;; ;c=d;", "a/b", {"c": "d"}),
        ("application/vnd.api+json", "application/vnd.api+json", {}),
    ],
)
def test_parses(value: str, essence: str, parameters: dict[str, str]) -> None:
    parsed = parse_media_type(value)
    assert parsed.essence == essence
    assert parsed.parameters == parameters


@pytest.mark.parametrize(
    "value",
    [
        "",
        "text",
        "text/",
        "/html",
        "text /html",
        "text/html charset=x",
        "text/html;charset",
        "text/html;charset=",
        "text/html;charset =x",
        "text/html;charset= x",
        'text/html;a="b',
        'text/html;a="b"c',
        "text/html, text/plain",
        "text/html;a=1;A=2",
        "text/html\r\n",
        "té/xt",
    ],
)
def test_malformed_types_are_refused(value: str) -> None:
    with pytest.raises(CodecError):
        parse_media_type(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("application/json", True),
        ("Application/JSON", True),
        ("application/json; charset=utf-8", True),
        ("application/problem+json", True),
        ("image/x+JSON;a=b", True),
        ("text/json", False),
        ("application/jsonp", False),
        ("application/+json", False),
        ("application/json-seq", False),
        ("text/plain;a=application/json", False),
        ("application/json;=", False),
        ("", False),
    ],
)
def test_is_json(value: str, expected: bool) -> None:
    assert is_json(value) is expected


@pytest.mark.parametrize(
    ("accept", "offers", "expected"),
    [
        (None, ["text/html", "a/b"], "text/html"),
        ("", ["text/html", "a/b"], "text/html"),
        ("*/*", ["text/html", "a/b"], "text/html"),
        ("a/b", ["text/html", "a/b"], "a/b"),
        ("text/*;q=0.5, a/b;q=0.4", ["a/b", "text/html"], "text/html"),
        ("text/html;q=0.4, text/*;q=0.9", ["text/html", "text/plain"], "text/plain"),
        ("*/*, text/html;q=0", ["text/html"], None),
        ("*/*;q=0.1, text/html;q=0", ["text/html", "a/b"], "a/b"),
        ("image/png", ["text/html"], None),
        ("text/html;level=1, text/html;q=0.5", ["text/html", "text/html;level=1"], "text/html;level=1"),
        ("text/html;level=2", ["text/html;level=1"], None),
        ('text/html;p="a,b";q=0.1, a/b;q=0.2', ['text/html;p="a,b"', "a/b"], "a/b"),
        ("TEXT/HTML;Q=1.000", ["a/b", "text/html"], "text/html"),
        ("text/html;q=2, a/b;q=0.1", ["text/html", "a/b"], "a/b"),
        ("text/html;q=0.1234, a/b", ["text/html", "a/b"], "a/b"),
        ("*;q=1, */html, broken", ["text/html"], "text/html"),
        ("a/b;q=0.9, , ,text/html", ["a/b", "text/html"], "text/html"),
        ("*/*", [], None),
        (None, [], None),
        (
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
            ["application/json", "text/html"],
            "text/html",
        ),
    ],
)
def test_best_match(accept: str | None, offers: list[str], expected: str | None) -> None:
    assert best_match(accept, offers) == expected


def test_weights_of_rfc_9110() -> None:
    accept = (
        "text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, text/plain;format=fixed;q=0.4, */*;q=0.5"
    )
    ranking = [
        "text/plain;format=flowed",
        "text/plain",
        "image/jpeg",
        "text/plain;format=fixed",
        "text/html",
    ]
    for start in range(len(ranking)):
        assert best_match(accept, ranking[start:][::-1]) == ranking[start]


def test_ranges_beyond_the_hundredth_are_not_read() -> None:
    flood = "a/b;q=0.1, " * 100
    assert best_match(flood + "c/d", ["c/d"]) is None
    assert best_match(flood + "c/d", ["c/d", "a/b"]) == "a/b"
