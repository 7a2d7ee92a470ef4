"""Migrations: order, checksums, refusals that name the file, and two starters at once."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import apps.users
from framework.sqlite.database import Database, DatabaseBusy
from framework.sqlite.migrations import Migration, MigrationError, load_migrations, migrate, split_statements
from tests.support.notes import ENVIRON, Gate

pytestmark = pytest.mark.anyio

FIRST = "CREATE TABLE a (x INTEGER);\n"
SECOND = "ALTER TABLE a ADD COLUMN y TEXT;\nCREATE INDEX a_y ON a (y);\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "migrations"
    made.mkdir()
    (made / "0001_first.sql").write_text(FIRST)
    (made / "0002_second.sql").write_text(SECOND)
    return made


def schema(connection: sqlite3.Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT name FROM sqlite_schema ORDER BY name")]


async def test_applies_in_order_and_once(path: Path, folder: Path) -> None:
    async with Database.open(path) as database:
        assert await migrate(database, load_migrations(folder)) == ("0001_first.sql", "0002_second.sql")
        assert await migrate(database, load_migrations(folder)) == ()
        (folder / "0003_third.sql").write_text("DROP INDEX a_y;")
        assert await migrate(database, load_migrations(folder)) == ("0003_third.sql",)
        assert await database.read(schema) == ["a", "migrations"]


async def test_a_changed_checksum_names_the_file(path: Path, folder: Path) -> None:
    async with Database.open(path) as database:
        await migrate(database, load_migrations(folder))
        (folder / "0001_first.sql").write_text(FIRST + "-- a remark\n")
        with pytest.raises(MigrationError, match=r"0001_first\.sql: changed after it was applied"):
            await migrate(database, load_migrations(folder))


async def test_line_ends_do_not_count(path: Path, folder: Path) -> None:
    async with Database.open(path) as database:
        await migrate(database, load_migrations(folder))
        (folder / "0002_second.sql").write_bytes(SECOND.replace("\n", "\r\n").encode())
        assert await migrate(database, load_migrations(folder)) == ()


async def test_a_database_newer_than_the_program_names_the_file(path: Path, folder: Path) -> None:
    async with Database.open(path) as database:
        await migrate(database, load_migrations(folder))
        (folder / "0002_second.sql").unlink()
        with pytest.raises(MigrationError, match=r"0002_second\.sql: applied to this database"):
            await migrate(database, load_migrations(folder))


async def test_a_gap_in_what_is_recorded_names_the_file(path: Path, folder: Path) -> None:
    async with Database.open(path) as database:
        await migrate(database, load_migrations(folder))
        await database.write(lambda c: c.execute("DELETE FROM migrations WHERE number = 1").rowcount)
        with pytest.raises(MigrationError, match=r"0002_second\.sql: recorded as number 2 where 1"):
            await migrate(database, load_migrations(folder))


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("0004_gap.sql", r"0004_gap\.sql: number 0003 was expected"),
        ("0002_again.sql", r"0002_second\.sql: number 0003 was expected"),
        ("third.sql", r"third\.sql: a migration is named like"),
        ("0003-third.sql", r"0003-third\.sql: a migration is named like"),
        ("٠٠٠٣_third.sql", r"a migration is named like"),
    ],
)
def test_a_wrong_name_or_a_gap_names_the_file(folder: Path, name: str, problem: str) -> None:
    (folder / name).write_text("")
    with pytest.raises(MigrationError, match=problem):
        load_migrations(folder)


def test_every_wrong_name_is_reported(folder: Path) -> None:
    (folder / "x.sql").write_text("")
    (folder / "y.sql").write_text("")
    with pytest.raises(MigrationError) as caught:
        load_migrations(folder)
    assert len(caught.value.problems) == 2


def test_a_missing_folder_and_other_files(folder: Path) -> None:
    (folder / "README").write_text("not SQL")
    assert len(load_migrations(folder)) == 2
    with pytest.raises(MigrationError, match="there is no folder"):
        load_migrations(folder / "no")


def test_text_that_is_not_utf_8_names_the_file(folder: Path) -> None:
    (folder / "0003_third.sql").write_bytes(b"SELECT '\xff';")
    with pytest.raises(MigrationError, match=r"0003_third\.sql: not UTF-8 text .* at byte 8"):
        load_migrations(folder)


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("CREATE TABLE b (x);\n\nCREATE TABEL c (x);\n", r'line 3: near "TABEL"'),
        ("CREATE TABLE b (x);\nINSERT INTO b VALUES (?);\n", r"line 2: "),
        ("CREATE TABLE b (x UNIQUE);\nINSERT INTO b VALUES (1), (1);\n", r"line 2: UNIQUE constraint failed"),
        ("CREATE TABLE b (x);\nCOMMIT;\n", r"line 2: a migration may not begin, end or attach"),
        ("CREATE TABLE b (x);\n/**/ roLLback;\n", r"line 2: a migration may not begin, end or attach"),
        ("ATTACH ':memory:' AS other;\n", r"line 1: a migration may not begin, end or attach"),
        ("CREATE TABLE b (x);\nCREATE TABLE c (x)\n", r"begins on line 2 does not end"),
        ("CREATE TABLE b (x);\nSELECT 'one;\n", r"begins on line 2 does not end"),
        ("CREATE TABLE b (x REFERENCES a(x));\nINSERT INTO b VALUES (1);\n", r"foreign key mismatch"),
        (
            "CREATE TABLE p (i INTEGER PRIMARY KEY);"
            "CREATE TABLE b (x REFERENCES p(i) DEFERRABLE INITIALLY DEFERRED);"
            "INSERT INTO b VALUES (7);",
            r"row 1 of b refers to nothing in p",
        ),
    ],
)
async def test_a_migration_that_fails_is_undone_and_named(
    path: Path, folder: Path, sql: str, problem: str
) -> None:
    (folder / "0003_third.sql").write_text(sql)
    async with Database.open(path) as database:
        with pytest.raises(MigrationError, match=r"0003_third\.sql[,:] .*" + problem):
            await migrate(database, load_migrations(folder))
        assert await database.read(schema) == ["a", "a_y", "migrations"]
        (folder / "0003_third.sql").write_text("CREATE TABLE b (x);")
        assert await migrate(database, load_migrations(folder)) == ("0003_third.sql",)


async def test_a_trigger_is_one_statement(path: Path, folder: Path) -> None:
    (folder / "0003_third.sql").write_text(
        "-- one; two\nCREATE TRIGGER t AFTER INSERT ON a BEGIN\n"
        "  UPDATE a SET y = 'a;b'; -- END;\n  UPDATE a SET x = 1;\nEND;\n/* ; */\n"
        "INSERT INTO a (x) VALUES (0);\n"
    )
    async with Database.open(path) as database:
        await migrate(database, load_migrations(folder))
        assert await database.read(lambda c: c.execute("SELECT x, y FROM a").fetchall()) == [(1, "a;b")]


def test_statements_carry_their_lines() -> None:
    assert list(split_statements("SELECT 1;\n\n  SELECT\n2; SELECT 3;;\n-- end;\n")) == [
        (1, "SELECT 1;"),
        (3, "SELECT\n2;"),
        (4, "SELECT 3;"),
    ]


WORDS = st.sampled_from(["x", "'a;b'", "'it''s; '", '"c;d"', "[e;f]", "/* ; ' */", '-- ; "\n', "1", "`g;`"])


@given(st.lists(st.lists(WORDS, min_size=1, max_size=6).map(lambda words: f"SELECT {' '.join(words)} ;")))
def test_a_semicolon_ends_a_statement_only_outside_of_strings_and_comments(statements: list[str]) -> None:
    assert [statement for _, statement in split_statements("\n".join(statements))] == statements


async def test_two_starters_at_once_in_one_process(path: Path, migrations: tuple[Migration, ...]) -> None:
    async def start() -> tuple[str, ...]:
        async with Database.open(path) as database:
            return await migrate(database, migrations)

    applied = await asyncio.gather(*(start() for _ in range(8)))
    assert sorted(applied) == [()] * 7 + [("0001_users.sql",)]


STARTER = """
import asyncio, sys
from pathlib import Path
from framework.sqlite.database import Database
from framework.sqlite.migrations import load_migrations, migrate

