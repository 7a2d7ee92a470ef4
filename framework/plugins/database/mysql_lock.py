"""A named lock of a MySQL server, held by one connection for the length of a block."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from framework.errors import DeadlineExceeded

__all__ = ["locked_mysql"]


@asynccontextmanager
async def locked_mysql(database: Any, name: str, timeout: float) -> AsyncGenerator[Any]:
    """A session that holds the lock. Raises DeadlineExceeded where another keeps it for all of ``timeout`` seconds."""
    from framework.plugins.database.mysql import session_of

    async with database.driver.acquire() as connection:
        session = session_of(connection)
        if await session.fetch_one("SELECT get_lock(?, ?)", name, timeout, type=int) != 1:
            raise DeadlineExceeded(f"waiting for the lock {name!r}", timeout)
        try:
            yield session
        finally:
            await session.fetch("SELECT release_lock(?)", name)
