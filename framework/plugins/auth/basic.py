"""HTTP basic authentication (RFC 7617), for a few people and programs, with slow hashes that are not computed twice."""

from __future__ import annotations

import asyncio
import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterable
from hashlib import blake2b
from secrets import token_bytes
from typing import Final

from msgspec import Struct

from framework.errors import ResourceError, SetupError
from framework.http.handler import Handler
from framework.http.request import Request
from framework.http.response import Response
from framework.plugins.auth.principal import PRINCIPAL, Principal, Unauthorized

__all__ = ["BasicAuth", "BasicUser", "hash_of_password"]

MAX_CREDENTIAL: Final = 512
MAX_REMEMBERED: Final = 1000
_basic: Final = re.compile(r"(?i:basic) +([A-Za-z0-9+/]+={0,2})").fullmatch


class BasicUser(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One user. ``hash``: of the password, as ``hash_of_password`` makes it (argon2id)."""

    name: str
    hash: str
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()


def hash_of_password(password: str) -> str:
    """What to store of a password. Takes tens of milliseconds."""
    from argon2 import PasswordHasher

    return PasswordHasher().hash(password)


class BasicAuth:
    """Lets requests with a known name and its password through, and puts their principal into the request.

    A password is verified in a thread, at most ``max_verifying`` at once, and remembered as a keyed hash of its own:
    the following requests of the same user cost a look into a table. Unknown names take as long as wrong passwords.

    Raises:
        SetupError: no users, two of one name, a hash that is none; or argon2-cffi is not installed.
    """

    def __init__(
        self, users: Iterable[BasicUser], *, realm: str = "restricted", max_verifying: int = 2
    ) -> None:
        try:
            from argon2 import PasswordHasher, extract_parameters
            from argon2.exceptions import InvalidHashError
        except ImportError:
            raise SetupError("passwords need argon2-cffi: install the extra framework[auth]") from None
        listed = list(users)
        self._users = {user.name: user for user in listed}
        if len(self._users) != len(listed) or not listed:
            raise SetupError(
                "basic authentication: " + ("two users have one name" if listed else "no users are given")
            )
        for user in listed:
            try:
                extract_parameters(user.hash)
            except InvalidHashError:
                raise SetupError(f"basic authentication: {user.name}: the hash is none of argon2") from None
        self._hasher = PasswordHasher()
        self._nobody = self._hasher.hash(token_bytes(16))
        self._realm = realm
        self._secret = token_bytes(32)
        self._good: dict[bytes, BasicUser] = {}
        self._room = asyncio.Semaphore(max_verifying)
        self._waiting = 0

    def __call__(self, handler: Handler) -> Handler:
        """Puts ``handler`` behind it."""

        async def authenticated(request: Request) -> Response:
            credential = self._credential(request)
            mark = blake2b(credential, key=self._secret, digest_size=32).digest()
            user = self._good.get(mark)
            if user is None:
                user = await self._verify(credential)
                if len(self._good) >= MAX_REMEMBERED:
                    del self._good[next(iter(self._good))]
                self._good[mark] = user
            request[PRINCIPAL] = Principal(user.name, "basic", user.roles, user.scopes)
            return await handler(request)

        return authenticated

    def _refusal(self, detail: str) -> Unauthorized:
        return Unauthorized("Basic", detail, [("realm", self._realm), ("charset", "UTF-8")])

    def _credential(self, request: Request) -> bytes:
        field = request.field("authorization")
        if field is None:
            raise self._refusal("this needs a name and a password")
        found = _basic(field) if len(field) <= MAX_CREDENTIAL else None
        if found is None:
            raise self._refusal("the field Authorization has no name and password")
        try:
            return b64decode(found[1], validate=True)
        except Base64Error:
            raise self._refusal("the field Authorization has no name and password") from None

    async def _verify(self, credential: bytes) -> BasicUser:
        name, colon, password = credential.partition(b":")
        try:
            user = self._users.get(name.decode()) if colon else None
        except UnicodeDecodeError:
            user = None
        if self._waiting >= 64:
            raise ResourceError("too many passwords are being verified", retry_after=1.0)
        self._waiting += 1
        try:
            async with self._room:
                good = await asyncio.to_thread(
                    self._matches, self._nobody if user is None else user.hash, password
                )
        finally:
            self._waiting -= 1
        if user is None or not good:
            raise self._refusal("the name or the password is wrong")
        return user

    def _matches(self, hashed: str, password: bytes) -> bool:
        from argon2.exceptions import Argon2Error

        try:
            return self._hasher.verify(hashed, password)
        except Argon2Error:
            return False
