"""Where a Redis server is, read from a URL."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from framework.errors import ConfigError

__all__ = ["RedisURL", "parse_url"]

_is_number = re.compile(r"[0-9]{1,5}", re.ASCII).fullmatch
_SCHEMES: Final = ("redis", "rediss", "unix")


class RedisURL(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a URL. ``path`` is that of a unix socket; without one, ``host`` and ``port`` hold.

    ``str`` shows it without the password.
    """

    host: str = "localhost"
    port: int = 6379
    path: str | None = None
    database: int = 0
    username: str | None = None
    password: str | None = None
    tls: bool = False

    def __str__(self) -> str:
        who = "" if self.username is None and self.password is None else f"{self.username or ''}:***@"
        if self.path is not None:
            return f"unix://{who}{self.path}?db={self.database}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"redis{'s' if self.tls else ''}://{who}{host}:{self.port}/{self.database}"

    def __repr__(self) -> str:
        return f"RedisURL({str(self)!r})"


def parse_url(url: str) -> RedisURL:
    """Reads ``redis://[user:password@]host[:port][/database]``, ``rediss://...`` (TLS) or
    ``unix://[user:password@]/path[?db=n]``.

    Raises:
        ConfigError: it is none of these. The password does not show in it.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"the Redis URL is malformed: {error}") from None
    if parts.scheme not in _SCHEMES:
        raise ConfigError(f"a Redis URL begins with redis://, rediss:// or unix://, not {parts.scheme!r}")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    problems = [f"the Redis URL has an unknown parameter {name!r}" for name in sorted(query.keys() - {"db"})]
    is_unix = parts.scheme == "unix"
    database = query.get("db", "" if is_unix else parts.path.strip("/")) or "0"
    if not _is_number(database):
        problems.append(f"the database in the Redis URL must be a number, not {database!r}")
    if is_unix and len(parts.path) < 2:
        problems.append("the Redis URL names no path of a socket")
    if problems:
        raise ConfigError(problems)
    return RedisURL(
        host=parts.hostname or "localhost",
        port=port or 6379,
        path=unquote(parts.path) if is_unix else None,
        database=int(database),
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        tls=parts.scheme == "rediss",
    )
