"""How long a provided object lives. Knows nothing of providers or graphs."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["Scope"]


class Scope(IntEnum):
    """Lifetimes from wide to narrow: what lives longer must not need what lives shorter.

    ``TRANSIENT`` is no place of its own: a new object for each injection, cleaned up with who asked for it.
    """

    APP = 0
    CONNECTION = 1
    REQUEST = 2
    TRANSIENT = 3

    @property
    def word(self) -> str:
        """The name as a person writes it."""
        return self.name.lower()
