"""Transactions, readers, bounds and faults of the file. Cancellation and closing have their own modules."""

from __future__ import annotations

import asyncio
import gc
import os
import sqlite3
import stat
import threading
import weakref
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import anyio
import pytest

from framework.errors import DeadlineExceeded, SetupError
from framework.sqlite.database import Database, DatabaseBusy, DatabaseFull, DatabaseUnavailable
from tests.support.notes import FOREVER, Gate, add, create, texts

pytestmark = pytest.mark.anyio


async def test_what_is_written_is_read(notes: Database) -> None:
    assert await notes.write(add("one")) == 1
    assert await notes.read(texts) == ["one"]


async def test_the_settings_of_the_connections(notes: Database, path: Path) -> None:
    def pragma(name: str) -> Callable[[sqlite3.Connection], object]:
        return lambda connection: connection.execute(f"PRAGMA {name}").fetchone()[0]

    assert await notes.write(pragma("journal_mode")) == "wal"
    assert await notes.write(pragma("foreign_keys")) == 1
    assert await notes.write(pragma("synchronous")) == 1
    assert await notes.write(pragma("busy_timeout")) == 50
    assert await notes.read(pragma("query_only")) == 1
    assert await notes.read(pragma("busy_timeout")) == 50


async def test_a_new_file_is_for_its_owner_alone(notes: Database, path: Path) -> None:
    await notes.write(add("one"))
    files = sorted(path.parent.glob("notes.sqlite3*"))
    assert len(files) == 3
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


async def test_the_mode_of_a_file_that_was_there_stays(path: Path) -> None:
    made = anyio.Path(path)
    await made.touch()
    await made.chmod(0o640)
    async with Database.open(path):
        assert stat.S_IMODE((await made.stat()).st_mode) == 0o640


async def test_an_error_rolls_the_whole_work_back(notes: Database) -> None:
    def work(connection: sqlite3.Connection) -> None:
        add("half")(connection)
        raise LookupError("no")

    with pytest.raises(LookupError, match="no"):
        await notes.write(work)
    assert await notes.read(texts) == []
    await notes.write(add("next"))


