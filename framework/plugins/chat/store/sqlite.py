"""The chat's logs in an SQLite file: the embedded engine, for one process or the workers of one machine."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, TypeVar
from uuid import uuid4

import msgspec

from framework.plugins.chat.errors import ChatError
from framework.plugins.chat.events import Entered, Entry, Event, Message, Role, RoomKind
from framework.plugins.chat.protocol import Hit, Member, Room
from framework.plugins.chat.rules import at_least, may_read
from framework.plugins.chat.store.contract import Appended, Cut, History, Opening
from framework.plugins.chat.store.rows import MAX_UNREAD, entry_of, message_of, no_room, pair_of, room_of
from framework.plugins.chat.store.sqlite_batch import Adding, append_all
from framework.plugins.chat.store.sqlite_log import append, find_room, write_entry
from framework.sqlite import (
    Batches,
    Database,
    DatabaseBusy,
    DatabaseFull,
    DatabaseUnavailable,
    load_migrations,
    migrate,
)

__all__ = ["SQLiteChatStore"]

T = TypeVar("T")
EXPORT_PAGE: Final = 500
MAX_BATCH: Final = 512
_FAULTS: Final = (DatabaseBusy, DatabaseFull, DatabaseUnavailable)

_MESSAGE: Final = (
    'm."offset", m.changed, m.at, m.user, m.mid, m.text, m.reply_to, m.edited, m.deleted, m.reactions'
)
_ENTRY: Final = '"offset", at, user, mid, body'
_ROOM: Final = f"""
SELECT r.room, r.kind, r.name, r.topic, r.epoch, r.first, r.last, r.pair,
       (SELECT count(*) FROM members WHERE room = r.id), me.role, me.read, me.muted_until,
       (SELECT count(*) FROM (SELECT 1 FROM messages u WHERE u.room = r.id AND u."offset" > me.read
        AND u.user <> :user AND NOT u.deleted LIMIT {MAX_UNREAD})), {_MESSAGE}
FROM rooms r
LEFT JOIN members me ON me.room = r.id AND me.user = :user
LEFT JOIN messages m ON m.room = r.id
     AND m."offset" = (SELECT max("offset") FROM messages WHERE room = r.id)
