"""Entity tags and preconditions."""

from __future__ import annotations

import pytest

from framework.errors import HTTPError, LocalProtocolError
from framework.http.etags import ANY, matches_strong, matches_weak, parse_etags, quote_etag


def test_quotes() -> None:
    assert quote_etag("v1") == '"v1"'
    assert quote_etag("v1", weak=True) == 'W/"v1"'
    assert quote_etag("") == '""'


@pytest.mark.parametrize("value", ['a"b', "a b", "a\n", "\u0100", "\x7f"])
def test_what_cannot_be_a_tag_is_refused(value: str) -> None:
    with pytest.raises(LocalProtocolError):
        quote_etag(value)


@pytest.mark.parametrize(
    ("field", "tags"),
    [
        ('"a"', ['"a"']),
        ('"a", W/"b","c"', ['"a"', 'W/"b"', '"c"']),
        (' , "a" ,, "b",', ['"a"', '"b"']),
        ('"a,b"', ['"a,b"']),
        ('""', ['""']),
        (r'"a\"', [r'"a\"']),
        ('"\xe9"', ['"\xe9"']),
        (" * ", [ANY]),
    ],
)
def test_parses_lists(field: str, tags: list[str]) -> None:
    assert parse_etags(field) == tags


@pytest.mark.parametrize(
    "field", ["", ",", "a", '"a', '"a" "b"', 'w/"a"', 'W/ "a"', '*, "a"', '"a" x', '"a b"']
)
def test_a_list_that_cannot_be_read_answers_400(field: str) -> None:
    for matches in (matches_strong, matches_weak):
        with pytest.raises(HTTPError) as caught:
            matches(field, '"a"')
        assert caught.value.status == 400


@pytest.mark.parametrize(
    ("first", "second", "strong", "weak"),
    [
        # The table of RFC 9110 section 8.8.3.2.
        ('W/"1"', 'W/"1"', False, True),
        ('W/"1"', 'W/"2"', False, False),
        ('W/"1"', '"1"', False, True),
        ('"1"', 'W/"1"', False, True),
        ('"1"', '"1"', True, True),
    ],
)
def test_comparison(first: str, second: str, strong: bool, weak: bool) -> None:
    assert matches_strong(f'"x", {first}', second) is strong
    assert matches_weak(f'"x", {first}', second) is weak


def test_any_matches_only_what_exists() -> None:
    assert matches_strong("*", '"a"')
    assert matches_weak("*", 'W/"a"')
    assert matches_strong("*", 'W/"a"')
    for matches in (matches_strong, matches_weak):
        assert not matches("*", None)
        assert not matches('"a"', None)
