"""The pump: what is ready at once, and a source that nobody interrupts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from framework.http.pump import Pump

pytestmark = pytest.mark.anyio


async def numbers(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


class Gate:
    """A source that yields what a test lets through, and tells what becomes of it."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[int] = asyncio.Queue()
        self.tasks: set[asyncio.Task[None] | None] = set()
        self.begun = asyncio.Event()
        self.closed = False

    async def items(self) -> AsyncIterator[int]:
        try:
            while True:
                self.tasks.add(asyncio.current_task())
                self.begun.set()
                async with asyncio.timeout(None):
                    yield await self.queue.get()
        finally:
            self.tasks.add(asyncio.current_task())
            self.closed = True


async def test_takes_all_that_is_ready() -> None:
    pump = Pump(numbers(5))
    assert await pump.take() == [0, 1, 2, 3, 4]
    assert await pump.take() is None
    assert await pump.take() is None
    await pump.close()


async def test_is_only_so_far_ahead() -> None:
    made: list[int] = []

    async def source() -> AsyncIterator[int]:
        for number in range(7):
            made.append(number)
            yield number

    pump = Pump(source(), ahead=3)
    assert await pump.take() == [0, 1, 2]
    assert made == [0, 1, 2]
    assert await pump.take() == [3, 4, 5]
    assert await pump.take() == [6]
    assert await pump.take() is None


async def test_a_wait_that_ends_loses_nothing_and_interrupts_nothing() -> None:
    gate = Gate()
    pump = Pump(gate.items())
    assert await pump.take(0.001) == []
    assert await pump.take(0.001) == []
    gate.queue.put_nowait(1)
    assert await pump.take(60.0) == [1]
    assert not gate.closed
    await pump.close()
    assert gate.closed


async def test_the_source_lives_in_one_task() -> None:
    gate = Gate()
    pump = Pump(gate.items())
    for number in range(3):
        gate.queue.put_nowait(number)
        assert await pump.take() == [number]
    await pump.close()
    assert len(gate.tasks) == 1
    assert asyncio.current_task() not in gate.tasks


async def test_a_wait_can_be_ended() -> None:
    gate = Gate()
    pump = Pump(gate.items())
    taker = asyncio.ensure_future(pump.take())
    await gate.begun.wait()
    pump.wake()
    assert await taker == []
    pump.wake()
    await pump.close()


async def test_an_error_comes_after_the_items_before_it() -> None:
    async def source() -> AsyncIterator[int]:
        yield 1
        yield 2
        raise LookupError("gone")

    pump = Pump(source())
    assert await pump.take() == [1, 2]
    with pytest.raises(LookupError, match="gone"):
        await pump.take()
    await pump.close()


async def test_a_cancelled_wait_loses_nothing() -> None:
    gate = Gate()
    pump = Pump(gate.items())
    taker = asyncio.ensure_future(pump.take())
    await gate.begun.wait()
    taker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taker
    gate.queue.put_nowait(1)
    assert await pump.take() == [1]
    await pump.close()


async def test_closing_waits_for_the_clean_up() -> None:
    done: list[str] = []

    async def source() -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            done.append("cleaned up")

    pump = Pump(source())
    assert await pump.take() == [1]
    await pump.close()
    assert done == ["cleaned up"]
    await pump.close()


async def test_a_source_that_waits_for_room_is_closed_too() -> None:
    gate = Gate()
    for number in range(3):
        gate.queue.put_nowait(number)
    pump = Pump(gate.items(), ahead=1)
    assert await pump.take() == [0]
    await asyncio.sleep(0)
    await pump.close()
    assert gate.closed


@pytest.mark.parametrize("started", [False, True])
async def test_closing_before_the_first_item(started: bool) -> None:
    class Source:
        closed = 0

        def __aiter__(self) -> Source:
            return self

        async def __anext__(self) -> int:
            raise NotImplementedError

        async def aclose(self) -> None:
            self.closed += 1

    source = Source()
    pump: Pump[int] = Pump(source)
    if started:
        taker = asyncio.ensure_future(pump.take())
        await asyncio.sleep(0)  # the pump's task is made, but has not taken a step
        taker.cancel()
        await asyncio.gather(taker, return_exceptions=True)
    await pump.close()
    assert source.closed >= 1
