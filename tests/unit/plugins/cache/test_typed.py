"""Functions whose results are cached, and what values are kept as they are."""

from __future__ import annotations

import enum
import uuid
from typing import Annotated, Any, Literal

import msgspec
import pytest

from framework.errors import SetupError
from framework.plugins.cache import MISSING, Cache, TypedCache, cached
from framework.plugins.cache.values import is_immutable

pytestmark = pytest.mark.anyio


class Kind(enum.Enum):
    A = "a"


class Point(msgspec.Struct, frozen=True):
    x: int
    next: Point | None = None


class Loose(msgspec.Struct, frozen=True):
    items: list[int]


class Open(msgspec.Struct):
    x: int


@pytest.mark.parametrize(
    ("kind", "immutable"),
    [
        (int, True),
        (str | None, True),
        (tuple[int, ...], True),
        (frozenset[str], True),
        (Annotated[int, msgspec.Meta(ge=0)], True),
        (Literal["a", 1], True),
        (Kind, True),
        (uuid.UUID, True),
        (Point, True),
        (tuple[Point, str], True),
        (list[int], False),
        (dict[str, int], False),
        (tuple[list[int], ...], False),
        (Loose, False),
        (Open, False),
        (Any, False),
        (bytearray, False),
    ],
)
def test_only_what_nobody_can_change_is_kept_as_it_is(kind: Any, immutable: bool) -> None:
    assert is_immutable(kind) is immutable


async def test_frozen_values_are_the_same_object() -> None:
    points: TypedCache[Point] = TypedCache(Cache(), "point", Point, ttl=60)
    point = Point(1, Point(2))
    await points.set("p", point)
    assert points.get_now("p") is point


async def test_a_function_is_called_once_for_the_same_arguments() -> None:
    cache = Cache()
    calls: list[tuple[Any, ...]] = []

    @cached("point", cache=cache, ttl=60, tags=lambda x, y=0: [f"x{x}"])
    async def point(x: int, y: int = 0) -> Point:
        calls.append((x, y))
        return Point(x)

    assert await point(1) == Point(1)
    assert await point(1, 0) == await point(x=1) == await point(1, y=0) == Point(1)
    assert calls == [(1, 0)]
    assert await point(2) == Point(2)
    await point.invalidate(1)
    await point(1)
    assert calls == [(1, 0), (2, 0), (1, 0)]
    await cache.invalidate("x2")
    await point(2)
    assert len(calls) == 4
    await point.call(2)
    assert len(calls) == 5
    assert point.__name__ == "point"


async def test_no_argument_can_pretend_to_be_two() -> None:
    @cached("f", cache=Cache())
    async def function(*args: Any, **more: Any) -> int:
        return 0

    keys = {
        function.key(*args, **more)
        for args, more in [
            (("a:b", "c"), {}),
            (("a", "b:c"), {}),
            (('a","b',), {}),
            (("a", "b"), {}),
            ((1,), {}),
            (("1",), {}),
            ((True,), {}),
            ((None,), {}),
            ((), {}),
            ((), {"a": 1}),
            (({"a": 1},), {}),
            (((1, 2),), {}),
            ((1, 2), {}),
        ]
    }
    assert len(keys) == 12  # ((), {"a": 1}) and (({"a": 1},), {}) alone are one


async def test_what_cannot_be_a_key_or_a_function_is_refused() -> None:
    @cached("f", cache=Cache())
    async def function(value: object) -> int:
        return 0

    with pytest.raises(TypeError):
        await function(object())
    with pytest.raises(SetupError, match="no coroutine function"):
        cached("g")(lambda: None)  # type: ignore[arg-type,return-value]

    @cached("h")
    async def unbound() -> int:
        return 1

    with pytest.raises(SetupError, match="not bound to a cache"):
        await unbound()
    unbound.bind(Cache())
    assert await unbound() == 1


async def test_none_is_a_result() -> None:
    calls = 0

    @cached(cache=Cache())
    async def nothing() -> None:
        nonlocal calls
        calls += 1

    await nothing()
    assert await nothing() is None
    assert calls == 1
    assert nothing.cache.get_now(nothing.key()) is not MISSING
