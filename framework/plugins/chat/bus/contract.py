"""What a bus does, and the one of a process that is alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

__all__ = ["Bus", "LocalBus"]


class Bus(Protocol):
    """Carries bytes to every other process of the chat, at most once each, usually in order.

    Attributes:
        alone: there is nobody else, and nothing needs to be encoded.
        max_bytes: of a message.
    """

    @property
    def alone(self) -> bool: ...

    @property
    def max_bytes(self) -> int: ...

    async def open(self, hear: Callable[[bytes], None], lost: Callable[[], None]) -> None:
        """From now on calls ``hear`` with what others publish (perhaps with one's own as well), and ``lost`` whenever
        something may have been missed. Raises where it cannot be reached at all."""
        ...

    def publish(self, data: bytes) -> None:
        """Sends to all others, soon; never waits, never raises. What cannot be sent is dropped."""
        ...

    async def close(self) -> None:
        """Ends it."""
        ...

    async def ping(self) -> None:
        """Raises where messages cannot be sent now."""
        ...


class LocalBus:
    """``memory://``: there is one process."""

    alone = True
    max_bytes = 1 << 20
    per_process = True
    per_process_hint = 'set chat.bus to "workers://", or to "redis://..." for several machines'

    async def open(self, hear: Callable[[bytes], None], lost: Callable[[], None]) -> None:
        """Nothing to do."""

    def publish(self, data: bytes) -> None:
        """Nobody else is there."""

    async def close(self) -> None:
        """Nothing to do."""

    async def ping(self) -> None:
        """It is always there."""
