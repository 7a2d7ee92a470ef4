"""API keys: long random secrets of programs, stored as hashes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256
from secrets import token_urlsafe
from typing import Annotated, Final

from msgspec import Meta, Struct

from framework.errors import HTTPError, SetupError
from framework.http.handler import Handler
from framework.http.request import Request
from framework.http.response import Response
from framework.plugins.auth.principal import PRINCIPAL, Principal, Unauthorized

__all__ = ["APIKey", "APIKeys", "hash_of_key", "new_key"]

MAX_KEY: Final = 256
_digest: Final = re.compile(r"[0-9a-f]{64}").fullmatch


class APIKey(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One key.

    Attributes:
        name: of the program; becomes the subject.
        hash: SHA-256 of the key in hex, as ``hash_of_key`` makes it. A key of 128 random bits needs no slow hash.
        disabled: refused, and told so.
    """

    name: str
    hash: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    disabled: bool = False


def new_key(prefix: str = "key") -> str:
    """A new key: ``prefix``, an underscore and 256 random bits. Show it once, store its hash."""
    return f"{prefix}_{token_urlsafe(32)}"


def hash_of_key(key: str) -> str:
    """What to store of a key."""
    return sha256(key.encode()).hexdigest()


class APIKeys:
    """Lets requests with a known key through, and puts their principal into the request.

    What is compared is the hash, found by a look into a table: how long that takes tells of the hash of what was
    sent, which its sender knows, and nothing of the keys.

    Args:
        keys: the known ones.
        header: the field that has the key. ``Authorization: ApiKey ...`` is taken as well.
        query: a parameter that may have it instead; None, the default, as URLs are logged everywhere.

    Raises:
        SetupError: no keys, two with one hash, or a hash that is none.
    """

    def __init__(
        self,
        keys: Iterable[APIKey],
        *,
        header: str = "x-api-key",
        query: str | None = None,
        realm: str | None = None,
    ) -> None:
        listed = list(keys)
        wrong = [key.name for key in listed if _digest(key.hash) is None]
        self._keys = {bytes.fromhex(key.hash): key for key in listed if key.name not in wrong}
        if wrong or not listed or len(self._keys) != len(listed):
            raise SetupError(
                f"API keys: {', '.join(wrong)}: a hash is 64 hex digits"
                if wrong
                else "API keys: none is given"
                if not listed
                else "API keys: two have the same hash"
            )
        self._header = header.lower()
        self._query = query
        self._realm = realm

    def find(self, key: str) -> APIKey | None:
        """The known key, None for any other text."""
        if len(key) > MAX_KEY:
            return None
        return self._keys.get(sha256(key.encode("utf-8", "surrogateescape")).digest())

    def __call__(self, handler: Handler) -> Handler:
        """Puts ``handler`` behind it."""

        async def authenticated(request: Request) -> Response:
            sent = self._sent(request)
            if sent is None:
                raise Unauthorized("ApiKey", "this needs an API key", [("realm", self._realm)])
            key = self.find(sent)
            if key is None:
                raise Unauthorized("ApiKey", "the API key is not known", [("realm", self._realm)])
            if key.disabled:
                raise HTTPError(403, "the API key is disabled")
            request[PRINCIPAL] = Principal(key.name, "api-key", key.roles, key.scopes)
            return await handler(request)

        return authenticated

    def _sent(self, request: Request) -> str | None:
        values = request.headers.get_all(self._header)
        if len(values) == 1:
            return values[0]
        scheme, _, credential = (request.field("authorization") or "").partition(" ")
        if scheme.lower() == "apikey" and not values:
            return credential.strip()
        return request.query.get(self._query) if self._query is not None and not values else None
