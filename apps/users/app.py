"""The users app put together: its parts, who makes them, and how long they live."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path

from apps.users.controller import add_errors, add_routes
from apps.users.passwords import Passwords
from apps.users.repository import UserRepository
from apps.users.service import UserService
from apps.users.settings import UsersSettings
from framework import App, Phase, Scope
from framework.app.plugin import Setup
from framework.errors import ResourceError, SetupError
from framework.middleware import AccessLog, RequestId
from framework.plugins.openapi import OpenAPI
from framework.sqlite.database import Database
from framework.sqlite.migrations import load_migrations, migrate

__all__ = ["UsersPlugin", "create_app"]

_ABOUT = """Create, read, list, change and delete users.

Every user has a version, its `ETag`. A change names in `If-Match` the version it was made for, or `*` for any, so that
nobody undoes another's change without knowing it.
"""


class UsersPlugin:
    """Users below ``/users``. Settings in section ``[users]``; opens and migrates the database at start."""

    name = "users"
    requires: frozenset[str] = frozenset()
    config_type = UsersSettings

    def setup(self, setup: Setup, config: UsersSettings) -> None:
        """Records the routes, the answers to errors, and the makers of the parts."""

        def settings() -> UsersSettings:
            return config

        setup.provide(settings, scope=Scope.APP)
        setup.provide(_open_database, scope=Scope.APP)
        setup.provide(_open_passwords, scope=Scope.APP)
        setup.provide(UserRepository, scope=Scope.APP)
        setup.provide(_make_service, scope=Scope.APP)
        add_routes(setup.routes("/users"))
        add_errors(setup)


def create_app() -> App:
    """The users app as ``python -m apps.users`` serves it. Two of them share nothing."""
    app = App()
    app.use(RequestId(), Phase.EDGE)
    app.use(AccessLog(), Phase.EDGE)
    app.install(UsersPlugin())
    app.install(
        OpenAPI(
            "Users",
            "1.0.0",
            description=_ABOUT,
            tags={"users": "People with an e-mail address, a name and a password that nobody sees."},
        )
    )
    return app


async def _open_database(settings: UsersSettings) -> AsyncGenerator[Database, None]:
    migrations = load_migrations(Path(__file__).with_name("migrations"))
    async with AsyncExitStack() as stack:
        try:
            opening = Database.open(settings.database, readers=settings.readers)
            database = await stack.enter_async_context(opening)
            await migrate(database, migrations)
        except ResourceError as error:
            raise SetupError(f"cannot use the database file {settings.database}: {error}") from error
        yield database


async def _open_passwords(settings: UsersSettings) -> AsyncGenerator[Passwords, None]:
    async with Passwords.open(
        settings.argon2,
        workers=settings.hash_workers,
        max_hashing=settings.max_hashing,
        timeout=settings.hash_timeout,
    ) as passwords:
        yield passwords


def _make_service(repository: UserRepository, passwords: Passwords, settings: UsersSettings) -> UserService:
    return UserService(
        repository, passwords, page_size=settings.page_size, max_page_size=settings.max_page_size
    )
