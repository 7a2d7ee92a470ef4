"""Queries, read as browsers read them (WHATWG URL, section 5.1)."""

from __future__ import annotations

import pytest

from framework.errors import HTTPError
from framework.http.query import QueryParams


@pytest.mark.parametrize(
    ("raw", "pairs"),
    [
        ("", []),
        ("a=1&b=2&a=3", [("a", "1"), ("b", "2"), ("a", "3")]),
        ("a", [("a", "")]),
        ("a=", [("a", "")]),
        ("=a", [("", "a")]),
        ("=", [("", "")]),
        ("a=b=c", [("a", "b=c")]),
        ("&&a=1&&", [("a", "1")]),
        ("a;b=1", [("a;b", "1")]),
        ("a+b=c+d", [("a b", "c d")]),
        ("a%2Bb=%20%26%3d", [("a+b", " &=")]),
        ("a=%C3%A9", [("a", "é")]),
        ("a=%c3", [("a", "\ufffd")]),
        ("a=%ff%41", [("a", "\ufffdA")]),
        ("a=%zz%4&b=%", [("a", "%zz%4"), ("b", "%")]),
        ("a=\xc3\xa9%C3\xa9", [("a", "éé")]),
        ("a=%00", [("a", "\0")]),
        ("a=%EF%BB%BFx", [("a", "\ufeffx")]),
        ("a[]=1&a[]=2", [("a[]", "1"), ("a[]", "2")]),
        ("a=%2525", [("a", "%25")]),
    ],
)
def test_parses_as_browsers_do(raw: str, pairs: list[tuple[str, str]]) -> None:
    assert list(QueryParams(raw).items()) == pairs


def test_looks_up() -> None:
    query = QueryParams("a=1&b=2&a=3")
    assert query["a"] == "1"
    assert query.get_all("a") == ["1", "3"]
    assert query.get("A") is None
    assert len(query) == 2
    assert query.raw == "a=1&b=2&a=3"
    assert repr(QueryParams("token=s3cret")) == "<QueryParams token>"


def test_too_many_parameters_answer_400_at_the_first_look() -> None:
    assert len(QueryParams("&".join(f"n{number}=" for number in range(1000)))) == 1000
    flood = QueryParams("&" * 1000)
    for _ in range(2):
        with pytest.raises(HTTPError) as caught:
            flood.get("a")
        assert caught.value.status == 400
    assert QueryParams("a=1&b=2", max_fields=2)["b"] == "2"
    with pytest.raises(HTTPError):
        len(QueryParams("a=1&b=2&c=3", max_fields=2))
