"""The chat's logs in PostgreSQL: for many machines."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from uuid import uuid4
from weakref import WeakValueDictionary

import asyncpg
import msgspec

from framework.errors import ResourceError
from framework.plugins.chat.errors import ChatError
from framework.plugins.chat.events import Entered, Entry, Event, Role, RoomKind
from framework.plugins.chat.protocol import Hit, Member, Room
from framework.plugins.chat.rules import at_least, may_read
from framework.plugins.chat.store.contract import Appended, Cut, History, Opening
from framework.plugins.chat.store.postgresql_log import append, find_room, plain_words, write_entry
from framework.plugins.chat.store.rows import MAX_UNREAD, entry_of, message_of, no_room, pair_of, room_of
from framework.plugins.database import parse_url, run_migrations
from framework.plugins.database.postgresql import PostgreSQL
from framework.plugins.pool import PoolSettings

__all__ = ["PostgreSQLChatStore"]

EXPORT_PAGE: Final = 500
_MESSAGE: Final = (
    'm."offset", m.changed, m.at, m."user", m.mid, m.text, m.reply_to, m.edited, m.deleted, m.reactions'
)
_ENTRY: Final = '"offset", at, "user", mid, body'
_ROOM: Final = f"""
SELECT r.room, r.kind, r.name, r.topic, r.epoch, r.first, r.last, r.pair,
       (SELECT count(*) FROM chat_members c WHERE c.room = r.id), me.role, me.read, me.muted_until,
       (SELECT count(*) FROM (SELECT 1 FROM chat_messages u WHERE u.room = r.id AND u."offset" > me.read
        AND u."user" <> $1 AND NOT u.deleted LIMIT {MAX_UNREAD}) unread), {_MESSAGE}
