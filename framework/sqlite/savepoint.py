"""One piece of work inside a transaction that has several: what fails undoes itself alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from traceback import clear_frames
from typing import TypeVar

from framework.sqlite.connect import DatabaseUnavailable, translated

__all__ = ["clear", "in_savepoint"]

T = TypeVar("T")


def clear(error: BaseException) -> None:
    """Lets go of what an error's frames hold: cursors, which freed in the loop would wait there for this thread's
    statements."""
    link: BaseException | None = error
    while link is not None:
        clear_frames(link.__traceback__)
        link = link.__context__


def in_savepoint(
    connection: sqlite3.Connection,
    work: Callable[[sqlite3.Connection], T],
    is_abandoned: Callable[[], bool] = lambda: False,
) -> tuple[T | None, Exception | None]:
    """What the work came to, undone where that is an error or nobody wants it any more. Raises what makes the whole
    transaction worthless."""
    connection.execute("SAVEPOINT piece")
    result: T | None = None
    failure: Exception | None = None
    try:
        result = work(connection)
    except BaseException as error:
        clear(error)
        failure = translated(error)
        if isinstance(failure, DatabaseUnavailable) or not connection.in_transaction:
            raise
    if failure is not None or is_abandoned():
        connection.execute("ROLLBACK TO piece")
    connection.execute("RELEASE piece")
    return result, failure
