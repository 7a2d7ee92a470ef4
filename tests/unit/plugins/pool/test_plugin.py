"""The pool as a plugin: configured, injected, probed, measured, and closed with its app."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import pytest

from framework import App, Scope
from framework.errors import ConfigError, SetupError
from framework.plugins.health import Health
from framework.plugins.metrics import Metrics
from framework.plugins.pool import ConnectionPool, Pool, RequestPool
from framework.testing import TestClient, run_virtual
from tests.support.connections import Network, Wire

pytestmark = pytest.mark.anyio


class Address:
    delay = 0.0


def app_with(network: Network, **options: Any) -> App:
    app = App()
    app.install(Pool(network, connection=Wire, **options))

    @app.get("/number")
    async def number(pool: RequestPool[Wire]) -> int:
        async with pool.acquire() as wire:
            return await wire.query()

    @app.get("/hold")
    async def hold(pool: RequestPool[Wire]) -> str:
        lease = pool.try_acquire()
        assert lease is not None
        async with lease:
            (holder,) = pool.pool.holders()
            return f"{holder.route} {holder.request_id != ''}"

    @app.get("/size")
    async def size(pool: ConnectionPool[Wire]) -> int:
        return pool.stats().size

    return app


async def test_it_is_injected_and_closed_with_the_app() -> None:
    network = Network()
    async with TestClient(app_with(network), settings={"pool.min_size": 2}) as client:
        assert (await client.get("/number")).json() in (1, 2)
        assert (await client.get("/size")).json() == 2
        assert network.open_count == 2
    assert network.open_count == 0


async def test_a_lease_names_its_request() -> None:
    async with TestClient(app_with(Network())) as client:
        assert (await client.get("/hold")).text == "GET /hold True"


async def test_a_resource_can_be_made_from_what_is_injected() -> None:
    def network(address: Address) -> Network:
        return Network(connect=address.delay)

    app = App()
    app.provide(Address, scope=Scope.APP)
    app.install(Pool(network, connection=Wire))

    @app.get("/number")
    async def number(pool: ConnectionPool[Wire]) -> int:
        async with pool.acquire() as wire:
            return await wire.query()

    async with TestClient(app) as client:
        assert (await client.get("/number")).json() == 1


async def test_two_pools_of_one_type_are_told_apart() -> None:
    app = App()
    app.install(Pool(Network(), connection=Wire))
    app.install(Pool(Network(), connection=Wire, name="replica", qualifier="replica"))

    @app.get("/sizes")
    async def sizes(
        main: ConnectionPool[Wire], replica: Annotated[ConnectionPool[Wire], "replica"]
    ) -> list[str]:
        return [main.name, replica.name]

    async with TestClient(app, settings={"replica.max_size": 3}) as client:
        assert (await client.get("/sizes")).json() == ["pool", "replica"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pool.min_size": 5, "pool.max_size": 2}, r"min_size \(5\) is more than max_size \(2\)"),
        ({"pool.connect_timeout": 0}, "connect_timeout"),
        ({"pool.backoff_min": 20.0}, "backoff_min"),
        ({"pool.max_sise": 3}, "max_sise"),
        ({"pool.nested": "perhaps"}, "nested"),
    ],
)
def test_wrong_settings_stop_the_build(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        app_with(Network()).build(overrides=settings, environ={})


def test_an_unreachable_server_stops_the_start_unless_it_is_not_required() -> None:
    async def start(**settings: Any) -> int:
        network = Network()
        network.refuses = True
        options = {"pool.connect_timeout": 0.5, **{f"pool.{name}": value for name, value in settings.items()}}
        async with TestClient(app_with(network), settings=options) as client:
            return (await client.get("/size")).status

    with pytest.raises(
        SetupError, match=r"pool: .*ConnectionRefusedError: refused; set pool.required to false"
    ):
        run_virtual(start())
    assert run_virtual(start(required=False)) == 200


async def test_health_tells_when_there_is_no_server() -> None:
    network = Network()
    app = app_with(network)
    app.install(Health())
    async with TestClient(app, settings={"health.max_age": 0, "pool.acquire_timeout": 0.05}) as client:
        answer = await client.get("/readyz")
        assert answer.json() == {"status": "ready", "checks": {"pool.reach": {"status": "ok"}}}
        network.restart()
        network.refuses = True
        assert (await client.get("/readyz")).status == 503


@pytest.mark.parametrize("metrics_first", [False, True])
async def test_metrics_show_the_pool_under_its_name(metrics_first: bool) -> None:
    app = App()
    plugins: list[Any] = [
        Pool(Network(), connection=Wire, name="orders-db"),
        Metrics(),
    ]
    for plugin in reversed(plugins) if metrics_first else plugins:
        app.install(plugin)

    @app.get("/number")
    async def number(pool: ConnectionPool[Wire]) -> int:
        async with pool.acquire() as wire:
            return await wire.query()

    async with TestClient(app) as client:
        await client.get("/number")
        text = (await client.get("/metrics")).text
    assert 'orders_db_connections{state="idle"} 1.0' in text
    assert 'orders_db_acquires_total{outcome="lent"} 2.0' in text
    assert 'orders_db_opens_total{outcome="opened"} 1.0' in text
    assert "orders_db_connections_max 10.0" in text


def test_an_acquire_ends_with_the_request_s_budget() -> None:
    """One deadline: the route's time is less than the pool would wait."""
    network = Network()
    app = App()
    app.install(Pool(network, connection=Wire))
    waits: list[float] = []

    @app.get("/wait", timeout=2.0)
    async def wait(pool: RequestPool[Wire]) -> str:
        begun = asyncio.get_running_loop().time()
        try:
            async with pool.acquire(60):
                return "got one"
        finally:
            waits.append(asyncio.get_running_loop().time() - begun)

    @app.get("/hold", timeout=60.0)
    async def hold(pool: RequestPool[Wire]) -> str:
        async with pool.acquire():
            await asyncio.sleep(30)
        return "held"

    async def main() -> None:
        async with TestClient(app, settings={"pool.max_size": 1}) as client:
            holding = asyncio.create_task(client.get("/hold"))
            await asyncio.sleep(1)
            answer = await client.get("/wait")
            assert answer.status in (503, 504)
            assert (await holding).text == "held"

    run_virtual(main())
    assert waits == [pytest.approx(2.0)]