async def test_errors_of_statements_arrive_as_they_are(notes: Database) -> None:
    def work(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO notes (text) VALUES (NULL)")

    with pytest.raises(sqlite3.IntegrityError) as caught:
        await notes.write(work)
    assert caught.value.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_NOTNULL


async def test_a_deferred_foreign_key_that_fails_at_commit_rolls_back(notes: Database) -> None:
    def work(connection: sqlite3.Connection) -> None:
        connection.execute(
            "CREATE TABLE links (note INTEGER REFERENCES notes(id) DEFERRABLE INITIALLY DEFERRED)"
        )
        connection.execute("INSERT INTO links VALUES (404)")

    with pytest.raises(sqlite3.IntegrityError):
        await notes.write(work)
    await notes.write(add("next"))
    assert await notes.read(texts) == ["next"]


async def test_a_reader_cannot_write(notes: Database) -> None:
    with pytest.raises(DatabaseUnavailable, match="read-only"):
        await notes.read(add("one"))
    assert await notes.read(texts) == []


async def test_a_read_sees_one_state_from_first_to_last_statement(notes: Database) -> None:
    gate = Gate()

    def work(connection: sqlite3.Connection) -> tuple[list[str], list[str]]:
        before = texts(connection)
        gate.stop_here()
        return before, texts(connection)

    reading = asyncio.create_task(notes.read(work))
    await gate.entered.wait()
    await notes.write(add("meanwhile"))
    gate.open()
    assert await reading == ([], [])
    assert await notes.read(texts) == ["meanwhile"]


async def test_readers_do_not_wait_for_the_writer(notes: Database) -> None:
    gate = Gate()

    def work(connection: sqlite3.Connection) -> None:
        add("slow")(connection)
        gate.stop_here()

    writing = asyncio.create_task(notes.write(work))
    await gate.entered.wait()
    assert await notes.read(texts) == []
    gate.open()
    await writing
    assert await notes.read(texts) == ["slow"]


async def test_writes_keep_the_order_they_were_asked_in(notes: Database) -> None:
    await asyncio.gather(*(notes.write(add(str(number))) for number in range(100)))
    assert await notes.read(texts) == [str(number) for number in range(100)]


async def test_a_deadline_in_the_middle_of_the_work(notes: Database) -> None:
    def work(connection: sqlite3.Connection) -> object:
        add("half")(connection)
        return connection.execute(FOREVER).fetchone()

    with pytest.raises(DeadlineExceeded, match=r"a database write took longer than 0\.01 s"):
        await notes.write(work, timeout=0.01)
    await notes.write(add("next"))
    assert await notes.read(texts) == ["next"]


async def test_a_deadline_in_the_queue(notes: Database) -> None:
    gate = Gate()
    holding = asyncio.create_task(notes.write(lambda _: gate.stop_here()))
    await gate.entered.wait()
    with pytest.raises(DeadlineExceeded):
        await notes.write(add("never"), timeout=0.01)
    gate.open()
    await holding
    await notes.write(add("next"))
    assert await notes.read(texts) == ["next"]


async def test_a_full_queue_refuses_at_once(path: Path) -> None:
    async with Database.open(path, max_waiting=2) as database:
        await database.write(create)
        gate = Gate()
        holding = asyncio.create_task(database.write(lambda _: gate.stop_here()))
        await gate.entered.wait()
        waiting = [asyncio.create_task(database.write(add(text))) for text in ("a", "b")]
        await asyncio.sleep(0)
        with pytest.raises(DatabaseBusy) as caught:
            await database.write(add("c"))
        assert caught.value.retry_after == 1.0
        gate.open()
        await asyncio.gather(holding, *waiting)
        assert await database.read(texts) == ["a", "b"]


async def test_a_lock_of_another_process_is_busy(notes: Database, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseBusy) as caught:
            await notes.write(add("one"))
        assert caught.value.retry_after == 1.0
        other.execute("ROLLBACK")
    await notes.write(add("two"))
    assert await notes.read(texts) == ["two"]


async def test_a_write_does_not_fail_in_its_middle_for_a_lock(notes: Database, path: Path) -> None:
    gate = Gate()

    def read_then_write(connection: sqlite3.Connection) -> None:
        assert texts(connection) == []
        gate.stop_here()
        add("first")(connection)

    async with Database.open(path, busy_timeout=0.01) as other:
        writing = asyncio.create_task(notes.write(read_then_write))
        await gate.entered.wait()
        with pytest.raises(DatabaseBusy):
            await other.write(add("second"))
        gate.open()
        await writing
        assert await other.read(texts) == ["first"]


async def test_a_lock_while_the_file_becomes_a_wal_file_is_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    def release(seconds: float) -> None:
        slept.append(seconds)
        other.execute("COMMIT")

    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        create(other)
        other.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr(
            "framework.sqlite.connect.time", SimpleNamespace(monotonic=lambda: 0.0, sleep=release)
        )
        async with Database.open(path) as database:
            assert await database.read(texts) == []
    assert slept == [0.01]


async def test_a_lock_while_the_file_becomes_a_wal_file_is_not_waited_for_for_ever(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        create(other)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseBusy):
            async with Database.open(path, busy_timeout=0.02):
                raise AssertionError


async def test_a_full_disk_rolls_back_and_the_database_lives_on(notes: Database) -> None:
    def fill(connection: sqlite3.Connection) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + 2}")
        for _ in range(100):
            add("x" * 3000)(connection)

    with pytest.raises(DatabaseFull) as caught:
        await notes.write(fill)
    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
    assert await notes.read(texts) == []
    await notes.write(lambda connection: connection.execute("PRAGMA max_page_count = 100000").fetchone())
    await notes.write(add("next"))


