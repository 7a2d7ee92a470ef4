"""Handlers in threads: cancelled, abandoned, waited for, never without bound."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import pytest

from framework.app.binding.threads import in_thread

pytestmark = pytest.mark.anyio

USER: ContextVar[str] = ContextVar("USER")


class Gate:
    """A handler that stands still until it is let through."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.begun = asyncio.Event()
        self.open = threading.Event()
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        self.loop.call_soon_threadsafe(self.begun.set)
        assert self.open.wait(10)
        return "through"


async def test_results_errors_and_context_cross_over() -> None:
    def handler(a: int, *, handler: str) -> tuple[int, str, str]:
        return a, handler, USER.get()

    def fails() -> None:
        raise LookupError("inside")

    USER.set("ann")
    assert await in_thread(handler, True, 1, handler="x") == (1, "x", "ann")
    with pytest.raises(LookupError, match="inside"):
        await in_thread(fails, True)


async def test_a_cancelled_request_leaves_its_thread_to_itself() -> None:
    gate = Gate()
    task = asyncio.ensure_future(in_thread(gate, True))
    await gate.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.open.set()


async def test_a_cancelled_request_waits_for_what_would_be_closed_under_its_thread() -> None:
    gate = Gate()
    task = asyncio.ensure_future(in_thread(gate, False))
    await gate.begun.wait()
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    gate.open.set()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("abandon", [True, False])
async def test_clients_who_come_and_go_start_no_threads_without_bound(abandon: bool) -> None:
    loop = asyncio.get_running_loop()
    executor = ThreadPoolExecutor(max_workers=1)
    loop.set_default_executor(executor)
    first, later = Gate(), Gate()
    busy = asyncio.ensure_future(in_thread(first, True))
    await first.begun.wait()
    waiting = [asyncio.ensure_future(in_thread(later, abandon)) for _ in range(5)]
    await asyncio.sleep(0)
    for task in (busy, *waiting):
        task.cancel()
    for _ in range(3):
        await asyncio.sleep(0)
    first.open.set()
    results = await asyncio.gather(busy, *waiting, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    assert later.calls == 0
    later.open.set()
    assert await in_thread(later, abandon) == "through"
