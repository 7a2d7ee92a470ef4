"""The cork: what a registry's channels are told in a turn of the loop leaves in one flush at its end."""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import Protocol

__all__ = ["Cork", "Corked", "report"]


class Corked(Protocol):
    """A channel, as the cork knows it."""

    def flush(self, number: int, direct: bool, /) -> None:
        """Hands what it was told since the last flush to its members. ``direct``: no other channel has anything."""
        ...


class Gathering(Protocol):
    """A member of several channels, as the cork knows it."""

    def write_pending(self) -> None:
        """Writes what the flush gathered for it."""
        ...


class Cork:
    """Flushes once per turn, and early when ``max_bytes`` are queued.

    Attributes:
        flushing: a flush is under way; what is published meanwhile goes into the next one.
        number: of the flush, ascending.
        gathered: members with something to write once every channel has been flushed.
    """

    __slots__ = (
        "_dirty",
        "_handle",
        "_loop",
        "_merged",
        "flushing",
        "gathered",
        "max_bytes",
        "number",
        "queued",
    )

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.number = 0
        self.queued = 0
        self.flushing = False
        self.gathered: list[Gathering] = []
        self._dirty: list[Corked] = []
        self._merged: dict[tuple[int, int], tuple[bytes, bytes, bytes]] = {}
        self._handle: asyncio.Handle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self, channel: Corked) -> None:
        """``channel`` is about to be told something, for the first time since its last flush.

        Raises RuntimeError where no loop runs.
        """
        loop = asyncio.get_running_loop()
        self._dirty.append(channel)
        if self._handle is None or self._loop is not loop:
            self._loop = loop
            # In a context of its own: nothing of who happens to be the first to publish is to be found in it.
            self._handle = loop.call_soon(self._turn, context=Context())

    def count(self, size: int) -> None:
        """A message of ``size`` bytes waits for the flush."""
        self.queued += size
        if self.queued >= self.max_bytes:
            self.flush()

    def _turn(self) -> None:
        self._handle = None
        self.flush()

    def flush(self) -> None:
        """Flushes all channels that were told something; nothing when called by what a flush calls."""
        if self.flushing:
            return
        self.flushing = True
        self.number += 1
        self.queued = 0
        dirty, self._dirty = self._dirty, []
        direct = len(dirty) == 1
        try:
            for channel in dirty:
                try:
                    channel.flush(self.number, direct)
                except Exception as error:
                    report("a channel could not be flushed", error)
            if self.gathered:
                gathered, self.gathered = self.gathered, []
                for member in gathered:
                    member.write_pending()
        finally:
            self._merged.clear()
            self.flushing = False

    def merge(self, one: bytes, other: bytes) -> bytes:
        """Both in one, made once in a flush for all members to whom the same two go."""
        key = id(one), id(other)
        found = self._merged.get(key)
        if found is None:
            # With the two beside it, as their ids could else become others'.
            found = self._merged[key] = (one, other, one + other)
        return found[2]

    def close(self) -> None:
        """Forgets what waits for the next flush."""
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._loop = None
        self._dirty.clear()
        self.queued = 0


def report(message: str, error: Exception) -> None:
    """Hands an error that is nobody's to the loop's exception handler."""
    asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})
