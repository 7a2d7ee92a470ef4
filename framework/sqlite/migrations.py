"""Brings a database to the newest schema by numbered files of SQL: ``0001_users.sql``, ``0002_...sql`` and so
on.

Every file runs in a transaction of its own together with the row that records it, so a file is applied whole
or not at all, and one that was applied is never touched again: its checksum is kept and compared at each
start. The writer's BEGIN IMMEDIATE makes two programs that start at once take turns, and the second finds the
work done.

Files hold statements only, no BEGIN or COMMIT. Their line ends do not count for the checksum.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
import time
from asyncio import get_running_loop
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from msgspec import Struct

from framework.errors import SetupError
from framework.sqlite.connect import translated
from framework.sqlite.database import Database, DatabaseBusy

__all__ = ["Migration", "MigrationError", "load_migrations", "migrate", "split_statements"]

_FILE_NAME = re.compile(r"([0-9]{4})_[a-z0-9_]+\.sql")
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)

_RECORD = """
CREATE TABLE IF NOT EXISTS migrations (
    number     INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL,
    checksum   TEXT    NOT NULL,
    applied_at INTEGER NOT NULL
) STRICT
"""
_DENIED = frozenset({sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH})


class MigrationError(SetupError):
    """The migration files, or what the database remembers of them, are wrong. The text names the file."""


class Migration(Struct, frozen=True):
    """One file. ``checksum`` is the SHA-256 of its text with LF line ends."""

    number: int
    name: str
    checksum: str
    sql: str


def load_migrations(folder: Path) -> tuple[Migration, ...]:
    """Read the files of ``folder`` in their order.

    Raises:
        MigrationError: no folder, a name that is not ``NNNN_words.sql``, a number twice or missing, text not
            UTF-8.
    """
    if not folder.is_dir():
        raise MigrationError(f"there is no folder {folder} of migrations")
    problems: list[str] = []
    found: list[Migration] = []
    for file in sorted(folder.glob("*.sql")):
        match = _FILE_NAME.fullmatch(file.name)
        if match is None:
            problems.append(f"{file.name}: a migration is named like 0001_some_words.sql")
            continue
        number = int(match[1])
        if number != len(found) + 1:
            problems.append(
                f"{file.name}: number {len(found) + 1:04} was expected here, without gap or repetition"
            )
        found.append(_read(file, number))
    if problems:
        raise MigrationError(problems)
    return tuple(found)


def _read(file: Path, number: int) -> Migration:
    try:
        sql = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise MigrationError(f"{file.name}: not UTF-8 text ({error.reason} at byte {error.start})") from None
    return Migration(number, file.name, hashlib.sha256(sql.encode()).hexdigest(), sql)


def split_statements(sql: str) -> Iterator[tuple[int, str]]:
    """The statements of ``sql`` with the line each begins on.

    A semicolon ends a statement only where SQLite says so: not in a string, a comment or the body of a
    trigger.

    Raises:
        ValueError: the text ends within a statement, comment or string.
    """
    start = end = 0
    while (end := sql.find(";", end) + 1) > 0:
        if sqlite3.complete_statement(sql[start:end]):
            if _COMMENT.sub("", sql[start:end]).strip(" \t\r\n\f;"):
                yield _line(sql, start), sql[start:end].strip()
            start = end
    if _COMMENT.sub("", sql[start:]).strip():
        raise ValueError(
            f"the statement that begins on line {_line(sql, start)} does not end with a semicolon"
        )


def _line(sql: str, start: int) -> int:
    blank = len(sql[start:]) - len(sql[start:].lstrip())
    return sql.count("\n", 0, start + blank) + 1


async def migrate(
    database: Database, migrations: Sequence[Migration], *, timeout: float = 60.0
) -> tuple[str, ...]:
    """Apply those of ``migrations`` that ``database`` does not have yet; the names of those applied, in
    order.

    Args:
        timeout: seconds for one migration, and for waiting on another program that migrates the same file.

    Raises:
        MigrationError: a file changed after it was applied, is missing, is wrong SQL or breaks a foreign key.
        DatabaseBusy: another program kept the lock for all of ``timeout``.
    """
    applied: list[str] = []
    deadline = get_running_loop().time() + timeout
    while True:
        try:
            name = await database.write(partial(_apply_next, migrations), timeout=timeout)
        except DatabaseBusy:
            # SQLite has waited for its busy_timeout already, so this does not spin.
            if get_running_loop().time() >= deadline:
                raise
            continue
        if name is None:
            return tuple(applied)
        applied.append(name)
        deadline = get_running_loop().time() + timeout


def _apply_next(migrations: Sequence[Migration], connection: sqlite3.Connection) -> str | None:
    connection.execute(_RECORD)
    done = _count_applied(connection, migrations)
    if done == len(migrations):
        return None
    migration = migrations[done]
    # Refuses what would end this transaction, whatever its spelling; also expires statements prepared before.
    connection.set_authorizer(_authorize)
    try:
        _run(connection, migration)
    finally:
        connection.set_authorizer(None)
    connection.execute(
        "INSERT INTO migrations (number, name, checksum, applied_at) VALUES (?, ?, ?, ?)",
        (migration.number, migration.name, migration.checksum, time.time_ns() // 1_000_000),
    )
    return migration.name


def _count_applied(connection: sqlite3.Connection, migrations: Sequence[Migration]) -> int:
    """How many are applied already, after a comparison of each with its file."""
    records = connection.execute("SELECT number, name, checksum FROM migrations ORDER BY number").fetchall()
    problems: list[str] = []
    for position, (number, name, checksum) in enumerate(records):
        if number != position + 1:
            problems.append(f"{name}: recorded as number {number} where {position + 1} was expected")
        elif position >= len(migrations):
            problems.append(
                f"{name}: applied to this database, but the program has no such file; is it older?"
            )
        elif migrations[position].checksum != checksum:
            problems.append(
                f"{migrations[position].name}: changed after it was applied; add a new migration instead"
            )
    if problems:
        raise MigrationError(problems)
    return len(records)


def _run(connection: sqlite3.Connection, migration: Migration) -> None:
    try:
        statements = tuple(split_statements(migration.sql))
    except ValueError as error:
        raise MigrationError(f"{migration.name}: {error}") from None
    for line, statement in statements:
        _execute(connection, statement, f"{migration.name}, line {line}")
    orphan = connection.execute("PRAGMA foreign_key_check").fetchone()
    if orphan is not None:
        raise MigrationError(
            f"{migration.name}: row {orphan[1]} of {orphan[0]} refers to nothing in {orphan[2]}"
        )


def _execute(connection: sqlite3.Connection, statement: str, place: str) -> None:
    try:
        connection.execute(statement)
    except (sqlite3.Error, ValueError) as error:
        if translated(error) is not error:
            raise  # the file failed, not the statement
        denied = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_AUTH
        reason = "a migration may not begin, end or attach anything" if denied else str(error)
        raise MigrationError(f"{place}: {reason}") from error


def _authorize(action: int, *_: str | None) -> int:
    return sqlite3.SQLITE_DENY if action in _DENIED else sqlite3.SQLITE_OK
