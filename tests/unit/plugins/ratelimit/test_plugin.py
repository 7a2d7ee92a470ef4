"""Limits around routes, from settings."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from framework import App, Request
from framework.errors import ConfigError, SetupError
from framework.plugins.metrics import Metrics
from framework.plugins.ratelimit import DECISION, USER, Limits, RateLimit
from framework.testing import TestClient
from tests.support.redis import RedisServer, own_redis_server, redis_server

__all__ = ["own_redis_server", "redis_server"]

pytestmark = pytest.mark.anyio
PROXY = {"server.trusted_proxies": ["127.0.0.1", "192.0.2.0/24", "10.0.0.0/8"]}


def shop(plugin: RateLimit | None = None) -> App:
    app = App()
    app.install(plugin or RateLimit())

    @app.get("/items/{id}")
    async def item(id: int) -> str:
        return f"item {id}"

    @app.get("/other")
    def other() -> str:
        return "other"

    return app


def limits(**policy: Any) -> dict[str, object]:
    return {"ratelimit.policies": {"burst": {"quota": 3, "window": 60, **policy}}}


async def urls(server: RedisServer, folder: Path) -> dict[str, str]:
    return {"memory": "memory://", "shared": f"shared://{folder}/limits", "redis": server.url}


@pytest.mark.parametrize("rung", ["memory", "shared", "redis"])
async def test_every_engine_limits_routes_the_same(
    rung: str, redis_server: RedisServer, tmp_path: Path
) -> None:
    url = (await urls(redis_server, tmp_path))[rung]
    settings = {**limits(algorithm="sliding_log"), "ratelimit.url": url, "ratelimit.deadline": 20.0}
    async with TestClient(shop(), settings=settings) as client:
        answers = [await client.get("/items/1"), await client.get("/other"), await client.get("/nowhere")]
        assert [answer.status for answer in answers] == [200, 200, 404]
        assert [answer.headers.get("ratelimit") for answer in answers] == [
            '"burst";r=2;t=60',
            '"burst";r=1;t=60',
            '"burst";r=0;t=60',
        ]
        refused = await client.get("/items/1")
        assert refused.status == 429
        assert refused.headers.get("content-type") == "application/problem+json"
        assert refused.headers.get("ratelimit-policy") == '"burst";q=3;w=60'
        wait = int(refused.headers.get("retry-after", ""))
        assert 50 <= wait <= 60
        assert refused.json()["violated-policies"] == ["burst"]
        assert refused.json()["type"].endswith("#quota-exceeded")
        told = refused.headers.get("ratelimit", "")
        assert int(told.partition("t=")[2]) <= wait, "Retry-After is not earlier than t"


async def test_keys_routes_and_skips() -> None:
    app = shop(RateLimit(keys={"tenant": lambda request: request.field("x-tenant") or "none"}))

    @app.get("/healthz")
    def health() -> str:
        return "ok"

    policies = {
        "tenants": {"quota": 1, "window": 60, "key": "tenant", "routes": ["/items/*"]},
        # Decided ahead of the other, whose refusals it counts.
        "all": {"quota": 4, "window": 60, "key": "all"},
    }
    async with TestClient(app, settings={"ratelimit.policies": policies}) as client:

        async def status(target: str, tenant: str) -> int:
            return (await client.get(target, headers={"x-tenant": tenant})).status

        assert [await status("/items/1", "a"), await status("/items/2", "a")] == [200, 429]
        assert await status("/items/1", "b") == 200
        assert [await status("/other", "a"), await status("/other", "b")] == [200, 429]
        assert [await status("/healthz", "a") for _ in range(5)] == [200] * 5


async def test_r7_a_client_cannot_choose_its_bucket() -> None:
    """redis/fastapi-redis-sdk #38: the left-most X-Forwarded-For, which is the client's own invention, was the key."""
    async with TestClient(shop(), settings={**limits(), "server.trusted_proxies": []}) as client:
        forged = [await client.get("/other", headers={"x-forwarded-for": f"203.0.113.{n}"}) for n in range(5)]
        assert [answer.status for answer in forged] == [200, 200, 200, 429, 429]
    async with TestClient(shop(), transport="socket", settings={**limits(), **PROXY}) as client:
        forged = [
            await client.get("/other", headers={"x-forwarded-for": f"203.0.113.{n}, 198.51.100.9"})
            for n in range(5)
        ]
        assert [answer.status for answer in forged] == [200, 200, 200, 429, 429]
        honest = await client.get("/other", headers={"x-forwarded-for": "198.51.100.10"})
        assert honest.status == 200


