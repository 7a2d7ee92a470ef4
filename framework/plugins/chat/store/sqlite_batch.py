"""Many entries at once: messages that follow each other are looked at and written together, by few statements.

A message that is a statement of its own costs several times what it costs among others: FTS5 writes its index with
every statement and savepoint, and each statement lets go of the interpreter and takes it back.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

from msgspec import Struct

from framework.plugins.chat.errors import ChatError
from framework.plugins.chat.events import Entry, Event, Posted, Role, RoomKind
from framework.plugins.chat.rules import Standing, check
from framework.plugins.chat.store.contract import Appended
from framework.plugins.chat.store.rows import encode_event
from framework.plugins.chat.store.sqlite_log import append
from framework.sqlite import in_savepoint

__all__ = ["Adding", "append_all"]


class Adding(Struct, frozen=True):
    """What ``append`` is called with."""

    user: str
    room: str
    mid: str
    body: Event
    at: int


Outcome: TypeAlias = Appended | Exception
_STANDING: Final = """
SELECT r.id, r.kind, r.epoch, r.last, m.role, m.muted_until
FROM rooms r JOIN members m ON m.room = r.id AND m.user = ? WHERE r.room = ?
"""
_KNOWN: Final = """
SELECT 1 FROM entries e JOIN rooms r ON r.id = e.room WHERE r.room = ? AND e.user = ? AND e.mid = ?
"""
# Rows of one statement: few different ones, so that they stay prepared.
_SIZES: Final = (64, 32, 16, 8, 4, 2, 1)
_ENTRIES: Final = {
    size: "INSERT INTO entries VALUES " + ", ".join(["(?, ?, ?, ?, ?, NULL, ?)"] * size) for size in _SIZES
}
_MESSAGES: Final = {
    size: 'INSERT INTO messages (room, "offset", changed, at, user, mid, text) VALUES '
    + ", ".join(["(?, ?, ?, ?, ?, ?, ?)"] * size)
    for size in _SIZES
}


def append_all(connection: sqlite3.Connection, items: list[Adding]) -> Sequence[Outcome]:
    """Adds entries as if one after the other, each for itself."""
    if len(items) == 1:
        return [_append(items[0], connection)]
    outcomes: list[Outcome] = []
    messages: list[Adding] = []
    for item in items:
        if isinstance(item.body, Posted) and item.body.reply_to is None:
            messages.append(item)
            continue
        outcomes += _append_messages(connection, messages)
        messages.clear()
        outcomes.append(_append_alone(connection, item))
    outcomes += _append_messages(connection, messages)
    return outcomes


def _append_alone(connection: sqlite3.Connection, item: Adding) -> Outcome:
    appended, failure = in_savepoint(connection, partial(_append, item))
    if appended is None:
        return failure or RuntimeError("nothing was appended")
    return appended


def _append(item: Adding, connection: sqlite3.Connection) -> Appended:
    return append(connection, item.user, item.room, item.mid, item.body, item.at)


def _append_messages(connection: sqlite3.Connection, items: list[Adding]) -> Sequence[Outcome]:
    if not items:
        return ()
    outcomes, failure = in_savepoint(connection, partial(_write, items, _never))
    if isinstance(failure, sqlite3.IntegrityError):
        # Some were sent before.
        outcomes, failure = in_savepoint(connection, partial(_write, items, partial(_is_known, connection)))
    if outcomes is None or failure is not None:
        return [_append_alone(connection, item) for item in items]
    return [
        _append_alone(connection, item) if outcome is None else outcome
        for item, outcome in zip(items, outcomes, strict=True)
    ]


def _never(item: Adding) -> bool:
    return False


def _is_known(connection: sqlite3.Connection, item: Adding) -> bool:
    return connection.execute(_KNOWN, (item.room, item.user, item.mid)).fetchone() is not None


def _write(
    items: list[Adding], is_known: Callable[[Adding], bool], connection: sqlite3.Connection
) -> list[Appended | None]:
    """Writes the messages that nothing speaks against; None for the others, which will write nothing, whenever they are
    looked at. Raises IntegrityError for one that is there and not known."""
    standings: dict[tuple[str, str], tuple[int, str] | None] = {}
    lasts: dict[int, tuple[int, int | None]] = {}
    seen: set[tuple[str, str, str]] = set()
    outcomes: list[Appended | None] = []
    entries: list[tuple[Any, ...]] = []
    messages: list[tuple[Any, ...]] = []
    for item in items:
        user, room, mid = item.user, item.room, item.mid
        who = user, room
        if who not in standings:
            standings[who] = _standing(connection, item, lasts)
        standing = standings[who]
        key = room, user, mid
        if standing is None or key in seen or is_known(item):
            outcomes.append(None)
            continue
        seen.add(key)
        number, epoch = standing
        offset = lasts[number][0] + 1
        at = item.at
        lasts[number] = offset, at
        body: Any = item.body
        entries.append((number, offset, at, user, mid, encode_event(body)))
        messages.append((number, offset, offset, at, user, mid, body.text))
        outcomes.append(Appended(room, epoch, Entry(offset, at, user, mid, body)))
    _insert(connection, _ENTRIES, entries)
    _insert(connection, _MESSAGES, messages)
    for number, (last, changed_at) in lasts.items():
        if changed_at is not None:  # something was written there
            connection.execute(
                "UPDATE rooms SET last = ?, changed_at = ? WHERE id = ?", (last, changed_at, number)
            )
    return outcomes


def _standing(
    connection: sqlite3.Connection, item: Adding, lasts: dict[int, tuple[int, int | None]]
) -> tuple[int, str] | None:
    """The room's number and epoch, where the user may post whenever that is; else None."""
    row = connection.execute(_STANDING, (item.user, item.room)).fetchone()
    if row is None:
        return None
    number, kind, epoch, last, role, muted = row
    if muted:
        return None
    try:
        check(Standing(RoomKind(kind), last, Role(role)), item.user, item.body, item.at)
    except ChatError:
        return None
    lasts.setdefault(number, (last, None))
    return number, epoch


def _insert(connection: sqlite3.Connection, statements: dict[int, str], rows: list[tuple[Any, ...]]) -> None:
    done = 0
    for size in _SIZES:
        while len(rows) - done >= size:
            values = [value for row in rows[done : done + size] for value in row]
            connection.execute(statements[size], values)
            done += size
