"""Random names: of requests, traces and spans."""

from __future__ import annotations

import os
from os import urandom
from typing import Final

__all__ = ["random_id"]

_SIZE: Final = 32  # hex digits: 128 random bits
_BATCH: Final = 128 * _SIZE


class _Stock:
    """Random digits that nobody has yet: one call of the system for many ids. A fork has none of its parent's."""

    __slots__ = ("at", "digits")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.digits = ""
        self.at = 0


_stock: Final = _Stock()
os.register_at_fork(after_in_child=_stock.clear)


def random_id() -> str:
    """32 hex digits from the system's generator."""
    at = _stock.at
    digits = _stock.digits
    if at >= len(digits):
        digits = _stock.digits = urandom(_BATCH // 2).hex()
        at = 0
    end = _stock.at = at + _SIZE
    return digits[at:end]
