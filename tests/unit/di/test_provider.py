"""What is read of a factory."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Protocol, Self

import msgspec
import pytest

from framework.di.provider import Kind, is_factory, parse, value
from framework.di.scope import Scope
from framework.errors import GraphError

if TYPE_CHECKING:
    from decimal import Decimal


class Database: ...


class Plain:
    def __init__(
        self, database: Database, /, size: int = 1, *rest: Any, main: Annotated[Database, "main"], **more: Any
    ) -> None: ...


@dataclass
class Data:
    database: Database


class Named(NamedTuple):
    database: Database


class Struct(msgspec.Struct):
    database: Database


class Inherited(Plain): ...


class Made:
    def __new__(cls, database: Database) -> Self:
        return super().__new__(cls)


class Port(Protocol):
    def call(self) -> None: ...


class Adapter(Port):
    def call(self) -> None: ...


class Abstract(ABC):
    @abstractmethod
    def call(self) -> None: ...


class Calls:
    def __call__(self, database: Database) -> Plain: ...  # type: ignore[empty-body]


class Maker:
    def method(self, database: Database) -> Plain: ...  # type: ignore[empty-body]

    @classmethod
    def connect(cls, database: Database) -> Self: ...  # type: ignore[empty-body]


def function(database: Database) -> Plain: ...  # type: ignore[empty-body]


async def coroutine(database: Database) -> Plain: ...  # type: ignore[empty-body]


def generator(database: Database) -> Iterator[Plain]:
    yield None  # type: ignore[misc]


def full_generator(database: Database) -> Generator[Plain, None, None]:
    yield None  # type: ignore[misc]


async def async_generator(database: Database) -> AsyncIterator[Plain]:
    yield None  # type: ignore[misc]


@pytest.mark.parametrize(
    ("factory", "key", "kind"),
    [
        (Data, Data, Kind.CALL),
        (Named, Named, Kind.CALL),
        (Struct, Struct, Kind.CALL),
        (Made, Made, Kind.CALL),
        (function, Plain, Kind.CALL),
        (coroutine, Plain, Kind.COROUTINE),
        (generator, Plain, Kind.GENERATOR),
        (full_generator, Plain, Kind.GENERATOR),
        (async_generator, Plain, Kind.ASYNC_GENERATOR),
        (functools.partial(function), Plain, Kind.CALL),
        (functools.partial(functools.partial(coroutine)), Plain, Kind.COROUTINE),
        (functools.partial(Data), Data, Kind.CALL),
        (Calls(), Plain, Kind.CALL),
        (Maker().method, Plain, Kind.CALL),
        (Maker.connect, Maker, Kind.CALL),
    ],
)
def test_every_kind_of_factory_is_read(factory: Callable[..., Any], key: Any, kind: Kind) -> None:
    provider = parse(factory, Scope.REQUEST)
    assert (provider.key, provider.kind, provider.source) == (key, kind, factory)
    assert [(need.parameter, need.key) for need in provider.dependencies] == [("database", Database)]


@pytest.mark.parametrize("factory", [Plain, Inherited])
def test_parameters_are_read_with_how_they_are_passed(factory: type) -> None:
    first, size, main = parse(factory, Scope.REQUEST).dependencies
    assert (first.key, first.positional_only, first.has_default) == (Database, True, False)
    assert (size.key, size.default, size.has_default) == (int, 1, True)
    assert (main.key, main.keyword_only) == (Annotated[Database, "main"], True)


@pytest.mark.parametrize("factory", [Database, Adapter, object])
def test_a_class_without_an_initialiser_needs_nothing(factory: type) -> None:
    assert parse(factory, Scope.REQUEST).dependencies == ()


def test_provides_stands_in_for_the_annotation() -> None:
    def unannotated(database: Database):  # type: ignore[no-untyped-def]
        return database

    assert parse(unannotated, Scope.APP, Port).key is Port
    assert parse(Adapter, Scope.APP, Port).key is Port
    assert parse(lambda: None, Scope.APP, Port).key is Port


def test_what_a_partial_fixed_is_not_injected() -> None:
    def make(database: Database, size: int) -> Plain: ...  # type: ignore[empty-body]

    provider = parse(functools.partial(make, size=3), Scope.REQUEST)
    assert [need.parameter for need in provider.dependencies] == ["database"]
    provider = parse(functools.partial(make, Database()), Scope.REQUEST)
    assert [need.parameter for need in provider.dependencies] == ["size"]


def test_a_default_excuses_a_missing_annotation() -> None:
    def make(database: Database, size=3) -> Plain:  # type: ignore[no-untyped-def]
        raise NotImplementedError

    assert [need.parameter for need in parse(make, Scope.REQUEST).dependencies] == ["database"]


def unannotated(database, size) -> Plain:  # type: ignore[no-untyped-def]
    raise NotImplementedError


def untold(database: Database): ...  # type: ignore[no-untyped-def]


def none() -> None: ...


def anything() -> Any: ...


def only_checked(number: Decimal) -> Plain: ...  # type: ignore[empty-body]


def unhashable(database: Annotated[Database, []]) -> Plain: ...  # type: ignore[empty-body]


def yields_without_saying() -> Plain:  # type: ignore[misc]
    yield None


@contextmanager
def managed() -> Iterator[Plain]:
    yield None  # type: ignore[misc]


@asynccontextmanager
async def managed_async() -> AsyncIterator[Plain]:
    yield None  # type: ignore[misc]


@pytest.mark.parametrize(
    ("factory", "faults"),
    [
        (unannotated, ["parameter 'database' has no annotation", "parameter 'size' has no annotation"]),
        (untold, ["has no return annotation that says what it provides"]),
        (none, ["has no return annotation that says what it provides"]),
        (anything, ["has no return annotation that says what it provides"]),
        (
            only_checked,
            ["has an annotation that cannot be resolved at run time: name 'Decimal' is not defined"],
        ),
        (unhashable, ["parameter 'database' has an unhashable annotation"]),
        (yields_without_saying, ["yields, but its return annotation Plain is no (Async)Iterator"]),
        (managed, ["wraps a generator function: provide the undecorated function, which is cleaned up"]),
        (
            managed_async,
            ["wraps a generator function: provide the undecorated function, which is cleaned up"],
        ),
        (Port, ["is abstract: provide a class that implements it, with provides="]),
        (Abstract, ["is abstract: provide a class that implements it, with provides="]),
        (type, ["has no signature that can be read; wrap it in a function"]),
    ],
)
def test_a_factory_that_cannot_serve_is_told_with_every_fault(
    factory: Callable[..., Any], faults: list[str]
) -> None:
    with pytest.raises(GraphError) as raised:
        parse(factory, Scope.REQUEST)
    label = f"{factory.__module__}.{factory.__qualname__}"
    assert list(raised.value.problems) == [f"{label} (factory: {fault})" for fault in faults]


def test_a_value_is_a_provider_too() -> None:
    database = Database()
    provider = value(Database, database)
    assert (provider.kind, provider.source, provider.scope) == (Kind.VALUE, database, Scope.APP)


def test_classes_functions_and_partials_are_factories_and_objects_are_not() -> None:
    assert all(map(is_factory, (Database, function, Maker().method, functools.partial(function), len)))
    assert not any(map(is_factory, (Database(), Calls(), 3, None, "text")))
