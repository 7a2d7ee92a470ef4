"""Open scopes: sharing, concurrency, cancellation, closing. The traps of SYSTEMS.md, row 6, at run time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from framework.di.container import Container
from framework.di.live import AppScope
from framework.di.scope import Scope
from framework.errors import GraphError

from .driver import cancel_at_every_suspension

pytestmark = pytest.mark.anyio


class Request: ...


class Thing:
    """Something that is open until it is closed."""

    def __init__(self, open_now: list[Thing], needs: Thing | None = None) -> None:
        assert needs is None or needs in open_now, "made from something closed"
        self.needs = needs
        self._open_now = open_now
        open_now.append(self)

    def close(self) -> None:
        assert self._open_now[-1] is self, "closed before something made later"
        self._open_now.pop()


class Database(Thing): ...


class Repository(Thing): ...


class Service(Thing): ...


class Shop:
    """A three-deep graph whose every factory and clean-up suspends, and what of it is open."""

    def __init__(self, *, scope: Scope = Scope.APP) -> None:
        self.open_now: list[Thing] = []
        self.built: list[type] = []
        self.container = Container()
        for factory in (self.database, self.repository, self.service):
            self.container.provide(factory, scope=scope)

    async def database(self) -> AsyncIterator[Database]:
        await asyncio.sleep(0)
        database = Database(self.open_now)
        self.built.append(Database)
        try:
            yield database
        finally:
            await asyncio.sleep(0)
            database.close()

    def repository(self, database: Database) -> Iterator[Repository]:
        repository = Repository(self.open_now, database)
        self.built.append(Repository)
        try:
            yield repository
        finally:
            repository.close()

    async def service(self, repository: Repository) -> AsyncIterator[Service]:
        await asyncio.sleep(0)
        service = Service(self.open_now, repository)
        try:
            await asyncio.sleep(0)
            self.built.append(Service)
            yield service
            await asyncio.sleep(0)
        finally:
            service.close()


async def test_an_object_is_shared_in_its_scope_and_new_in_the_next() -> None:
    container = Container()
    container.provide(Request, scope=Scope.REQUEST)
    async with container.open() as app:
        async with app.enter(Scope.REQUEST) as request:
            first = await request.get(Request)
            assert await request.get(Request) is first
        async with app.enter(Scope.REQUEST) as request:
            assert await request.get(Request) is not first


async def test_wider_objects_are_shared_by_narrower_scopes() -> None:
    shop = Shop()
    async with shop.container.open() as app, app.enter(Scope.CONNECTION) as connection:
        async with connection.enter(Scope.REQUEST) as request:
            service = await request.get(Service)
        assert await app.get(Service) is service
        assert await connection.get(Database) is (service.needs and service.needs.needs)
        assert len(shop.open_now) == 3
    assert not shop.open_now


async def test_a_transient_is_new_for_each_get_and_closed_with_who_asked() -> None:
    shop = Shop(scope=Scope.TRANSIENT)
    async with shop.container.open() as app:
        async with app.enter(Scope.REQUEST) as request:
            assert await request.get(Service) is not await request.get(Service)
            assert len(shop.open_now) == 6
        assert not shop.open_now


async def test_values_are_handed_in_with_a_scope_and_known_further_in() -> None:
    handed = Request()
    async with Container().open() as app, app.enter(Scope.CONNECTION, {Request: handed}) as connection:
        async with connection.enter(Scope.REQUEST) as request:
            assert await request.get(Request) is handed
        with pytest.raises(GraphError, match="app scope -> Request"):
            await app.get(Request)


async def test_a_registered_value_is_itself_and_not_closed() -> None:
    handed = Request()
    container = Container()
    container.value(Request, handed)
    async with container.open() as app:
        assert await app.get(Request) is handed
        assert await app.get(Request | None) is handed


async def test_an_optional_key_that_nobody_provides_is_none() -> None:
    async with Container().open() as app:
        assert await app.get(Request | None) is None


async def test_only_a_narrower_scope_can_be_entered() -> None:
    async with Container().open() as app, app.enter(Scope.REQUEST) as request:
        for scope in (Scope.APP, Scope.CONNECTION, Scope.REQUEST, Scope.TRANSIENT):
            with pytest.raises(ValueError, match="cannot be entered from a request scope"):
                request.enter(scope)


async def test_a_closed_scope_gives_nothing() -> None:
    container = Container()
    container.provide(Request, scope=Scope.REQUEST)
    app = container.open()
    request = app.enter(Scope.REQUEST)
    await request.get(Request)
    await request.close()
    with pytest.raises(RuntimeError, match="Request was asked of the request scope, which is closed"):
        await request.get(Request)
    await app.close()
    with pytest.raises(RuntimeError, match="a request scope was asked of the app scope, which is closed"):
        app.enter(Scope.REQUEST)


async def test_nothing_is_ever_closed() -> None:
    shop = Shop()
    async with shop.container.open() as app:
        await app.start()
        assert len(shop.open_now) == 3
    assert not shop.open_now


async def test_nothing_is_ever_closed_also_not_after_an_error() -> None:
    shop = Shop(scope=Scope.REQUEST)
    seen: list[BaseException] = []

    def watching(service: Service) -> Iterator[Request]:
        try:
            yield Request()
        except ValueError as error:
            seen.append(error)
            raise

    shop.container.provide(watching)

    async def handler(app: AppScope) -> None:
        async with app.enter(Scope.REQUEST) as request:
            await request.get(Request)
            raise ValueError("the handler's")

    async with shop.container.open() as app:
        with pytest.raises(ValueError, match="the handler's") as raised:
            await handler(app)
    assert seen == [raised.value]
    assert not shop.open_now


async def test_the_start_builds_every_singleton_in_order_and_nothing_else() -> None:
    shop = Shop()
    shop.container.provide(Request, scope=Scope.REQUEST)
    async with shop.container.open() as app:
        await app.start()
        assert app.is_started
        assert shop.built == [Database, Repository, Service]


async def test_two_concurrent_first_resolves_build_two_singletons() -> None:
    shop = Shop()
    async with shop.container.open() as app:
        services = await asyncio.gather(*(app.get(Service) for _ in range(10)), app.get(Repository))
        assert len(set(services)) == 2
        assert shop.built == [Database, Repository, Service]


async def test_two_concurrent_first_resolves_build_two_singletons_also_not_from_request_scopes() -> None:
    shop = Shop()
    async with shop.container.open() as app:

        async def handler() -> Service:
            async with app.enter(Scope.REQUEST) as request:
                return await request.get(Service)

        assert len(set(await asyncio.gather(*(handler() for _ in range(10))))) == 1


async def test_the_failure_of_the_first_builder_does_not_poison_the_next() -> None:
    attempts: list[int] = []

    async def flaky() -> Request:
        attempts.append(1)
        await asyncio.sleep(0)
        if len(attempts) < 3:
            raise OSError(f"attempt {len(attempts)}")
        return Request()

    container = Container()
    container.provide(flaky, scope=Scope.APP)
    async with container.open() as app:
        results = await asyncio.gather(*(app.get(Request) for _ in range(5)), return_exceptions=True)
        assert [str(result) for result in results[:2]] == ["attempt 1", "attempt 2"]
        assert len(set(results[2:])) == 1
        assert isinstance(results[2], Request)


async def test_a_cancelled_first_builder_does_not_poison_the_next() -> None:
    shop = Shop()
    async with shop.container.open() as app:
        first = asyncio.create_task(app.get(Service))
        await asyncio.sleep(0)
        others = [asyncio.create_task(app.get(Service)) for _ in range(3)]
        await asyncio.sleep(0)
        first.cancel()
        assert len(set(await asyncio.gather(*others))) == 1
        assert first.cancelled()
        assert len(shop.open_now) == 3


async def test_a_cancelled_waiter_disturbs_neither_the_builder_nor_other_waiters() -> None:
    shop = Shop()
    async with shop.container.open() as app:
        tasks = [asyncio.create_task(app.get(Service)) for _ in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        first, cancelled, last = await asyncio.gather(*tasks, return_exceptions=True)
        assert first is last
        assert isinstance(cancelled, asyncio.CancelledError)


async def test_a_build_that_fails_in_the_middle_leaves_nothing_open() -> None:
    shop = Shop(scope=Scope.TRANSIENT)

    async def failing(service: Service, other: Service) -> Request:
        assert len(shop.open_now) == 6
        raise OSError("in the middle")

    shop.container.provide(failing, scope=Scope.APP)
    async with shop.container.open() as app:
        with pytest.raises(OSError, match="in the middle"):
            await app.get(Request)
        assert not shop.open_now


@pytest.mark.parametrize("scope", [Scope.APP, Scope.REQUEST, Scope.TRANSIENT])
async def test_a_scope_cancelled_at_its_kth_suspension_leaves_nothing_open(scope: Scope) -> None:
    shop = Shop(scope=scope)

    async def scenario() -> None:
        async with shop.container.open() as app, app.enter(Scope.REQUEST) as request:
            await request.get(Service)

    def check(k: int, raised: BaseException | None) -> None:
        assert shop.open_now == [], k
        assert raised is None or isinstance(raised, asyncio.CancelledError), k

    assert await cancel_at_every_suspension(scenario, check) >= 6


async def test_a_build_cancelled_at_its_kth_suspension_poisons_nothing() -> None:
    shops: list[Shop] = []

    async def scenario() -> None:
        shop = Shop()
        shops.append(shop)
        app = shop.container.open()
        try:
            await app.get(Service)
        finally:
            service = await app.get(Service)
            assert shop.open_now == [service.needs and service.needs.needs, service.needs, service]
            await app.close()

    def check(k: int, raised: BaseException | None) -> None:
        assert shops[-1].open_now == []
        assert raised is None or isinstance(raised, asyncio.CancelledError), k

    assert await cancel_at_every_suspension(scenario, check) >= 6


async def test_a_build_that_ends_after_its_scope_closed_is_closed_at_once() -> None:
    shop = Shop()
    app = shop.container.open()
    late = asyncio.create_task(app.get(Database))
    await asyncio.sleep(0)
    await app.close()
    with pytest.raises(RuntimeError, match="Database was asked of the app scope, which is closed"):
        await late
    assert not shop.open_now


async def test_an_object_built_late_does_not_reach_the_next_opening() -> None:
    async def slow() -> Request:
        await asyncio.sleep(0)
        return Request()

    container = Container()
    container.provide(slow, scope=Scope.APP)
    app = container.open()
    late = asyncio.create_task(app.get(Request))
    await asyncio.sleep(0)
    await app.close()
    async with container.open() as again:
        with pytest.raises(RuntimeError):
            await late
        assert isinstance(await again.get(Request), Request)


async def test_what_cannot_be_made_here_is_drawn() -> None:
    shop = Shop(scope=Scope.REQUEST)
    async with shop.container.open() as app:
        with pytest.raises(GraphError) as raised:
            await app.get(Service)
        assert str(raised.value) == (
            "app scope -> Service (scope: Service is request-scoped, and only the app scope is open)"
        )
