"""Closing drains, then gives up in time; a dying thread is told to those who wait; kill -9 tears nothing."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from framework.sqlite.database import Database, DatabaseUnavailable
from framework.sqlite.lane import Worker
from tests.support.notes import ENVIRON, FOREVER, Gate, add, create, texts

pytestmark = pytest.mark.anyio


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("sqlite ")]


def stored(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return texts(connection)


async def test_closing_ends_the_threads_and_leaves_one_file(path: Path) -> None:
    async with Database.open(path, readers=3) as database:
        await database.write(create)
        assert sorted(threads()) == ["sqlite read 1", "sqlite read 2", "sqlite read 3", "sqlite write 1"]
    assert threads() == []
    assert list(path.parent.iterdir()) == [path]


async def test_closing_finishes_what_waits(path: Path) -> None:
    async with Database.open(path) as database:
        await database.write(create)
        writing = [asyncio.create_task(database.write(add(str(number)))) for number in range(50)]
        await asyncio.sleep(0)
    assert await asyncio.gather(*writing) == [1] * 50
    assert len(stored(path)) == 50


async def test_a_closed_database_refuses(path: Path) -> None:
    async with Database.open(path) as database:
        pass
    with pytest.raises(DatabaseUnavailable, match="closed"):
        await database.read(texts)
    with pytest.raises(DatabaseUnavailable, match="closed"):
        await database.write(add("late"))


async def test_closing_abandons_what_does_not_end(path: Path) -> None:
    gate = Gate()

    def work(connection: sqlite3.Connection) -> object:
        add("half")(connection)
        gate.stop_here()
        return connection.execute(FOREVER).fetchone()

    async with Database.open(path, close_timeout=0.01) as database:
        await database.write(create)
        writing = [asyncio.create_task(database.write(item)) for item in (work, add("queued"))]
        await gate.entered.wait()
        gate.open()
    for outcome in await asyncio.gather(*writing, return_exceptions=True):
        assert isinstance(outcome, DatabaseUnavailable)
    assert threads() == []
    assert stored(path) == []


async def test_closing_leaves_a_thread_that_hangs(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("framework.sqlite.lane._LAST_GRACE", 0.01)
    gate = Gate()
    async with Database.open(path, close_timeout=0.01) as database:
        await database.write(create)
        writing = asyncio.create_task(database.write(lambda _: gate.stop_here()))
        await gate.entered.wait()
    with pytest.raises(DatabaseUnavailable):
        await writing
    assert "thread sqlite write 1 did not end" in caplog.text
    gate.open()
    for thread in threading.enumerate():
        if thread.name == "sqlite write 1":
            thread.join(10)
    assert stored(path) == []


async def test_closing_is_not_cut_short_by_the_scope_that_is_cancelled(path: Path) -> None:
    with anyio.CancelScope() as scope:
        async with Database.open(path) as database:
            await database.write(create)
            writing = asyncio.create_task(database.write(add("one")))
            await asyncio.sleep(0)
            scope.cancel()
            await anyio.sleep_forever()
    assert threads() == []
    assert await writing == 1
    assert stored(path) == ["one"]


async def test_closing_that_is_cancelled_itself_still_ends_the_threads(path: Path) -> None:
    gate = Gate()
    opened = asyncio.Event()

    async def owner() -> None:
        async with Database.open(path) as database:
            await database.write(create)
            reading = asyncio.create_task(database.read(lambda _: gate.stop_here()))
            opened.set()
            await asyncio.gather(reading, return_exceptions=True)

    task = asyncio.create_task(owner())
    await opened.wait()
    await gate.entered.wait()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await task
    for thread in threading.enumerate():
        if thread.name.startswith("sqlite "):
            thread.join(10)
    assert threads() == []


async def test_a_writer_thread_that_dies(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()

    def broken(self: Worker, job: object, error: BaseException) -> None:
        raise MemoryError("no room for the bookkeeping")

    def dying(connection: sqlite3.Connection) -> None:
        add("half")(connection)
        gate.stop_here()
        raise LookupError

    async with Database.open(path) as database:
        await database.write(create)
        monkeypatch.setattr(Worker, "_fail", broken)
        writing = [asyncio.create_task(database.write(work)) for work in (dying, add("queued"))]
        await gate.entered.wait()
        gate.open()
        for outcome in await asyncio.gather(*writing, return_exceptions=True):
            assert isinstance(outcome, DatabaseUnavailable)
        with pytest.raises(DatabaseUnavailable, match="died"):
            await database.write(add("later"))
        assert await database.read(texts) == []
    assert threads() == []
    assert [record.levelno for record in caplog.records] == [logging.CRITICAL]
    assert stored(path) == []


async def test_one_reader_that_dies_fails_its_own_work_only(
    notes: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Worker, job: object, error: BaseException) -> None:
        raise MemoryError

    def dying(connection: sqlite3.Connection) -> None:
        raise LookupError

    with monkeypatch.context() as patch:
        patch.setattr(Worker, "_fail", broken)
        with pytest.raises(DatabaseUnavailable, match="died"):
            await notes.read(dying)
    assert await notes.read(texts) == []


WRITER = """
import asyncio, sys
from framework.sqlite.database import Database

async def main():
    async with Database.open(sys.argv[1]) as database:
        for number in range(1_000_000):
            def work(connection):
                connection.execute("INSERT INTO notes (text) VALUES (?)", (f"{number} a" + "x" * 2000,))
                if number == int(sys.argv[2]):
                    print("half", flush=True)
                    sys.stdin.readline()
                connection.execute("INSERT INTO notes (text) VALUES (?)", (f"{number} b",))
            await database.write(work)
            print(number, flush=True)

asyncio.run(main())
"""


def killed_writer(path: Path, half_at: int, until: str) -> list[int]:
    """Run a process that writes pairs of notes, kill -9 it at ``until``; the pairs it acknowledged."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(half_at)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=ENVIRON,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line.strip())
            if lines[-1] == until:
                process.kill()
                break
        lines += [line.strip() for line in process.stdout if line.endswith("\n")]
    return [int(line) for line in lines if line.isdigit()]


@pytest.mark.parametrize(("half_at", "until"), [(3, "half"), (-1, "40"), (-1, "400")])
async def test_kill_9_in_the_middle_of_a_write_keeps_the_file_whole(
    path: Path, half_at: int, until: str
) -> None:
    async with Database.open(path) as database:
        await database.write(create)
    acknowledged = await asyncio.to_thread(killed_writer, path, half_at, until)
    notes = stored(path)
    pairs = [note.rstrip("x") for note in notes]
    count = len(pairs) // 2
    assert pairs == [f"{number} {half}" for number in range(count) for half in "ab"]
    assert acknowledged == list(range(len(acknowledged)))
    assert count >= len(acknowledged)
    async with Database.open(path) as database:
        await database.write(add("after"))
