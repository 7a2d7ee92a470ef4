"""The plugin: a database for the app's handlers and services, opened and migrated when the app starts."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from framework.app.plugin import Setup
from framework.app.secret import Secret
from framework.di import Scope
from framework.errors import ConfigError, PluginError, SetupError
from framework.plugins.database.connecting import adapter_of
from framework.plugins.database.face import Database, SQLDatabase
from framework.plugins.database.migrating import run_migrations
from framework.plugins.database.url import parse_url
from framework.plugins.pool import PoolSettings

__all__ = ["DatabasePlugin", "DatabaseSettings"]


class DatabaseSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section ``[database]``.

    Attributes:
        url: which database; see ``connect``. Hidden where settings are shown, as it may hold a password.
        pool: sizes and durations, for the databases that have one.
        migrations: a folder of numbered SQL files that are applied at the start; none where not given.
        migration_timeout: seconds for each of them.
    """

    url: Secret = Secret("sqlite:///app.sqlite3")
    pool: PoolSettings = PoolSettings()
    migrations: str | None = None
    migration_timeout: Annotated[float, Meta(gt=0)] = 60.0


class DatabasePlugin:
    """A database. Injected as the adapter's own class, as ``Database``, and those with SQL as ``SQLDatabase``.

    ::

        app.install(DatabasePlugin())

        @app.get("/users/{id}")
        async def user(id: int, database: SQLDatabase) -> User | None:
            return await database.fetch_one("SELECT id, name FROM users WHERE id = ?", id, type=User)

    Args:
        name: of the section of the settings and of the check; for a second database.
        migrations: the folder, where the settings name none.
    """

    requires: frozenset[str] = frozenset()
    config_type = DatabaseSettings

    def __init__(self, *, name: str = "database", migrations: Path | None = None) -> None:
        self.name = name
        self._migrations = migrations

    def setup(self, setup: Setup, config: DatabaseSettings) -> None:
        """Checks the URL and its driver; the database is opened when the app starts."""
        try:
            url = parse_url(config.url.reveal())
            adapter = adapter_of(url)
        except ConfigError as error:
            raise PluginError([f"{self.name}.url: {problem}" for problem in error.problems]) from None
        folder = Path(config.migrations) if config.migrations is not None else self._migrations
        options: dict[str, Any] = {} if url.scheme in ("sqlite", "redis") else {"pool": config.pool}
        name = self.name

        async def open_database() -> AsyncGenerator[Any]:
            try:
                opening = adapter.open(url, **options)
                database = await opening.__aenter__()
            except SetupError:
                raise
            except Exception as error:
                raise SetupError(f"{name}: cannot open {url}: {error or type(error).__name__}") from error
            try:
                if folder is not None:
                    await run_migrations(database, folder, timeout=config.migration_timeout)
                yield database
            finally:
                await opening.__aexit__(None, None, None)

        async def answers(database: Any) -> None:
            await database.ping()

        def same(database: Any) -> Any:
            return database

        # The class is known only now; annotations are how the container is told of it.
        answers.__annotations__["database"] = same.__annotations__["database"] = adapter
        setup.provide(open_database, scope=Scope.APP, provides=adapter)
        for face in (
            Database,
            *((SQLDatabase,) if hasattr(adapter, "fetch_one") and url.scheme != "mongodb" else ()),
        ):
            setup.provide(_copy(same), scope=Scope.APP, provides=face)
        setup.check("answers", answers)


def _copy(function: Any) -> Any:
    def same(database: Any) -> Any:
        return function(database)

    same.__annotations__["database"] = function.__annotations__["database"]
    return same
