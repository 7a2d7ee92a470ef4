"""Kinds of live scopes and what is compiled for them."""

from __future__ import annotations

import pytest

from framework.di.place import Place
from framework.di.registry import Registry
from framework.di.scope import Scope
from framework.errors import GraphError


class Request: ...


class Session:
    def __init__(self, request: Request) -> None: ...


class Socket: ...


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    registry.add(Session, Scope.REQUEST, None)
    registry.add(Socket, Scope.CONNECTION, None)
    return registry


def test_scopes_of_one_kind_share_a_place_and_its_builders(registry: Registry) -> None:
    app = Place(registry, Scope.APP, {}, connection=False)
    one = app.enter(Scope.REQUEST, {Request: Request()})
    other = app.enter(Scope.REQUEST, {Request: Request()})
    assert one is other
    assert one.builder(Session) is other.builder(Session)
    assert app.enter(Scope.REQUEST, {}) is not one


def test_a_change_of_the_graph_compiles_anew(registry: Registry) -> None:
    place = Place(registry, Scope.APP, {}, connection=False).enter(Scope.REQUEST, {Request: 1})
    builder = place.builder(Session)
    registry.add_value(int, 3)
    assert place.builder(Session) is not builder


def test_what_cannot_be_made_is_drawn_from_the_scope(registry: Registry) -> None:
    app = Place(registry, Scope.APP, {}, connection=False)
    with pytest.raises(GraphError) as raised:
        app.enter(Scope.REQUEST, {}).builder(Session)
    assert str(raised.value) == "request scope -> Session -> Request (missing: no provider for Request)"
    with pytest.raises(GraphError) as raised:
        app.builder(Session)
    assert str(raised.value) == (
        "app scope -> Session (scope: Session is request-scoped, and only the app scope is open)"
    )


def test_what_is_given_further_out_and_the_connection_are_known_further_in(registry: Registry) -> None:
    app = Place(registry, Scope.APP, {}, connection=False)
    connection = app.enter(Scope.CONNECTION, {Request: Request()})
    assert connection.builder(Socket)
    assert connection.enter(Scope.REQUEST, {}).builder(Session)
    with pytest.raises(GraphError, match="no connection is open"):
        app.enter(Scope.REQUEST, {}).builder(Socket)
