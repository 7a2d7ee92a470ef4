"""The SQL of the users, and nothing else: no rule, no HTTP. Uniqueness and the order of changes are the
database's.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from msgspec import Struct

from apps.users.errors import EmailTaken, UserNotFound, VersionConflict
from apps.users.models import User
from framework.sqlite.database import Database

__all__ = ["MAX_ID", "Changes", "UserRepository"]

MAX_ID = 2**63 - 1

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS = "id, email, name, version, created_at, updated_at"

_INSERT = f"""
INSERT INTO users (email, name, password_hash, created_at, updated_at)
VALUES (:email, :name, :password_hash, :now, :now)
RETURNING {_COLUMNS}
"""
_FIND = f"SELECT {_COLUMNS} FROM users WHERE id = ?"
_PAGE = f"SELECT {_COLUMNS} FROM users WHERE id > ? ORDER BY id LIMIT ?"
# A wall clock that steps back must not make a user older than its last change.
_UPDATE = f"""
UPDATE users SET
    email = coalesce(:email, email),
    name = coalesce(:name, name),
    password_hash = coalesce(:password_hash, password_hash),
    version = version + 1,
    updated_at = max(:now, updated_at)
WHERE id = :id
RETURNING {_COLUMNS}
"""
_DELETE = "DELETE FROM users WHERE id = ?"


class Changes(Struct, frozen=True, kw_only=True):
    """What an update sets; None leaves a column as it is."""

    email: str | None = None
    name: str | None = None
    password_hash: str | None = None


class UserRepository:
    """Users in an SQLite database that has the migrations of this app. Ids are 1 to ``MAX_ID``, times UTC in
    ms.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def insert(self, *, email: str, name: str, password_hash: str, now: int) -> User:
        """Add a user with the next id and version 1.

        Raises:
            EmailTaken: another user has the address, in whatever case.
        """
        values: dict[str, object] = {"email": email, "name": name, "password_hash": password_hash, "now": now}
        return await self._write(email, partial(_insert, values))

    async def find(self, user_id: int) -> User | None:
        """The user with this id, or None."""
        return await self._database.read(partial(_find, user_id))

    async def page(self, after_id: int, limit: int) -> list[User]:
        """At most ``limit`` users with ids above ``after_id``, in the order of their ids.

        Ids only grow and none is given twice, so pages that follow each other neither skip nor repeat a user,
        whatever is written between them.
        """
        return await self._database.read(partial(_page, after_id, limit))

    async def update(self, user_id: int, changes: Changes, expected: frozenset[int] | None, now: int) -> User:
        """Apply ``changes`` if the user's version is one of ``expected`` (any, if None). The new state.

        Changes that change nothing write nothing and leave the version as it is.

        Raises:
            UserNotFound: no such user.
            VersionConflict: it has another version.
            EmailTaken: another user has the new address.
        """
        return await self._write(changes.email, partial(_update, user_id, changes, expected, now))

    async def delete(self, user_id: int, expected: frozenset[int] | None) -> None:
        """Remove the user if its version is one of ``expected`` (any, if None).

        Raises:
            UserNotFound: no such user.
            VersionConflict: it has another version.
        """
        await self._database.write(partial(_delete, user_id, expected))

    async def _write(self, email: str | None, work: Callable[[sqlite3.Connection], User]) -> User:
        try:
            return await self._database.write(work)
        except sqlite3.IntegrityError as error:
            unique = error.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_UNIQUE and "users.email" in str(
                error
            )
            if email is None or not unique:
                raise
            raise EmailTaken(email) from error


def _insert(values: dict[str, object], connection: sqlite3.Connection) -> User:
    return _user(connection.execute(_INSERT, values).fetchone())


def _find(user_id: int, connection: sqlite3.Connection) -> User | None:
    row = connection.execute(_FIND, (user_id,)).fetchone()
    return None if row is None else _user(row)


def _page(after_id: int, limit: int, connection: sqlite3.Connection) -> list[User]:
    return [_user(row) for row in connection.execute(_PAGE, (after_id, limit))]


def _update(
    user_id: int, changes: Changes, expected: frozenset[int] | None, now: int, connection: sqlite3.Connection
) -> User:
    user = _expect(connection, user_id, expected)
    if (
        changes.email in (None, user.email)
        and changes.name in (None, user.name)
        and changes.password_hash is None
    ):
        return user
    values = {
        "email": changes.email,
        "name": changes.name,
        "password_hash": changes.password_hash,
        "now": now,
        "id": user_id,
    }
    return _user(connection.execute(_UPDATE, values).fetchone())


def _delete(user_id: int, expected: frozenset[int] | None, connection: sqlite3.Connection) -> None:
    _expect(connection, user_id, expected)
    connection.execute(_DELETE, (user_id,))


def _expect(connection: sqlite3.Connection, user_id: int, expected: frozenset[int] | None) -> User:
    """The user, in a version that is expected; it stays so, because the transaction holds the write lock."""
    user = _find(user_id, connection)
    if user is None:
        raise UserNotFound(user_id)
    if expected is not None and user.version not in expected:
        raise VersionConflict(user_id, user.version)
    return user


def _user(row: tuple[Any, ...]) -> User:
    user_id, email, name, version, created_at, updated_at = row
    return User(
        id=user_id,
        email=email,
        name=name,
        version=version,
        created_at=_EPOCH + timedelta(milliseconds=created_at),
        updated_at=_EPOCH + timedelta(milliseconds=updated_at),
    )