async def test_a_limit_of_one_route() -> None:
    plugin = RateLimit()
    app = App()
    app.install(plugin)

    @app.post("/login", middleware=[plugin.limit("2/minute", name="login", key="client+route")])
    async def enter(request: Request) -> str:
        decision = request.get(DECISION)
        assert decision is not None
        return str(decision.remaining)

    @app.get("/free")
    def free() -> str:
        return "free"

    async with TestClient(app) as client:
        answers = [await client.post("/login") for _ in range(3)]
        assert [answer.status for answer in answers] == [200, 200, 429]
        assert [answer.text for answer in answers[:2]] == ["1", "0"]
        assert answers[0].headers.get("ratelimit-policy") == '"login";q=2;w=60'
        assert (await client.get("/free")).headers.get("ratelimit") is None


@pytest.mark.parametrize("rung", ["memory", "redis"])
async def test_users_are_known_once_the_authentication_has_run(
    rung: str, redis_server: RedisServer, tmp_path: Path
) -> None:
    """Hooks run ahead of every onion: a limit by user must not be one, or all users would be one client."""
    plugin = RateLimit()
    app = App()
    app.install(plugin)

    def login(handler: Any) -> Any:
        async def logged_in(request: Request) -> Any:
            request[USER] = request.field("x-user") or "nobody"
            return await handler(request)

        return logged_in

    app.use(login)
    app.get("/", middleware=[])(lambda: "all")
    app.get("/dear", middleware=[plugin.limit("1/minute", name="dear", key="user")])(lambda: "dear")
    url = (await urls(redis_server, tmp_path))[rung]
    settings = {**limits(key="user"), "ratelimit.url": url, "ratelimit.deadline": 20.0}
    async with TestClient(app, settings=settings) as client:

        async def status(target: str, user: str) -> int:
            return (await client.get(target, headers={"x-user": user})).status

        assert [await status("/dear", "ann"), await status("/dear", "bob")] == [200, 200]
        assert [await status("/dear", "ann"), await status("/", "bob")] == [429, 200]
        assert [await status("/", "bob"), await status("/", "bob"), await status("/", "eve")] == [
            200,
            429,
            200,
        ]


@pytest.mark.parametrize("rung", ["memory", "redis"])
async def test_a_route_limit_beside_those_of_the_settings(
    rung: str, redis_server: RedisServer, tmp_path: Path
) -> None:
    plugin = RateLimit()
    app = shop(plugin)
    app.get("/dear", middleware=[plugin.limit("10/minute", name="dear", cost=lambda request: 6)])(
        lambda: "dear"
    )
    url = (await urls(redis_server, tmp_path))[rung]
    settings = {**limits(), "ratelimit.url": url, "ratelimit.deadline": 20.0}
    async with TestClient(app, settings=settings) as client:
        first, second = await client.get("/dear"), await client.get("/dear")
        assert (first.status, second.status) == (200, 429)
        assert first.headers.get_all("ratelimit-policy") == ['"dear";q=10;w=60', '"burst";q=3;w=60']
        assert second.json()["violated-policies"] == ["dear"]


async def test_limits_are_injected() -> None:
    app = shop()

    @app.post("/mail")
    async def mail(limits: Limits) -> str:
        await limits.limiter("1/minute", name="mail").require("ann")
        return "sent"

    async with TestClient(app) as client:
        assert (await client.post("/mail")).status == 200
        refused = await client.post("/mail")
        assert (refused.status, refused.headers.get("retry-after")) == (429, "60")


