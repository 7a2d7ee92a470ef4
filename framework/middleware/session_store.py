"""Where server-side sessions are kept: the contract, and a store in the memory of one process."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

__all__ = ["MemorySessionStore", "SessionStore", "StoredSession"]


class StoredSession(NamedTuple):
    """A session at rest: when it began (Unix time), and its values, each as JSON."""

    created: float
    values: Mapping[str, bytes]


class SessionStore(Protocol):
    """Keeps sessions until they expire. Each method is atomic; keys are opaque texts.

    A store that several processes share hands all of them the same sessions; one that does not declares itself
    ``per_process``, with a ``per_process_hint`` (see ``framework.app.processes``); it is refused where there are
    several.
    """

    async def get(self, key: str) -> StoredSession | None:
        """The session, None where there is none or its time is over."""
        ...

    async def set(
        self, key: str, changes: Mapping[str, bytes | None], *, ttl: float, created: float | None = None
    ) -> bool:
        """Writes the values that changed, None removing one; the others stay as they are by now.

        Args:
            ttl: seconds from now until the session expires.
            created: begins a new session; without it only a session that is there is written to.

        Returns:
            False: there is no such session, and nothing was written.
        """
        ...

    async def delete(self, key: str) -> bool:
        """Ends the session; False where there was none."""
        ...

    async def touch(self, key: str, *, ttl: float) -> bool:
        """Puts the end of a session off to ``ttl`` seconds from now; False where there was none."""
        ...


@dataclass(slots=True)
class _Entry:
    created: float
    values: dict[str, bytes]
    expires: float


class MemorySessionStore:
    """Keeps sessions in this process: they end with it, and no other worker sees them. An app of several workers does
    not start with it.

    Args:
        max_sessions: past it the session that was not asked for the longest goes.
        clock: seconds, for tests.
    """

    per_process: Final = True
    per_process_hint: Final = (
        "keep sessions in signed cookies (SignedSessions), or in a store that the workers share"
    )

    def __init__(self, max_sessions: int = 10_000, *, clock: Callable[[], float] = time.monotonic) -> None:
        if max_sessions < 1:
            raise ValueError("a store holds at least one session")
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._max_sessions = max_sessions
        self._clock = clock

    def __len__(self) -> int:
        return len(self._entries)

    async def get(self, key: str) -> StoredSession | None:
        """See ``SessionStore``."""
        entry = self._live(key)
        return None if entry is None else StoredSession(entry.created, dict(entry.values))

    async def set(
        self, key: str, changes: Mapping[str, bytes | None], *, ttl: float, created: float | None = None
    ) -> bool:
        """See ``SessionStore``."""
        entry = self._live(key)
        if created is not None:
            entry = self._entries[key] = _Entry(created, {}, self._clock() + ttl)
            self._make_room()
        if entry is None:
            return False
        for name, value in changes.items():
            if value is None:
                entry.values.pop(name, None)
            else:
                entry.values[name] = value
        entry.expires = self._clock() + ttl
        return True

    async def delete(self, key: str) -> bool:
        """See ``SessionStore``."""
        found = self._live(key) is not None
        self._entries.pop(key, None)
        return found

    async def touch(self, key: str, *, ttl: float) -> bool:
        """See ``SessionStore``."""
        entry = self._live(key)
        if entry is not None:
            entry.expires = self._clock() + ttl
        return entry is not None

    def _live(self, key: str) -> _Entry | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.expires <= self._clock():
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return entry

    def _make_room(self) -> None:
        """Drops what has expired at the old end, then what was idle the longest."""
        now = self._clock()
        while self._entries:
            oldest = next(iter(self._entries.values()))
            if oldest.expires > now and len(self._entries) <= self._max_sessions:
                return
            self._entries.popitem(last=False)
