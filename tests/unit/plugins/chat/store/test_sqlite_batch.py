"""Entries that are added together come to what they come to one after the other."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import framework.plugins.chat.store as store
from framework.plugins.chat.errors import ChatError
from framework.plugins.chat.events import (
    Banned,
    Deleted,
    Edited,
    Entered,
    Event,
    Muted,
    Posted,
    Quit,
    Reacted,
    Role,
    RoleSet,
)
from framework.plugins.chat.store import Appended
from framework.plugins.chat.store.sqlite_batch import Adding, append_all

SCHEMA = (Path(store.__file__).parent / "migrations/0001_chat.sql").read_text()
USERS = ("ada", "bob", "ray", "eve")
ROOMS = ("town", "hall", "nowhere")
TABLES = ("entries", "messages", "members", "bans", "rooms")


@contextmanager
def town() -> Iterator[sqlite3.Connection]:
    """Two rooms of Ada's, with Bob as a member and Ray as a reader."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(SCHEMA)
        connection.execute("PRAGMA foreign_keys = ON")
        for number, room in enumerate(ROOMS[:2], 1):
            connection.execute(
                "INSERT INTO rooms (room, kind, name, topic, epoch, changed_at) VALUES (?, 'public', '', '', ?, 0)",
                (room, f"epoch {room}"),
            )
            for user, role in (("ada", "owner"), ("bob", "member"), ("ray", "reader")):
                connection.execute("INSERT INTO members VALUES (?, ?, ?, 0, 0)", (number, user, role))
        connection.execute("BEGIN")
        yield connection


def added(connection: sqlite3.Connection, items: list[Adding]) -> list[Any]:
    outcomes: Sequence[Appended | Exception]
    try:
        outcomes = append_all(connection, items)
    except ChatError as error:  # of a single one, whose transaction it fails
        outcomes = [error]
    return [(each.code, each.text) if isinstance(each, ChatError) else each for each in outcomes]


def state(connection: sqlite3.Connection) -> list[list[Any]]:
    tables = [connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in TABLES]
    found = connection.execute(
        "SELECT rowid FROM message_words WHERE text MATCH 'word' ORDER BY 1"
    ).fetchall()
    connection.execute("INSERT INTO message_words (message_words, rank) VALUES ('integrity-check', 1)")
    return [*tables, found]


offsets = st.integers(1, 12)
texts = st.sampled_from(["word", "words", "another word", "", "nul\0word", '"quoted" \\ \u00e9\U0001f600'])
bodies: st.SearchStrategy[Event] = st.one_of(
    st.builds(Posted, texts),
    st.builds(Posted, texts),
    st.builds(Posted, texts, offsets),
    st.builds(Edited, offsets, texts),
    st.builds(Deleted, offsets),
    st.builds(Reacted, offsets, st.just("!"), st.booleans()),
    st.builds(Entered, st.sampled_from(USERS)),
    st.builds(Quit, st.sampled_from(USERS)),
    st.builds(RoleSet, st.sampled_from(USERS), st.sampled_from(Role)),
    st.builds(Muted, st.sampled_from(USERS), st.sampled_from([0, 150, 10_000])),
    st.builds(Banned, st.sampled_from(USERS), st.sampled_from([0, 150, 10_000])),
)
addings = st.builds(
    Adding,
    user=st.sampled_from(USERS),
    room=st.sampled_from(ROOMS),
    mid=st.integers(1, 30).map(str),
    body=bodies,
    at=st.just(0) | st.integers(100, 200),
)


@settings(deadline=None, max_examples=150)
@given(st.lists(addings, max_size=40), st.integers(1, 40))
def test_as_if_one_after_the_other(items: list[Adding], size: int) -> None:
    with town() as together, town() as apart:
        batches = [items[at : at + size] for at in range(0, len(items), size)]
        found = [outcome for batch in batches for outcome in added(together, batch)]
        assert found == [outcome for item in items for outcome in added(apart, [item])]
        assert state(together) == state(apart)


def posts(count: int, mid: str = "m") -> list[Adding]:
    return [Adding("ada", "town", f"{mid}{number}", Posted("word"), 100) for number in range(count)]


@pytest.mark.parametrize("count", [2, 63, 64, 65, 300])
def test_messages_of_a_batch_take_few_statements(count: int) -> None:
    with town() as connection:
        statements: list[str] = []
        connection.set_trace_callback(statements.append)
        outcomes = append_all(connection, posts(count))
        connection.set_trace_callback(None)
        assert [each.entry.offset for each in outcomes if isinstance(each, Appended)] == [
            *range(1, count + 1)
        ]
        # A statement is told of again with each of its triggers.
        inserts = {
            text for text in statements if text.startswith(("INSERT INTO entries ", "INSERT INTO messages "))
        }
        assert len(inserts) <= 2 * (count // 64 + 6)


def test_one_that_was_sent_before_does_not_undo_its_neighbours() -> None:
    with town() as connection:
        append_all(connection, posts(3))
        outcomes = append_all(connection, [*posts(2, "n"), *posts(2), *posts(1, "o")])
        found = [(each.entry.offset, each.again) for each in outcomes if isinstance(each, Appended)]
        assert found == [(4, False), (5, False), (1, True), (2, True), (6, False)]


def test_one_that_cannot_be_stored_fails_alone() -> None:
    with town() as connection:
        bad = Adding("ada", "town", "bad", Posted("\ud800"), 100)
        first, failed, last = append_all(connection, [*posts(1), bad, *posts(1, "n")])
        assert isinstance(failed, UnicodeEncodeError)
        assert isinstance(first, Appended)
        assert isinstance(last, Appended)
        assert (first.entry.offset, last.entry.offset) == (1, 2)


def test_a_database_that_fails_fails_all() -> None:
    with town() as connection:
        connection.execute("DROP TABLE entries")
        outcomes = append_all(connection, posts(2))
        assert [type(each) for each in outcomes] == [sqlite3.OperationalError] * 2
