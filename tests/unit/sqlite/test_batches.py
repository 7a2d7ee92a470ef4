"""Batches: what waits is one piece of work, in the order of its coming; each item has its own outcome."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from framework.sqlite import Batches, Database, DatabaseBusy, DatabaseUnavailable, in_savepoint
from tests.support.notes import Gate, add, create, texts

pytestmark = pytest.mark.anyio


class Notes:
    """Writes texts; refuses "bad", and fails the batch for "fatal"."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def write(self, connection: sqlite3.Connection, items: list[str]) -> Sequence[int | Exception]:
        self.batches.append(list(items))
        outcomes: list[int | Exception] = []
        for item in items:
            done, failure = in_savepoint(connection, partial(self._one, item))
            if item == "fatal":
                raise ValueError("all of it")
            outcomes.append(failure or done or 0)
        return outcomes

    def _one(self, item: str, connection: sqlite3.Connection) -> int:
        count = add(item)(connection)
        if item == "bad":
            raise KeyError(item)
        return count


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    async with Database.open(path) as opened:
        await opened.write(create)
        yield opened


async def test_a_turn_is_a_batch_and_what_comes_meanwhile_the_next(database: Database) -> None:
    notes = Notes()
    batches: Batches[str, int] = Batches(database, notes.write, max_batch=3)
    assert await asyncio.gather(*(batches.run(f"{number}") for number in range(7))) == [1] * 7
    assert notes.batches == [["0", "1", "2"], ["3", "4", "5"], ["6"]]
    assert await database.read(texts) == [f"{number}" for number in range(7)]
    assert await batches.run("7") == 1


async def test_each_item_has_its_own_outcome(database: Database) -> None:
    batches: Batches[str, int] = Batches(database, Notes().write)
    first, bad, last = await asyncio.gather(
        *(batches.run(text) for text in ("first", "bad", "last")), return_exceptions=True
    )
    assert (first, last) == (1, 1)
    assert isinstance(bad, KeyError)
    assert await database.read(texts) == ["first", "last"]


async def test_what_the_work_raises_all_of_its_batch_get_and_nothing_is_left(database: Database) -> None:
    batches: Batches[str, int] = Batches(database, Notes().write, max_batch=2)
    outcomes = await asyncio.gather(
        *(batches.run(text) for text in ("first", "fatal", "next")), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [ValueError, ValueError, int]
    assert await database.read(texts) == ["next"]


async def test_an_item_whose_caller_left_before_its_batch_is_skipped(database: Database) -> None:
    gate, notes = Gate(), Notes()
    batches: Batches[str, int] = Batches(database, notes.write)
    holding = asyncio.create_task(database.write(lambda _: gate.stop_here()))
    await gate.entered.wait()
    running = [asyncio.create_task(batches.run("first"))]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    running += [asyncio.create_task(batches.run(text)) for text in ("leaver", "last")]
    await asyncio.sleep(0)
    running.pop(1).cancel()
    gate.open()
    assert await asyncio.gather(holding, *running) == [None, 1, 1]
    assert notes.batches == [["first"], ["last"]]


async def test_one_whose_caller_left_in_its_middle_disturbs_nobody(database: Database) -> None:
    gate = Gate()

    def write(connection: sqlite3.Connection, items: list[str]) -> list[int]:
        gate.stop_here()
        return [add(item)(connection) for item in items]

    batches: Batches[str, int] = Batches(database, write)
    leaver, last = (asyncio.create_task(batches.run(text)) for text in ("leaver", "last"))
    await gate.entered.wait()
    leaver.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaver
    gate.open()
    assert await last == 1
    assert await database.read(texts) == ["leaver", "last"]


async def test_too_much_is_refused_at_once(database: Database) -> None:
    batches: Batches[str, int] = Batches(database, Notes().write, max_waiting=2)
    outcomes = await asyncio.gather(*(batches.run(text) for text in "abc"), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [int, int, DatabaseBusy]


async def test_closing_finishes_the_batch_under_way_and_refuses_the_next(path: Path) -> None:
    async with Database.open(path) as database:
        await database.write(create)
        batches: Batches[str, int] = Batches(database, Notes().write, max_batch=1)
        waiting = [asyncio.create_task(batches.run(text)) for text in "ab"]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    first, second = await asyncio.gather(*waiting, return_exceptions=True)
    await batches.end()
    assert first == 1
    assert isinstance(second, DatabaseUnavailable)


async def test_a_loop_that_ends_leaves_nobody_waiting(database: Database) -> None:
    gate = Gate()

    def write(connection: sqlite3.Connection, items: list[str]) -> list[int]:
        gate.stop_here()
        return [add(item)(connection) for item in items]

    batches: Batches[str, int] = Batches(database, write, max_batch=1)
    waiting = [asyncio.create_task(batches.run(text)) for text in "ab"]
    await gate.entered.wait()
    (writing,) = (task for task in asyncio.all_tasks() if task.get_name() == "sqlite batches")
    writing.cancel()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    gate.open()
    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * 2
    await batches.end()
