"""The plugin in an app: settings, injection, check, metrics, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from framework import App
from framework.errors import FrameworkError, SetupError
from framework.plugins.cache import Cache, CachePlugin, cached
from framework.plugins.health import Health
from framework.plugins.metrics import Metrics
from framework.redis import RedisUnavailable
from framework.testing import TestClient
from tests.support.ports import free_port
from tests.support.redis import RedisServer, own_redis_server, redis_server

__all__ = ["own_redis_server", "redis_server"]

pytestmark = pytest.mark.anyio


def make_app(**more: Any) -> App:
    app = App()
    app.install(CachePlugin(**more))
    app.install(Metrics())
    app.install(Health())

    @app.get("/v/{key}")
    async def read(key: str, cache: Cache) -> dict[str, Any]:
        async def load() -> str:
            return key.upper()

        return {"value": await cache.get_or_load(key, load), "loads": cache.counts.loads}

    return app


def overrides(**settings: Any) -> dict[str, Any]:
    return {f"cache.{name}": value for name, value in settings.items()}


async def test_it_is_injected_and_counted() -> None:
    async with TestClient(make_app()) as client:
        for _ in range(2):
            assert (await client.get("/v/k")).json() == {"value": "K", "loads": 1}
        lines = (await client.get("/metrics")).text.splitlines()
        assert 'cache_reads_total{level="memory",result="hit"} 1.0' in lines
        assert 'cache_loads_total{result="made"} 1.0' in lines
        assert "cache_entries 1.0" in lines


async def test_redis_is_checked_and_counted(own_redis_server: RedisServer) -> None:
    async with TestClient(make_app(), settings=overrides(url=own_redis_server.url, timeout=10.0)) as client:
        assert (await client.get("/v/k", expect=200)).json()["value"] == "K"
        assert (await client.get("/readyz")).json()["checks"]["cache.redis"]["status"] == "ok"
        lines = (await client.get("/metrics")).text.splitlines()
        assert "cache_redis_up 1.0" in lines
        assert 'cache_reads_total{level="redis",result="miss"} 1.0' in lines


async def test_functions_are_bound_to_it() -> None:
    calls = 0

    @cached("double", ttl=60)
    async def double(number: int) -> int:
        nonlocal calls
        calls += 1
        return 2 * number

    app = make_app(functions=[double])

    @app.get("/double/{number:int}")
    async def handler(number: int) -> int:
        return await double(number)

    async with TestClient(app) as client:
        for _ in range(3):
            assert (await client.get("/double/4")).json() == 8
    assert calls == 1


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"max_entries": -1}, "max_entries"),
        ({"max_entries": 0}, "at least one"),
        ({"default_ttl": 0}, "default_ttl"),
        ({"url": "memcached://x"}, "known are memory://"),
        ({"url": "memory://x"}, "stands alone"),
        ({"url": "redis://host:port"}, "url"),
        ({"soft_timeout": 1.0}, "soft_timeout needs"),
        ({"prefix": "a b"}, "prefix"),
        ({"jitter": 1.0}, "jitter"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_wrong_settings_end_the_build_with_their_origin(
    tmp_path: Path, settings: dict[str, Any], problem: str
) -> None:
    file = tmp_path / "app.toml"
    lines = [f"{name} = {value!r}" for name, value in settings.items()]
    file.write_text("\n".join(["[cache]", *lines, ""]))
    with pytest.raises(SetupError) as caught:
        make_app().build(files=[file], environ={})
    assert problem in str(caught.value)
    assert "app.toml" in str(caught.value)


async def test_a_redis_that_is_not_there_ends_the_start() -> None:
    settings = overrides(url=f"redis://127.0.0.1:{free_port()}")
    with pytest.raises((FrameworkError, ExceptionGroup)) as caught:
        async with TestClient(make_app(), settings=settings):
            pass
    assert isinstance(caught.value, RedisUnavailable) or caught.group_contains(RedisUnavailable)
    async with TestClient(make_app(), settings={**settings, "cache.required": False}) as client:
        assert (await client.get("/v/k", expect=200)).json()["value"] == "K"


def test_memory_under_several_workers_is_refused() -> None:
    workers = {"server.workers": 2}
    with pytest.raises(SetupError, match=r"Cache is in the memory of one process.*redis://.*per_worker"):
        make_app().build(environ={}, overrides=workers)
    make_app().build(environ={}, overrides={**workers, "cache.per_worker": True})
    make_app().build(environ={}, overrides={**workers, "cache.url": "redis://localhost"})
