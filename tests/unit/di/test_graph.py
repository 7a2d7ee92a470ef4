"""What is reachable in a graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from framework.di.graph import Graph, View
from framework.di.provider import Provider, parse
from framework.di.scope import Scope


class Request: ...


class Socket: ...


class Config: ...


class Database:
    def __init__(self, config: Config) -> None: ...


class Repository:
    def __init__(self, database: Database | None, config: Config) -> None: ...


class Other: ...


def graph_of(*factories: Any, expected: Mapping[Any, Scope] | None = None) -> Graph:
    providers: dict[Any, Provider] = {factory: parse(factory, Scope.REQUEST) for factory in factories}
    return Graph(providers, expected or {}, ())


def test_dependents_are_all_that_is_made_from_a_key() -> None:
    graph = graph_of(Config, Database, Repository, Other)
    assert graph.dependents(Config) == {Config, Database, Repository}
    assert graph.dependents(Database) == {Database, Repository}
    assert graph.dependents(Other) == {Other}


def test_dependents_of_a_cycle_end() -> None:
    class Egg:
        def __init__(self, hen: Config) -> None: ...

    graph = Graph(
        {Config: parse(Database, Scope.APP, Config), Egg: parse(Repository, Scope.APP, Egg)}, {}, ()
    )
    assert graph.dependents(Config) == {Config, Egg}


def test_who_lives_wider_does_not_get_what_is_given_to_narrower_ones() -> None:
    view = View(graph_of(), Scope.REQUEST, {Request: Scope.REQUEST, Socket: Scope.CONNECTION})
    assert view.is_handed_in(Request, Scope.REQUEST)
    assert not view.is_handed_in(Request, Scope.CONNECTION)
    assert view.is_handed_in(Socket, Scope.CONNECTION)
    assert not view.is_handed_in(Socket, Scope.APP)


def test_expected_keys_count_where_they_are_trusted() -> None:
    graph = graph_of(expected={Socket: Scope.CONNECTION})
    assert not View(graph, Scope.REQUEST).is_handed_in(Socket, Scope.REQUEST)
    trusting = View(graph, Scope.REQUEST, trusted=frozenset({Scope.CONNECTION}))
    assert trusting.is_handed_in(Socket, Scope.REQUEST)
    assert not trusting.is_handed_in(Socket, Scope.APP)


def test_a_connection_is_needed_for_what_is_connection_scoped() -> None:
    graph = graph_of()
    assert View(graph, Scope.CONNECTION).can_open(Scope.CONNECTION)
    assert View(graph, Scope.REQUEST, connection=True).can_open(Scope.CONNECTION)
    assert not View(graph, Scope.REQUEST).can_open(Scope.CONNECTION)
    assert View(graph, Scope.REQUEST).can_open(Scope.APP)


def test_an_optional_key_is_served_when_there_is_a_provider() -> None:
    view = View(graph_of(Config), Scope.REQUEST, {Request: Scope.REQUEST})
    assert view.choose(Config | None, Scope.REQUEST) is Config
    assert view.choose(Request | None, Scope.REQUEST) is Request
    assert view.choose(Request | None, Scope.APP) is None
    assert view.choose(Database | None, Scope.REQUEST) is None
    assert view.choose(Database, Scope.REQUEST, has_default=True) is None
    assert view.choose(Database, Scope.REQUEST) is Database


def test_a_provider_of_the_optional_key_itself_comes_first() -> None:
    optional = Config | None
    graph = Graph({optional: parse(Config, Scope.APP, optional), Config: parse(Config, Scope.APP)}, {}, ())
    assert View(graph, Scope.APP).choose(optional, Scope.APP) == optional
