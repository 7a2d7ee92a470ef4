"""How the connections to an SQLite file are opened, and which error stands for which fault of the file."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from framework.errors import ResourceError, SetupError

__all__ = [
    "DatabaseBusy",
    "DatabaseFull",
    "DatabaseUnavailable",
    "connect_reader",
    "connect_writer",
    "translated",
]

_POLL_INTERVAL = 0.01


class DatabaseBusy(ResourceError):
    """Another process holds the lock, or too much work is waiting already. Trying again later makes sense."""


class DatabaseFull(ResourceError):
    """The disk, or the size the file may have, is used up. The transaction was rolled back."""


class DatabaseUnavailable(ResourceError):
    """The file cannot be read or written (``__cause__`` has SQLite's reason), or the database is closed."""


_ERRORS: dict[int, tuple[type[ResourceError], str, float | None]] = {
    sqlite3.SQLITE_BUSY: (DatabaseBusy, "the database is locked", 1.0),
    sqlite3.SQLITE_LOCKED: (DatabaseBusy, "the database is locked", 1.0),
    sqlite3.SQLITE_FULL: (DatabaseFull, "the database is full", None),
    sqlite3.SQLITE_PERM: (DatabaseUnavailable, "the database may not be used", None),
    sqlite3.SQLITE_READONLY: (DatabaseUnavailable, "the database is read-only", None),
    sqlite3.SQLITE_NOMEM: (DatabaseUnavailable, "the database is out of memory", None),
    sqlite3.SQLITE_IOERR: (DatabaseUnavailable, "the database cannot be read or written", None),
    sqlite3.SQLITE_CANTOPEN: (DatabaseUnavailable, "the database cannot be opened", None),
    sqlite3.SQLITE_CORRUPT: (DatabaseUnavailable, "the database is damaged", None),
    sqlite3.SQLITE_NOTADB: (DatabaseUnavailable, "the file is not a database", None),
    sqlite3.SQLITE_PROTOCOL: (DatabaseUnavailable, "the database's locks do not work", None),
}


def translated(error: BaseException) -> Exception:
    """What the caller of a piece of work is given for ``error``.

    Faults of the file become resource errors, whose texts name neither the file nor SQL; other errors stay as
    they are, but for those that an event loop's future cannot carry: they become a RuntimeError.
    """
    # The low byte is the primary code; the rest only refines it (SQLITE_IOERR_WRITE and so on).
    known = _ERRORS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
    if isinstance(error, sqlite3.Error) and known is not None:
        kind, text, retry_after = known
        replacement: Exception = kind(text, retry_after)
    elif isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    else:
        # SystemExit and its like would end the event loop, and a future refuses StopIteration.
        replacement = RuntimeError(f"the work on the database raised {error!r}")
    replacement.__cause__ = error
    return replacement


def connect_writer(path: Path, busy_timeout: float, synchronous: str = "NORMAL") -> sqlite3.Connection:
    """Open the file at ``path`` for writing in WAL mode; a new file is for its owner alone.

    Raises:
        SetupError: the file system cannot hold a WAL database (it needs shared memory).
        sqlite3.Error: SQLite's own reason.
    """
    fresh = not path.exists()
    connection = sqlite3.connect(path, timeout=busy_timeout, isolation_level=None)
    try:
        if fresh:
            # By name and while it is empty: closing a descriptor of the file would drop this process's locks
            # on it.
            path.chmod(0o600)
        mode = _use_wal(connection, busy_timeout)
        if mode != "wal":
            raise SetupError(
                f"the database file {path} cannot use write-ahead logging (journal mode {mode!r})"
            )
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_reader(path: Path, busy_timeout: float) -> sqlite3.Connection:
    """Open the file at ``path``, which a writer has open, for reading only.

    Raises:
        sqlite3.Error: SQLite's own reason.
    """
    connection = sqlite3.connect(
        f"{path.as_uri()}?mode=ro", uri=True, timeout=busy_timeout, isolation_level=None
    )
    connection.execute("PRAGMA query_only = ON")
    return connection


def _use_wal(connection: sqlite3.Connection, busy_timeout: float) -> str:
    """Switch to WAL. When two processes do so to a new file at once, SQLite refuses one without waiting."""
    deadline = time.monotonic() + busy_timeout
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(_POLL_INTERVAL)
        else:
            return str(mode)
