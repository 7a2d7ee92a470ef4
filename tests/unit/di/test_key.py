"""Names of keys and what is near them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Generic, NewType, Optional, TypeVar, Union

import pytest

from framework.di.key import name_of, nearest, slug, without_none

T = TypeVar("T")
UserId = NewType("UserId", int)


class Database: ...


class SqliteDatabase(Database): ...


class Repository(Generic[T]): ...


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (Database, "Database"),
        (Repository[Database], "Repository[Database]"),
        (Annotated[Database, "main"], "Annotated[Database, 'main']"),
        (Annotated[Database | None, "main", 1], "Annotated[Database | None, 'main', 1]"),
        (Database | None, "Database | None"),
        (Optional[Database], "Database | None"),  # noqa: UP045
        (dict[str, list[int]], "dict[str, list[int]]"),
        (UserId, "UserId"),
        ("text", "'text'"),
    ],
)
def test_a_key_is_named_as_it_is_written(key: Any, name: str) -> None:
    assert name_of(key) == name


@pytest.mark.parametrize(
    ("key", "plain"),
    [
        (Database | None, Database),
        (Optional[Database], Database),  # noqa: UP045
        (Union[Database, int, None], Union[Database, int]),  # noqa: UP007
        (Annotated[Database | None, "main"], Annotated[Database, "main"]),
        (Annotated[Database, "main"] | None, Annotated[Database, "main"]),
    ],
)
def test_none_is_taken_out(key: Any, plain: Any) -> None:
    assert without_none(key) == plain
    assert hash(without_none(key)) == hash(plain)


@pytest.mark.parametrize("key", [Database, Database | int, Annotated[Database, "main"], Callable[[], None]])
def test_a_key_without_none_is_itself(key: Any) -> None:
    assert without_none(key) is key


def test_a_slug_is_an_identifier() -> None:
    for key in (Database, Repository[Database], Annotated[Database | None, "main-db"], Database | None):
        assert f"_di_{slug(key)}".isidentifier()
    assert slug(SqliteDatabase) == "sqlite_database"


def test_a_relative_is_nearer_than_a_namesake() -> None:
    assert nearest(Database, [UserId, SqliteDatabase]) == "SqliteDatabase"
    assert nearest(SqliteDatabase, [UserId, Database]) == "Database"


def test_another_qualifier_of_the_type_is_near() -> None:
    assert nearest(Database, [Annotated[Database, "main"]]) == "Annotated[Database, 'main']"
    assert (
        nearest(Annotated[Database, "mian"], [Annotated[Database, "main"]]) == "Annotated[Database, 'main']"
    )


def test_a_misspelt_name_is_near() -> None:
    class Databse: ...

    assert nearest(Databse, [UserId, Database]) == "Database"


def test_a_namesake_from_elsewhere_is_named_with_its_module() -> None:
    namesake = type("Database", (), {"__module__": "other.place"})
    assert nearest(Database, [namesake]) == "other.place.Database"


def test_nothing_is_near_a_stranger() -> None:
    assert nearest(Database, [UserId, int, Repository[int]]) is None
    assert nearest(Database, []) is None
