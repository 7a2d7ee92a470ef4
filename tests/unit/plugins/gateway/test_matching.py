"""Which route takes a request: precedence, conflicts, and that the count of routes is no matter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.errors import HTTPError, SetupError
from framework.http.request import Origin, Request
from framework.plugins.gateway.config import Match
from framework.plugins.gateway.matching import Found, Matcher, MatcherBuilder, host_name
from framework.wire.leaves import Limits, parse_request


class Seat:
    """Where a request came from, as far as matching looks at that."""

    peer = None
    scheme = "http"

    def extra(self, name: str) -> Any:
        return None

    def resolve(self, request: Request) -> Origin:
        return Origin(None, "http", request.host)

    def after_response(self, function: Any, args: Any) -> None:
        raise AssertionError


def asking(
    target: str, *, method: str = "GET", host: str = "example.com", headers: Mapping[str, str] | None = None
) -> Request:
    lines = [
        f"{method} {target} HTTP/1.1",
        f"host: {host}",
        *(f"{k}: {v}" for k, v in (headers or {}).items()),
    ]
    request = parse_request("\r\n".join([*lines, "", ""]).encode(), 0, Limits(), Request)
    assert request is not None
    request.exchange = Seat()
    return request


def built(**matches: Match) -> Matcher[str]:
    builder: MatcherBuilder[str] = MatcherBuilder()
    for name, match in matches.items():
        builder.add(name, match, name)
    return builder.build()


def name_of(matcher: Matcher[str], target: str, **options: Any) -> str | None:
    found = matcher.find(asking(target, **options))
    return found.value if isinstance(found, Found) else None


MIXED = {
    "all": Match(),
    "api": Match(path="/api"),
    "deep": Match(path="/api/v1/"),
    "exact": Match(exact="/api/v1/me"),
    "pattern": Match(pattern="/api/v1/{id:int}"),
    "beta": Match(path="/api", headers={"X-Beta": "1"}),
    "reads": Match(path="/api", methods=("GET", "HEAD")),
    "shop": Match(host="shop.example"),
    "sub": Match(host="*.example"),
}


@pytest.mark.parametrize(
    ("target", "options", "name"),
    [
        ("/", {}, "all"),
        ("/apis", {}, "all"),
        ("/api", {}, "reads"),
        ("/api", {"method": "POST"}, "api"),
        ("/api/x?y", {}, "reads"),
        ("/api/v1", {}, "deep"),
        ("/api/v1/anything", {"method": "PURGE"}, "deep"),
        ("/api/v1/me", {}, "exact"),
        ("/api/v1/7", {}, "pattern"),
        ("/api/v1/7/x", {}, "deep"),
        ("/api/x", {"headers": {"x-beta": "1"}}, "beta"),
        ("/api/x", {"headers": {"x-beta": "2"}}, "reads"),
        ("//api//x/../v1/me", {}, "exact"),
        ("/%61pi/v1/%6de", {}, "exact"),
        ("/api%2Fv1", {}, "all"),
        ("/api", {"host": "shop.example:8080"}, "shop"),
        ("/api", {"host": "SHOP.example."}, "shop"),
        ("/api", {"host": "a.shop.example"}, "sub"),
        ("/api", {"host": "example"}, "reads"),
    ],
)
def test_the_most_specific_match_decides(target: str, options: dict[str, Any], name: str) -> None:
    assert name_of(built(**MIXED), target, **options) == name
    assert name_of(built(**dict(reversed(MIXED.items()))), target, **options) == name, "the order in the file"


def test_what_is_behind_a_prefix_and_the_parameters_of_a_pattern() -> None:
    matcher = built(**MIXED)
    deep = matcher.find(asking("/api/v1/a/b"))
    assert isinstance(deep, Found)
    assert deep.rest == "/a/b"
    pattern = matcher.find(asking("/api/v1/42"))
    assert isinstance(pattern, Found)
    assert pattern.params == {"id": 42}


def test_only_the_method_does_not_fit() -> None:
    matcher = built(a=Match(path="/a", methods=("GET", "PUT")), b=Match(path="/a/b", headers={"x": "1"}))
    assert matcher.find(asking("/a/b", method="POST")) == frozenset({"GET", "PUT"})
    assert matcher.find(asking("/c")) is None
    assert matcher.find(asking("/a/b", method="PUT", headers={"x": "1"})) is not None


def test_a_bad_path_is_a_400() -> None:
    with pytest.raises(HTTPError) as caught:
        built(all=Match()).find(asking("/%zz"))
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("want", "value", "fits"),
    [
        ("1", "1", True),
        ("1", "2", False),
        ("*", "x", True),
        ("*", None, False),
        ("!", None, True),
        ("!", "x", False),
        ("~[a-c]+", "abc", True),
        ("~[a-c]+", "abcd", False),
        ("~[a-c]+", None, False),
    ],
)
def test_values(want: str, value: str | None, fits: bool) -> None:
    headers = {} if value is None else {"x-a": value}
    assert (name_of(built(one=Match(headers={"X-A": want})), "/", headers=headers) == "one") is fits
    query = "/" if value is None else f"/?q={value}"
    assert (name_of(built(one=Match(query={"q": want})), query) == "one") is fits


@pytest.mark.parametrize(
    ("one", "other", "conflict"),
    [
        (Match(path="/a"), Match(path="/a/"), True),
        (Match(path="/a"), Match(exact="/a"), False),
        (Match(path="/a", methods=("GET",)), Match(path="/a", methods=("POST",)), False),
        (Match(path="/a", methods=("GET",)), Match(path="/a", methods=("POST", "GET")), True),
        (Match(path="/a", headers={"x": "1"}), Match(path="/a", headers={"x": "2"}), False),
        (Match(path="/a", headers={"x": "1"}), Match(path="/a", headers={"x": "!"}), False),
        (Match(path="/a", headers={"x": "1"}), Match(path="/a", headers={"x": "*"}), True),
        (Match(path="/a", headers={"x": "1"}), Match(path="/a", headers={"y": "1"}), True),
        (Match(path="/a", query={"x": "~a.*"}), Match(path="/a", query={"x": "~.*b"}), True),
        (Match(path="/a", host="a.example"), Match(path="/a", host="A.example"), True),
        (Match(path="/a", host="a.example"), Match(path="/a", host="*.example"), False),
        (Match(pattern="/a/{x}"), Match(pattern="/a/{x}"), True),
        (Match(pattern="/a/{x}"), Match(pattern="/a/{y}"), True),
    ],
)
def test_conflicts_are_told_when_it_is_built(one: Match, other: Match, conflict: bool) -> None:
    if not conflict:
        built(one=one, other=other)
        return
    with pytest.raises(SetupError):
        built(one=one, other=other)


def test_everything_wrong_is_told_at_once() -> None:
    with pytest.raises(SetupError) as caught:
        built(
            a=Match(headers={"x": "~("}),
            b=Match(host="a.*.example"),
            c=Match(path="/c"),
            d=Match(path="/c"),
            e=Match(pattern="/{"),
        )
    text = str(caught.value)
    assert all(
        part in text
        for part in ("routes.a:", "routes.b:", "routes.c: it takes the same requests as d", "routes.e:")
    )


@given(st.lists(st.sampled_from(["a", "b", "ab", "c"]), max_size=6), st.data())
def test_the_longest_prefix_wins(segments: list[str], data: st.DataObject) -> None:
    prefixes: set[tuple[str, ...]] = data.draw(
        st.sets(st.lists(st.sampled_from(["a", "b", "ab", "c"]), max_size=4).map(tuple), max_size=8)
    )
    matcher = built(**{f"p{'.'.join(p)}": Match(path="/" + "/".join(p)) for p in prefixes})
    fitting = [p for p in prefixes if tuple(segments[: len(p)]) == p]
    expected = f"p{'.'.join(sorted(fitting, key=len)[-1])}" if fitting else None
    assert name_of(matcher, "/" + "/".join(segments)) == expected


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("a.b", "a.b"),
        ("A.B:80", "a.b"),
        ("a.b.", "a.b"),
        ("[::1]", "[::1]"),
        ("[::1]:80", "[::1]"),
        ("a:", "a"),
        ("", ""),
    ],
)
def test_names_of_hosts(host: str, name: str) -> None:
    assert host_name(host) == name
