"""The bytes of HTTP/1.1 fields as regular expressions (RFC 9110 section 5.6); ``_pure_lines`` has those of lines.

``_grammar.pxd`` says the same in C. Wire bytes are matched as bytes, or as the text they decode to by
ISO-8859-1; no class here is one of re's own, which know more digits and blanks than the grammar does.
"""

from __future__ import annotations

import re

__all__ = ["DIGITS", "TCHAR", "TOKEN", "VALUE", "VCHARS"]

TCHAR = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
VCHARS = r"[\t -~\x80-\xff]"  # what a field value holds: field-vchar, SP, HTAB, obs-text

TOKEN = re.compile(rf"{TCHAR}++").fullmatch
VALUE = re.compile(rf"{VCHARS}*+").fullmatch
DIGITS = re.compile(r"[0-9]++").fullmatch
