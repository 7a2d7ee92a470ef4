"""URLs of databases, read strictly: what is wrong shows at start-up, with the parts that are known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from msgspec import Struct

from framework.app.schema import near_miss
from framework.errors import ConfigError

__all__ = ["KNOWN", "DatabaseURL", "parse_url"]

KNOWN: Final = ("sqlite", "postgresql", "mysql", "mongodb", "redis")
_ALIASES: Final = {
    "sqlite3": "sqlite",
    "postgres": "postgresql",
    "mariadb": "mysql",
    "mongodb+srv": "mongodb",
    "rediss": "redis",
    "unix": "redis",
}


class DatabaseURL(Struct, frozen=True):
    """A URL in its parts. ``scheme`` is one of ``KNOWN``; ``text`` the whole as it was given, password included."""

    text: str
    scheme: str
    host: str = ""
    port: int | None = None
    user: str | None = None
    password: str | None = None
    database: str = ""
    options: Mapping[str, str] = {}

    def __str__(self) -> str:
        """Without the password, for logs and errors."""
        if self.password is None:
            return self.text
        return (
            self.text.replace(f":{self.password}@", ":***@", 1)
            if f":{self.password}@" in self.text
            else self.scheme
        )

    __repr__ = __str__


def parse_url(text: str) -> DatabaseURL:
    """The URL in its parts. Raises ConfigError for a scheme that is not known, and whatever else is wrong with it."""
    scheme, separator, _ = text.partition(":")
    scheme = scheme.lower()
    name = _ALIASES.get(scheme, scheme)
    if not separator or name not in KNOWN:
        hint = near_miss(scheme, [*KNOWN, *_ALIASES]) if separator else ""
        raise ConfigError(f"database URL: {scheme!r} is no known scheme{hint}; known are {', '.join(KNOWN)}")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"database URL: {error}") from None
    if name == "sqlite":
        return DatabaseURL(text, name, database=_sqlite_path(text, parts.path), options=_options(parts.query))
    password = None if parts.password is None else unquote(parts.password)
    return DatabaseURL(
        text,
        name,
        host=parts.hostname or "",
        port=port,
        user=None if parts.username is None else unquote(parts.username),
        password=password,
        database=unquote(parts.path.removeprefix("/")),
        options=_options(parts.query),
    )


def _options(query: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True)) if query else {}
    except ValueError:
        raise ConfigError(f"database URL: the query {query!r} is not name=value pairs") from None


def _sqlite_path(text: str, path: str) -> str:
    """``sqlite:///relative.db``, ``sqlite:////absolute.db``, ``sqlite:relative.db``."""
    rest = text.partition(":")[2].partition("?")[0]
    if rest.startswith("//") and not rest.startswith("///"):
        raise ConfigError(
            "database URL: sqlite has no host: sqlite:///file.db, or sqlite:////absolute/file.db"
        )
    found = unquote(rest[3:] if rest.startswith("///") else rest)
    if not found or found == ":memory:":
        raise ConfigError("database URL: sqlite needs a file: sqlite:///file.db")
    return found
