"""The factory: a URL becomes a database."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from importlib import import_module
from typing import Any, Final

from framework.errors import ConfigError
from framework.plugins.database.url import DatabaseURL, parse_url

__all__ = ["adapter_of", "connect"]

_ADAPTERS: Final = {
    "sqlite": ("sqlite", "SQLite", ""),
    "postgresql": ("postgresql", "PostgreSQL", "postgresql"),
    "mysql": ("mysql", "MySQL", "mysql"),
    "mongodb": ("mongodb", "MongoDB", "mongodb"),
    "redis": ("redis", "RedisDatabase", "redis"),
}


def adapter_of(url: DatabaseURL) -> Any:
    """The class for a URL's scheme. Raises ConfigError where its driver is not installed, with what to install."""
    module, name, extra = _ADAPTERS[url.scheme]
    try:
        return getattr(import_module(f"framework.plugins.database.{module}"), name)
    except ImportError as error:
        raise ConfigError(
            f"database URL: {url.scheme} needs {error.name or 'a driver'}, which is not installed: "
            f"install the extra framework[{extra}]"
        ) from error


def connect(url: str | DatabaseURL, **options: Any) -> AbstractAsyncContextManager[Any]:
    """Opens a database for the length of a block: ``async with connect("sqlite:///app.db") as database``.

    Args:
        url: ``sqlite:///file.db``, ``postgresql://user:password@host/name``, ``mysql://...`` (or ``mariadb://``),
            ``mongodb://...``, ``redis://...``.
        options: ``pool=PoolSettings(...)`` where there is a pool, and what the driver takes besides.

    Raises:
        ConfigError: at once, for a URL that is wrong, a scheme that is not known (it lists those that are), or a driver
            that is not installed (it says what to install).
    """
    parsed = parse_url(url) if isinstance(url, str) else url
    opened: AbstractAsyncContextManager[Any] = adapter_of(parsed).open(parsed, **options)
    return opened
