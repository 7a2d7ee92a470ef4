"""The container's face: registration, validation, plans and overrides together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest

from framework.di import Container, Need, Plan, Scope
from framework.errors import GraphError

pytestmark = pytest.mark.anyio


class Request: ...


class Config:
    name = "real"


class Fake(Config):
    name = "fake"


class Repository:
    def __init__(self, config: Config) -> None:
        self.config = config


class Service:
    def __init__(self, repository: Repository, request: Request) -> None:
        self.repository = repository
        self.request = request


class Presence:
    def __init__(self, config: Config) -> None:
        self.config = config


@pytest.fixture
def container() -> Container:
    container = Container()
    container.provide(Config, scope=Scope.APP)
    container.provide(Repository, scope=Scope.APP)
    container.provide(Service)
    container.expect(Request)
    return container


class Binder:
    """Compiles a handler's needs as the app does, and again when told."""

    def __init__(self, container: Container, *needs: Any) -> None:
        self.container = container
        self.needs = needs
        self.compiled = 0
        self.compile()
        self.stop = container.on_change(self.compile)

    def compile(self) -> None:
        self.plan: Plan = self.container.plan(self.needs, given={Request: "request"}, label="GET /")
        body = "".join(f"    {line}\n" for line in [*self.plan.lines, f"return {', '.join(self.plan.args)}"])
        space: dict[str, Any] = dict(self.plan.env)
        exec(f"async def call(request):\n{body}", space)
        self.call = space["call"]
        self.compiled += 1


async def test_a_plan_runs_on_what_the_start_built(container: Container) -> None:
    binder = Binder(container, Service)
    request = Request()
    async with container.open() as app:
        await app.start()
        service = await binder.call(request)
        assert service.request is request
        assert service.repository is await app.get(Repository)


async def test_the_run_time_scopes_and_the_plans_share_singletons(container: Container) -> None:
    binder = Binder(container, Repository)
    async with container.open() as app:
        repository = await app.get(Repository)
        assert await binder.call(Request()) is repository


def test_a_place_that_needs_nothing_has_an_empty_plan(container: Container) -> None:
    assert container.plan([]) == Plan()


def test_a_plan_that_cannot_be_written_draws_every_path(container: Container) -> None:
    with pytest.raises(GraphError) as raised:
        container.plan([Service, Presence], label="GET /")
    assert raised.value.problems == (
        "GET / -> Service -> Request (missing: Request is handed in with the request scope, and here it was not)",
        "GET / -> Presence (missing: no provider for Presence)",
    )


def test_a_connection_scoped_object_in_a_request_needs_the_outer_scope_or_to_be_given(
    container: Container,
) -> None:
    container.provide(Presence, scope=Scope.CONNECTION)
    with pytest.raises(GraphError, match="Presence is connection-scoped, and no connection is open"):
        container.plan([Presence])
    assert container.plan([Presence], outer="conn").lines == [
        "_di_presence0 = await conn.get(_di0_key_presence)"
    ]
    assert container.plan([Presence], given={Presence: "presence"}).args == ["presence"]


async def test_a_request_plan_shares_the_objects_of_its_connection(container: Container) -> None:
    container.provide(Presence, scope=Scope.CONNECTION)
    plan = container.plan([Presence], outer="conn")
    space: dict[str, Any] = dict(plan.env)
    exec(f"async def call(conn):\n    {plan.lines[0]}\n    return {plan.args[0]}\n", space)
    async with container.open() as app, app.enter(Scope.CONNECTION) as connection:
        assert await space["call"](connection) is await connection.get(Presence)


def test_validation_covers_needs_and_all_providers(container: Container) -> None:
    container.validate([Need("GET /", [Service], given=frozenset({Request}))])
    container.validate()
    container.provide(Presence, scope=Scope.APP, provides=Annotated[Presence, "main"])
    container.provide(lambda request: None, scope=Scope.APP, provides=Presence)
    with pytest.raises(GraphError) as raised:
        container.validate()
    (problem,) = raised.value.problems
    assert "parameter 'request' has no annotation" in problem


def test_it_is_known_what_can_be_injected(container: Container) -> None:
    assert container.provides(Config)
    assert container.provides(Request)
    assert not container.provides(Presence)
    assert not container.provides(Annotated[Config, []])


async def test_two_containers_do_not_meet(container: Container) -> None:
    other = Container()
    other.provide(Config, scope=Scope.APP)
    async with container.open() as app, other.open() as other_app:
        assert await app.get(Config) is not await other_app.get(Config)


