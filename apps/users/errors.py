"""What can go wrong with users, in the words of the domain. Knows no HTTP and no SQL; data in attributes.

UsersError
├── EmailTaken        another user has this e-mail address
├── UserNotFound      no user has this id
├── VersionConflict   the user was changed since the caller read it
└── BadCursor         a page cursor that this app did not make
"""

from __future__ import annotations

__all__ = ["BadCursor", "EmailTaken", "UserNotFound", "UsersError", "VersionConflict"]


class UsersError(Exception):
    """The root of the domain's errors."""


class EmailTaken(UsersError):
    """Another user has ``email``; the database said so while it wrote."""

    def __init__(self, email: str) -> None:
        self.email = email
        super().__init__(email)

    def __str__(self) -> str:
        return "the e-mail address is taken"


class UserNotFound(UsersError):
    """No user has the id ``user_id``: never made, or deleted (an id is never used again)."""

    def __init__(self, user_id: int) -> None:
        self.user_id = user_id
        super().__init__(user_id)

    def __str__(self) -> str:
        return f"there is no user {self.user_id}"


class VersionConflict(UsersError):
    """The user ``user_id`` has version ``current``, which is none of those the caller expected."""

    def __init__(self, user_id: int, current: int) -> None:
        self.user_id = user_id
        self.current = current
        super().__init__(user_id, current)

    def __str__(self) -> str:
        return f"user {self.user_id} has changed: it has version {self.current} now"


class BadCursor(UsersError):
    """A page cursor that is mistyped, cut short or made by someone else."""

    def __init__(self, cursor: str) -> None:
        self.cursor = cursor
        super().__init__(cursor)

    def __str__(self) -> str:
        return "the cursor is not one that this service gave"
