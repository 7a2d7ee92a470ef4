"""The line finder, form by form; tests/properties/test_settings.py tries it on generated documents."""

from __future__ import annotations

import pytest

from framework.app.toml_lines import KeyPath, key_lines, render_key, split_key


def test_tables_keys_and_dotted_keys() -> None:
    text = """
# server = 1
[server] # the table
port = 80

tls.cert = "a"
tls . "the key" = 'b'
[server.limits]
max = 1
"""
    assert key_lines(text) == {
        ("server",): 3,
        ("server", "port"): 4,
        ("server", "tls"): 6,
        ("server", "tls", "cert"): 6,
        ("server", "tls", "the key"): 7,
        ("server", "limits"): 8,
        ("server", "limits", "max"): 9,
    }


def test_inline_tables_and_arrays_over_many_lines() -> None:
    text = """a = { b = 1, "c" = { d.e = [1, 2] } }
list = [ # [not.a.table]
  1, # one

  { x = 1, y = "}" },
  [
    "]",
  ],
]
empty = []
none = {}
"""
    assert key_lines(text) == {
        ("a",): 1,
        ("a", "b"): 1,
        ("a", "c"): 1,
        ("a", "c", "d"): 1,
        ("a", "c", "d", "e"): 1,
        ("a", "c", "d", "e", 0): 1,
        ("a", "c", "d", "e", 1): 1,
        ("list",): 2,
        ("list", 0): 3,
        ("list", 1): 5,
        ("list", 1, "x"): 5,
        ("list", 1, "y"): 5,
        ("list", 2): 6,
        ("list", 2, 0): 7,
        ("empty",): 10,
        ("none",): 11,
    }


def test_arrays_of_tables_and_tables_below_their_last_item() -> None:
    text = """[[shops]]
name = "a"
[[shops.rooms]]
n = 1
[[shops.rooms]]
n = 2
[[shops]]
[shops.owner]
n = 3
[[shops.rooms]]
n = 4
"""
    assert key_lines(text) == {
        ("shops",): 1,
        ("shops", 0): 1,
        ("shops", 0, "name"): 2,
        ("shops", 0, "rooms"): 3,
        ("shops", 0, "rooms", 0): 3,
        ("shops", 0, "rooms", 0, "n"): 4,
        ("shops", 0, "rooms", 1): 5,
        ("shops", 0, "rooms", 1, "n"): 6,
        ("shops", 1): 7,
        ("shops", 1, "owner"): 8,
        ("shops", 1, "owner", "n"): 9,
        ("shops", 1, "rooms"): 10,
        ("shops", 1, "rooms", 0): 10,
        ("shops", 1, "rooms", 0, "n"): 11,
    }


@pytest.mark.parametrize(
    "value",
    [
        '"""\nx = 1\n[t]\n\\""" " "" \n"""',
        '"""a""""',
        '"""a"""""',
        '""""""',
        "'''\n[t]\nx = '' '\n'''",
        "'''a'''''",
        '"\\"[t] # \\\\"',
        "'\\'",
        '""',
        "''",
        "1979-05-27 07:32:00",
        "1979-05-27T00:32:00.5-07:00",
        "0xdead_beef",
        "-inf",
        "true",
    ],
)
def test_what_stands_inside_a_value_is_no_key(value: str) -> None:
    before = value.count("\n") + 2
    assert key_lines(f"a = {value} # x = 1\nb = {value}") == {("a",): 1, ("b",): before}


def test_windows_line_ends() -> None:
    assert key_lines('[a]\r\nb = """\r\n"""\r\nc = 1\r\n') == {("a",): 1, ("a", "b"): 2, ("a", "c"): 4}


def test_a_header_after_its_child_has_the_line_that_made_the_table() -> None:
    assert key_lines("[a.b]\n[a]\nc = 1")[("a",)] == 1


def test_escapes_in_quoted_keys() -> None:
    assert key_lines('"\\u0041\\n" . "b.c" = 1') == {("A\n",): 1, ("A\n", "b.c"): 1}


def test_nothing_has_no_lines() -> None:
    assert key_lines("") == {}
    assert key_lines("# only words") == {}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a", ("a",)),
        ("a.b-c.D_1", ("a", "b-c", "D_1")),
        ('a."b.c"', ("a", "b.c")),
        ("a.'b c'", ("a", "b c")),
        ("a . b", ("a", "b")),
    ],
)
def test_split_key(text: str, parts: tuple[str, ...]) -> None:
    assert split_key(text) == parts


@pytest.mark.parametrize(
    "text", ["", ".", "a.", ".a", "a..b", "a b", "a=1", '"a', "é", '"""a"""', '"\\q"', "a\n"]
)
def test_split_key_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="not a dotted key"):
        split_key(text)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("a", "b"), "a.b"),
        (("a", 0, "b"), "a[0].b"),
        (("a", "b.c"), 'a."b.c"'),
        (("a", 'q"\\'), 'a."q\\"\\\\"'),
        (("a", ""), 'a.""'),
        (("a", "\n\udcff"), 'a."\\U0000000a\\U0000dcff"'),
    ],
)
def test_render_key(path: KeyPath, text: str) -> None:
    assert render_key(path) == text
