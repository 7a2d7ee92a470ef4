"""A cancelled caller neither loses a connection nor leaves a transaction open, wherever it was hit."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from framework.sqlite.database import Database
from framework.sqlite.lane import Job, Worker
from tests.support.notes import FOREVER, Gate, add, texts

pytestmark = pytest.mark.anyio


async def cancelled(task: asyncio.Task[object]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_cancel_in_the_queue_skips_the_work(notes: Database) -> None:
    gate = Gate()
    holding = asyncio.create_task(notes.write(lambda _: gate.stop_here()))
    await gate.entered.wait()
    begun: list[sqlite3.Connection] = []
    waiting = asyncio.create_task(notes.write(begun.append))
    await asyncio.sleep(0)
    await cancelled(waiting)
    gate.open()
    await holding
    await notes.write(add("next"))
    assert begun == []


async def test_cancel_between_two_statements_rolls_back(notes: Database) -> None:
    gate = Gate()

    def work(connection: sqlite3.Connection) -> None:
        add("half")(connection)
        gate.stop_here()
        add("whole")(connection)

    writing = asyncio.create_task(notes.write(work))
    await gate.entered.wait()
    await cancelled(writing)
    gate.open()
    await notes.write(add("next"))
    assert await notes.read(texts) == ["next"]


async def test_cancel_in_the_middle_of_a_statement_stops_it(notes: Database) -> None:
    gate = Gate()

    def work(connection: sqlite3.Connection) -> None:
        add("half")(connection)
        gate.stop_here()
        connection.execute(FOREVER).fetchone()

    writing = asyncio.create_task(notes.write(work))
    await gate.entered.wait()
    gate.open()
    await cancelled(writing)
    await notes.write(add("next"))
    assert await notes.read(texts) == ["next"]


async def test_cancel_while_rows_are_still_being_read_rolls_back(notes: Database) -> None:
    gate = Gate()
    await notes.write(add("one"))
    await notes.write(add("two"))

    def work(connection: sqlite3.Connection) -> None:
        for (text,) in connection.execute("SELECT text FROM notes WHERE id <= 2"):
            add(text)(connection)
            gate.stop_here()
            connection.execute(FOREVER).fetchone()

    writing = asyncio.create_task(notes.write(work))
    await gate.entered.wait()
    gate.open()
    await cancelled(writing)
    await notes.write(add("next"))
    assert await notes.read(texts) == ["one", "two", "next"]


async def test_cancel_while_sqlite_waits_for_a_foreign_lock(
    path: Path, notes: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    gate.open()
    transact = Worker._transact

    def announced(worker: Worker, job: Job[object]) -> object:
        gate.stop_here()
        return transact(worker, job)

    async with Database.open(path, busy_timeout=20) as patient:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            monkeypatch.setattr(Worker, "_transact", announced)
            writing = asyncio.create_task(patient.write(add("never")))
            await gate.entered.wait()
            await cancelled(writing)
            other.execute("ROLLBACK")
        await patient.write(add("next"))
        assert await patient.read(texts) == ["next"]


async def test_cancel_during_commit_leaves_the_write_whole(notes: Database) -> None:
    gate = Gate()

    def on_statement(statement: str) -> None:
        if statement == "COMMIT":
            gate.stop_here()

    def work(connection: sqlite3.Connection) -> None:
        add("first half")(connection)
        add("second half")(connection)
        connection.set_trace_callback(on_statement)

    writing = asyncio.create_task(notes.write(work))
    await gate.entered.wait()
    await cancelled(writing)
    gate.open()
    await notes.write(add("next"))
    assert await notes.read(texts) == ["first half", "second half", "next"]


@pytest.mark.parametrize("turns", range(12))
async def test_cancel_at_every_await_of_write(notes: Database, turns: int) -> None:
    def work(connection: sqlite3.Connection) -> None:
        add("first half")(connection)
        add("second half")(connection)

    writing = asyncio.create_task(notes.write(work))
    for _ in range(turns):
        await asyncio.sleep(0)
    writing.cancel()
    (outcome,) = await asyncio.gather(writing, return_exceptions=True)
    assert outcome is None or isinstance(outcome, asyncio.CancelledError)
    await notes.write(add("next"))
    found = await notes.read(texts)
    assert found in (["next"], ["first half", "second half", "next"])
    if outcome is None:
        assert len(found) == 3
    assert not notes._writer._jobs


async def test_cancel_of_a_read_frees_its_reader(path: Path, notes: Database) -> None:
    async with Database.open(path, readers=1) as single:
        gate = Gate()

        def work(connection: sqlite3.Connection) -> None:
            gate.stop_here()
            connection.execute(FOREVER).fetchone()

        reading = asyncio.create_task(single.read(work))
        await gate.entered.wait()
        gate.open()
        await cancelled(reading)
        assert await single.read(texts) == []


async def test_a_flood_of_cancelled_writes_leaves_nothing_behind(notes: Database) -> None:
    writing = [asyncio.create_task(notes.write(add(str(number)))) for number in range(200)]
    await asyncio.sleep(0)
    for task in writing[::2]:
        task.cancel()
    outcomes = await asyncio.gather(*writing, return_exceptions=True)
    assert [outcome for outcome in outcomes[1::2] if outcome != 1] == []
    found = await notes.read(texts)
    assert [text for text in found if int(text) % 2] == [str(number) for number in range(1, 200, 2)]
    assert found == sorted(found, key=int)
