"""The health plugin, asked over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

from framework import App, HTTPError, Request
from framework.errors import ConfigError
from framework.middleware.chain import Hooks
from framework.plugins.health import Health
from framework.testing import TestClient

pytestmark = pytest.mark.anyio


class Connection:
    """What is made of a pool for one probe."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool


def app_with(**probes: Callable[..., Any]) -> App:
    app = App()
    app.install(Health())
    for name, probe in probes.items():
        app.check(name, probe)
    return app


async def test_it_lives() -> None:
    async with TestClient(app_with()) as client:
        answer = await client.get("/healthz")
        assert (answer.status, answer.json()) == (200, {"status": "alive"})
        assert answer.headers.get("cache-control") == "no-store"
        assert (await client.head("/healthz")).status == 200


async def test_it_is_ready() -> None:
    async with TestClient(app_with(disk=lambda: None)) as client:
        answer = await client.get("/readyz")
        assert answer.status == 200
        assert answer.json() == {"status": "ready", "checks": {"disk": {"status": "ok"}}}


def fail() -> None:
    raise OSError("password=hunter2")


async def test_a_failing_check_makes_it_unready_and_tells_no_details() -> None:
    async with TestClient(app_with(disk=lambda: None, db=fail)) as client:
        answer = await client.get("/readyz")
        assert answer.status == 503
        assert answer.json() == {
            "status": "failing",
            "checks": {"disk": {"status": "ok"}, "db": {"status": "failed"}},
        }
        assert (await client.get("/healthz")).status == 200


class Pool:
    """Something a probe asks; ``opened`` counts the connections that are out."""

    opened = 0


@pytest.mark.parametrize("plain", [True, False])
async def test_probes_are_injected_as_framework_check_does(plain: bool) -> None:
    pool = Pool()
    seen: list[int] = []

    async def connection(pool: Pool) -> AsyncGenerator[Connection]:
        pool.opened += 1
        yield Connection(pool)
        pool.opened -= 1

    def ask(connection: Connection) -> None:
        seen.append(connection.pool.opened)

    async def ask_async(connection: Connection) -> None:
        ask(connection)

    app = app_with(db=ask if plain else ask_async)
    app.container.value(Pool, pool)
    app.provide(connection)
    async with TestClient(app, settings={"health.max_age": 0.0}) as client:
        for _ in range(2):
            assert (await client.get("/readyz")).json()["checks"] == {"db": {"status": "ok"}}
    assert (seen, pool.opened) == ([1, 1], 0)


async def test_a_probe_whose_objects_cannot_be_made_fails() -> None:
    def connection(pool: Pool) -> Connection:
        raise OSError("no route to the database")

    def ask(connection: Connection) -> None: ...

    app = app_with(db=ask)
    app.container.value(Pool, Pool())
    app.provide(connection)
    async with TestClient(app, settings={"health.details": True}) as client:
        answer = await client.get("/readyz")
        assert answer.status == 503
        assert "no route to the database" in answer.json()["checks"]["db"]["error"]


async def test_details_when_asked_for() -> None:
    async with TestClient(app_with(db=fail), settings={"health.details": True}) as client:
        found = (await client.get("/readyz")).json()["checks"]["db"]
        assert found.pop("seconds") >= 0
        assert found == {"status": "failed", "error": "OSError: password=hunter2"}


async def test_readiness_is_lost_first_of_all_at_shutdown() -> None:
    async with TestClient(app_with(), settings={"server.not_ready_timeout": 30.0}) as client:
        assert (await client.get("/readyz")).status == 200
        closing = asyncio.ensure_future(client.server.shutdown())
        await asyncio.sleep(0)
        answer = await client.get("/readyz")
        assert (answer.status, answer.json()) == (503, {"status": "stopping"})
        assert (await client.get("/healthz")).status == 200
        client.server.stop()
        client.server.stop()
        await closing


async def test_checks_of_plugins_and_of_mounted_apps_count() -> None:
    inner = App()
    inner.check("queue", fail)
    app = app_with(db=lambda: None)
    app.mount("/inner", inner)
    async with TestClient(app) as client:
        checks = (await client.get("/readyz")).json()["checks"]
        assert {name: found["status"] for name, found in checks.items()} == {
            "db": "ok",
            "/inner:queue": "failed",
        }


async def test_a_slow_check_does_not_hold_up_the_answer() -> None:
    app = app_with(hang=lambda: asyncio.Event().wait())
    async with TestClient(app, settings={"health.check_timeout": 0.01}) as client:
        assert (await client.get("/readyz")).json()["checks"] == {"hang": {"status": "late"}}


async def test_other_paths_and_none() -> None:
    settings = {"health.live_path": "/alive", "health.ready_path": "/ready"}
    async with TestClient(app_with(), settings=settings) as client:
        assert [(await client.get(path)).status for path in ("/alive", "/ready", "/healthz")] == [
            200,
            200,
            404,
        ]
    async with TestClient(app_with(), settings={"health.enabled": False}) as client:
        assert (await client.get("/healthz")).status == 404


class Closed(Hooks):
    def before(self, request: Request) -> None:
        raise HTTPError(401)


async def test_a_guard_can_be_skipped() -> None:
    guard = Closed()
    app = App()
    app.use(guard)
    app.install(Health(route={"skip": [guard]}))
    async with TestClient(app) as client:
        assert (await client.get("/healthz")).status == 200
        assert (await client.get("/elsewhere")).status == 401


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"health\.check_timeout"):
        app_with().build(environ={}, overrides={"health.check_timeout": 0})


def test_the_probes_are_not_in_the_document_of_the_api() -> None:
    runtime = app_with().build(environ={})
    assert [route.record.options.get("include_in_schema") for route in runtime.routes] == [False, False]