FROM chat_rooms r
LEFT JOIN chat_members me ON me.room = r.id AND me."user" = $1
LEFT JOIN LATERAL (SELECT * FROM chat_messages l WHERE l.room = r.id ORDER BY l."offset" DESC LIMIT 1) m ON TRUE
"""


class PostgreSQLChatStore:
    """``ChatStore`` in a PostgreSQL database. Made by ``open``. Needs the extra ``postgresql``."""

    def __init__(self, database: PostgreSQL) -> None:
        self._pool = database.driver
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, *, pool: PoolSettings | None = None) -> AsyncGenerator[PostgreSQLChatStore]:
        """Connects, and brings the schema up to date. Raises SetupError, PoolTimeout."""
        async with PostgreSQL.open(parse_url(url), pool=pool) as database:
            await run_migrations(database, Path(__file__).parent / "migrations_postgresql")
            yield cls(database)

    @asynccontextmanager
    async def _reading(self) -> AsyncGenerator[Any]:
        """A connection that sees one state of the data."""
        try:
            async with (
                self._pool.acquire() as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                yield connection
        except (ResourceError, OSError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError) as error:
            raise ChatError("unavailable", "the log cannot be reached", 1.0) from error

    @asynccontextmanager
    async def _writing(self) -> AsyncGenerator[Any]:
        """A connection in a transaction that is durable when the block is left."""
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                yield connection
        except (ResourceError, OSError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError) as error:
            raise ChatError("unavailable", "the log cannot be reached", 1.0) from error

    def _turn(self, room: str) -> asyncio.Lock:
        """Whose turn it is to write into a room, first come, first served: its row would let them in in any order."""
        lock = self._turns.get(room)
        if lock is None:
            lock = self._turns[room] = asyncio.Lock()
        return lock

    # -- rooms and members ------------------------------------------------------------------------------------------

    async def meet(self, user: str, name: str) -> None:
        """Keeps the name of a user."""
        async with self._writing() as connection:
            await connection.execute(
                'INSERT INTO chat_users VALUES ($1, $2) ON CONFLICT ("user") DO UPDATE SET name = excluded.name',
                user,
                name,
            )

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
        pair: str | None = None
        async with self._writing() as connection:
            if kind is RoomKind.DIRECT:
                if other is None or other == user:
                    raise ChatError("no_user", "a direct room is with somebody else")
                if await connection.fetchval('SELECT 1 FROM chat_users WHERE "user" = $1', other) is None:
                    raise ChatError("no_user", "nobody of that name has ever been here")
                pair = pair_of(user, other)
            key = await connection.fetchval(
                "INSERT INTO chat_rooms (room, kind, name, topic, epoch, changed_at, pair)"
                " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING id",
                room,
                kind.value,
                name or room,
                topic,
                uuid4().hex,
                _now(),
                pair,
            )
            if key is None:
                return await self._known(connection, user, pair)
            roles = {user: Role.OWNER if pair is None else Role.MEMBER}
            if pair is not None and other is not None:
                roles[other] = Role.MEMBER
            for offset, (each, role) in enumerate(roles.items(), 1):
                entry = Entry(offset, _now(), user, f"create.{offset}", Entered(each, role))
                await write_entry(connection, key, entry)
            return await _room(connection, user, room)

    async def _known(self, connection: Any, user: str, pair: str | None) -> Room:
        room = None
        if pair is not None:
            room = await connection.fetchval("SELECT room FROM chat_rooms WHERE pair = $1", pair)
        if room is None:
            raise ChatError("room_exists", "there is a room of that name")
        return await _room(connection, user, room)

    async def remove(self, user: str, room: str) -> list[str]:
        """Deletes a room."""
        async with self._writing() as connection:
            key, kind, *_ = await find_room(connection, room, lock=True)
            role = await _role(connection, key, user)
            may_read(RoomKind(kind), role)
            if not at_least(role, Role.OWNER) or RoomKind(kind) is RoomKind.DIRECT:
                raise ChatError("forbidden", "that takes an owner")
            rows = await connection.fetch('SELECT "user" FROM chat_members WHERE room = $1', key)
            await connection.execute("DELETE FROM chat_rooms WHERE id = $1", key)
            return [row[0] for row in rows]

    async def rooms(self, user: str, *, public: bool = False, like: str = "", limit: int = 100) -> list[Room]:
        """The user's rooms, or public ones."""
        standing = "me.role IS NULL AND r.kind = 'public'" if public else "me.role IS NOT NULL"
        which = f"WHERE {standing} AND strpos(lower(r.room || ' ' || r.name), lower($2)) > 0"
        async with self._reading() as connection:
            rows = await connection.fetch(
                f"{_ROOM} {which} ORDER BY r.changed_at DESC, r.id LIMIT $3", user, like, limit
            )
            return [room_of(row, user) for row in rows]

    async def members(self, user: str, room: str, *, after: str = "", limit: int = 100) -> list[Member]:
        """Members by name."""
        async with self._reading() as connection:
            key, kind, *_ = await find_room(connection, room)
            role = await _role(connection, key, user)
            may_read(RoomKind(kind), role)
            rows = await connection.fetch(
                'SELECT m."user", coalesce(u.name, m."user"), m.role, m.read FROM chat_members m'
                ' LEFT JOIN chat_users u ON u."user" = m."user"'
                ' WHERE m.room = $1 AND m."user" > $2 ORDER BY m."user" LIMIT $3',
                key,
                after,
                limit,
            )
        return [
            Member(each, name, Role(its), read=0 if role is None else read) for each, name, its, read in rows
        ]

    async def role(self, user: str, room: str) -> Role | None:
        """The user's role."""
        async with self._reading() as connection:
            return await _role(connection, (await find_room(connection, room))[0], user)

    async def room_names(self, *, after: str = "", limit: int = 1000) -> list[str]:
        """All rooms by name."""
        async with self._reading() as connection:
            rows = await connection.fetch(
                "SELECT room FROM chat_rooms WHERE room > $1 ORDER BY room LIMIT $2", after, limit
            )
        return [row[0] for row in rows]

    # -- the log ----------------------------------------------------------------------------------------------------

    async def append(self, user: str, room: str, mid: str, body: Event, *, at: int | None = None) -> Appended:
        """Adds an entry, once. Those of one room are added in the order of the calls."""
        async with self._turn(room), self._writing() as connection:
            return await append(connection, user, room, mid, body, _now() if at is None else at)

    async def enter(self, user: str, room: str) -> Appended | None:
        """Makes ``user`` a member of a public room."""
        async with self._writing() as connection:
            key, *_ = await find_room(connection, room, lock=True)
            if await _role(connection, key, user) is not None:
                return None
            return await append(connection, user, room, f"enter.{uuid4().hex}", Entered(user), _now())

    async def opening(
        self, user: str, room: str, *, epoch: str | None, offset: int, limit: int, max_entries: int
    ) -> Opening:
        """The room and what ``user`` has not seen of it."""
        async with self._reading() as connection:
            found = await _room(connection, user, room)
            may_read(found.kind, found.role)
            key = (await find_room(connection, room))[0]
            if epoch == found.epoch:
                if offset > found.offset:
                    raise ChatError("bad_position", "that has not been written yet")
                if offset >= found.first - 1 and found.offset - offset <= max_entries:
                    return Opening(found, True, await _entries(connection, key, offset, max_entries), [])
            rows = await connection.fetch(
                f'SELECT * FROM (SELECT {_MESSAGE} FROM chat_messages m WHERE room = $1 ORDER BY "offset" DESC'
                " LIMIT $2) latest ORDER BY 1",
                key,
                limit,
            )
            return Opening(found, False, [], [message_of(row) for row in rows])

    async def read(self, room: str, *, after: int, limit: int) -> list[Entry]:
        """Entries behind ``after``."""
        async with self._reading() as connection:
            return await _entries(connection, (await find_room(connection, room))[0], after, limit)

    async def positions(self, rooms: list[str]) -> dict[str, tuple[str, int]]:
        """Epoch and last offset of each room that there is."""
        async with self._reading() as connection:
            rows = await connection.fetch(
                "SELECT room, epoch, last FROM chat_rooms WHERE room = ANY($1::text[])", rooms
            )
        return {row[0]: (row[1], row[2]) for row in rows}

    async def history(
        self, user: str, room: str, *, before: int | None, after: int | None, limit: int
    ) -> History:
        """A page of messages."""
        if before is not None and after is not None:
            raise ChatError("malformed", "a page is before one offset or after one, not both")
        async with self._reading() as connection:
            key, kind, _, _, last = await find_room(connection, room)
            may_read(RoomKind(kind), await _role(connection, key, user))
            if after is None:
                bound, order, sign = last + 1 if before is None else before, "DESC", "<"
            else:
                bound, order, sign = after, "ASC", ">"
            rows = await connection.fetch(
                f'SELECT {_MESSAGE} FROM chat_messages m WHERE room = $1 AND "offset" {sign} $2'
                f' ORDER BY "offset" {order} LIMIT $3',
                key,
                bound,
                limit + 1,
            )
        messages = sorted((message_of(row) for row in rows[:limit]), key=lambda message: message.offset)
        return History(messages, last, len(rows) > limit)

    async def search(
        self, user: str, text: str, *, room: str | None, before: int | None, limit: int
    ) -> list[Hit]:
        """Messages that have all the words; the last word may be the beginning of one."""
        words = plain_words(text)
        if not words:
            return []
        query = " & ".join(f"'{word}'" for word in words) + ":*"
        async with self._reading() as connection:
            rows = await connection.fetch(
                f"SELECT r.room, {_MESSAGE} FROM chat_messages m JOIN chat_rooms r ON r.id = m.room"
                ' JOIN chat_members me ON me.room = m.room AND me."user" = $1'
                " WHERE m.words @@ to_tsquery('simple', $2) AND m.at < $3 AND ($4::text IS NULL OR r.room = $4)"
                ' ORDER BY m.at DESC, m."offset" DESC LIMIT $5',
                user,
                query,
                2**62 if before is None else before,
                room,
                limit,
            )
        return [Hit(row[0], message_of(tuple(row)[1:])) for row in rows]

    # -- upkeep -----------------------------------------------------------------------------------------------------

    async def retain(self, room: str, *, max_entries: int | None = None, min_at: int | None = None) -> Cut:
        """Takes away the oldest entries."""
        async with self._writing() as connection:
            key, _, _, first, last = await find_room(connection, room, lock=True)
            keep = first
            if max_entries is not None:
                keep = max(keep, last - max_entries + 1)
            if min_at is not None:
                oldest = await connection.fetchval(
                    'SELECT min("offset") FROM chat_entries WHERE room = $1 AND at >= $2', key, min_at
                )
                keep = max(keep, last + 1 if oldest is None else oldest)
            status = await connection.execute(
                'DELETE FROM chat_entries WHERE room = $1 AND "offset" < $2', key, keep
            )
            await connection.execute('DELETE FROM chat_messages WHERE room = $1 AND "offset" < $2', key, keep)
            await connection.execute("UPDATE chat_rooms SET first = $2 WHERE id = $1", key, keep)
            return Cut(keep, int(status.rpartition(" ")[2]))

    async def export(self, room: str) -> AsyncIterator[bytes]:
        """The log as JSON Lines."""
        after = 0
        while entries := await self.read(room, after=after, limit=EXPORT_PAGE):
            yield b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries)
            after = entries[-1].offset

    async def ping(self) -> None:
        """Raises ChatError where the database does not answer."""
        async with self._reading() as connection:
            await connection.fetchval("SELECT 1")


def _now() -> int:
    return time.time_ns() // 1_000_000


async def _role(connection: Any, key: int, user: str) -> Role | None:
    found = await connection.fetchval(
        'SELECT role FROM chat_members WHERE room = $1 AND "user" = $2', key, user
    )
    return None if found is None else Role(found)


async def _entries(connection: Any, key: int, after: int, limit: int) -> list[Entry]:
    rows = await connection.fetch(
        f'SELECT {_ENTRY} FROM chat_entries WHERE room = $1 AND "offset" > $2 ORDER BY "offset" LIMIT $3',
        key,
        after,
        limit,
    )
    return [entry_of(row) for row in rows]


async def _room(connection: Any, user: str, room: str) -> Room:
    row = await connection.fetchrow(f"{_ROOM} WHERE r.room = $2", user, room)
    if row is None:
        raise no_room()
    return room_of(row, user)
