"""The rules of the users: normal forms, hashes, pages, expected versions. Knows no SQL and no HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable

from msgspec import UNSET, UnsetType

from apps.users.cursor import decode_cursor, encode_cursor
from apps.users.errors import UserNotFound
from apps.users.models import Page, User, UserCreate, UserReplace, UserUpdate, normalise_email
from apps.users.passwords import Passwords
from apps.users.repository import MAX_ID, Changes, UserRepository

__all__ = ["UserService"]


def _now() -> int:
    return time.time_ns() // 1_000_000


class UserService:
    """What can be done with users.

    ``expected_versions`` is optimistic concurrency: the change is made only if the user still has one of
    these versions; None makes it whatever the version is.
    """

    def __init__(
        self,
        repository: UserRepository,
        passwords: Passwords,
        *,
        page_size: int = 20,
        max_page_size: int = 100,
        clock: Callable[[], int] = _now,
    ) -> None:
        """
        Args:
            page_size: users on a page when the caller does not say.
            max_page_size: users on a page at most, whatever the caller says.
            clock: UTC in milliseconds since 1970.
        """
        self._repository = repository
        self._passwords = passwords
        self._page_size = page_size
        self._max_page_size = max_page_size
        self._clock = clock

    async def create(self, new: UserCreate) -> User:
        """Make a user.

        Raises:
            EmailTaken: another user has the address. The database decides; asking it before would decide
                nothing.
        """
        password_hash = await self._passwords.hash(new.password)
        return await self._repository.insert(
            email=normalise_email(new.email), name=new.name, password_hash=password_hash, now=self._clock()
        )

    async def get(self, user_id: int) -> User:
        """The user with this id.

        Raises:
            UserNotFound: there is none.
        """
        user = await self._repository.find(_known(user_id))
        if user is None:
            raise UserNotFound(user_id)
        return user

    async def list(self, after: str | None = None, limit: int | None = None) -> Page[User]:
        """A page of users in the order they were made: from the first, or behind the cursor ``after``.

        Args:
            after: the ``next`` of the page before.
            limit: users on the page, at least 1; ``page_size`` if None, never more than ``max_page_size``.

        Raises:
            BadCursor: ``after`` was not made by this service.
        """
        after_id = 0 if after is None else decode_cursor(after)
        size = min(self._page_size if limit is None else limit, self._max_page_size)
        # One more than asked for tells whether a next page exists, without a count.
        users = await self._repository.page(after_id, size + 1)
        more = len(users) > size
        return Page(items=users[:size], next=encode_cursor(users[size - 1].id) if more else None)

    async def update(
        self, user_id: int, change: UserUpdate, expected_versions: frozenset[int] | None = None
    ) -> User:
        """Change the fields that ``change`` has. The new state; its version only grew if something changed.

        Raises:
            UserNotFound: there is no such user.
            VersionConflict: its version is none of ``expected_versions``.
            EmailTaken: another user has the new address.
        """
        user_id = _known(user_id)
        password = _set(change.password)
        email = _set(change.email)
        changes = Changes(
            email=None if email is None else normalise_email(email),
            name=_set(change.name),
            password_hash=None if password is None else await self._passwords.hash(password),
        )
        return await self._repository.update(user_id, changes, expected_versions, self._clock())

    async def replace(
        self, user_id: int, new: UserReplace, expected_versions: frozenset[int] | None = None
    ) -> User:
        """Set all that a client may set of a user's representation. Raises as ``update`` does."""
        return await self.update(user_id, UserUpdate(email=new.email, name=new.name), expected_versions)

    async def delete(self, user_id: int, expected_versions: frozenset[int] | None = None) -> None:
        """Remove a user for good; the id is not given to another.

        Raises:
            UserNotFound: there is no such user.
            VersionConflict: its version is none of ``expected_versions``.
        """
        await self._repository.delete(_known(user_id), expected_versions)


def _set(value: str | UnsetType) -> str | None:
    return None if value is UNSET else value


def _known(user_id: int) -> int:
    """``user_id``, if a user may have it: a number too large for SQLite is an unknown user, not an error."""
    if not 1 <= user_id <= MAX_ID:
        raise UserNotFound(user_id)
    return user_id
