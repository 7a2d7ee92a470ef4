"""What holds of every set of levels: memory, memory before Redis, Redis alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from framework.errors import CodecError
from framework.plugins.cache import MISSING, Cache, Options, TypedCache
from tests.support.redis import redis_server
from tests.unit.plugins.cache.driver import LEVELS, Source, eventually, opened

__all__ = ["redis_server"]

pytestmark = pytest.mark.anyio


class User(msgspec.Struct, frozen=True):
    name: str
    tags: tuple[str, ...] = ()


class Basket(msgspec.Struct):
    items: list[str]


@pytest.fixture(params=LEVELS)
async def cache(request: pytest.FixtureRequest, anyio_backend: Any) -> AsyncIterator[Cache]:
    server = None if request.param == "memory" else request.getfixturevalue("redis_server")
    async with opened(request.param, server) as made:
        yield made


async def test_what_was_set_is_there_until_it_is_deleted(cache: Cache) -> None:
    assert await cache.get("k") is MISSING
    assert await cache.get("k", 7) == 7
    await cache.set("k", "v")
    assert await cache.get("k") == "v"
    await cache.delete("k")
    assert await cache.get("k") is MISSING


@pytest.mark.parametrize("value", [None, 0, "", False, 0.0, [], {}, b""])
async def test_falsy_values_are_values(cache: Cache, value: Any) -> None:
    source = Source(value)
    for _ in range(3):
        got = await cache.get_or_load("k", source)
        assert got == value
        assert type(got) is type(value)
    assert source.calls == 1
    assert await cache.get("k", "nothing") == value


async def test_a_value_has_its_type(cache: Cache) -> None:
    users: TypedCache[User] = TypedCache(cache, "user", User)
    await users.set("1", User("ann", ("a",)))
    assert await users.get("1") == User("ann", ("a",))
    assert await cache.get("user:1", type=User) == User("ann", ("a",))
    await users.delete("1")
    assert await users.get("1") is MISSING


async def test_c10_nobody_can_change_what_others_get(cache: Cache) -> None:
    async def load() -> Basket:
        return Basket(["tea"])

    one, two = await asyncio.gather(*[cache.get_or_load("b", load, type=Basket) for _ in range(2)])
    one.items.append("poison")
    assert two.items == ["tea"]
    assert (await cache.get("b", type=Basket)).items == ["tea"]
    mine = await cache.get_or_load("d", Source({"a": [1]}))
    mine["a"].append(2)
    assert await cache.get("d") == {"a": [1]}


async def test_a_type_that_would_come_back_as_another_is_refused(cache: Cache) -> None:
    for value in (User("ann"), (1, 2), {1, 2}, object()):
        with pytest.raises(CodecError, match="not cacheable"):
            await cache.set("k", value)


async def test_tags_delete_all_that_have_them(cache: Cache) -> None:
    await cache.set("a", 1, tags=["x", "y"])
    await cache.set("b", 2, tags=["y"])
    await cache.set("c", 3)
    await cache.invalidate("x")
    assert [await cache.get(key, None) for key in "abc"] == [None, 2, 3]
    await cache.set("a", 4, tags=["x"])
    assert await cache.get("a") == 4
    await cache.invalidate("y", "x")
    assert [await cache.get(key, None) for key in "abc"] == [None, None, 3]
    await cache.clear()
    assert await cache.get("c") is MISSING


async def test_one_load_for_all_who_ask(cache: Cache) -> None:
    source = Source("v", held=True)
    asking = [asyncio.ensure_future(cache.get_or_load("k", source)) for _ in range(100)]
    await source.begun.wait()
    source.go.set()
    assert await asyncio.gather(*asking) == ["v"] * 100
    assert source.calls == 1


async def test_a_failure_reaches_all_and_is_not_kept(cache: Cache) -> None:
    source = Source("v", held=True)
    source.error = OSError("down")
    asking = [asyncio.ensure_future(cache.get_or_load("k", source)) for _ in range(3)]
    await source.begun.wait()
    source.go.set()
    assert [str(error) for error in await asyncio.gather(*asking, return_exceptions=True)] == ["down"] * 3
    source.error = None
    assert await cache.get_or_load("k", source) == "v"


async def test_negative_results_have_a_time_of_their_own(cache: Cache) -> None:
    source = Source(None)
    assert await cache.get_or_load("gone", source, negative_ttl=0) is None
    assert await cache.get_or_load("gone", source, negative_ttl=0) is None
    assert source.calls == 2
    await cache.get_or_load("gone", source, negative_ttl=30)
    await cache.get_or_load("gone", source, negative_ttl=30)
    assert source.calls == 3


async def test_a_ttl_may_depend_on_the_value(cache: Cache) -> None:
    source = Source({"keep": 0}, {"keep": 30})
    for _ in range(3):
        await cache.get_or_load("k", source, ttl=lambda value: value["keep"])
    assert source.calls == 2


async def test_values_end(cache: Cache) -> None:
    source = Source(1, 2)
    assert await cache.get_or_load("k", source, ttl=0.02) == 1
    await eventually(lambda: cache.memory.peek("k") is None or cache.get_now("k") is MISSING)
    async with asyncio.timeout(20):
        while await cache.get("k") is not MISSING:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    assert await cache.get_or_load("k", source) == 2


async def test_c1_an_invalidation_during_the_load_wins(cache: Cache) -> None:
    """guava #1881: the loader put the old value back."""
    for invalidate in (
        lambda: cache.delete("k"),
        lambda: cache.invalidate("tag"),
        lambda: cache.clear(),
    ):
        source = Source("old", held=True)
        asking = asyncio.ensure_future(cache.get_or_load("k", source, tags=["tag"]))
        await source.begun.wait()
        await invalidate()
        later = asyncio.ensure_future(cache.get_or_load("k", Source("new"), tags=["tag"]))
        assert await later == "new"
        source.go.set()
        assert await asking == "old"  # it was asked for before
        await eventually(lambda: cache.loading == 0)
        assert await cache.get("k") == "new"
        await cache.clear()


async def test_c1_a_set_during_the_load_wins(cache: Cache) -> None:
    source = Source("old", held=True)
    asking = asyncio.ensure_future(cache.get_or_load("k", source))
    await source.begun.wait()
    await cache.set("k", "new")
    source.go.set()
    await asking
    await eventually(lambda: cache.loading == 0)
    assert await cache.get("k") == "new"


async def test_keys_and_tags_are_checked(cache: Cache) -> None:
    for key in ("", "k" * 1025):
        with pytest.raises(ValueError, match="a key has"):
            await cache.set(key, 1)
        with pytest.raises(ValueError, match="a key has"):
            await cache.get_or_load(key, Source(1))
    for tag in ("", "*", "a\nb", "t" * 201):
        with pytest.raises(ValueError, match="no tag"):
            await cache.invalidate(tag)
        with pytest.raises(ValueError, match="no tag"):
            await cache.get_or_load("k", Source(1), tags=[tag])


async def test_options_are_checked() -> None:
    with pytest.raises(ValueError, match="ttl is 0"):
        Options(ttl=-1)
    with pytest.raises(ValueError, match="soft_timeout needs"):
        Options(soft_timeout=1)
    with pytest.raises(ValueError, match="early_refresh is a part"):
        Options(early_refresh=1.5)
    with pytest.raises(ValueError, match="jitter"):
        Options(jitter=1)
