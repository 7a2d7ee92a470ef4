"""The time that a transaction may take, the same for every database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from framework.errors import DeadlineExceeded

__all__ = ["within"]


@asynccontextmanager
async def within(timeout: float | None) -> AsyncGenerator[None]:
    """Cancels the block after ``timeout`` seconds. Raises DeadlineExceeded then, and only then."""
    scope = asyncio.timeout(timeout)
    try:
        async with scope:
            yield
    except TimeoutError:
        if scope.expired():
            raise DeadlineExceeded("a database transaction", timeout or 0.0) from None
        raise
