"""What people write, made safe to keep and to show: never interpreted, bounded, in one normal form.

Graphemes are the extended grapheme clusters of UAX #29, as far as the general categories of the Unicode database tell:
a base with its marks, sequences joined by ZWJ, emoji with their modifiers, pairs of regional indicators, Hangul
syllables of jamo. The rules for prepended marks and for Indic conjuncts are left out, which counts a few scripts'
clusters as two: the limit is then a little stricter, never looser.
"""

from __future__ import annotations

import re
from typing import Final
from unicodedata import category, is_normalized, normalize

from framework.plugins.chat.errors import ChatError
from framework.plugins.chat.protocol.requests import MAX_TEXT_BYTES

__all__ = ["clean_emoji", "clean_line", "clean_text", "graphemes"]

# C0 and C1 but for tab and newline; the line and paragraph separators; embeddings and overrides of direction, by which
# a text can show as another one ("Trojan Source", CVE-2021-42574); the noncharacters that end the basic plane.
_FORBIDDEN: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\ufeff\ufffe\uffff]")
_RETURNS: Final = re.compile(r"\r\n?")
_ZWJ: Final = "\u200d"
_JAMO_L: Final = range(0x1100, 0x1160)
_JAMO_V: Final = range(0x1160, 0x11A8)
_JAMO_T: Final = range(0x11A8, 0x1200)
_REGIONAL: Final = range(0x1F1E6, 0x1F200)
_MODIFIERS: Final = range(0x1F3FB, 0x1F400)
_TAGS: Final = range(0xE0020, 0xE0080)


def clean_text(text: str, max_graphemes: int) -> str:
    """A message's text, in NFC, with newlines as ``\\n`` and nothing but spaces cut off at its ends.

    Raises ChatError ``bad_text``: nothing is left, a forbidden character, or more than ``max_graphemes``.
    """
    return _clean(_RETURNS.sub("\n", text), max_graphemes, empty=False)


def clean_line(text: str, max_graphemes: int, *, empty: bool = True) -> str:
    """As ``clean_text``, for names and topics: one line, without tabs."""
    if "\n" in text or "\t" in text:
        raise ChatError("bad_text", "that is one line, without tabs")
    return _clean(text, max_graphemes, empty=empty)


def clean_emoji(text: str) -> str:
    """One grapheme that is no letter, digit, mark or space by itself. Raises ChatError ``bad_text``."""
    cleaned = _clean(text, 1, empty=False)
    if category(cleaned[0])[0] in "LMZC" or (cleaned.isascii() and cleaned.isalnum()):
        raise ChatError("bad_text", "a reaction is one emoji")
    return cleaned


def graphemes(text: str) -> int:
    """How many graphemes a text has."""
    if text.isascii():
        return len(text)  # \r\n does not occur: returns are newlines by then
    count = 0
    before = ""
    indicators = 0
    for character in text:
        code = ord(character)
        if code in _REGIONAL:
            indicators += 1
            joined = indicators % 2 == 0
        else:
            indicators = 0
            joined = bool(before) and _continues(before, character, code)
        count += not joined
        before = character
    return count


def _clean(text: str, max_graphemes: int, *, empty: bool) -> str:
    if not is_normalized("NFC", text):
        text = normalize("NFC", text)
    text = text.strip()
    if not text and not empty:
        raise ChatError("bad_text", "it is empty")
    found = _FORBIDDEN.search(text)
    if found is not None:
        raise ChatError("bad_text", f"U+{ord(found[0]):04X} may not be in it")
    try:
        size = len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError:
        raise ChatError("bad_text", "a lone surrogate may not be in it") from None
    if size > MAX_TEXT_BYTES:
        raise ChatError("bad_text", f"at most {MAX_TEXT_BYTES} bytes of UTF-8")
    if len(text) > max_graphemes and graphemes(text) > max_graphemes:
        raise ChatError("bad_text", f"at most {max_graphemes} characters")
    return text


def _continues(before: str, character: str, code: int) -> bool:
    """Whether there is no boundary between two characters (UAX #29, GB6 to GB11)."""
    if code < 0x300:
        return False
    if character == _ZWJ or code == 0x200C or code in _MODIFIERS or code in _TAGS:
        return True
    kind = category(character)
    if kind in ("Mn", "Me", "Mc"):
        return True
    if before == _ZWJ:
        return kind in ("So", "Sk", "Sm")
    last = ord(before)
    if code in _JAMO_L:
        return last in _JAMO_L
    if code in _JAMO_V:
        return last in _JAMO_L or last in _JAMO_V or (0xAC00 <= last < 0xD7A4 and (last - 0xAC00) % 28 == 0)
    if code in _JAMO_T:
        return last in _JAMO_V or last in _JAMO_T or 0xAC00 <= last < 0xD7A4
    return 0xAC00 <= code < 0xD7A4 and last in _JAMO_L
