"""The users as clients see them: what comes in, what goes out, and the form of each field.

E-mail addresses are ASCII (RFC 5321 mailboxes of the dot-atom form; a domain in another script is written in
its xn-- form). The domain is stored in lower case, the part before the @ as it was typed, because mail is
delivered by that spelling; but two addresses that differ only in case are one address, and the database's
index decides that. Passwords come in and never go out, not even in the repr that ends in a log.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Generic, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType

__all__ = [
    "Email",
    "Name",
    "Page",
    "Password",
    "User",
    "UserCreate",
    "UserReplace",
    "UserUpdate",
    "normalise_email",
]

T = TypeVar("T")

# "$" alone would let a line feed follow; the look-ahead means the same to Python and to a JSON Schema's
# readers.
_END = r"$(?!\n)"
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = rf"^(?=[^@]{{1,64}}@){_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+(?=[A-Za-z]){_LABEL}{_END}"
# No control characters, nothing that turns the direction of the text around it, no line or paragraph
# separators.
_BANNED = r"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"
_NAME = rf"^(?!\s)[^{_BANNED}]*[^\s{_BANNED}]{_END}"

Email = Annotated[
    str,
    Meta(
        min_length=6,
        max_length=254,
        pattern=_EMAIL,
        description="an e-mail address of ASCII characters",
        examples=["ada@example.com"],
        extra_json_schema={"format": "email"},
    ),
]
Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        pattern=_NAME,
        description="a name without control characters, line breaks or space around it",
        examples=["Ada Lovelace"],
    ),
]
Password = Annotated[
    str,
    Meta(
        min_length=8,
        max_length=128,
        description="any characters; compared after NFC normalisation (RFC 8265, OpaqueString)",
        extra_json_schema={"format": "password", "writeOnly": True},
    ),
]
Moment = Annotated[datetime, Meta(tz=True)]


class UserCreate(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A user to make."""

    email: Email
    name: Name
    password: Password

    def __repr__(self) -> str:
        return f"UserCreate(email={self.email!r}, name={self.name!r}, password=...)"


class UserUpdate(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A change: fields left out stay as they are (RFC 7396; no field may be null)."""

    email: Email | UnsetType = UNSET
    name: Name | UnsetType = UNSET
    password: Password | UnsetType = UNSET

    def __repr__(self) -> str:
        password = "UNSET" if self.password is UNSET else "..."
        return f"UserUpdate(email={self.email!r}, name={self.name!r}, password={password})"


class UserReplace(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All that a client may set of a user's representation. The password is no part of it: only
    ``UserUpdate`` has it.
    """

    email: Email
    name: Name


class User(Struct, frozen=True, kw_only=True):
    """A user as anyone may see it. ``version`` counts the changes from 1 on; times are aware, in UTC."""

    id: int
    email: str
    name: str
    version: int
    created_at: Moment
    updated_at: Moment


class Page(Struct, Generic[T], frozen=True, kw_only=True):
    """A part of a list. ``next`` is the cursor of the following page, None on the last."""

    items: list[T]
    next: str | None


def normalise_email(email: str) -> str:
    """The stored form of an address that fits ``Email``: its domain in lower case; idempotent."""
    local, _, domain = email.rpartition("@")
    return f"{local}@{domain.lower()}"
