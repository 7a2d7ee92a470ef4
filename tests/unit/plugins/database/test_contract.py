"""One suite for every database that speaks SQL: real servers of the run's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from framework.errors import CodecError, DeadlineExceeded, LocalProtocolError
from framework.plugins.database import SQLDatabase, connect
from framework.plugins.pool import PoolSettings
from tests.support.mariadb import MariaDB, mariadb, mysql_url
from tests.support.postgres import Postgres, database, postgres

__all__ = ["MariaDB", "Postgres", "database", "mariadb", "mysql_url", "postgres"]

pytestmark = pytest.mark.anyio

SMALL = PoolSettings(min_size=0, max_size=3)
KEYS = {
    "sqlite": "INTEGER PRIMARY KEY",
    "postgresql": "SERIAL PRIMARY KEY",
    "mysql": "INT AUTO_INCREMENT PRIMARY KEY",
}
SLOW = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
    "postgresql": "SELECT pg_sleep(20)",
    "mysql": "SELECT sleep(20)",
}


class User(Struct):
    id: int
    name: str
    admin: bool = False


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
async def db(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SQLDatabase]:
    options: dict[str, Any] = {}
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/app.db"
    else:
        url = request.getfixturevalue("database" if request.param == "postgresql" else "mysql_url")
        options["pool"] = SMALL
    async with connect(url, **options) as opened:
        await opened.execute(
            f"CREATE TABLE users (id {KEYS[request.param]}, name VARCHAR(80) NOT NULL UNIQUE,"
            " admin BOOLEAN NOT NULL DEFAULT FALSE, born DATE)"
        )
        yield opened


async def test_rows_come_as_structs_dictionaries_and_values(db: SQLDatabase) -> None:
    assert (
        await db.execute("INSERT INTO users (name, admin) VALUES (?, ?), (?, ?)", "Ada", True, "Bob", False)
        == 2
    )
    users = await db.fetch("SELECT id, name, admin FROM users ORDER BY id", type=User)
    assert users == [User(1, "Ada", True), User(2, "Bob", False)]
    assert await db.fetch("SELECT name FROM users ORDER BY name") == [{"name": "Ada"}, {"name": "Bob"}]
    assert await db.fetch("SELECT name FROM users ORDER BY name", type=str) == ["Ada", "Bob"]
    assert await db.fetch_one("SELECT id, name FROM users WHERE name = ?", "Bob", type=User) == User(2, "Bob")
    assert await db.fetch_one("SELECT id FROM users WHERE name = ?", "Eve", type=int) is None
    assert await db.fetch_one("SELECT count(*) FROM users", type=int) == 2
    assert await db.execute("UPDATE users SET admin = ? WHERE name = ?", True, "Bob") == 1
    assert await db.execute("DELETE FROM users WHERE id > ?", 0) == 2


async def test_types_survive(db: SQLDatabase) -> None:
    born = date(1815, 12, 10)
    value: object = born if db.scheme != "sqlite" else born.isoformat()
    await db.execute("INSERT INTO users (name, born) VALUES (?, ?)", "Ada – 😀 'quoted' %s ?", value)
    assert await db.fetch_one("SELECT born FROM users", type=date) == born
    assert await db.fetch_one("SELECT name FROM users", type=str) == "Ada – 😀 'quoted' %s ?"
    assert await db.fetch_one("SELECT born FROM users WHERE born IS NULL") is None


async def test_sql_injection_parameters_are_always_bound(db: SQLDatabase) -> None:
    evil = "x'); DROP TABLE users; --"
    await db.execute("INSERT INTO users (name) VALUES (?)", evil)
    assert await db.fetch_one("SELECT name FROM users WHERE name = ?", evil, type=str) == evil
    assert await db.fetch("SELECT id FROM users WHERE name = ?", "' OR '1'='1", type=int) == []


async def test_question_marks_in_texts_are_no_places(db: SQLDatabase) -> None:
    row = await db.fetch_one("SELECT 'what?' AS a, '100%' AS b, ? AS c /* really? */ -- yes?", "x")
    assert row == {"a": "what?", "b": "100%", "c": "x"}
    with pytest.raises(LocalProtocolError, match="1 parameters for a statement with places for 2"):
        await db.fetch("SELECT ?, ?", 1)


async def test_a_row_that_is_no_such_type_is_told(db: SQLDatabase) -> None:
    await db.execute("INSERT INTO users (name) VALUES (?)", "Ada")
    with pytest.raises(CodecError, match=r"row 1: .*born"):
        await db.fetch("SELECT name, born FROM users", type=Strict)
    with pytest.raises(CodecError, match="2 columns"):
        await db.fetch("SELECT id, name FROM users", type=int)


class Strict(Struct):
    name: str
    born: date


async def test_a_transaction_is_whole_or_nothing(db: SQLDatabase) -> None:
    async with db.transaction() as session:
        await session.execute("INSERT INTO users (name) VALUES (?)", "Ada")
        assert await session.fetch_one("SELECT count(*) FROM users", type=int) == 1
        await session.execute("INSERT INTO users (name) VALUES (?)", "Bob")

    async def fails() -> None:
        async with db.transaction() as session:
            await session.execute("INSERT INTO users (name) VALUES (?)", "Cy")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()
    assert await db.fetch("SELECT name FROM users ORDER BY name", type=str) == ["Ada", "Bob"]


async def test_a_statement_that_fails_can_be_caught_outside_of_a_transaction(db: SQLDatabase) -> None:
    await db.execute("INSERT INTO users (name) VALUES (?)", "Ada")
    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        await db.execute("INSERT INTO users (name) VALUES (?)", "Ada")

    async def twice() -> None:
        async with db.transaction() as session:
            await session.execute("INSERT INTO users (name) VALUES (?)", "Bob")
            await session.execute("INSERT INTO users (name) VALUES (?)", "Ada")

    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        await twice()
    assert await db.fetch("SELECT name FROM users", type=str) == ["Ada"]


async def test_a_cancelled_transaction_leaves_nothing_and_loses_no_connection(db: SQLDatabase) -> None:
    for number in range(8):
        entered = asyncio.Event()

        async def hold(number: int = number, entered: asyncio.Event = entered) -> None:
            async with db.transaction() as session:
                await session.execute("INSERT INTO users (name) VALUES (?)", f"u{number}")
                entered.set()
                await asyncio.get_running_loop().create_future()

        task = asyncio.create_task(hold())
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await db.fetch_one("SELECT count(*) FROM users", type=int) == 0
    await asyncio.gather(*(db.execute("INSERT INTO users (name) VALUES (?)", f"n{n}") for n in range(20)))
    assert await db.fetch_one("SELECT count(*) FROM users", type=int) == 20


async def test_a_transaction_s_time_is_for_all_of_it(db: SQLDatabase) -> None:
    """Not only for the connection: what is under way when it has passed is ended and rolled back."""

    async def endless() -> None:
        async with db.transaction(timeout=0.2) as session:
            await session.execute("INSERT INTO users (name) VALUES (?)", "late")
            await asyncio.get_running_loop().create_future()

    async with asyncio.timeout(20):
        for _ in range(5):
            with pytest.raises(DeadlineExceeded):
                await endless()
    assert await db.fetch_one("SELECT count(*) FROM users", type=int) == 0


async def test_a_transaction_in_time_keeps_errors_of_its_own(db: SQLDatabase) -> None:
    async def fails() -> None:
        async with db.transaction(timeout=20):
            raise TimeoutError("of another thing")

    with pytest.raises(TimeoutError, match="of another thing"):
        await fails()


async def test_a_cancelled_statement_never_gives_its_answer_to_another(db: SQLDatabase) -> None:
    tasks = [asyncio.create_task(db.fetch(SLOW[db.scheme])) for _ in range(2)]
    await asyncio.sleep(0.05)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    answers = await asyncio.gather(*(db.fetch_one("SELECT ? AS n", str(n), type=str) for n in range(30)))
    assert answers == [str(n) for n in range(30)]


async def test_the_drivers_own_object_is_one_attribute_away(db: SQLDatabase) -> None:
    await db.ping()
    assert db.driver is not None


async def test_a_server_that_restarts_is_reached_again(
    db: SQLDatabase, request: pytest.FixtureRequest
) -> None:
    if db.scheme == "sqlite":
        pytest.skip("a file does not restart")
    await db.execute("INSERT INTO users (name) VALUES (?)", "Ada")
    server: Any = request.getfixturevalue("postgres" if db.scheme == "postgresql" else "mariadb")
    await asyncio.to_thread(server.restart)
    found: str | None = None
    for _ in range(50):
        try:
            found = await db.fetch_one("SELECT name FROM users", type=str)
        except Exception:
            await asyncio.sleep(0.1)
        else:
            break
    assert found == "Ada"
