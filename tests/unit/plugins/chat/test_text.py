"""What people write: graphemes, forbidden characters, one normal form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.plugins.chat.errors import ChatError
from framework.plugins.chat.text import clean_emoji, clean_line, clean_text, graphemes


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("abc", 3),
        ("ä", 1),
        ("a\u0308", 1),
        ("a\u0308\u0301\u0320b", 2),
        ("👍", 1),
        ("👍🏽", 1),
        ("👨‍👩‍👧‍👦", 1),
        ("🏴󠁧󠁢󠁥󠁮󠁧󠁿", 1),
        ("🇩🇪🇫🇷🇮", 3),
        ("❤️", 1),
        ("각", 1),
        ("\u1100\u1161\u11a8", 1),
        ("\u1100\u1161\u11a8\u1100", 2),
        ("가\u11a8", 1),
        ("नि", 1),
        ("日本語", 3),
    ],
)
def test_graphemes_are_counted_as_people_see_them(text: str, count: int) -> None:
    assert graphemes(text) == count


def test_a_text_is_nfc_with_plain_newlines() -> None:
    assert clean_text("  a\u0308\r\nb\rc\td \n", 100) == "ä\nb\nc\td"


@pytest.mark.parametrize(
    "character",
    ["\x00", "\x07", "\x1b", "\x7f", "\x85", "\u2028", "\u202e", "\u202a", "\ufeff", "\uffff", "\ud800"],
)
def test_control_characters_are_refused(character: str) -> None:
    with pytest.raises(ChatError) as caught:
        clean_text(f"a{character}b", 100)
    assert caught.value.code == "bad_text"


@pytest.mark.parametrize("text", ["", " ", "\n\t", "x" * 6, "é" * 6])
def test_empty_and_too_long_ones_are_refused(text: str) -> None:
    with pytest.raises(ChatError):
        clean_text(text, 5)


def test_a_grapheme_may_have_many_marks_and_not_all_the_memory() -> None:
    assert clean_text("a" + "\u0301" * 100, 1)
    with pytest.raises(ChatError):
        clean_text("a" + "\u0301" * 10_000, 1)


def test_a_line_is_one() -> None:
    assert clean_line(" a b ", 5) == "a b"
    assert clean_line("", 5) == ""
    for text in ("a\nb", "a\tb", "x" * 6):
        with pytest.raises(ChatError):
            clean_line(text, 5)
    with pytest.raises(ChatError):
        clean_line(" ", 5, empty=False)


@pytest.mark.parametrize("text", ["👍", "👍🏽", "❤️", "🇩🇪", "👨‍👩‍👧", "+", "✓"])
def test_an_emoji_is_one_grapheme(text: str) -> None:
    assert clean_emoji(text) == text


@pytest.mark.parametrize("text", ["", "a", "7", "ab", "👍👍", "\u200d", "\u0301", "日"])
def test_what_is_no_emoji(text: str) -> None:
    with pytest.raises(ChatError):
        clean_emoji(text)


@given(st.text(max_size=40))
def test_cleaning_is_done_once_and_for_all(text: str) -> None:
    try:
        cleaned = clean_text(text, 30)
    except ChatError:
        return
    assert clean_text(cleaned, 30) == cleaned
    assert 1 <= graphemes(cleaned) <= 30
