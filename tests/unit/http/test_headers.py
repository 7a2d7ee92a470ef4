"""Received fields are looked up without regard to case; fields to send cannot break out of their line."""

from __future__ import annotations

import pytest

from framework.errors import LocalProtocolError
from framework.http.headers import Headers, MutableHeaders

RAW = [("host", "a"), ("accept", "x/y"), ("accept", "z/*"), ("cookie", "")]


def test_names_have_no_case() -> None:
    headers = Headers(RAW)
    assert headers["Host"] == headers["host"] == "a"
    assert headers.get("ACCEPT") == "x/y"
    assert headers.get("Missing") is None
    assert headers.get("Missing", "-") == "-"
    assert headers.get_all("Accept") == ["x/y", "z/*"]
    assert "COOKIE" in headers
    with pytest.raises(KeyError):
        headers["Missing"]


def test_a_list_over_several_lines_is_combined() -> None:
    headers = Headers(RAW)
    assert headers.combined("Accept") == "x/y, z/*"
    assert headers.combined("cookie") == ""
    assert headers.combined("missing") is None


def test_construction_adopts_the_pairs() -> None:
    headers = Headers(RAW)
    assert headers.raw is RAW
    assert list(headers.items()) == RAW
    assert list(headers) == ["host", "accept", "cookie"]
    assert len(headers) == 3


def test_received_fields_cannot_be_changed() -> None:
    headers = Headers(RAW)
    with pytest.raises(TypeError):
        headers["a"] = "b"  # type: ignore[index]
    with pytest.raises(AttributeError):
        headers.other = 1  # type: ignore[attr-defined]


def test_repr_shows_no_values() -> None:
    secret = [("authorization", "Bearer s3cret")]
    assert repr(Headers(secret)) == "<Headers authorization>"
    assert repr(MutableHeaders(secret)) == "<MutableHeaders authorization>"


def test_builds_the_pairs_the_serialiser_reads() -> None:
    headers = MutableHeaders([("X-A", "1")])
    headers.add("x-a", "2")
    headers.set("Content-Type", "text/html")
    headers["content-type"] = "text/plain"
    assert headers.setdefault("CONTENT-TYPE", "other") == "text/plain"
    assert headers.setdefault("X-B", "") == ""
    headers.extend([("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
    assert headers.pairs == [
        ("x-a", "1"),
        ("x-a", "2"),
        ("content-type", "text/plain"),
        ("x-b", ""),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
    ]
    assert list(headers.items()) == headers.pairs
    headers.delete("X-A")
    del headers["set-cookie"]
    headers.delete("never-there")
    assert headers.pairs == [("content-type", "text/plain"), ("x-b", "")]


def test_fields_to_send_can_be_read() -> None:
    headers = MutableHeaders([("A", "1"), ("a", "2"), ("b", "3")])
    assert headers["A"] == "1"
    assert headers.get("B") == "3"
    assert headers.get("c") is None
    assert headers.get_all("A") == ["1", "2"]
    assert "A" in headers
    assert "c" not in headers
    assert list(headers) == ["a", "b"]
    assert len(headers) == 2
    with pytest.raises(KeyError):
        headers["c"]


def test_the_pairs_are_its_own() -> None:
    given = [("a", "1")]
    headers = MutableHeaders(given)
    headers.add("b", "2")
    assert given == [("a", "1")]


@pytest.mark.parametrize(
    "value",
    [
        "a\r\nset-cookie: b",
        "a\nb",
        "a\rb",
        "a\0b",
        "\x7f",
        "a\x1b",
        " a",
        "a ",
        "\ta",
        "a\t",
        " ",
        "\u0100",
        "\u2028",
    ],
)
@pytest.mark.parametrize("method", ["set", "add", "setdefault", "__setitem__"])
def test_response_splitting(method: str, value: str) -> None:
    headers = MutableHeaders([("x", "kept")])
    with pytest.raises(LocalProtocolError):
        getattr(headers, method)("x", value)
    assert headers.pairs == [("x", "kept")]


def test_a_refused_secret_is_not_in_the_message() -> None:
    with pytest.raises(LocalProtocolError) as caught:
        MutableHeaders([("x-token", "s3cret\n")])
    assert "s3cret" not in str(caught.value)
    assert "x-token" in str(caught.value)


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\n", "é", "a(b", "a\0"])
def test_response_splitting_by_name(name: str) -> None:
    headers = MutableHeaders()
    for method in (headers.set, headers.add, headers.setdefault):
        with pytest.raises(LocalProtocolError):
            method(name, "v")
    assert headers.pairs == []


def test_extend_adds_all_or_nothing() -> None:
    headers = MutableHeaders()
    with pytest.raises(LocalProtocolError):
        headers.extend([("a", "1"), ("b", "2\n")])
    assert headers.pairs == []


@pytest.mark.parametrize("value", ["", "a b\tc", "é\xa0\x85", '"quoted, list"', "a" * 10_000])
def test_valid_values_pass(value: str) -> None:
    headers = MutableHeaders([("x", value)])
    assert headers["x"] == value


@pytest.mark.parametrize(
    ("present", "names", "expected"),
    [
        ([], ["Origin"], "Origin"),
        (["Accept"], ["accept", "Origin", "origin"], "Accept, Origin"),
        (["Accept, Cookie", "Origin"], ["X"], "Accept, Cookie, Origin, X"),
        (["*"], ["Origin"], "*"),
        (["Accept"], ["*"], "*"),
    ],
)
def test_vary_names_each_field_once(present: list[str], names: list[str], expected: str) -> None:
    headers = MutableHeaders(("Vary", value) for value in present)
    headers.vary(*names)
    assert headers.pairs == [("vary", expected)]
