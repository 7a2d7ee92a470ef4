"""Registrations that a repeated build makes anew: ``Container.derived``."""

from __future__ import annotations

from contextlib import suppress

import pytest

from framework.di import Container, Scope
from framework.errors import GraphError

pytestmark = pytest.mark.anyio


class Config:
    def __init__(self, name: str) -> None:
        self.name = name


class Pool:
    def __init__(self, config: Config) -> None:
        self.config = config


class Fake(Pool): ...


def derive(container: Container, name: str) -> None:
    with container.derived():
        container.value(Config, Config(name))
        container.provide(Pool, scope=Scope.APP)


async def name_of(container: Container) -> str:
    async with container.open() as app:
        return (await app.get(Pool)).config.name


async def test_what_is_derived_replaces_what_was_derived_before() -> None:
    container = Container()
    for name in ("one", "two"):
        derive(container, name)
        container.validate()
        assert await name_of(container) == name
    with container.derived():
        pass
    assert not container.provides(Pool)


async def test_what_is_provided_elsewhere_stays() -> None:
    container = Container()
    container.value(Config, Config("own"))
    for _ in range(2):
        with container.derived():
            container.provide(Pool)
    container.value(str, "later")
    container.validate()
    assert container.provides(Config)
    assert container.provides(str)


def test_a_rival_of_what_was_provided_is_still_a_duplicate() -> None:
    container = Container()
    container.value(Config, Config("own"))
    derive(container, "derived")
    with pytest.raises(GraphError, match=r"Config \(duplicate"):
        container.validate()


async def test_a_block_that_fails_leaves_all_as_it_was() -> None:
    container = Container()
    derive(container, "one")
    with suppress(LookupError), container.derived():
        container.value(Config, Config("half"))
        raise LookupError
    container.validate()
    assert await name_of(container) == "one"
    container.value(str, "x")
    assert container.provides(str)


def test_subscribers_hear_of_it_once_and_see_it_whole() -> None:
    container = Container()
    seen: list[bool] = []
    container.on_change(lambda: seen.append(container.provides(Pool)))
    derive(container, "one")
    assert seen == [True]
    with pytest.raises(LookupError), container.derived():
        raise LookupError
    assert seen == [True]


async def test_overrides_outlive_a_new_derivation() -> None:
    container = Container()
    derive(container, "one")
    with container.override(Pool, Fake):
        derive(container, "two")
        async with container.open() as app:
            assert type(await app.get(Pool)) is Fake
            assert (await app.get(Pool)).config.name == "two"
    assert await name_of(container) == "two"


async def test_what_was_built_before_is_kept_until_the_scope_ends() -> None:
    container = Container()
    derive(container, "one")
    async with container.open() as app:
        await app.start()
        built = await app.get(Pool)
        derive(container, "two")
        assert await app.get(Pool) is built
    assert await name_of(container) == "two"


async def test_a_second_opening_says_what_to_do() -> None:
    container = Container()
    async with container.open():
        with pytest.raises(
            RuntimeError, match=r"close it first; what is to run beside it needs a container of its own"
        ):
            container.open()
