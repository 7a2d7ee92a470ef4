"""Observed bodies tell what went out and how it ended, once, whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing

import pytest

from framework.errors import DeadlineExceeded, HTTPError, RemoteProtocolError, ResourceError
from framework.middleware.observed import ObservedBody, answered

pytestmark = pytest.mark.anyio


class Watch(ObservedBody):
    """Notes everything."""

    def __init__(self, content: AsyncIterable[bytes | str]) -> None:
        super().__init__(content)
        self.log: list[object] = []

    def enter(self) -> int:
        self.log.append("enter")
        return len(self.log)

    def leave(self, entered: int) -> None:
        assert self.log[entered - 1] == "enter"
        self.log.append("leave")

    def began(self) -> None:
        self.log.append("began")

    def ended(self, error: BaseException | None) -> None:
        self.log.append(("ended", self.sent, error))


async def two(fail: Exception | None = None) -> AsyncGenerator[bytes | str]:
    yield b"abc"
    yield "é"
    if fail is not None:
        raise fail


async def test_a_body_that_ends() -> None:
    watch = Watch(two())
    assert [piece async for piece in watch] == [b"abc", "é".encode()]
    assert watch.log == ["enter", "leave", "began", "enter", "leave", "enter", ("ended", 5, None), "leave"]
    await watch.aclose()
    assert watch.log[-2:] == ["enter", "leave"]


async def test_a_body_that_fails() -> None:
    error = ValueError()
    watch = Watch(two(error))
    with pytest.raises(ValueError, match=r"^$"):
        async for _ in watch:
            pass
    await watch.aclose()
    assert [each for each in watch.log if isinstance(each, tuple)] == [("ended", 5, error)]


async def test_a_body_that_is_closed_in_the_middle() -> None:
    closed = False

    async def content() -> AsyncGenerator[bytes]:
        nonlocal closed
        try:
            yield b"a"
            yield b"b"
        finally:
            closed = True

    watch = Watch(content())
    async with aclosing(watch):
        assert await anext(watch) == b"a"
    assert closed
    assert watch.log == ["enter", "leave", "began", "enter", "leave", ("ended", 1, None)]


async def test_a_body_that_nobody_asks_for() -> None:
    inner = two()
    watch = Watch(inner)
    await watch.aclose()
    assert watch.log == ["enter", "leave", ("ended", 0, None)]
    with pytest.raises(StopAsyncIteration):
        await anext(inner)


async def test_what_cannot_be_closed_need_not_be() -> None:
    class Plain:
        def __aiter__(self) -> Plain:
            return self

        async def __anext__(self) -> bytes:
            return b"x"

    watch = Watch(Plain())
    assert await anext(watch) == b"x"
    await watch.aclose()
    assert watch.log[-1] == ("ended", 1, None)


async def test_an_error_in_closing_is_told() -> None:
    async def content() -> AsyncGenerator[bytes]:
        try:
            yield b"a"
        finally:
            raise OSError("late")

    watch = Watch(content())
    await anext(watch)
    with pytest.raises(OSError, match="late"):
        await watch.aclose()
    ended = watch.log[-1]
    assert isinstance(ended, tuple)
    assert isinstance(ended[2], OSError)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (None, 201),
        (asyncio.CancelledError(), 201),
        (HTTPError(404), 404),
        (RemoteProtocolError("x", 408), 408),
        (DeadlineExceeded("x", 1), 504),
        (ResourceError("x"), 503),
        (ValueError(), 500),
    ],
)
async def test_what_is_answered_for_an_error(error: BaseException | None, status: int) -> None:
    assert answered(201, error) == status