"""
_words = re.compile(r"\w+").findall


class SQLiteChatStore:
    """``ChatStore`` in one file. Made by ``open``.

    Writes that come together share a commit (group commit) and its flush, entries their statements as well: with
    ``synchronous="FULL"``, the default, what was acknowledged survives a power cut as well as a kill.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._appends: Batches[Adding, Appended] = Batches(database, append_all, max_batch=MAX_BATCH)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, path: str | Path, *, synchronous: Literal["NORMAL", "FULL"] = "FULL", readers: int = 2
    ) -> AsyncGenerator[SQLiteChatStore]:
        """Opens the file, made and brought to the newest schema if need be. Raises SetupError."""
        migrations = load_migrations(Path(__file__).parent / "migrations")
        async with Database.open(
            path, readers=readers, max_waiting=8192, synchronous=synchronous, max_group=256
        ) as database:
            await migrate(database, migrations)
            store = cls(database)
            try:
                yield store
            finally:
                await store._appends.end()

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await self._database.read(work)
        except _FAULTS as error:
            raise _unavailable(error) from error

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await self._database.write(work)
        except _FAULTS as error:
            raise _unavailable(error) from error

    # -- rooms and members ------------------------------------------------------------------------------------------

    async def meet(self, user: str, name: str) -> None:
        """Keeps the name of a user."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO users VALUES (?, ?)", (user, name))

        await self._write(work)

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
        """A new room, or the direct one that is there already."""
        return await self._write(partial(_create, user, room, kind, name, topic, other))

    async def remove(self, user: str, room: str) -> list[str]:
        """Deletes a room."""

        def work(connection: sqlite3.Connection) -> list[str]:
            key, kind, *_ = find_room(connection, room)
            role = _role(connection, key, user)
            may_read(RoomKind(kind), role)
            if not at_least(role, Role.OWNER) or RoomKind(kind) is RoomKind.DIRECT:
                raise ChatError("forbidden", "that takes an owner")
            users = [
                each for (each,) in connection.execute("SELECT user FROM members WHERE room = ?", (key,))
            ]
            connection.execute("DELETE FROM rooms WHERE id = ?", (key,))
            return users

        return await self._write(work)

    async def rooms(self, user: str, *, public: bool = False, like: str = "", limit: int = 100) -> list[Room]:
        """The user's rooms, or public ones."""

        def work(connection: sqlite3.Connection) -> list[Room]:
            standing = "me.role IS NULL AND r.kind = 'public'" if public else "me.role IS NOT NULL"
            which = f"WHERE {standing} AND instr(lower(r.room || ' ' || r.name), lower(:like)) > 0"
            rows = connection.execute(
                f"{_ROOM} {which} ORDER BY r.changed_at DESC, r.id LIMIT :limit",
                {"user": user, "like": like, "limit": limit},
            )
            return [room_of(row, user) for row in rows]

        return await self._read(work)

    async def members(self, user: str, room: str, *, after: str = "", limit: int = 100) -> list[Member]:
        """Members by name."""

        def work(connection: sqlite3.Connection) -> list[Member]:
            key, kind, *_ = find_room(connection, room)
            role = _role(connection, key, user)
            may_read(RoomKind(kind), role)
            rows = connection.execute(
                "SELECT m.user, coalesce(u.name, m.user), m.role, m.read FROM members m LEFT JOIN users u USING (user)"
                " WHERE m.room = ? AND m.user > ? ORDER BY m.user LIMIT ?",
                (key, after, limit),
            )
            return [
                Member(each, name, Role(its), read=0 if role is None else read)
                for each, name, its, read in rows
            ]

        return await self._read(work)

    async def role(self, user: str, room: str) -> Role | None:
        """The user's role."""

        def work(connection: sqlite3.Connection) -> Role | None:
            return _role(connection, find_room(connection, room)[0], user)

        return await self._read(work)

    async def room_names(self, *, after: str = "", limit: int = 1000) -> list[str]:
        """All rooms by name."""

        def work(connection: sqlite3.Connection) -> list[str]:
            rows = connection.execute(
                "SELECT room FROM rooms WHERE room > ? ORDER BY room LIMIT ?", (after, limit)
            )
            return [room for (room,) in rows]

        return await self._read(work)

    # -- the log ----------------------------------------------------------------------------------------------------

    async def append(self, user: str, room: str, mid: str, body: Event, *, at: int | None = None) -> Appended:
        """Adds an entry, once."""
        now = _now() if at is None else at
        try:
            return await self._appends.run(Adding(user, room, mid, body, now))
        except _FAULTS as error:
            raise _unavailable(error) from error

    async def enter(self, user: str, room: str) -> Appended | None:
        """Makes ``user`` a member of a public room."""

        def work(connection: sqlite3.Connection) -> Appended | None:
            key, *_ = find_room(connection, room)
            if _role(connection, key, user) is not None:
                return None
            return append(connection, user, room, f"enter.{uuid4().hex}", Entered(user), _now())

        return await self._write(work)

    async def opening(
        self, user: str, room: str, *, epoch: str | None, offset: int, limit: int, max_entries: int
    ) -> Opening:
        """The room and what ``user`` has not seen of it."""

        def work(connection: sqlite3.Connection) -> Opening:
            found = _room(connection, user, room)
            may_read(found.kind, found.role)
            key = find_room(connection, room)[0]
            if epoch == found.epoch:
                if offset > found.offset:
                    raise ChatError("bad_position", "that has not been written yet")
                if offset >= found.first - 1 and found.offset - offset <= max_entries:
                    return Opening(found, True, _entries(connection, key, offset, max_entries), [])
            rows = connection.execute(
                f'SELECT * FROM (SELECT {_MESSAGE} FROM messages m WHERE room = ? ORDER BY "offset" DESC LIMIT ?)'
                " ORDER BY 1",
                (key, limit),
            )
            return Opening(found, False, [], [message_of(row) for row in rows])

        return await self._read(work)

    async def read(self, room: str, *, after: int, limit: int) -> list[Entry]:
        """Entries behind ``after``."""

        def work(connection: sqlite3.Connection) -> list[Entry]:
            return _entries(connection, find_room(connection, room)[0], after, limit)

        return await self._read(work)

    async def positions(self, rooms: list[str]) -> dict[str, tuple[str, int]]:
        """Epoch and last offset of each room that there is."""

        def work(connection: sqlite3.Connection) -> dict[str, tuple[str, int]]:
            marks = ", ".join("?" * len(rooms))
            rows = connection.execute(f"SELECT room, epoch, last FROM rooms WHERE room IN ({marks})", rooms)
            return {room: (epoch, last) for room, epoch, last in rows}

        return await self._read(work)

    async def history(
        self, user: str, room: str, *, before: int | None, after: int | None, limit: int
    ) -> History:
        """A page of messages."""
        if before is not None and after is not None:
            raise ChatError("malformed", "a page is before one offset or after one, not both")

        def work(connection: sqlite3.Connection) -> History:
            key, kind, _, _, last = find_room(connection, room)
            may_read(RoomKind(kind), _role(connection, key, user))
            if after is None:
                bound, order = last + 1 if before is None else before, "DESC"
                where = '"offset" < ?'
            else:
                bound, order, where = after, "ASC", '"offset" > ?'
            rows = connection.execute(
                f'SELECT {_MESSAGE} FROM messages m WHERE room = ? AND {where} ORDER BY "offset" {order} LIMIT ?',
                (key, bound, limit + 1),
            ).fetchall()
            messages = sorted((message_of(row) for row in rows[:limit]), key=_offset)
            return History(messages, last, len(rows) > limit)

        return await self._read(work)

    async def search(
        self, user: str, text: str, *, room: str | None, before: int | None, limit: int
    ) -> list[Hit]:
        """Messages that have all the words; the last word may be the beginning of one."""
        words = _words(text)
        if not words:
            return []
        query = " ".join(f'"{word}"' for word in words) + "*"

        def work(connection: sqlite3.Connection) -> list[Hit]:
            rows = connection.execute(
                f"SELECT r.room, {_MESSAGE} FROM message_words f JOIN messages m ON m.id = f.rowid"
                " JOIN rooms r ON r.id = m.room JOIN members me ON me.room = m.room AND me.user = :user"
                " WHERE f.text MATCH :query AND m.at < :before AND (:room IS NULL OR r.room = :room)"
                " ORDER BY m.at DESC, m.id DESC LIMIT :limit",
                {
                    "user": user,
                    "query": query,
                    "before": 2**62 if before is None else before,
                    "room": room,
                    "limit": limit,
                },
            )
            return [Hit(name, message_of(message)) for name, *message in rows]

        return await self._read(work)

    # -- upkeep -----------------------------------------------------------------------------------------------------

    async def retain(self, room: str, *, max_entries: int | None = None, min_at: int | None = None) -> Cut:
        """Takes away the oldest entries."""

        def work(connection: sqlite3.Connection) -> Cut:
            key, _, _, first, last = find_room(connection, room)
            keep = first
            if max_entries is not None:
                keep = max(keep, last - max_entries + 1)
            if min_at is not None:
                row = connection.execute(
                    'SELECT min("offset") FROM entries WHERE room = ? AND at >= ?', (key, min_at)
                ).fetchone()
                keep = max(keep, last + 1 if row[0] is None else row[0])
            removed = connection.execute(
                'DELETE FROM entries WHERE room = ? AND "offset" < ?', (key, keep)
            ).rowcount
            connection.execute('DELETE FROM messages WHERE room = ? AND "offset" < ?', (key, keep))
            connection.execute("UPDATE rooms SET first = ? WHERE id = ?", (keep, key))
            return Cut(keep, removed)

        return await self._write(work)

    async def export(self, room: str) -> AsyncIterator[bytes]:
        """The log as JSON Lines."""
        after = 0
        while entries := await self.read(room, after=after, limit=EXPORT_PAGE):
            yield b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries)
            after = entries[-1].offset

    async def ping(self) -> None:
        """Raises ChatError where the file cannot be read."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("SELECT 1 FROM rooms LIMIT 1").fetchone()

        await self._read(work)


def _unavailable(error: DatabaseBusy | DatabaseFull | DatabaseUnavailable) -> ChatError:
    return ChatError("unavailable", str(error), error.retry_after or 1.0)


def _now() -> int:
    return time.time_ns() // 1_000_000


def _offset(message: Message) -> int:
    return message.offset


def _role(connection: sqlite3.Connection, key: int, user: str) -> Role | None:
    row = connection.execute("SELECT role FROM members WHERE room = ? AND user = ?", (key, user)).fetchone()
    return None if row is None else Role(row[0])


def _entries(connection: sqlite3.Connection, key: int, after: int, limit: int) -> list[Entry]:
    rows = connection.execute(
        f'SELECT {_ENTRY} FROM entries WHERE room = ? AND "offset" > ? ORDER BY "offset" LIMIT ?',
        (key, after, limit),
    )
    return [entry_of(row) for row in rows]


def _room(connection: sqlite3.Connection, user: str, room: str) -> Room:
    row: Any = connection.execute(f"{_ROOM} WHERE r.room = :room", {"user": user, "room": room}).fetchone()
    if row is None:
        raise no_room()
    return room_of(row, user)


def _create(
    user: str,
    room: str,
    kind: RoomKind,
    name: str,
    topic: str,
    other: str | None,
    connection: sqlite3.Connection,
) -> Room:
    pair: str | None = None
    if kind is RoomKind.DIRECT:
        if other is None or other == user:
            raise ChatError("no_user", "a direct room is with somebody else")
        if connection.execute("SELECT 1 FROM users WHERE user = ?", (other,)).fetchone() is None:
            raise ChatError("no_user", "nobody of that name has ever been here")
        pair = pair_of(user, other)
        known = connection.execute("SELECT room FROM rooms WHERE pair = ?", (pair,)).fetchone()
        if known is not None:
            return _room(connection, user, known[0])
    now = _now()
    try:
        (key,) = connection.execute(
            "INSERT INTO rooms (room, kind, name, topic, epoch, changed_at, pair) VALUES (?, ?, ?, ?, ?, ?, ?)"
            " RETURNING id",
            (room, kind.value, name or room, topic, uuid4().hex, now, pair),
        ).fetchone()
    except sqlite3.IntegrityError:
        raise ChatError("room_exists", "there is a room of that name") from None
    roles = {user: Role.OWNER if pair is None else Role.MEMBER}
    if pair is not None and other is not None:
        roles[other] = Role.MEMBER
    for offset, (each, role) in enumerate(roles.items(), 1):
        write_entry(connection, key, Entry(offset, now, user, f"create.{offset}", Entered(each, role)))
    return _room(connection, user, room)
