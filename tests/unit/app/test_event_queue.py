"""The bounded queue: places and turns, draining, stopping, and a cancellation at every await."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from framework.app.event_queue import EventQueue
from framework.errors import DeadlineExceeded, ResourceError

pytestmark = pytest.mark.anyio


async def turns(count: int = 1) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


class Gate:
    """A receiver that holds each event until it is let through."""

    def __init__(self, *, is_open: bool = False) -> None:
        self.seen: list[object] = []
        self.done: list[object] = []
        self.permits = asyncio.Semaphore(1_000_000 if is_open else 0)

    async def __call__(self, event: object) -> None:
        self.seen.append(event)
        await self.permits.acquire()
        self.done.append(event)

    async def let(self, count: int) -> None:
        for _ in range(count):
            self.permits.release()
        await turns(3 * count + 3)


def queue_to(gate: Any, *, max_queued: int = 2, stop_timeout: float = 10.0) -> EventQueue:
    return EventQueue(gate, max_queued=max_queued, stop_timeout=stop_timeout)


@asynccontextmanager
async def running(gate: Gate, **options: Any) -> AsyncIterator[EventQueue]:
    queue = queue_to(gate, **options)
    queue.start()
    try:
        yield queue
    finally:
        for _ in range(1000):
            gate.permits.release()
        await queue.stop()


async def test_events_are_delivered_one_after_the_other() -> None:
    gate = Gate()
    async with running(gate) as queue:
        queue.post(1)
        await turns()
        queue.post(2)
        queue.post(3)
        await turns(3)
        assert (gate.seen, gate.done) == ([1], [])
        await gate.let(2)
        assert (gate.seen, gate.done) == ([1, 2, 3], [1, 2])


async def test_a_full_queue_refuses_a_post() -> None:
    gate = Gate()
    async with running(gate) as queue:
        queue.post(1)
        queue.post(2)
        with pytest.raises(ResourceError, match=r"full \(2 events\)"):
            queue.post(3)
        await gate.let(2)
        queue.post(3)
    assert gate.done == [1, 2, 3]


async def test_events_posted_before_the_start_are_delivered_after_it() -> None:
    gate = Gate(is_open=True)
    queue = queue_to(gate)
    queue.post(1)
    with pytest.raises(ResourceError, match="not running"):
        await queue.drain(1)
    queue.start()
    await queue.drain(10)
    assert gate.done == [1]
    await queue.stop()


async def test_senders_get_their_turn_in_the_order_they_came() -> None:
    gate = Gate()
    async with running(gate, max_queued=1) as queue:
        queue.post(1)
        await turns()
        queue.post(2)
        senders = [asyncio.ensure_future(queue.put(number, None)) for number in (3, 4, 5)]
        await turns(2)
        assert not any(sender.done() for sender in senders)
        await gate.let(1)
        # The place that came free is the first sender's; a post cannot slip in before the others.
        with pytest.raises(ResourceError):
            queue.post("in between")
        assert [sender.done() for sender in senders] == [True, False, False]
        await gate.let(4)
        await asyncio.gather(*senders)
    assert gate.done == [1, 2, 3, 4, 5]


async def test_put_takes_a_free_place_at_once() -> None:
    async with running(Gate()) as queue:
        putting = queue.put(1, None)
        with pytest.raises(StopIteration):
            putting.send(None)


async def test_put_gives_up_at_its_deadline_and_leaves_nothing_behind() -> None:
    gate = Gate()
    async with running(gate, max_queued=1) as queue:
        queue.post(1)
        await turns()
        queue.post(2)
        with pytest.raises(DeadlineExceeded, match="a place in the event queue took longer than 0 s"):
            await queue.put(3, 0.0)
        assert queue._waiting == {}
    assert gate.done == [1, 2]


async def test_a_cancellation_of_put_at_every_turn_loses_no_place() -> None:
    outcomes: set[tuple[bool, bool]] = set()
    for turn in range(12):
        gate = Gate()
        async with running(gate, max_queued=1) as queue:
            queue.post(1)
            await turns()
            queue.post(2)
            first = asyncio.ensure_future(queue.put("first", None))
            second = asyncio.ensure_future(queue.put("second", None))
            gate.permits.release()
            await turns(turn)
            first.cancel()
            await gate.let(5)
            await asyncio.wait([first, second])
            assert not second.cancelled()
            assert queue._waiting == {}
            assert gate.done in ([1, 2, "first", "second"], [1, 2, "second"])
            assert first.cancelled() or "first" in gate.done
            outcomes.add((first.cancelled(), "first" in gate.done))
    assert (True, False) in outcomes
    assert (False, True) in outcomes


async def test_a_place_that_comes_with_the_deadline_is_taken() -> None:
    gate = Gate()
    queue = queue_to(gate, max_queued=1)
    queue.post(1)
    putting = asyncio.ensure_future(queue.put(2, 0.0))
    await turns()
    # The deadline's callback and the worker run in the same turn; the place is there before the sender wakes.
    queue._queue.popleft()
    queue._admit()
    await putting
    assert list(queue._queue) == [2]


async def test_the_worker_cannot_wait_for_a_place_that_only_it_can_free() -> None:
    refused: list[str] = []

    async def sends(event: object) -> None:
        if event == 1:
            await queue.put("more", None)
            with pytest.raises(ResourceError) as caught:
                await queue.put("too many", None)
            refused.append(str(caught.value))

    queue = queue_to(sends, max_queued=1)
    queue.start()
    queue.post(1)
    await queue.stop()
    assert refused == ["the event queue is full (1 events)"]


async def test_events_that_post_events_do_not_starve_the_loop() -> None:
    seen: list[object] = []

    async def chain(event: object) -> None:
        seen.append(event)
        if not enough:
            queue.post(event)

    enough: list[bool] = []
    queue = queue_to(chain)
    queue.start()
    queue.post(1)
    await turns(10)
    assert 1 <= len(seen) <= 10
    enough.append(True)
    await queue.stop()


@pytest.mark.parametrize("queued", [1, 2])
async def test_a_receiver_that_swallows_the_end_of_the_worker_does_not_keep_it(queued: int) -> None:
    tasks, seen = asyncio.all_tasks(), list[object]()

    async def stubborn(event: object) -> None:
        seen.append(event)
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            await turns(2)

    queue = queue_to(stubborn, stop_timeout=0.0)
    queue.start()
    for number in range(queued):
        queue.post(number)
    await turns()
    with pytest.raises(DeadlineExceeded):
        await queue.stop()
    await turns(5)
    assert asyncio.all_tasks() == tasks
    assert seen == [0]


async def test_drain_waits_for_what_listeners_post_meanwhile() -> None:
    seen: list[object] = []

    async def chain(event: object) -> None:
        await turns()
        seen.append(event)
        if isinstance(event, int) and event < 3:
            queue.post(event + 1)

    queue = queue_to(chain)
    queue.start()
    await queue.drain(10)
    queue.post(1)
    await queue.drain(10)
    assert seen == [1, 2, 3]
    await queue.stop()
    await queue.drain(10)


async def test_drain_gives_up_at_its_deadline_and_the_events_stay() -> None:
    gate = Gate()
    async with running(gate) as queue:
        queue.post(1)
        await turns()
        queue.post(2)
        with pytest.raises(DeadlineExceeded, match="delivery of 2 queued events took longer than 0 s"):
            await queue.drain(0.0)
    assert gate.done == [1, 2]


async def test_stop_delivers_what_is_queued_and_what_is_posted_by_listeners() -> None:
    seen: list[object] = []

    async def chain(event: object) -> None:
        await turns()
        seen.append(event)
        if event == 1:
            queue.post("from a listener")

    queue = queue_to(chain)
    queue.start()
    queue.post(1)
    await queue.stop()
    assert seen == [1, "from a listener"]
    with pytest.raises(ResourceError, match="stopped"):
        queue.post(2)
    with pytest.raises(ResourceError, match="stopped"):
        await queue.put(2, None)
    await queue.stop()


async def test_others_cannot_post_while_it_stops() -> None:
    gate = Gate()
    queue = queue_to(gate)
    queue.start()
    queue.post(1)
    stopping = asyncio.ensure_future(queue.stop())
    await turns(2)
    with pytest.raises(ResourceError, match="stopped"):
        queue.post(2)
    await gate.let(1)
    await stopping
    assert gate.done == [1]


async def test_stop_drops_at_its_deadline_what_is_stuck_and_says_so() -> None:
    gate, tasks = Gate(), asyncio.all_tasks()
    queue = queue_to(gate, max_queued=1, stop_timeout=0.0)
    queue.start()
    queue.post(1)
    await turns()
    queue.post(2)
    waiting = asyncio.ensure_future(queue.put(3, None))
    await turns()
    with pytest.raises(DeadlineExceeded, match="delivery of 3 queued events"):
        await queue.stop()
    with pytest.raises(ResourceError, match="stopped"):
        await waiting
    await turns(2)
    assert gate.done == []
    assert asyncio.all_tasks() == tasks


async def test_a_cancellation_of_stop_at_every_turn_leaves_no_worker() -> None:
    tasks = asyncio.all_tasks()
    for turn in range(8):
        gate = Gate()
        queue = queue_to(gate)
        queue.start()
        queue.post(1)
        stopping = asyncio.ensure_future(queue.stop())
        await turns(turn)
        stopping.cancel()
        await asyncio.wait([stopping])
        assert stopping.cancelled()
        if turn:
            await turns(2)
            assert asyncio.all_tasks() == tasks
        else:
            # Cancelled before its first step, stop has not begun; a second one ends the worker.
            gate.permits.release()
            await queue.stop()


@pytest.mark.parametrize("turn", range(4))
async def test_a_sender_cancelled_in_the_turn_of_the_stop(turn: int) -> None:
    gate = Gate()
    queue = queue_to(gate, max_queued=1, stop_timeout=0.0)
    queue.start()
    queue.post(1)
    await turns()
    queue.post(2)
    sender = asyncio.ensure_future(queue.put(3, None))
    await turns()
    stopping = asyncio.ensure_future(queue.stop())
    await turns(turn)
    sender.cancel()
    with pytest.raises(DeadlineExceeded):
        await stopping
    await asyncio.wait([sender])
    assert sender.cancelled() or isinstance(sender.exception(), ResourceError)
    assert queue._waiting == {}


async def test_it_starts_again_after_a_stop_and_in_another_loop() -> None:
    gate = Gate(is_open=True)
    queue = queue_to(gate)
    for number in range(2):
        queue.start()
        with pytest.raises(RuntimeError, match="already running"):
            queue.start()
        queue.post(number)
        await queue.drain(10)
        await queue.stop()
    assert gate.done == [0, 1]


def test_one_loop_after_the_other() -> None:
    seen: list[object] = []

    async def receive(event: object) -> None:
        seen.append(event)

    queue = queue_to(receive)

    async def session(number: int) -> None:
        queue.start()
        await turns()
        queue.post(number)
        await queue.drain(10)
        await queue.stop()

    for number in range(2):
        asyncio.run(session(number))
    assert seen == [0, 1]


async def test_the_worker_cannot_wait_for_itself() -> None:
    failures: list[str] = []

    async def waits(event: object) -> None:
        for call in (queue.drain(None), queue.stop()):
            try:
                await call
            except RuntimeError as error:
                failures.append(str(error))

    queue = queue_to(waits)
    queue.start()
    queue.post(1)
    await queue.drain(10)
    await queue.stop()
    assert failures == [
        "a listener of a queued event cannot drain the bus, which waits for it",
        "a listener of a queued event cannot stop the bus, which waits for it",
    ]
