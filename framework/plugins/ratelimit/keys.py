"""Whose limit it is: functions from a request to a key."""

from __future__ import annotations

import socket
from collections.abc import Callable
from hashlib import blake2b
from typing import Final, TypeAlias

from framework.errors import ConfigError
from framework.http.request import Request, StateKey

__all__ = [
    "KeyOf",
    "MAX_KEY",
    "USER",
    "address_key",
    "bounded",
    "by_client",
    "by_header",
    "by_route",
    "by_user",
    "key_of",
]

KeyOf: TypeAlias = Callable[[Request], str]
MAX_KEY: Final = 128
_MAPPED: Final = b"\x00" * 10 + b"\xff\xff"

USER: Final[StateKey[str]] = StateKey("ratelimit.user")
"""Who is logged in, for the key "user": an authentication in phase POLICY or further out sets ``request[USER]``."""


def address_key(host: str) -> str:
    """An IPv4 address as it is; of IPv6 the /64, which is what one subscriber has; IPv4 in IPv6 as the IPv4 it is.

    What is no address (a name given by some transport) stays as it is.
    """
    if ":" not in host:
        return host
    try:
        packed = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    except OSError:
        return bounded(host)
    if packed.startswith(_MAPPED):
        return socket.inet_ntop(socket.AF_INET, packed[12:])
    return socket.inet_ntop(socket.AF_INET6, packed[:8] + b"\x00" * 8) + "/64"


def by_client(request: Request) -> str:
    """By the client's address as far as trusted proxies tell it (``server.trusted_proxies``); whoever comes over a unix
    socket without such a proxy is one client."""
    client = request.client
    return "unix" if client is None else address_key(client.host)


def by_user(request: Request) -> str:
    """By ``request[USER]``; by the client's address where nobody is logged in."""
    user = request.get(USER)
    return by_client(request) if user is None else bounded(f"user {user}")


def by_route(request: Request) -> str:
    """All requests of a route together."""
    return request.endpoint.pattern or "unmatched"


def by_header(name: str) -> KeyOf:
    """By the value of a field, such as an API key; by the client's address where it is missing.

    Only for fields whose value was checked further out: otherwise a client chooses its own key.
    """
    lowered = name.lower()

    def key(request: Request) -> str:
        value = request.field(lowered)
        return by_client(request) if value is None else bounded(f"{lowered} {value}")

    return key


def everybody(request: Request) -> str:
    """One limit for all."""
    return "all"


def bounded(key: str) -> str:
    """A long key as its hash: no client chooses how much memory a key takes."""
    if len(key) <= MAX_KEY:
        return key
    return "#" + blake2b(key.encode("utf-8", "surrogatepass"), digest_size=24).hexdigest()


def key_of(word: str) -> KeyOf:
    """The function for a word of the settings: client, user, route, all, ``header:name``; several joined by ``+``.

    Raises:
        ConfigError: an unknown word.
    """
    parts = [_one(part.strip()) for part in word.split("+")]
    if len(parts) == 1:
        return parts[0]

    def key(request: Request) -> str:
        return bounded(" ".join([part(request) for part in parts]))

    return key


def _one(word: str) -> KeyOf:
    kind, _, name = word.partition(":")
    if kind == "header" and name:
        return by_header(name)
    found = {"client": by_client, "user": by_user, "route": by_route, "all": everybody}.get(word)
    if found is None:
        raise ConfigError(f"{word!r} is no key; known are client, user, route, all and header:NAME")
    return found