async def main():
    sys.stdin.readline()
    async with Database.open(sys.argv[1]) as database:
        print(len(await migrate(database, load_migrations(Path(sys.argv[2])))))

asyncio.run(main())
"""


async def test_two_starters_at_once_in_two_processes(path: Path) -> None:
    folder = Path(apps.users.__file__).parent / "migrations"
    command = [sys.executable, "-c", STARTER, str(path), str(folder)]
    pipe = subprocess.PIPE
    starters = [
        await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, env=ENVIRON) for _ in range(2)
    ]
    outputs = await asyncio.gather(*(starter.communicate(b"go\n") for starter in starters))
    assert sorted(output for output, _ in outputs) == [b"0\n", b"1\n"]


async def test_a_starter_waits_for_the_lock_of_another(path: Path, folder: Path) -> None:
    async with Database.open(path, busy_timeout=0.01) as database:
        with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(DatabaseBusy):
                await migrate(database, load_migrations(folder), timeout=0.02)
            waiting = asyncio.create_task(migrate(database, load_migrations(folder), timeout=20))
            await asyncio.sleep(0)
            other.execute("ROLLBACK")
            assert len(await waiting) == 2


async def test_a_migration_waits_its_turn_behind_other_work(path: Path, folder: Path) -> None:
    async with Database.open(path) as database:
        gate = Gate()
        holding = asyncio.create_task(database.write(lambda _: gate.stop_here()))
        await gate.entered.wait()
        waiting = asyncio.create_task(migrate(database, load_migrations(folder)))
        await asyncio.sleep(0)
        gate.open()
        await holding
        assert len(await waiting) == 2
