"""What every session store does; and the bounds of the one in memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from framework.middleware.session_store import MemorySessionStore, SessionStore

pytestmark = pytest.mark.anyio


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=[MemorySessionStore])
def store(request: pytest.FixtureRequest, clock: Clock) -> SessionStore:
    """Each engine, on the same clock."""
    make: Callable[..., SessionStore] = request.param
    return make(clock=clock)


async def test_a_session_begins_and_is_read(store: SessionStore) -> None:
    assert await store.get("a") is None
    assert await store.set("a", {"x": b"1", "gone": None}, ttl=10, created=5.0)
    assert await store.get("a") == (5.0, {"x": b"1"})
    assert await store.get("b") is None


async def test_only_the_values_named_change(store: SessionStore) -> None:
    await store.set("a", {"x": b"1", "y": b"2"}, ttl=10, created=5.0)
    assert await store.set("a", {"y": None, "z": b"3"}, ttl=10)
    assert await store.get("a") == (5.0, {"x": b"1", "z": b"3"})


async def test_no_write_brings_a_session_back(store: SessionStore) -> None:
    assert not await store.set("a", {"x": b"1"}, ttl=10)
    assert await store.get("a") is None
    assert not await store.touch("a", ttl=10)
    assert not await store.delete("a")


async def test_a_session_that_begins_holds_nothing_of_an_earlier_one(store: SessionStore) -> None:
    await store.set("a", {"x": b"1"}, ttl=10, created=5.0)
    await store.set("a", {"y": b"2"}, ttl=10, created=6.0)
    assert await store.get("a") == (6.0, {"y": b"2"})


async def test_sessions_end(store: SessionStore, clock: Clock) -> None:
    await store.set("a", {"x": b"1"}, ttl=10, created=5.0)
    clock.now += 9
    assert await store.get("a") is not None
    clock.now += 1
    assert await store.get("a") is None
    assert not await store.set("a", {"x": b"1"}, ttl=10)
    assert not await store.delete("a")


async def test_touch_and_set_put_the_end_off(store: SessionStore, clock: Clock) -> None:
    await store.set("a", {"x": b"1"}, ttl=10, created=5.0)
    clock.now += 9
    assert await store.touch("a", ttl=20)
    clock.now += 19
    assert await store.set("a", {}, ttl=5)
    clock.now += 4
    assert await store.delete("a")
    assert await store.get("a") is None


async def test_what_was_read_is_a_copy(store: SessionStore) -> None:
    await store.set("a", {"x": b"1"}, ttl=10, created=5.0)
    before = await store.get("a")
    await store.set("a", {"x": b"2"}, ttl=10)
    assert before == (5.0, {"x": b"1"})


async def test_memory_is_bounded(clock: Clock) -> None:
    """What was not asked for the longest goes first."""
    store = MemorySessionStore(3, clock=clock)
    for key in "abc":
        await store.set(key, {}, ttl=10, created=0.0)
    await store.get("a")
    await store.set("d", {}, ttl=10, created=0.0)
    assert [key for key in "abcd" if await store.get(key)] == ["a", "c", "d"]
    assert len(store) == 3


async def test_expired_sessions_make_room(clock: Clock) -> None:
    store = MemorySessionStore(10, clock=clock)
    for key in "abc":
        await store.set(key, {}, ttl=10, created=0.0)
    clock.now += 10
    await store.set("d", {}, ttl=10, created=0.0)
    assert len(store) == 1


async def test_a_session_without_a_future_is_not_kept(clock: Clock) -> None:
    store = MemorySessionStore(clock=clock)
    await store.set("a", {}, ttl=0, created=0.0)
    assert len(store) == 0


def test_a_store_holds_at_least_one() -> None:
    with pytest.raises(ValueError, match="at least one"):
        MemorySessionStore(0)
