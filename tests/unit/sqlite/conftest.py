"""A file, and a database with one table of notes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import apps.users
from framework.sqlite.database import Database
from framework.sqlite.migrations import Migration, load_migrations
from tests.support.notes import create


@pytest.fixture(scope="session")
def migrations() -> tuple[Migration, ...]:
    return load_migrations(Path(apps.users.__file__).parent / "migrations")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "notes.sqlite3"


@pytest.fixture
async def notes(path: Path) -> AsyncIterator[Database]:
    """A database with one table of notes that waits 50 ms for foreign locks."""
    async with Database.open(path, busy_timeout=0.05) as opened:
        await opened.write(create)
        yield opened
