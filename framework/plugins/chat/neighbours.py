"""Who is in the rooms by other processes: what is told over the bus, and forgotten with the process it came from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from framework.plugins.chat.bus import Came, Here, Present, Who
from framework.plugins.chat.bus.messages import BusMessage
from framework.plugins.chat.rooms import LiveRoom

__all__ = ["BEAT", "LEASE", "Neighbours"]

BEAT: Final = 5.0
"""Seconds from one sign of life of a process to the next."""
LEASE: Final = 16.0
"""Seconds without one after which it is gone."""
MAX_ROOMS: Final = 500
MAX_USERS: Final = 5000


class Neighbours:
    """The other processes.

    Args:
        node: this one.
        rooms: those that are followed here.
        tell: publishes on the bus.
        changed: the people in a room have changed.
    """

    def __init__(
        self,
        node: str,
        rooms: Mapping[str, LiveRoom],
        tell: Callable[[BusMessage], None],
        changed: Callable[[LiveRoom], None],
    ) -> None:
        self.node = node
        self._rooms = rooms
        self._tell = tell
        self._changed = changed
        self._until: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def heard(self, node: str, now: float) -> None:
        """A process lives."""
        self._until[node] = now + LEASE

    def beat(self) -> None:
        """Tells that this one does."""
        versions = {
            name: room.attendance.version for name, room in self._rooms.items() if room.attendance.here
        }
        names = list(versions)
        for at in range(0, len(names) or 1, MAX_ROOMS):
            self._tell(Here(self.node, {name: versions[name] for name in names[at : at + MAX_ROOMS]}))

    def expire(self, now: float) -> None:
        """Forgets the processes that have given no sign of life, and all who were there by them: no zombies."""
        for node in [node for node, until in self._until.items() if until <= now]:
            del self._until[node]
            for room in self._rooms.values():
                if room.attendance.version_of(node):
                    room.attendance.forget(node)
                    self._changed(room)

    def ask(self, names: Iterable[str]) -> None:
        """Asks all who is in these rooms."""
        self._tell(Who(self.node, "", list(names)))

    def here(self, message: Here) -> None:
        """Asks for what was missed."""
        stale = [
            name
            for name, version in message.rooms.items()
            if (room := self._rooms.get(name)) is not None
            and room.attendance.version_of(message.node) != version
        ]
        if stale:
            self._tell(Who(self.node, message.node, stale))

    def who(self, message: Who) -> None:
        """Answers who is here."""
        if message.whom in ("", self.node):
            for name in message.rooms:
                room = self._rooms.get(name)
                if room is not None and room.attendance.here:
                    users = list(room.attendance.here)[:MAX_USERS]
                    self._tell(Present(self.node, name, room.attendance.version, users))

    def came(self, message: Came) -> None:
        """Somebody came or went."""
        room = self._rooms.get(message.room)
        if room is None:
            return
        if not room.attendance.came(message.node, message.version, message.joined, message.left):
            self._tell(Who(self.node, message.node, [message.room]))
        self._changed(room)

    def present(self, message: Present) -> None:
        """Who is there by another process."""
        room = self._rooms.get(message.room)
        if room is not None:
            room.attendance.present(message.node, message.version, message.users)
            self._changed(room)
