"""What becomes of messages for a member that is past its high watermark. ``Resync`` is beside its subscription."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["Close", "Coalesce", "DropOldest"]


class Close(Struct, frozen=True):
    """The member is closed. Its client connects again, and so learns that it has missed something."""

    code: int = 1013
    reason: str = "too slow"


class DropOldest(Struct, frozen=True):
    """The newest messages wait, at most ``max_messages`` and ``max_bytes`` of them; for feeds where news age."""

    max_messages: int = 256
    max_bytes: int = 1_048_576


class Coalesce(Struct, frozen=True):
    """Of the messages with one key only the newest waits, for states and prices; one without a key stands for itself.

    At most ``max_keys`` messages and ``max_bytes`` wait; past that the oldest are dropped.
    """

    max_keys: int = 1024
    max_bytes: int = 1_048_576
