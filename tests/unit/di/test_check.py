"""Every fault of a graph, with the path drawn. The traps of SYSTEMS.md, row 6, that a start must find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any

import pytest

from framework.di.check import Need, check, check_all
from framework.di.graph import Graph, View
from framework.di.provider import Provider, parse, value
from framework.di.scope import Scope
from framework.errors import GraphError


class Request: ...


class Socket: ...


class Database: ...


class SqliteDatabase(Database): ...


class Repository:
    def __init__(self, database: Database) -> None: ...


class UserService:
    def __init__(self, repository: Repository) -> None: ...


class Session:
    def __init__(self, request: Request) -> None: ...


class Formatter:
    def __init__(self, session: Session) -> None: ...


class Cache:
    def __init__(self, formatter: Formatter) -> None: ...


class Hen:
    def __init__(self, egg: Egg) -> None: ...


class Egg:
    def __init__(self, chick: Chick) -> None: ...


class Chick:
    def __init__(self, hen: Hen) -> None: ...


class Presence:
    def __init__(self, socket: Socket) -> None: ...


class Lenient:
    def __init__(self, database: Database | None, request: Request | None = None, size: int = 3) -> None: ...


def graph_of(
    scopes: Mapping[Any, Scope], expected: Mapping[Any, Scope] | None = None, problems: Sequence[str] = ()
) -> Graph:
    providers: dict[Any, Provider] = {factory: parse(factory, scope) for factory, scope in scopes.items()}
    return Graph(providers, expected or {}, problems)


def problems_of(graph: Graph, *needs: Need) -> list[str]:
    try:
        check_all(graph, needs)
    except GraphError as error:
        return list(error.problems)
    return []


def test_a_missing_provider_is_drawn_with_the_path_and_a_near_miss() -> None:
    graph = graph_of({Repository: Scope.REQUEST, UserService: Scope.REQUEST, SqliteDatabase: Scope.APP})
    assert problems_of(graph, Need("GET /users", [UserService])) == [
        "GET /users -> UserService -> Repository -> Database "
        "(missing: no provider for Database; did you mean SqliteDatabase?)"
    ]


def test_a_missing_provider_without_a_near_miss_is_just_missing() -> None:
    assert problems_of(graph_of({}), Need("GET /", [Annotated[int, "limit"]])) == [
        "GET / -> Annotated[int, 'limit'] (missing: no provider for Annotated[int, 'limit'])"
    ]


def test_a_provider_that_no_need_reaches_is_checked_too() -> None:
    graph = graph_of({Repository: Scope.REQUEST})
    assert problems_of(graph) == ["Repository -> Database (missing: no provider for Database)"]


def test_a_fault_is_told_once_however_many_need_it() -> None:
    graph = graph_of({Repository: Scope.REQUEST, UserService: Scope.REQUEST})
    needs = [Need(f"GET /{number}", [UserService]) for number in range(5)]
    assert problems_of(graph, *needs) == [
        "GET /0 -> UserService -> Repository -> Database (missing: no provider for Database)"
    ]


def test_all_faults_are_told_at_once() -> None:
    scopes = {Repository: Scope.REQUEST, Hen: Scope.APP, Egg: Scope.APP, Chick: Scope.APP}
    graph = graph_of({**scopes, Session: Scope.APP}, {Request: Scope.REQUEST}, ["a registration's fault"])
    assert problems_of(graph, Need("GET /", [Repository, Hen])) == [
        "a registration's fault",
        "GET / -> Repository -> Database (missing: no provider for Database)",
        "GET / -> Hen -> Egg -> Chick -> Hen (cycle: Hen needs itself)",
        "Session -> Request "
        "(scope: Request is request-scoped and would be captured by Session, which is app-scoped)",
    ]


def test_cycles_overflow_the_stack() -> None:
    graph = graph_of({Hen: Scope.REQUEST, Egg: Scope.REQUEST, Chick: Scope.REQUEST})
    assert problems_of(graph, Need("GET /farm", [Egg])) == [
        "GET /farm -> Egg -> Chick -> Hen -> Egg (cycle: Egg needs itself)"
    ]


def test_cycles_overflow_the_stack_also_of_transients() -> None:
    graph = graph_of({Hen: Scope.TRANSIENT, Egg: Scope.TRANSIENT, Chick: Scope.TRANSIENT})
    assert problems_of(graph) == ["Hen -> Egg -> Chick -> Hen (cycle: Hen needs itself)"]


def test_cycles_overflow_the_stack_also_when_one_needs_only_itself() -> None:
    provider = parse(Repository, Scope.APP, Database)
    assert problems_of(Graph({Database: provider}, {}, ())) == [
        "Database -> Database (cycle: Database needs itself)"
    ]


def test_a_graph_deeper_than_the_stack_is_checked() -> None:
    keys = [Annotated[int, number] for number in range(5000)]

    def link(key: Any, needed: Any) -> Provider:
        def make(needed: int) -> int:
            return needed

        make.__annotations__ = {"needed": needed, "return": key}
        return parse(make, Scope.REQUEST)

    providers = {key: link(key, needed) for key, needed in pairwise(keys)}
    (problem,) = problems_of(Graph(providers, {}, ()), Need("deep", keys[:1]))
    assert problem.count(" -> ") == 5000
    providers[keys[-1]] = value(keys[-1], 1)
    assert problems_of(Graph(providers, {}, ()), Need("deep", keys[:1])) == []


def test_a_diamond_is_no_cycle() -> None:
    scopes = {Repository: Scope.REQUEST, UserService: Scope.REQUEST, Database: Scope.APP}
    assert problems_of(graph_of(scopes), Need("GET /", [UserService, Repository, Database])) == []


def test_a_singleton_captures_a_request_scoped_object() -> None:
    graph = graph_of({Formatter: Scope.APP, Session: Scope.REQUEST}, {Request: Scope.REQUEST})
    assert problems_of(graph, Need("GET /", [Formatter], given=frozenset({Request}))) == [
        "GET / -> Formatter -> Session "
        "(scope: Session is request-scoped and would be captured by Formatter, which is app-scoped)"
    ]


def test_a_singleton_captures_a_request_scoped_object_through_a_transient() -> None:
    scopes = {Cache: Scope.APP, Formatter: Scope.TRANSIENT, Session: Scope.REQUEST}
    graph = graph_of(scopes, {Request: Scope.REQUEST})
    needs = [Need("GET /", [Formatter, Cache], given=frozenset({Request}))]
    assert problems_of(graph, *needs) == [
        "GET / -> Cache -> Formatter -> Session "
        "(scope: Session is request-scoped and would be captured by Cache, which is app-scoped)"
    ]


def test_a_singleton_captures_a_request_scoped_object_that_is_handed_in() -> None:
    graph = graph_of({Session: Scope.APP})
    assert problems_of(graph, Need("GET /", [Session], given=frozenset({Request}))) == [
        "GET / -> Session -> Request "
        "(scope: Request is request-scoped and would be captured by Session, which is app-scoped)"
    ]


def test_each_pair_of_scopes_is_refused_or_allowed_by_their_order() -> None:
    for wide in (Scope.APP, Scope.CONNECTION, Scope.REQUEST):
        for narrow in (Scope.APP, Scope.CONNECTION, Scope.REQUEST):
            graph = graph_of({Repository: wide, Database: narrow})
            assert bool(problems_of(graph)) is (narrow > wide), (wide, narrow)


def test_a_place_cannot_have_what_is_narrower_than_itself() -> None:
    graph = graph_of({Database: Scope.REQUEST})
    assert problems_of(graph, Need("command 'migrate'", [Database], Scope.APP)) == [
        "command 'migrate' -> Database (scope: Database is request-scoped, and only the app scope is open)"
    ]


def test_connection_scoped_objects_need_an_open_connection() -> None:
    graph = graph_of({Repository: Scope.REQUEST, Database: Scope.CONNECTION})
    assert problems_of(graph, Need("GET /", [Repository])) == [
        "GET / -> Repository -> Database (scope: Database is connection-scoped, and no connection is open)"
    ]
    assert problems_of(graph, Need("GET /", [Repository], outer=True)) == []
    assert problems_of(graph, Need("GET /", [Repository], given=frozenset({Database}))) == []
    assert problems_of(graph, Need("WS /", [Database], Scope.CONNECTION)) == []


def test_what_is_expected_must_be_handed_in_where_it_is_needed() -> None:
    graph = graph_of({Session: Scope.REQUEST}, {Request: Scope.REQUEST})
    assert problems_of(graph) == []
    assert problems_of(graph, Need("GET /", [Session], given=frozenset({Request}))) == []
    assert problems_of(graph, Need("GET /", [Session])) == [
        "GET / -> Session -> Request "
        "(missing: Request is handed in with the request scope, and here it was not)"
    ]


def test_what_is_expected_of_a_connection_comes_with_it() -> None:
    graph = graph_of({Presence: Scope.CONNECTION}, {Socket: Scope.CONNECTION})
    assert problems_of(graph, Need("WS /", [Presence, Socket], outer=True)) == []
    assert problems_of(graph, Need("GET /", [Socket])) == [
        "GET / -> Socket (missing: Socket is handed in with the connection scope, and here it was not)"
    ]


def test_a_key_given_by_some_place_is_not_missing_elsewhere() -> None:
    graph = graph_of({Session: Scope.REQUEST})
    assert problems_of(graph, Need("GET /", [], given=frozenset({Request}))) == []
    assert problems_of(graph) == ["Session -> Request (missing: no provider for Request)"]


def test_defaults_and_none_excuse_a_missing_provider() -> None:
    assert problems_of(graph_of({Lenient: Scope.APP}), Need("GET /", [Lenient, Database | None])) == []


def test_defaults_do_not_excuse_a_fault_of_the_provider_there_is() -> None:
    graph = graph_of({Lenient: Scope.APP, Database: Scope.REQUEST})
    (problem,) = problems_of(graph)
    assert problem.startswith("Lenient -> Database (scope: ")


def test_a_value_needs_nothing_and_fits_everywhere() -> None:
    providers = {Database: value(Database, Database()), Repository: parse(Repository, Scope.APP)}
    assert problems_of(Graph(providers, {}, ()), Need("GET /", [Repository, Database])) == []


def test_check_of_one_place_sees_what_it_reaches_and_the_faults_of_registrations() -> None:
    graph = graph_of({Repository: Scope.REQUEST, Egg: Scope.APP}, problems=["twice"])
    with pytest.raises(GraphError) as raised:
        check(View(graph, Scope.REQUEST), [Repository], "GET /")
    assert list(raised.value.problems) == [
        "twice",
        "GET / -> Repository -> Database (missing: no provider for Database)",
    ]
    check(View(graph_of({Database: Scope.APP, Egg: Scope.APP}), Scope.REQUEST), [Database], "GET /")
