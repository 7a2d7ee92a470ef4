"""Field lines: RFC 9112 section 5, RFC 9110 section 5."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from framework.wire.leaves import RequestHead

Read = Callable[..., RequestHead]
Refusal = Callable[..., int]


def test_fields_keep_their_order_and_their_repeats(read: Read) -> None:
    head = read("GET / HTTP/1.1", "Host: h", "B: 1", "a: 2", "B: 3", "X_Y: 4")
    assert head.fields() == [("host", "h"), ("b", "1"), ("a", "2"), ("b", "3"), ("x_y", "4")]


def test_fields_can_be_had_as_bytes(read: Read) -> None:
    head = read("GET / HTTP/1.1", "Host: h", "X-`Z_^|~z: \t v\xe9 w \t", "Empty:")
    assert head.raw_fields() == [(b"host", b"h"), (b"x-`z_^|~z", b"v\xe9 w"), (b"empty", b"")]


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("Name: value", "name", "value"),
        ("Name:value", "name", "value"),
        ("Name:", "name", ""),
        ("Name: \t ", "name", ""),
        ("Name: \t a\tb  c \t", "name", "a\tb  c"),
        ("Name: a: b", "name", "a: b"),
        ("!#$%&'*+-.^_`|~9: x", "!#$%&'*+-.^_`|~9", "x"),
        ("X.Custom|Pipe: ok", "x.custom|pipe", "ok"),
        ("Name: caf\xe9\xa0", "name", "caf\xe9\xa0"),
        ("Name: \x85x", "name", "\x85x"),
        ('Name: "a, b"; c="\\""', "name", '"a, b"; c="\\""'),
    ],
)
def test_a_value_is_kept_but_for_the_whitespace_around_it(
    read: Read, line: str, name: str, value: str
) -> None:
    head = read("GET / HTTP/1.1", line)
    assert head.fields()[1:] == [(name, value)]
    assert head.field(name) == value


@pytest.mark.parametrize(
    "line",
    ["Name : value", "Name\t: value", " Name: value", "\tName: value", ": value", "Name", "Na me: value", "Na@me: v",
     "Näme: v", "N\0me: v", "N\x1bme: v", "{: v", "/: v", "Name\x0b: v", "Name\xa0: v", "(Name): v", "Na\x7fme: v"],
)  # fmt: skip
def test_a_name_is_a_token_right_before_its_colon(refusal: Refusal, line: str) -> None:
    assert refusal("GET / HTTP/1.1", line, "After: x") == 400


@pytest.mark.parametrize("byte", [*range(9), *range(11, 32), 127])
def test_no_control_character_stands_in_a_value(refusal: Refusal, byte: int) -> None:
    assert refusal("GET / HTTP/1.1", f"Name: a{chr(byte)}b") == 400
    assert refusal("GET / HTTP/1.1", f"Name:{chr(byte)}") == 400


@pytest.mark.parametrize("fold", [" two", "\ttwo", " ", "\t", "  \t two: three"])
def test_obsolete_line_folding_is_refused(refusal: Refusal, fold: str) -> None:
    assert refusal("GET / HTTP/1.1", "Long: one", fold) == 400
    assert refusal("GET / HTTP/1.1", fold) == 400


@pytest.mark.parametrize("ending", ["\r", "\n", "\r\r", "\n\n", "\r\r\n", "\n\r"])
def test_a_bare_cr_or_lf_ends_no_line(refusal: Refusal, ending: str) -> None:
    assert refusal("GET / HTTP/1.1", f"A: b{ending}Content-Length: 5") == 400
    assert refusal("GET / HTTP/1.1", f"A:{ending}Content-Length: 5") == 400
    assert refusal("GET / HTTP/1.1", f"A{ending}: b") == 400


@pytest.mark.parametrize("space", [" ", "\t"])
def test_no_whitespace_comes_between_request_line_and_fields(refusal: Refusal, space: str) -> None:
    assert refusal(f"GET / HTTP/1.1\r\n{space}Host: x") == 400
    assert refusal(f"GET / HTTP/1.1\r\n{space}", "Host: x") == 400


def test_field_finds_the_first_of_its_name(read: Read) -> None:
    head = read("GET / HTTP/1.1", "X-A: 1", "x-a: 2", "X: X-B: 3")
    assert head.field("x-a") == "1"
    assert head.field("x-b") is None
    assert head.field("x") == "X-B: 3"


@pytest.mark.parametrize(
    "name", ["", "a", "x-", "-a", "x-a:", "x-a: 1", "1\r\nhost", "X-A", "\xe9", "κ", "host: h\r\nx-a"]
)
def test_field_finds_nothing_under_another_name(read: Read, name: str) -> None:
    assert read("GET / HTTP/1.1", "X-A: 1: 2").field(name) is None


def test_fields_do_not_need_a_host_to_be_listed(read: Read) -> None:
    assert read("GET / HTTP/1.0", "Host: h").fields() == [("host", "h")]
