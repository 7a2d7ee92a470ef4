"""What all databases have in common: small, typed, and a door to the driver's own object beside it."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeAlias, TypeVar, overload

__all__ = ["Database", "Row", "SQLDatabase", "SQLSession"]

T = TypeVar("T")
Row: TypeAlias = dict[str, Any]


class Database(Protocol):
    """Anything that ``connect`` opens.

    Attributes:
        scheme: of its URL: "sqlite", "postgresql", "mysql", "mongodb" or "redis".
    """

    scheme: str

    @property
    def driver(self) -> Any:
        """What is beneath, for all that this face has no word for: a pool, a client."""
        ...

    async def ping(self) -> None:
        """Raises where the database does not answer."""
        ...


class SQLSession(Protocol):
    """Statements one after the other: on any connection, or inside a transaction.

    ``?`` stands for a parameter, whatever the database; ``??`` for a question mark outside of texts and comments.
    Parameters are always bound, never written into the statement. Rows come as dictionaries, or as ``type``: a Struct
    whose fields are the columns, or for a single column its value's type.
    """

    async def execute(self, sql: str, *params: object) -> int:
        """Runs a statement; returns how many rows it changed."""
        ...

    @overload
    async def fetch(self, sql: str, *params: object) -> list[Row]: ...
    @overload
    async def fetch(self, sql: str, *params: object, type: type[T]) -> list[T]: ...
    async def fetch(self, sql: str, *params: object, type: Any = None) -> list[Any]:
        """All rows of a statement. Raises CodecError where a row is no ``type``."""
        ...

    @overload
    async def fetch_one(self, sql: str, *params: object) -> Row | None: ...
    @overload
    async def fetch_one(self, sql: str, *params: object, type: type[T]) -> T | None: ...
    async def fetch_one(self, sql: str, *params: object, type: Any = None) -> Any:
        """The first row, None where there is none."""
        ...


class SQLDatabase(Database, SQLSession, Protocol):
    """A database that speaks SQL.

    Errors: what the database says about a statement (constraints, syntax) is the driver's own; PoolTimeout,
    PoolExhausted and other ResourceErrors tell that it cannot be reached or has no room.
    """

    def transaction(self, *, timeout: float | None = None) -> AbstractAsyncContextManager[SQLSession]:
        """Statements that are done together or not at all: committed at the end of the block, rolled back by whatever
        leaves it otherwise, a cancellation included. ``timeout``: seconds for all of it, the wait for a
        connection included; then DeadlineExceeded, and it is rolled back."""
        ...
