from __future__ import annotations

import asyncio
from contextvars import ContextVar, copy_context

import pytest

from framework.errors import ResourceError
from framework.net.background import Background
from framework.testing import virtual_loop

NAME: ContextVar[str] = ContextVar("name", default="nobody")


def test_sync_and_async_work_runs_and_its_owner_knows() -> None:
    done: list[str] = []
    errors: list[BaseException] = []

    async def slow(name: str) -> None:
        await asyncio.sleep(1)
        done.append(name)

    with virtual_loop() as loop:
        background = Background(errors.append)

        def begin() -> None:
            background.spawn(done.append, "sync")
            background.spawn(slow, "async")

        loop.call(begin)
        assert done == ["sync"]
        assert len(background) == 1
        loop.run(background.drain())
        assert done == ["sync", "async"]
        assert len(background) == 0
    assert errors == []


def test_a_failure_is_told_and_stops_nothing() -> None:
    errors: list[BaseException] = []
    with virtual_loop() as loop:
        background = Background(errors.append)
        loop.call(background.spawn, lambda: 1 / 0)
        loop.run(background.drain())
    assert [type(error) for error in errors] == [ZeroDivisionError]


def test_it_is_bounded() -> None:
    with virtual_loop() as loop:
        background = Background(lambda error: None, max_tasks=2)

        def begin() -> None:
            background.spawn(asyncio.sleep, 1)
            background.spawn(asyncio.sleep, 1)
            with pytest.raises(ResourceError, match="2 background tasks"):
                background.spawn(asyncio.sleep, 1)

        loop.call(begin)
        loop.run(background.drain())


def test_drain_waits_for_work_that_begins_meanwhile() -> None:
    done: list[str] = []
    with virtual_loop() as loop:
        background = Background(lambda error: None)

        async def parent() -> None:
            await asyncio.sleep(1)
            background.spawn(child)

        async def child() -> None:
            await asyncio.sleep(1)
            done.append("child")

        loop.call(background.spawn, parent)
        loop.run(background.drain())
    assert done == ["child"]


def test_cancel_ends_what_is_under_way() -> None:
    errors: list[BaseException] = []
    with virtual_loop() as loop:
        background = Background(errors.append)
        loop.call(background.spawn, asyncio.sleep, 1000)
        began = loop.time()
        assert background.cancel() == 1
        loop.run(background.drain())
        assert loop.time() == began
        assert background.cancel() == 0
    assert errors == [], "a cancellation is no failure"


def test_it_runs_in_the_context_it_is_given() -> None:
    seen: list[str] = []
    with virtual_loop() as loop:
        background = Background(lambda error: None)
        NAME.set("loop")
        mine = copy_context()
        mine.run(NAME.set, "request")
        loop.call(lambda: background.spawn(lambda: seen.append(NAME.get()), context=mine))
    assert seen == ["request"]
