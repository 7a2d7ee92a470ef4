"""The loop in virtual time: it jumps, stands still for what is real, is driven step by step, and hides no error."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
import time

import pytest

from framework.testing import Stuck, VirtualTimeLoop, run_virtual, virtual_loop


def test_a_day_takes_no_time() -> None:
    async def main() -> float:
        await asyncio.sleep(3 * 86_400)
        return asyncio.get_running_loop().time()

    began = time.monotonic()
    assert run_virtual(main()) == pytest.approx(3 * 86_400)
    assert time.monotonic() - began < 5


def test_timers_come_in_their_order() -> None:
    order: list[int] = []

    async def main() -> None:
        await asyncio.gather(*(note(seconds) for seconds in (3, 1, 2)))

    async def note(seconds: int) -> None:
        await asyncio.sleep(seconds)
        order.append(seconds)

    run_virtual(main())
    assert order == [1, 2, 3]


def test_time_stands_still_while_a_thread_works() -> None:
    """Else a deadline would be over before the thread has begun."""
    go_on = threading.Event()

    async def main() -> tuple[bool, float]:
        loop = asyncio.get_running_loop()
        loop.call_later(0.0, go_on.set)
        async with asyncio.timeout(0.001):
            done = await asyncio.to_thread(go_on.wait, 10)
        return done, loop.time()

    assert run_virtual(main()) == (True, 0.0)


def test_time_stands_still_outside() -> None:
    async def main() -> bytes:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        here, there = socket.socketpair()
        with here, there:
            here.setblocking(False)
            sender = threading.Timer(0.01, there.send, [b"real"])
            sender.start()
            with loop.outside():
                async with asyncio.timeout(0.001):
                    data = await loop.sock_recv(here, 10)
            sender.join()
        return data

    assert run_virtual(main()) == b"real"


def test_what_would_spin_for_ever_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framework.testing.clock._MAX_SPINS", 1000)

    async def main(turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        await asyncio.sleep(1)

    run_virtual(main(900))
    with pytest.raises(Stuck, match="no time passed"):
        run_virtual(main(2000))


def test_an_error_that_nobody_looks_at_fails_the_run() -> None:
    async def lost() -> None:
        raise LookupError("nobody sees me")

    async def main() -> None:
        task = asyncio.create_task(lost())
        await asyncio.sleep(1)
        del task
        gc.collect()

    with pytest.raises(AssertionError, match=r"errors that nobody handled:\n.*nobody sees me") as caught:
        run_virtual(main())
    assert isinstance(caught.value.__cause__, LookupError)


def test_a_loop_is_driven_step_by_step() -> None:
    ticks: list[float] = []
    with virtual_loop() as loop:
        began = loop.time()
        for seconds in (1, 2, 3):
            loop.call_later(seconds, lambda: ticks.append(loop.time() - began))
        loop.settle()
        assert (ticks, loop.time()) == ([], began)
        loop.advance(2)
        assert (ticks, loop.time()) == ([1, 2], began + 2)
        loop.advance(0.5)
        assert (ticks, loop.time()) == ([1, 2], began + 2.5)
        assert loop.run(asyncio.sleep(10, "slept")) == "slept"
        assert (ticks, loop.time()) == ([1, 2, 3], began + 12.5)
        loop.call(ticks.append, 0.0)
        assert ticks[-1] == 0.0


def test_a_task_left_behind_fails_the_test() -> None:
    with pytest.raises(AssertionError, match="tasks left behind"), virtual_loop() as loop:
        forgotten = loop.create_task(asyncio.sleep(5))
    assert forgotten.cancelled()
