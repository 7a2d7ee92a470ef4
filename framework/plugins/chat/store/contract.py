"""What an engine that keeps the logs does. One contract suite runs against all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from msgspec import Struct

from framework.plugins.chat.events import Entry, Event, Message, Role, RoomKind
from framework.plugins.chat.protocol import Hit, Member, Room

__all__ = ["Appended", "ChatStore", "Cut", "History", "Opening"]


class Appended(Struct, frozen=True):
    """An entry that is durable now. ``again``: it was so before, and this is the first one."""

    room: str
    epoch: str
    entry: Entry
    again: bool = False


class Opening(Struct, frozen=True):
    """A room at one moment, for somebody who begins to follow it.

    Attributes:
        complete: ``entries`` are all behind the position that was given.
        messages: the latest ones, where they are not.
    """

    room: Room
    complete: bool
    entries: list[Entry]
    messages: list[Message]


class History(Struct, frozen=True):
    """Messages by rising offset, as they are at ``asof``. ``more``: there are further ones in that direction."""

    messages: list[Message]
    asof: int
    more: bool


class Cut(Struct, frozen=True):
    """What retention took away: the first offset that is kept, and how many entries went."""

    first: int
    removed: int


class ChatStore(Protocol):
    """Rooms, their members, and their logs. Every method raises ChatError for what the rules refuse.

    Rights are checked, the offset assigned and the entry written in one transaction; a method that writes returns
    once that is durable. Names of rooms and users are taken as valid; texts too.
    """

    async def meet(self, user: str, name: str) -> None:
        """Keeps the name that people see, of a user whose token was good."""
        ...

    async def create(
        self,
        user: str,
        room: str,
        kind: RoomKind,
        *,
        name: str = "",
        topic: str = "",
        other: str | None = None,
    ) -> Room:
        """A new room with ``user`` as its owner. A direct one with ``other`` is there already if it ever was made
        (``room`` is then the name of the first). Raises ``room_exists``, ``no_user`` for an ``other`` never met."""
        ...

    async def remove(self, user: str, room: str) -> list[str]:
        """Deletes a room and its log; returns who were its members."""
        ...

    async def append(self, user: str, room: str, mid: str, body: Event, *, at: int | None = None) -> Appended:
        """Adds an entry, unless ``user`` has added one with ``mid`` in this room before.

        ``at``: milliseconds of Unix time, now where None.
        """
        ...

    async def enter(self, user: str, room: str) -> Appended | None:
        """Makes ``user`` a member of a public room; None where it is one already."""
        ...

    async def opening(
        self, user: str, room: str, *, epoch: str | None, offset: int, limit: int, max_entries: int
    ) -> Opening:
        """The room and what ``user`` has not seen of it, at one moment.

        Complete when ``epoch`` is the room's, ``offset`` a position it has been at, everything behind it is kept and
        is at most ``max_entries``. Else the latest ``limit`` messages. Raises ``bad_position`` for an offset of this
        epoch that has not been yet.
        """
        ...

    async def read(self, room: str, *, after: int, limit: int) -> list[Entry]:
        """Entries behind ``after``, the first ``limit`` of them. Not checked for rights: the hub catches up by it."""
        ...

    async def positions(self, rooms: list[str]) -> dict[str, tuple[str, int]]:
        """Epoch and last offset of each room that there is, of at most some hundreds. Not checked for rights: the hub
        finds out by it whether its bus has lost anything."""
        ...

    async def history(
        self, user: str, room: str, *, before: int | None, after: int | None, limit: int
    ) -> History:
        """A page of messages before, or after, an offset; the latest where neither is given."""
        ...

    async def search(
        self, user: str, text: str, *, room: str | None, before: int | None, limit: int
    ) -> list[Hit]:
        """Messages in the user's rooms that have all words of ``text``, newest first."""
        ...

    async def rooms(self, user: str, *, public: bool = False, like: str = "", limit: int = 100) -> list[Room]:
        """The user's rooms, those with the latest entries first; or public ones it could enter."""
        ...

    async def members(self, user: str, room: str, *, after: str = "", limit: int = 100) -> list[Member]:
        """Members by name, behind ``after``."""
        ...

    async def role(self, user: str, room: str) -> Role | None:
        """The user's role in a room; None where it has none. Raises ``no_room``."""
        ...

    async def retain(self, room: str, *, max_entries: int | None = None, min_at: int | None = None) -> Cut:
        """Takes away the oldest entries, beyond ``max_entries`` or from before ``min_at`` (milliseconds)."""
        ...

    async def room_names(self, *, after: str = "", limit: int = 1000) -> list[str]:
        """All rooms by name, for upkeep."""
        ...

    def export(self, room: str) -> AsyncIterator[bytes]:
        """The log as JSON Lines, in pieces; for operators, not checked for rights."""
        ...

    async def ping(self) -> None:
        """Raises where the engine cannot be used now."""
        ...
