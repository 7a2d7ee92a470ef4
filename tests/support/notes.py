"""A small table and work on it, for the tests of the database."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import apps

# For processes of their own: they find the project wherever they run, installed or not.
ENVIRON = {**os.environ, "PYTHONPATH": str(Path(apps.__file__).parents[1])}
FOREVER = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


def create(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")


def add(text: str) -> Callable[[sqlite3.Connection], int]:
    def work(connection: sqlite3.Connection) -> int:
        return connection.execute("INSERT INTO notes (text) VALUES (?)", (text,)).rowcount

    return work


def texts(connection: sqlite3.Connection) -> list[str]:
    return [text for (text,) in connection.execute("SELECT text FROM notes ORDER BY id")]


class Gate:
    """Holds a thread in the middle of its work until it is opened, and tells the loop that it got there."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._opened = threading.Event()

    def stop_here(self) -> None:
        self._loop.call_soon_threadsafe(self.entered.set)
        if not self._opened.wait(20):
            raise AssertionError("the gate was never opened")

    def open(self) -> None:
        self._opened.set()