async def test_a_shadow_refuses_nobody_and_metrics_tell_what_it_would_have() -> None:
    app = shop()
    app.install(Metrics())
    async with TestClient(app, settings=limits(quota=2, shadow=True)) as client:
        answers = [await client.get("/other") for _ in range(5)]
        assert [answer.status for answer in answers] == [200] * 5
        assert answers[0].headers.get("ratelimit") is None
        text = (await client.get("/metrics")).text
        assert 'ratelimit_decisions_total{policy="burst",result="admitted"} 2.0' in text
        assert 'ratelimit_decisions_total{policy="burst",result="shadowed"} 3.0' in text
        assert 'ratelimit_decisions_total{policy="burst",result="refused"} 0.0' in text
        assert 'ratelimit_near_total{policy="burst"} 1.0' in text
        assert 'ratelimit_keys{policy="burst"} 1.0' in text
        assert "ratelimit_degraded_total 0.0" in text


async def test_closed_is_503_and_open_tells_nothing(own_redis_server: RedisServer) -> None:
    settings = {**limits(), "ratelimit.url": own_redis_server.url, "ratelimit.deadline": 20.0}
    for on_failure, status in (("closed", 503), ("open", 200), ("local", 200)):
        async with TestClient(shop(), settings={**settings, "ratelimit.on_failure": on_failure}) as client:
            assert (await client.get("/other")).status == 200
            own_redis_server.kill()
            answer = await client.get("/other")
            assert answer.status == status
            assert (answer.headers.get("ratelimit") is None) == (on_failure != "local")
            if status == 503:
                assert answer.json()["type"].endswith("#temporary-reduced-capacity")
                assert answer.headers.get("retry-after") == "1"
            own_redis_server.start()


@pytest.mark.parametrize("count", [2, 4])
def test_memory_under_several_workers_is_refused_at_the_start(count: int) -> None:
    overrides = {**limits(), "server.workers": count}
    with pytest.raises(SetupError, match=r"MemoryEngine.*shared://.*redis://"):
        shop().build(environ={}, overrides=overrides)
    shop().build(environ={}, overrides={**overrides, "ratelimit.url": "shared://"})
    shop().build(environ={}, overrides={"server.workers": count})  # nothing is limited


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[ratelimit]\nurl = 'mongodb://x'", "url: known are"),
        ("[ratelimit]\nurl = 'redis://h/one'", "must be a number"),
        ("[ratelimit]\nurl = 'shared://relative'", "absolute path"),
        ("[ratelimit]\nlease = 5", "needs none"),
        ("[ratelimit]\nheaders = 'draft-5'", "headers"),
        ("[ratelimit.policies.a]\nquota = 0\nwindow = 1", "quota"),
        ("[ratelimit.policies.a]\nquota = 5\nwindow = 1\nalgorithm = 'leaky'", "algorithm"),
        (
            "[ratelimit.policies.a]\nquota = 5\nwindow = 1\nalgorithm = 'fixed_window'\nburst = 2",
            "burst: fixed_window",
        ),
        ("[ratelimit.policies.a]\nquota = 5\nwindow = 1\nquotas = 2", "quotas"),
    ],
)
def test_wrong_settings_stop_the_start_with_their_origin(text: str, problem: str, tmp_path: Path) -> None:
    file = tmp_path / "app.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=problem) as refused:
        shop().build(files=[file], environ={})
    assert "app.toml" in str(refused.value)


def test_an_unknown_key_stops_the_start() -> None:
    with pytest.raises(
        SetupError, match=r"ratelimit\.policies\.burst\.key: 'ip' is no key; known are client, .*tenant"
    ):
        shop(RateLimit(keys={"tenant": lambda request: "t"})).build(environ={}, overrides=limits(key="ip"))


def test_the_health_check_is_there() -> None:
    assert "ratelimit.engine" in shop().build(environ={}, overrides=limits()).checks


async def test_not_enabled_limits_nothing() -> None:
    plugin = RateLimit()
    app = shop(plugin)
    app.get("/one", middleware=[plugin.limit("1/day")])(lambda: "one")
    async with TestClient(app, settings={**limits(quota=1), "ratelimit.enabled": False}) as client:
        assert [(await client.get("/one")).status for _ in range(3)] == [200] * 3


async def test_an_app_is_built_again_with_other_limits() -> None:
    plugin = RateLimit()
    app = shop(plugin)
    app.get("/one", middleware=[plugin.limit("1/day")])(lambda: "one")
    for _ in range(2):
        async with TestClient(app, settings=limits(quota=math.prod((2, 5)))) as client:
            assert [(await client.get("/one")).status for _ in range(2)] == [200, 429]
