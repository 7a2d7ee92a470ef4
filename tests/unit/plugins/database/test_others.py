"""MongoDB over its wire protocol, Redis on a server of the run's own, migrations, and the plugin."""

from __future__ import annotations

import asyncio
import gc
import os
import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from framework import App
from framework.errors import CodecError, ConfigError, PluginError, SetupError
from framework.plugins.database import DatabasePlugin, SQLDatabase, connect, run_migrations
from framework.plugins.health import Health
from framework.plugins.pool import PoolSettings
from framework.sqlite.migrations import MigrationError
from framework.testing import TestClient
from tests.support.mariadb import mariadb, mysql_url
from tests.support.opmsg import OpMsgServer, op_msg_server
from tests.support.postgres import database, postgres
from tests.support.redis import RedisServer, redis_server

__all__ = ["RedisServer", "database", "mariadb", "mysql_url", "postgres", "redis_server"]

pytestmark = pytest.mark.anyio


class User(Struct):
    name: str
    age: int


@pytest.fixture(params=["wire", "server"])
async def mongodb_url(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    if request.param == "server":
        url = os.environ.get("MONGODB_URL")
        if url is None:
            pytest.skip("no MongoDB server: set MONGODB_URL to run this against one")
        yield url
        return
    async with op_msg_server() as server:
        yield f"mongodb://127.0.0.1:{server.port}/app"


async def test_mongodb_keeps_documents(mongodb_url: str) -> None:
    async with connect(mongodb_url, pool=PoolSettings(min_size=0, max_size=2)) as db:
        await db.ping()
        documents = [{"name": "Ada", "age": 36}, {"name": "Bob", "age": 7}]
        assert await db.execute({"insert": "users", "documents": documents}) == 2
        assert await db.fetch("users", {"name": "Bob"}, type=User) == [User("Bob", 7)]
        assert await db.fetch_one("users", {"name": "Eve"}) is None
        with pytest.raises(CodecError, match="age"):
            await db.fetch("users", projection={"_id": 1}, type=Wrong)
        assert db.driver.name == "app"


class Wrong(Struct):
    age: list[str]


async def test_mongodb_injection_operators_of_a_client_are_the_callers_to_refuse() -> None:
    """What is sent is what was given: values are never made of text."""
    async with op_msg_server() as server, connect(f"mongodb://127.0.0.1:{server.port}/app") as db:
        await db.fetch("users", {"name": "' || '1'=='1"})
        (find,) = [command for command in server.commands if "find" in command]
        assert find["filter"] == {"name": "' || '1'=='1"}


async def test_a_mongodb_that_does_not_answer_is_told_at_start() -> None:
    with pytest.raises(Exception, match=r"127\.0\.0\.1:1"):
        async with connect("mongodb://127.0.0.1:1/app", pool=PoolSettings(connect_timeout=0.2)):
            pass
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # PyMongo forgets sockets that were refused
        gc.collect()
    with pytest.raises(ConfigError, match="names a database"):
        async with connect("mongodb://127.0.0.1:1"):
            pass


async def test_redis(redis_server: RedisServer) -> None:
    async with connect(redis_server.url) as db:
        await db.ping()
        assert await db.execute("SET", "a", "1") in (b"OK", "OK")
        assert await db.execute("GET", "a") == b"1"


# -- migrations -------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def sql_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/app.db"
    url: str = request.getfixturevalue("database" if request.param == "postgresql" else "mysql_url")
    return url


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "migrations"
    made.mkdir()
    (made / "0001_a.sql").write_text("CREATE TABLE a (x INTEGER);\n")
    (made / "0002_b.sql").write_text("ALTER TABLE a ADD COLUMN y INTEGER;\nINSERT INTO a VALUES (1, 2);\n")
    return made


async def test_migrations_are_applied_once_by_one(sql_url: str, folder: Path) -> None:
    async def start() -> tuple[str, ...]:
        async with connect(sql_url) as db:
            return await run_migrations(db, folder)

    applied = await asyncio.gather(*(start() for _ in range(4)))
    assert sorted(len(names) for names in applied) in ([0, 0, 0, 2], [0, 0, 1, 1])
    async with connect(sql_url) as db:
        assert await db.fetch("SELECT x, y FROM a") == [{"x": 1, "y": 2}]
        (folder / "0003_c.sql").write_text("INSERT INTO a VALUES (3, 4);")
        assert await run_migrations(db, folder) == ("0003_c.sql",)
        (folder / "0001_a.sql").write_text("CREATE TABLE other (x INTEGER);\n")
        with pytest.raises(MigrationError, match=r"0001_a\.sql: changed after it was applied"):
            await run_migrations(db, folder)


async def test_a_migration_that_fails_is_named_and_not_recorded(sql_url: str, folder: Path) -> None:
    (folder / "0003_c.sql").write_text("INSERT INTO a VALUES (5, 6);\nINSERT INTO nowhere VALUES (1);\n")
    async with connect(sql_url) as db:
        with pytest.raises(MigrationError, match=r"0003_c\.sql"):
            await run_migrations(db, folder)
        assert await db.fetch_one("SELECT count(*) FROM migrations", type=int) == 2
        if db.scheme != "mysql":
            assert await db.fetch_one("SELECT count(*) FROM a WHERE x = 5", type=int) == 0


async def test_no_sql_no_migrations(folder: Path) -> None:
    async with op_msg_server() as server, connect(f"mongodb://127.0.0.1:{server.port}/app") as db:
        with pytest.raises(ConfigError, match="mongodb does not speak"):
            await run_migrations(db, folder)


# -- the plugin -------------------------------------------------------------------------------------------------------


def app_with(folder: Path | None) -> App:
    app = App()
    app.install(DatabasePlugin(migrations=folder))
    app.install(Health())

    @app.get("/rows")
    async def rows(database: SQLDatabase) -> list[dict[str, Any]]:
        return await database.fetch("SELECT x, y FROM a")

    return app


async def test_the_plugin_opens_migrates_injects_and_checks(sql_url: str, folder: Path) -> None:
    async with TestClient(app_with(folder), settings={"database.url": sql_url}) as client:
        assert (await client.get("/rows", expect=200)).json() == [{"x": 1, "y": 2}]
        ready = await client.get("/readyz", expect=200)
        assert "database.answers" in ready.text


@pytest.mark.parametrize("url", ["postgress://h/x", "sqlite:///:memory:", ""])
def test_a_wrong_url_stops_the_start_with_its_origin(url: str) -> None:
    with pytest.raises(PluginError, match=r"database\.url: database URL"):
        app_with(None).build(overrides={"database.url": url})


async def test_a_server_that_is_not_there_stops_the_start() -> None:
    app = app_with(None)
    settings = {
        "database.url": "postgresql://ada:secret@127.0.0.1:1/app",
        "database.pool.connect_timeout": 0.3,
    }
    with pytest.raises(SetupError, match=r"database: cannot open .*127\.0\.0\.1:1") as caught:
        async with TestClient(app, settings=settings):
            pass
    assert "secret" not in str(caught.value)


async def test_the_wire_server_refuses_what_it_does_not_know() -> None:
    async with op_msg_server() as server:
        assert isinstance(server, OpMsgServer)
        async with connect(f"mongodb://127.0.0.1:{server.port}/app") as db:
            with pytest.raises(Exception, match="no such command"):
                await db.execute({"shutdown": 1})
