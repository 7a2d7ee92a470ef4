"""Keys and tags, and keys made of the arguments of a function."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

__all__ = ["MAX_KEY", "MAX_TAGS", "check_key", "check_tags"]

MAX_KEY: Final = 1024
MAX_TAGS: Final = 32
_is_tag = re.compile(r"[^\n]{1,200}").fullmatch


def check_key(key: str) -> str:
    """The key. Raises ValueError for one that is empty or longer than ``MAX_KEY`` characters."""
    if not 0 < len(key) <= MAX_KEY:
        raise ValueError(f"a key has 1 to {MAX_KEY} characters, not {len(key)}")
    return key


def check_tags(tags: Sequence[str]) -> tuple[str, ...]:
    """The tags. Raises ValueError for more than ``MAX_TAGS``, and for one that is empty, ``*``, longer than 200
    characters or of several lines."""
    if len(tags) > MAX_TAGS:
        raise ValueError(f"a value has at most {MAX_TAGS} tags, not {len(tags)}")
    for tag in tags:
        if tag == "*" or _is_tag(tag) is None:
            raise ValueError(f"{tag!r} is no tag: 1 to 200 characters of one line, and not *")
    return tuple(tags)
