"""What happens to an SQLite database when an entry is added: the rules asked, the offset assigned, the tables that the
entries come to brought up to it. Plain functions of a connection inside a transaction."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

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

__all__ = ["append", "find_room", "write_entry"]

_FOUND: Final = """
SELECT r.id, r.kind, r.epoch, r.last, m.role, m.muted_until, e."offset", e.at, e.user, e.mid, e.body
FROM rooms r
LEFT JOIN members m ON m.room = r.id AND m.user = ?
LEFT JOIN entries e ON e.room = r.id AND e.user = ? AND e.mid = ?
WHERE r.room = ?
"""


def find_room(connection: sqlite3.Connection, room: str) -> Any:
    """id, kind, epoch, first, last of a room. Raises ChatError."""
    row = connection.execute(
        "SELECT id, kind, epoch, first, last FROM rooms WHERE room = ?", (room,)
    ).fetchone()
    if row is None:
        raise no_room()
    return row


def append(connection: sqlite3.Connection, user: str, room: str, mid: str, body: Event, now: int) -> Appended:
    """Adds an entry, or finds the one that was added under ``mid``."""
    row = connection.execute(_FOUND, (user, user, mid, room)).fetchone()
    if row is None:
        raise no_room()
    key, kind, epoch, last, role, muted, *known = row
    if known[0] is not None:
        return Appended(room, epoch, entry_of(known), again=True)
    acting = None if role is None else Role(role), muted or 0
    check(_standing(connection, key, RoomKind(kind), last, acting, user, body), user, body, now)
    entry = Entry(last + 1, now, user, mid, body)
    write_entry(connection, key, entry)
    return Appended(room, epoch, entry)


def write_entry(connection: sqlite3.Connection, key: int, entry: Entry) -> None:
    """Writes an entry that is allowed, and all that it comes to."""
    connection.execute(
        "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            key,
            entry.offset,
            entry.at,
            entry.user,
            entry.mid,
            target_of(entry.body),
            encode_event(entry.body),
        ),
    )
    connection.execute(
        "UPDATE rooms SET last = ?, changed_at = ? WHERE id = ?", (entry.offset, entry.at, key)
    )
    _apply(connection, key, entry)


def _standing(
    connection: sqlite3.Connection,
    key: int,
    kind: RoomKind,
    last: int,
    acting: tuple[Role | None, int],
    user: str,
    body: Event,
) -> Standing:
    role, muted = acting
    subject = subject_of(body)
    other = None
    owners = 1
    if subject is not None:
        other, _ = _member(connection, key, subject)
        (owners,) = connection.execute(
            "SELECT count(*) FROM members WHERE room = ? AND role = 'owner'", (key,)
        ).fetchone()
    banned = 0
    if role is None or isinstance(body, Entered):
        row = connection.execute(
            "SELECT max(until) FROM bans WHERE room = ? AND user IN (?, ?)", (key, user, subject or user)
        ).fetchone()
        banned = row[0] or 0
    author, reactions = _target(connection, key, target_of(body))
    return Standing(kind, last, role, muted, banned, other, owners, author, reactions)


def _member(connection: sqlite3.Connection, key: int, user: str) -> tuple[Role | None, int]:
    row = connection.execute(
        "SELECT role, muted_until FROM members WHERE room = ? AND user = ?", (key, user)
    ).fetchone()
    return (None, 0) if row is None else (Role(row[0]), row[1])


def _target(connection: sqlite3.Connection, key: int, target: int | None) -> tuple[str | None, int]:
    if target is None:
        return None, 0
    row = connection.execute(
        'SELECT user, reactions FROM messages WHERE room = ? AND "offset" = ? AND NOT deleted', (key, target)
    ).fetchone()
    return (None, 0) if row is None else (row[0], len(decode_reactions(row[1])))


def _apply(connection: sqlite3.Connection, key: int, entry: Entry) -> None:
    """Brings the other tables up to the entry."""
    match entry.body:
        case Posted(text, reply_to):
            connection.execute(
                'INSERT INTO messages (room, "offset", changed, at, user, mid, text, reply_to)'
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (key, entry.offset, entry.offset, entry.at, entry.user, entry.mid, text, reply_to),
            )
        case Edited(target, text):
            connection.execute(
                'UPDATE messages SET text = ?, edited = ?, changed = ? WHERE room = ? AND "offset" = ?',
                (text, entry.at, entry.offset, key, target),
            )
        case Deleted(target):
            _delete(connection, key, entry.offset, target)
        case Reacted():
            _react(connection, key, entry, entry.body)
        case ReadUpTo(offset):
            connection.execute(
                "UPDATE members SET read = max(read, ?) WHERE room = ? AND user = ?",
                (offset, key, entry.user),
            )
        case Entered(user, role):
            connection.execute(
                "INSERT INTO members (room, user, role, read) VALUES (?, ?, ?, ?)",
                (key, user, role.value, entry.offset),
            )
        case Quit(user):
            connection.execute("DELETE FROM members WHERE room = ? AND user = ?", (key, user))
        case RoleSet(user, role):
            connection.execute(
                "UPDATE members SET role = ? WHERE room = ? AND user = ?", (role.value, key, user)
            )
        case Muted(user, until):
            connection.execute(
                "UPDATE members SET muted_until = ? WHERE room = ? AND user = ?", (until, key, user)
            )
        case Banned(user, until):
            connection.execute(
                "DELETE FROM members WHERE room = ? AND user = ? AND ?", (key, user, until > 0)
            )
            connection.execute("INSERT OR REPLACE INTO bans VALUES (?, ?, ?)", (key, user, until))
        case RoomSet(name, topic):
            connection.execute("UPDATE rooms SET name = ?, topic = ? WHERE id = ?", (name, topic, key))


def _delete(connection: sqlite3.Connection, key: int, offset: int, target: int) -> None:
    """The message keeps its place and loses its words, in the log as well: what was deleted is read by nobody."""
    connection.execute(
        "UPDATE messages SET text = '', deleted = 1, changed = ?, reactions = x'7b7d'"
        ' WHERE room = ? AND "offset" = ?',
        (offset, key, target),
    )
    connection.execute(
        'UPDATE entries SET body = ? WHERE room = ? AND "offset" = ?', (encode_event(Posted("")), key, target)
    )
    edits = connection.execute(
        'SELECT "offset" FROM entries WHERE room = ? AND target = ? AND cast(body AS TEXT) LIKE ?',
        (key, target, '{"e":"edited"%'),
    ).fetchall()
    for (edit,) in edits:
        connection.execute(
            'UPDATE entries SET body = ? WHERE room = ? AND "offset" = ?',
            (encode_event(Edited(target, "")), key, edit),
        )


def _react(connection: sqlite3.Connection, key: int, entry: Entry, body: Reacted) -> None:
    (data,) = connection.execute(
        'SELECT reactions FROM messages WHERE room = ? AND "offset" = ?', (key, body.target)
    ).fetchone()
    reactions = decode_reactions(data)
    users = [user for user in reactions.pop(body.emoji, []) if user != entry.user]
    if body.on:
        users.append(entry.user)
    if users:
        reactions[body.emoji] = users
    connection.execute(
        'UPDATE messages SET reactions = ?, changed = ? WHERE room = ? AND "offset" = ?',
        (encode_reactions(reactions), entry.offset, key, body.target),
    )