async def test_a_connection_that_fails_is_replaced(notes: Database) -> None:
    def changes(connection: sqlite3.Connection) -> int:
        return connection.total_changes

    def fail(connection: sqlite3.Connection) -> None:
        error = sqlite3.OperationalError("disk I/O error in /secret/path")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
        raise error

    await notes.write(add("one"))
    assert await notes.write(changes) == 1
    with pytest.raises(DatabaseUnavailable) as caught:
        await notes.write(fail)
    assert "secret" not in str(caught.value)
    assert await notes.write(changes) == 0


@pytest.mark.parametrize(
    "error", [SystemExit(3), KeyboardInterrupt(), StopIteration(), asyncio.CancelledError()]
)
async def test_no_exception_of_the_work_ends_the_loop_or_the_thread(
    notes: Database, error: BaseException
) -> None:
    def work(connection: sqlite3.Connection) -> None:
        raise error

    with pytest.raises(RuntimeError, match="the work on the database raised"):
        await notes.write(work)
    await notes.write(add("next"))


@pytest.mark.parametrize("statement", ["COMMIT", "ROLLBACK"])
async def test_work_may_not_end_its_transaction(notes: Database, statement: str) -> None:
    def work(connection: sqlite3.Connection) -> None:
        connection.execute(statement)

    with pytest.raises(RuntimeError, match="ended the transaction"):
        await notes.write(work)
    await notes.write(add("next"))


async def test_a_cursor_does_not_leave_its_thread(notes: Database) -> None:
    with pytest.raises(TypeError, match="return rows"):
        await notes.read(lambda connection: connection.execute("SELECT 1"))


async def test_what_failed_work_held_is_freed_in_its_thread(notes: Database) -> None:
    freed: list[str] = []

    class Held:
        pass

    def inner(connection: sqlite3.Connection) -> None:
        held = Held()
        weakref.finalize(held, lambda: freed.append(threading.current_thread().name))
        connection.execute("INSERT INTO notes (text) VALUES (NULL)")

    def work(connection: sqlite3.Connection) -> None:
        try:
            inner(connection)
        except sqlite3.IntegrityError as error:
            raise LookupError("translated") from error

    with pytest.raises(LookupError) as caught:
        await notes.write(work)
    assert caught.value.__cause__ is not None
    assert freed == ["sqlite write 1"]


async def test_an_error_leaves_no_cycle_for_the_collector(notes: Database) -> None:
    class MarkedError(Exception):
        pass

    def work(connection: sqlite3.Connection) -> None:
        raise MarkedError

    async def failing() -> weakref.ref[MarkedError]:
        try:
            await notes.write(work)
        except MarkedError as error:
            return weakref.ref(error)
        raise AssertionError

    gc.disable()
    try:
        reference = await failing()
        await notes.write(add("next"))
        assert reference() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (lambda path: path.mkdir(), "unable to open"),
        (lambda path: path.write_bytes(b"no database, but a text of some length" * 100), "not a database"),
    ],
)
async def test_a_file_that_cannot_be_opened_is_named(
    path: Path, prepare: Callable[[Path], None], reason: str
) -> None:
    prepare(path)
    with pytest.raises(SetupError, match=reason) as caught:
        async with Database.open(path):
            raise AssertionError
    assert str(path) in str(caught.value)


async def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no/such/folder"):
        async with Database.open(tmp_path / "no/such/folder/notes.sqlite3"):
            raise AssertionError


async def test_a_database_in_memory_is_refused() -> None:
    with pytest.raises(SetupError, match="must be a file"):
        async with Database.open(":memory:"):
            raise AssertionError


@pytest.mark.parametrize("name", ["with space", "100%", "a?mode=memory", "#1", "žluťoučký", "a:b"])
async def test_any_file_name_is_only_a_name(tmp_path: Path, name: str) -> None:
    async with Database.open(tmp_path / name) as database:
        await database.write(create)
        await database.write(add("one"))
        assert await database.read(texts) == ["one"]
    assert os.listdir(tmp_path) == [name]
