"""Registrations and overrides, read into a graph."""

from __future__ import annotations

from typing import Annotated

import pytest

from framework.di.provider import Kind
from framework.di.registry import Registry
from framework.di.scope import Scope
from framework.errors import GraphError


class Database: ...


class Repository:
    def __init__(self, database: Database) -> None: ...


class Fake(Database): ...


def other_database() -> Database:
    return Database()


def unannotated(thing): ...  # type: ignore[no-untyped-def]


def later() -> Late:  # type: ignore[name-defined]  # noqa: F821 - defined by its test
    raise NotImplementedError


def test_the_graph_is_read_when_asked_and_anew_after_a_change() -> None:
    registry = Registry()
    registry.add(Database, Scope.APP, None)
    graph = registry.graph
    assert registry.graph is graph
    registry.add_value(int, 3)
    registry.expect(str, Scope.REQUEST)
    assert registry.graph is not graph
    assert list(registry.graph.providers) == [Database, int]
    assert registry.graph.expected == {str: Scope.REQUEST}


def test_two_providers_of_a_key_are_a_fault_that_names_both() -> None:
    registry = Registry()
    registry.add(Database, Scope.APP, None)
    registry.add(other_database, Scope.APP, None)
    registry.add_value(Database, Database())
    here = __name__
    assert list(registry.graph.problems) == [
        f"Database (duplicate: provided by {here}.Database and by {here}.other_database)",
        f"Database (duplicate: provided by {here}.Database and by a value (Database))",
    ]


def test_a_qualifier_makes_a_key_of_its_own() -> None:
    registry = Registry()
    registry.add(Database, Scope.APP, None)
    registry.add(Database, Scope.APP, Annotated[Database, "replica"])
    assert not registry.graph.problems


def test_a_factory_without_annotations_is_a_fault_of_the_graph() -> None:
    registry = Registry()
    registry.add(unannotated, Scope.APP, None)
    assert len(registry.graph.problems) == 2


def test_a_factory_may_name_what_is_defined_after_its_registration(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry()
    registry.add(later, Scope.APP, None)
    assert len(registry.graph.problems) == 1
    monkeypatch.setitem(globals(), "Late", type("Late", (), {}))
    registry.expect(str, Scope.APP)
    assert [key.__name__ for key in registry.graph.providers] == ["Late"]
    assert not registry.graph.problems


def test_an_override_by_a_class_is_a_factory_with_the_scope_of_what_it_replaces() -> None:
    registry = Registry()
    registry.add(Database, Scope.CONNECTION, None)
    registry.add(Repository, Scope.REQUEST, None)
    override = registry.push(Database, Fake, None)
    assert override.affected == {Database, Repository}
    assert (registry.graph.providers[Database].source, registry.graph.providers[Database].scope) == (
        Fake,
        Scope.CONNECTION,
    )
    registry.pop(override)
    assert registry.graph.providers[Database].source is Database


def test_an_override_by_an_object_is_a_value() -> None:
    registry = Registry()
    registry.add(Database, Scope.REQUEST, None)
    fake = Fake()
    registry.push(Database, fake, None)
    assert registry.graph.providers[Database].kind is Kind.VALUE
    assert registry.graph.providers[Database].source is fake


def test_an_override_may_have_a_scope_of_its_own() -> None:
    registry = Registry()
    registry.add_value(Database, Database())
    registry.push(Database, Fake, Scope.REQUEST)
    assert registry.graph.providers[Database].scope is Scope.REQUEST


def test_the_latest_override_counts_and_they_end_in_reverse() -> None:
    registry = Registry()
    registry.add(Database, Scope.APP, None)
    first = registry.push(Database, 1, None)
    second = registry.push(Database, 2, None)
    assert registry.graph.providers[Database].source == 2
    with pytest.raises(RuntimeError, match="reverse order"):
        registry.pop(first)
    registry.pop(second)
    assert registry.graph.providers[Database].source == 1
    registry.pop(first)
    assert registry.graph.providers[Database].source is Database


def test_overriding_what_nothing_provides_is_refused_with_a_near_miss() -> None:
    registry = Registry()
    registry.add(Fake, Scope.APP, None)
    with pytest.raises(GraphError, match=r"Database \(override: nothing provides it; did you mean Fake\?\)"):
        registry.push(Database, Fake, None)
    with pytest.raises(GraphError, match=r"int \(override: nothing provides it\)"):
        registry.push(int, 3, None)


def test_an_override_that_cannot_be_read_changes_nothing() -> None:
    registry = Registry()
    registry.add(Database, Scope.APP, None)
    with pytest.raises(GraphError):
        registry.push(Database, unannotated, None)
    assert registry.graph.providers[Database].source is Database


def test_a_cell_is_the_same_for_as_long_as_the_registry() -> None:
    registry = Registry()
    cell = registry.cell(Database)
    cell.fill(1)
    registry.add(Database, Scope.APP, None)
    assert registry.cell(Database) is cell
    registry.clear_cells()
    assert not cell.is_full
