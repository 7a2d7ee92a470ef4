"""What a user types into the chat's terminal, and what others wrote, made harmless for one."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["HELP", "harmless", "numbered"]

HELP: Final = """\
/join ROOM      enter a room and write there     /rooms        rooms there are
/who            members of the room              /more         older messages
/reply N TEXT   answer message N                 /edit N TEXT  change it
/delete N       delete it                        /react N 👍   put an emoji on it
/find WORDS     search                           /quit         leave"""
# What would move the cursor, colour the screen or worse: everything a terminal takes for more than text.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def harmless(text: str) -> str:
    """Text that does nothing to a terminal; its line breaks are shown as such."""
    return _CONTROL.sub("\ufffd", text.replace("\n", " ⏎ ").replace("\t", "    "))


def numbered(rest: str, *, words: bool = True) -> tuple[int, str]:
    """A message's number, and the words behind it. Raises ValueError where one of them is not there."""
    number, _, text = rest.partition(" ")
    number = number.removeprefix("#")
    if not (number.isascii() and number.isdigit() and len(number) < 16) or (words and not text.strip()):
        raise ValueError("the number of a message comes first" + (", then a text" if words else ""))
    return int(number), text.strip()