async def test_the_app_scope_is_opened_once_at_a_time(container: Container) -> None:
    async with container.open() as app:
        first = await app.get(Config)
        with pytest.raises(RuntimeError, match="open already"):
            container.open()
    async with container.open() as app:
        assert await app.get(Config) is not first


async def test_after_the_end_a_plan_finds_nothing_old(container: Container) -> None:
    binder = Binder(container, Config)
    async with container.open() as app:
        await app.start()
    with pytest.raises(RuntimeError, match="Config is app-scoped"):
        await binder.call(Request())


async def test_an_override_before_the_start_is_simply_seen(container: Container) -> None:
    with container.override(Config, Fake):
        binder = Binder(container, Service)
        async with container.open() as app:
            await app.start()
            assert (await binder.call(Request())).repository.config.name == "fake"


@pytest.mark.parametrize("replacement", [Fake, Fake()])
async def test_an_override_on_a_running_app_reaches_plans_and_scopes(
    container: Container, replacement: object
) -> None:
    binder = Binder(container, Service)
    async with container.open() as app:
        await app.start()
        real = await app.get(Repository)
        with container.override(Config, replacement):
            service = await binder.call(Request())
            assert service.repository.config.name == "fake"
            assert await app.get(Repository) is service.repository
            assert (await binder.call(Request())).repository is service.repository
        assert (await binder.call(Request())).repository is real
        assert await app.get(Repository) is real
        assert "await" not in "".join(binder.plan.lines)


async def test_overrides_nest(container: Container) -> None:
    binder = Binder(container, Config)
    async with container.open() as app:
        await app.start()
        real = await app.get(Config)
        with container.override(Config, Fake):
            outer = await app.get(Config)
            with container.override(Config, inner := Fake()):
                assert await binder.call(Request()) is inner
            assert await binder.call(Request()) is outer
        assert await binder.call(Request()) is real


async def test_an_override_of_a_later_start_ends_with_the_real_thing(container: Container) -> None:
    binder = Binder(container, Repository)
    with container.override(Config, Fake):
        app = container.open()
        await app.start()
        fake = await binder.call(Request())
    real = await binder.call(Request())
    assert (fake.config.name, real.config.name) == ("fake", "real")
    assert await app.get(Repository) is real
    await app.close()


async def test_an_override_across_openings_brings_no_closed_object_back(container: Container) -> None:
    binder = Binder(container, Config)
    app = container.open()
    closed = await app.get(Config)
    with container.override(Config, Fake):
        await app.close()
        app = container.open()
        await app.start()
    assert await binder.call(Request()) is await app.get(Config) is not closed
    await app.close()


async def test_what_an_override_builds_is_closed_with_the_app(container: Container) -> None:
    events: list[str] = []

    async def fake() -> AsyncIterator[Config]:
        yield Fake()
        events.append("closed")

    async with container.open() as app:
        with container.override(Config, fake):
            await app.get(Config)
        assert events == []
    assert events == ["closed"]


async def test_a_build_begun_before_an_override_does_not_outlast_it(container: Container) -> None:
    begun = asyncio.Event()
    go_on = asyncio.Event()

    async def slow() -> Request:
        begun.set()
        await go_on.wait()
        return Request()

    container.provide(slow, scope=Scope.APP)
    async with container.open() as app:
        early = asyncio.create_task(app.get(Request))
        await begun.wait()
        with container.override(Request, fake := Request()):
            go_on.set()
            assert await early is not fake
            assert await app.get(Request) is fake


def test_an_override_that_breaks_the_graph_is_undone_and_reported(container: Container) -> None:
    binder = Binder(container, Service)

    def needy(presence: Presence) -> Config:
        raise NotImplementedError

    with pytest.raises(GraphError, match="no provider for Presence"), container.override(Config, needy):
        raise AssertionError("not reached")
    container.validate()
    assert binder.compiled == 2
    with container.override(Config, Fake):
        assert binder.compiled == 3
    assert binder.compiled == 4


def test_an_exception_ends_an_override(container: Container) -> None:
    def use() -> None:
        with container.override(Config, Fake):
            raise ValueError("in the test")

    with pytest.raises(ValueError, match="in the test"):
        use()
    assert container.plan([Config]).env["_di0_app_config"]


def test_subscribers_are_told_until_they_stop(container: Container) -> None:
    binder = Binder(container, Service)
    container.value(int, 3)
    assert binder.compiled == 2
    binder.stop()
    container.value(str, "text")
    assert binder.compiled == 2
