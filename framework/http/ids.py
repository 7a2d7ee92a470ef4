"""Random names: of requests, traces and spans."""

from __future__ import annotations

import os
from os import urandom
from typing import Final

__all__ = ["random_id"]

_BYTES: Final = 16
_BATCH: Final = 128

# Ids that nobody has yet: one call of the system for many. A fork has none of its parent's.
_stock: Final[list[str]] = []
os.register_at_fork(after_in_child=_stock.clear)


def random_id() -> str:
    """32 hex digits from the system's generator. Any thread may ask: taking one from the stock is one step."""
    while True:
        try:
            return _stock.pop()
        except IndexError:
            digits = urandom(_BATCH * _BYTES).hex()
            _stock.extend([digits[at : at + 2 * _BYTES] for at in range(0, len(digits), 2 * _BYTES)])
