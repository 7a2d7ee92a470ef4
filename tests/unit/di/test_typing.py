"""``get`` is precise for type checkers: mypy and pyright, both strict, read this file; it also runs."""

from __future__ import annotations

from typing import Annotated, Generic, NewType, Protocol, TypeVar, assert_type

import pytest

from framework.di import Container, Scope

pytestmark = pytest.mark.anyio

T = TypeVar("T")
UserId = NewType("UserId", int)


class Port(Protocol):
    def call(self) -> str: ...


class Adapter:
    def call(self) -> str:
        return "called"


class Repository(Generic[T]):
    pass


async def test_get_is_typed_by_its_key() -> None:
    container = Container()
    container.provide(Adapter, scope=Scope.APP)
    container.provide(Adapter, scope=Scope.APP, provides=Port)
    container.provide(Adapter, scope=Scope.APP, provides=Annotated[Adapter, "main"])
    container.provide(Repository, scope=Scope.APP, provides=Repository[int])
    container.value(UserId, UserId(3))
    async with container.open() as app, app.enter(Scope.REQUEST) as request:
        assert_type(await request.get(Adapter), Adapter)
        assert_type(await request.get(Port), Port)
        assert_type(await request.get(Annotated[Adapter, "main"]), Adapter)
        assert_type(await request.get(Repository[int]), Repository[int])
        assert_type(await request.get(Adapter | None), Adapter | None)
        assert_type(await request.get(str | None), str | None)
        assert (await request.get(Port)).call() == "called"
        assert assert_type(await request.get(UserId), UserId) == 3
