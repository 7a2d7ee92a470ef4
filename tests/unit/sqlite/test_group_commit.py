"""Group commit: pieces of work that share one transaction succeed, fail and vanish each for itself."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from framework.sqlite.database import Database
from tests.support.notes import ENVIRON, Gate, add, create, texts

pytestmark = pytest.mark.anyio


@pytest.fixture
async def grouped(path: Path) -> AsyncIterator[Database]:
    async with Database.open(path, busy_timeout=0.05, synchronous="FULL", max_group=64) as opened:
        await opened.write(create)
        yield opened


def changes(connection: sqlite3.Connection) -> int:
    """A number that grows with each commit of another connection."""
    (version,) = connection.execute("PRAGMA data_version").fetchone()
    return int(version)


async def together(
    database: Database, *works: Callable[[sqlite3.Connection], object]
) -> list[object | BaseException]:
    """Runs the works as one group: they wait while another holds the writer."""
    gate = Gate()
    holding = asyncio.create_task(database.write(lambda _: gate.stop_here()))
    await gate.entered.wait()
    waiting = [asyncio.create_task(database.write(work)) for work in works]
    await asyncio.sleep(0)
    gate.open()
    await holding
    return await asyncio.gather(*waiting, return_exceptions=True)


async def test_what_waits_shares_one_commit(grouped: Database, path: Path) -> None:
    with sqlite3.connect(path) as watcher:
        before = changes(watcher)
        assert await together(grouped, *(add(str(number)) for number in range(50))) == [1] * 50
        assert changes(watcher) == before + 1, "one look sees one change"
    watcher.close()
    assert await grouped.read(texts) == [str(number) for number in range(50)]


async def test_one_that_fails_undoes_itself_alone(grouped: Database) -> None:
    def half(connection: sqlite3.Connection) -> None:
        add("half")(connection)
        raise ValueError("not this one")

    first, failed, last = await together(grouped, add("first"), half, add("last"))
    assert (first, last) == (1, 1)
    assert isinstance(failed, ValueError)
    assert await grouped.read(texts) == ["first", "last"]


async def test_later_work_of_a_group_sees_what_earlier_work_did(grouped: Database) -> None:
    _, seen, _ = await together(grouped, add("first"), texts, add("last"))
    assert seen == ["first"]


async def test_work_that_ends_the_transaction_fails_the_whole_group(grouped: Database) -> None:
    def ends(connection: sqlite3.Connection) -> None:
        connection.execute("COMMIT")

    first, ended, last = await together(grouped, add("first"), ends, add("last"))
    assert isinstance(ended, RuntimeError)
    assert isinstance(first, RuntimeError)
    assert isinstance(last, RuntimeError)
    await grouped.write(add("next"))


async def test_one_whose_caller_left_in_its_middle_leaves_nothing(grouped: Database) -> None:
    gate, inner = Gate(), Gate()

    def slow(connection: sqlite3.Connection) -> None:
        add("abandoned")(connection)
        inner.stop_here()

    holding = asyncio.create_task(grouped.write(lambda _: gate.stop_here()))
    await gate.entered.wait()
    first = asyncio.create_task(grouped.write(add("first")))
    leaver = asyncio.create_task(grouped.write(slow))
    last = asyncio.create_task(grouped.write(add("last")))
    await asyncio.sleep(0)
    gate.open()
    await inner.entered.wait()
    leaver.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaver
    inner.open()
    await asyncio.gather(holding, first, last)
    assert await grouped.read(texts) == ["first", "last"]


async def test_a_commit_that_fails_fails_all_of_its_group(grouped: Database) -> None:
    def orphan(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO child VALUES (1)")

    def tables(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
        connection.execute("CREATE TABLE child (id REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")

    await grouped.write(tables)
    outcomes = await together(grouped, add("first"), orphan)
    assert all(isinstance(outcome, sqlite3.IntegrityError) for outcome in outcomes)
    assert await grouped.read(texts) == []


async def test_closing_in_the_middle_of_a_group_finishes_it(path: Path) -> None:
    async with Database.open(path, max_group=8) as database:
        await database.write(create)
        gate = Gate()
        holding = asyncio.create_task(database.write(lambda _: gate.stop_here()))
        await gate.entered.wait()
        waiting = [asyncio.create_task(database.write(add(str(number)))) for number in range(20)]
        await asyncio.sleep(0)
        gate.open()
    assert await asyncio.gather(holding, *waiting) == [None, *[1] * 20]


KILLED = """
import asyncio, os, sys
from framework.sqlite.database import Database

def add(number):
    def work(connection):
        return connection.execute("INSERT INTO notes (text) VALUES (?)", (str(number),)).rowcount
    return work

async def main():
    async with Database.open(sys.argv[1], synchronous="FULL", max_group=64) as database:
        async def one(number):
            await database.write(add(number))
            os.write(1, b"%d\\n" % number)
        for start in range(0, 5000, 100):
            await asyncio.gather(*(one(number) for number in range(start, start + 100)))

asyncio.run(main())
"""


async def test_kill_9_loses_nothing_that_was_acknowledged(path: Path) -> None:
    async with Database.open(path) as database:
        await database.write(create)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, str(path), env=ENVIRON, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    acknowledged = [await process.stdout.readline() for _ in range(300)]
    process.kill()
    acknowledged += (await process.stdout.read()).splitlines(keepends=True)
    await process.wait()
    async with Database.open(path) as database:
        kept = set(await database.read(texts))
    assert {line.decode().strip() for line in acknowledged if line.endswith(b"\n")} <= kept
