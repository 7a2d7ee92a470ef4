"""The engines that keep the chat's logs; every contract test runs against each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from framework.plugins.chat.events import Entered, Role, RoomKind
from framework.plugins.chat.store import ChatStore
from framework.plugins.chat.store.postgresql import PostgreSQLChatStore
from framework.plugins.chat.store.sqlite import SQLiteChatStore
from framework.plugins.pool import PoolSettings
from tests.support.postgres import Postgres, database, postgres

__all__ = ["Postgres", "database", "postgres"]


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ChatStore]:
    if request.param == "postgresql":
        url: str = request.getfixturevalue("database")
        async with PostgreSQLChatStore.open(url, pool=PoolSettings(min_size=0, max_size=8)) as opened_there:
            yield opened_there
        return
    async with SQLiteChatStore.open(tmp_path / "chat.sqlite3", synchronous="NORMAL") as opened:
        yield opened


@pytest.fixture
async def town(store: ChatStore) -> ChatStore:
    """Ada owns ``town``; Bob and Cy are members, Mo is a moderator, Ray a reader; Eve was met and is in no room."""
    for user in ("ada", "bob", "cy", "mo", "ray", "eve"):
        await store.meet(user, user.title())
    await store.create("ada", "town", RoomKind.PUBLIC, name="Town square")
    for user, role in (
        ("bob", Role.MEMBER),
        ("cy", Role.MEMBER),
        ("mo", Role.MODERATOR),
        ("ray", Role.READER),
    ):
        await store.append("ada", "town", f"invite-{user}", Entered(user, role))
    return store
