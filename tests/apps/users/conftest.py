"""A database with the app's schema, and a service whose hashes are as cheap as argon2 allows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import apps.users
from apps.users.passwords import Passwords
from apps.users.repository import UserRepository
from apps.users.service import UserService
from apps.users.settings import Argon2Cost
from framework.sqlite.database import Database
from framework.sqlite.migrations import Migration, load_migrations, migrate

CHEAP = Argon2Cost(time_cost=1, memory_kib=8, parallelism=1)


@pytest.fixture(scope="session")
def migrations() -> tuple[Migration, ...]:
    return load_migrations(Path(apps.users.__file__).parent / "migrations")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "users.sqlite3"


@pytest.fixture
async def database(path: Path, migrations: tuple[Migration, ...]) -> AsyncIterator[Database]:
    async with Database.open(path) as opened:
        await migrate(opened, migrations)
        yield opened


@pytest.fixture
async def passwords() -> AsyncIterator[Passwords]:
    async with Passwords.open(CHEAP) as opened:
        yield opened


@pytest.fixture
def service(database: Database, passwords: Passwords) -> UserService:
    return UserService(UserRepository(database), passwords, page_size=3, max_page_size=5)
