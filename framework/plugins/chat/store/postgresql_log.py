"""What happens to a PostgreSQL database when an entry is added: as ``sqlite_log``, in PostgreSQL's words.

The room's row is locked first. So its entries get their offsets one after the other, in the order in which they are
committed: whoever has seen an offset has missed none before it.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from framework.plugins.chat.events import (
    Banned,
    Deleted,
    Edited,
    Entered,
    Entry,
    Event,
    Muted,
    Posted,
    Quit,
    Reacted,
    ReadUpTo,
    Role,
    RoleSet,
    RoomKind,
    RoomSet,
)
from framework.plugins.chat.rules import Standing, check, subject_of, target_of
from framework.plugins.chat.store.contract import Appended
from framework.plugins.chat.store.rows import (
    decode_reactions,
    encode_event,
    encode_reactions,
    entry_of,
    no_room,
)

__all__ = ["append", "find_room", "plain_words", "write_entry"]

_words = re.compile(r"\w+").findall


def plain_words(text: str) -> list[str]:
    """The words of a text as they are looked for: no case, no marks."""
    plain = unicodedata.normalize("NFKD", text)
    return _words("".join(char for char in plain if not unicodedata.combining(char)).lower())


async def find_room(connection: Any, room: str, *, lock: bool = False) -> Any:
    """id, kind, epoch, first, last of a room. Raises ChatError."""
    row = await connection.fetchrow(
        f"SELECT id, kind, epoch, first, last FROM chat_rooms WHERE room = $1{' FOR UPDATE' if lock else ''}",
        room,
    )
    if row is None:
        raise no_room()
    return row


async def append(connection: Any, user: str, room: str, mid: str, body: Event, now: int) -> Appended:
    """Adds an entry, or finds the one that was added under ``mid``. Inside a transaction."""
    key, kind, epoch, _, last = await find_room(connection, room, lock=True)
    known = await connection.fetchrow(
        'SELECT "offset", at, "user", mid, body FROM chat_entries WHERE room = $1 AND "user" = $2 AND mid = $3',
        key,
        user,
        mid,
    )
    if known is not None:
        return Appended(room, epoch, entry_of(known), again=True)
    check(await _standing(connection, key, RoomKind(kind), last, user, body), user, body, now)
    entry = Entry(last + 1, now, user, mid, body)
    await write_entry(connection, key, entry)
    return Appended(room, epoch, entry)


async def write_entry(connection: Any, key: int, entry: Entry) -> None:
    """Writes an entry that is allowed, and all that it comes to."""
    body = entry.body
    await connection.execute(
        "INSERT INTO chat_entries VALUES ($1, $2, $3, $4, $5, $6, $7)",
        key,
        entry.offset,
        entry.at,
        entry.user,
        entry.mid,
        target_of(body),
        encode_event(body).decode(),
    )
    await connection.execute(
        "UPDATE chat_rooms SET last = $1, changed_at = $2 WHERE id = $3", entry.offset, entry.at, key
    )
    await _apply(connection, key, entry)


async def _standing(connection: Any, key: int, kind: RoomKind, last: int, user: str, body: Event) -> Standing:
    role, muted = await _member(connection, key, user)
    subject = subject_of(body)
    other: Role | None = None
    owners = 1
    if subject is not None:
        other, _ = await _member(connection, key, subject)
        owners = await connection.fetchval(
            "SELECT count(*) FROM chat_members WHERE room = $1 AND role = 'owner'", key
        )
    banned = 0
    if role is None or isinstance(body, Entered):
        banned = await connection.fetchval(
            'SELECT coalesce(max(until), 0) FROM chat_bans WHERE room = $1 AND "user" IN ($2, $3)',
            key,
            user,
            subject or user,
        )
    author: str | None = None
    reactions = 0
    target = target_of(body)
    if target is not None:
        row = await connection.fetchrow(
            'SELECT "user", reactions FROM chat_messages WHERE room = $1 AND "offset" = $2 AND NOT deleted',
            key,
            target,
        )
        if row is not None:
            author, reactions = row[0], len(decode_reactions(row[1]))
    return Standing(kind, last, role, muted, banned, other, owners, author, reactions)


async def _member(connection: Any, key: int, user: str) -> tuple[Role | None, int]:
    row = await connection.fetchrow(
        'SELECT role, muted_until FROM chat_members WHERE room = $1 AND "user" = $2', key, user
    )
    return (None, 0) if row is None else (Role(row[0]), row[1])


async def _apply(connection: Any, key: int, entry: Entry) -> None:
    """Brings the other tables up to the entry."""
    run = connection.execute
    of_member = 'WHERE room = $1 AND "user" = $2'
    match entry.body:
        case Posted(text, reply_to):
            await run(
                'INSERT INTO chat_messages (room, "offset", changed, at, "user", mid, text, words, reply_to)'
                " VALUES ($1, $2, $2, $3, $4, $5, $6, to_tsvector('simple', $7), $8)",
                key,
                entry.offset,
                entry.at,
                entry.user,
                entry.mid,
                text,
                " ".join(plain_words(text)),
                reply_to,
            )
        case Edited(target, text):
            await run(
                "UPDATE chat_messages SET text = $1, words = to_tsvector('simple', $2), edited = $3, changed = $4"
                ' WHERE room = $5 AND "offset" = $6',
                text,
                " ".join(plain_words(text)),
                entry.at,
                entry.offset,
                key,
                target,
            )
        case Deleted(target):
            await _delete(connection, key, entry.offset, target)
        case Reacted():
            await _react(connection, key, entry, entry.body)
        case ReadUpTo(offset):
            await run(
                f"UPDATE chat_members SET read = greatest(read, $3) {of_member}", key, entry.user, offset
            )
        case Entered(user, role):
            await run(
                'INSERT INTO chat_members (room, "user", role, read) VALUES ($1, $2, $3, $4)',
                key,
                user,
                role.value,
                entry.offset,
            )
        case Quit(user):
            await run(f"DELETE FROM chat_members {of_member}", key, user)
        case RoleSet(user, role):
            await run(f"UPDATE chat_members SET role = $3 {of_member}", key, user, role.value)
        case Muted(user, until):
            await run(f"UPDATE chat_members SET muted_until = $3 {of_member}", key, user, until)
        case Banned(user, until):
            if until > 0:
                await run(f"DELETE FROM chat_members {of_member}", key, user)
            await run(
                "INSERT INTO chat_bans VALUES ($1, $2, $3)"
                ' ON CONFLICT (room, "user") DO UPDATE SET until = excluded.until',
                key,
                user,
                until,
            )
        case RoomSet(name, topic):
            await run("UPDATE chat_rooms SET name = $2, topic = $3 WHERE id = $1", key, name, topic)


async def _delete(connection: Any, key: int, offset: int, target: int) -> None:
    """The message keeps its place and loses its words, in the log as well."""
    await connection.execute(
        "UPDATE chat_messages SET text = '', words = '', deleted = TRUE, changed = $1, reactions = '{}'"
        ' WHERE room = $2 AND "offset" = $3',
        offset,
        key,
        target,
    )
    await connection.execute(
        'UPDATE chat_entries SET body = $1 WHERE room = $2 AND "offset" = $3',
        encode_event(Posted("")).decode(),
        key,
        target,
    )
    await connection.execute(
        'UPDATE chat_entries SET body = $1 WHERE room = $2 AND target = $3 AND body LIKE \'{"e":"edited"%\'',
        encode_event(Edited(target, "")).decode(),
        key,
        target,
    )


async def _react(connection: Any, key: int, entry: Entry, body: Reacted) -> None:
    data = await connection.fetchval(
        'SELECT reactions FROM chat_messages WHERE room = $1 AND "offset" = $2', key, body.target
    )
    reactions = decode_reactions(data)
    users = [user for user in reactions.pop(body.emoji, []) if user != entry.user]
    if body.on:
        users.append(entry.user)
    if users:
        reactions[body.emoji] = users
    await connection.execute(
        'UPDATE chat_messages SET reactions = $1, changed = $2 WHERE room = $3 AND "offset" = $4',
        encode_reactions(reactions).decode(),
        entry.offset,
        key,
        body.target,
    )
