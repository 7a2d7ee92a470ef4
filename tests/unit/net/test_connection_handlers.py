"""What a handler may do with asyncio and anyio: all of it, in its first step as after any other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from framework.http.request import Request
from framework.http.response import Response
from tests.support.harness import Harness, harness, request_bytes
from tests.support.replies import Reply

Probe = Callable[[], Awaitable[object]]


def outcome(server: Harness, probe: Probe, *, suspend_first: bool = False, seconds: float = 60.0) -> Reply:
    """The reply to a request whose handler runs ``probe``, in its first step or after it was suspended."""

    async def handler(request: Request) -> Response:
        if suspend_first:
            await asyncio.sleep(0.001)
        return Response(repr(await probe()))

    server.app.add("/probe", handler, timeout=None)
    client = server.connect()
    client.send(request_bytes("GET", "/probe"))
    server.advance(seconds)
    return client.reply()


def cancelling() -> int:
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


async def sleeps() -> str:
    await asyncio.sleep(3)
    return "slept"


async def times_out() -> str:
    try:
        async with asyncio.timeout(2):
            await asyncio.sleep(100)
    except TimeoutError:
        return f"timed out, cancelling {cancelling()}"
    return "slept through"


async def times_out_at_once() -> str:
    try:
        async with asyncio.timeout(0):
            await asyncio.sleep(100)
    except TimeoutError:
        return "timed out"
    return "slept through"


async def a_timeout_that_is_kept() -> str:
    async with asyncio.timeout(5):
        await asyncio.sleep(1)
    await asyncio.sleep(10)
    return "kept"


async def waits_for() -> str:
    try:
        await asyncio.wait_for(asyncio.sleep(100), 1)
    except TimeoutError:
        return "timed out"
    return "no"


async def value_after(seconds: float, value: int) -> int:
    await asyncio.sleep(seconds)
    return value


async def groups() -> list[int]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(value_after(i / 10, i)) for i in range(3)]
    return [task.result() for task in tasks]


async def a_group_that_fails() -> str:
    async def fails() -> None:
        raise ValueError("in a child")

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(fails())
            await asyncio.sleep(100)
    except ExceptionGroup as error:
        return f"{error.exceptions} {cancelling()}"
    return "no"


async def gathers() -> list[int]:
    return list(await asyncio.gather(value_after(0.2, 1), value_after(0.1, 2)))


async def shields() -> str:
    inner = asyncio.ensure_future(value_after(5, 7))
    try:
        async with asyncio.timeout(1):
            await asyncio.shield(inner)
    except TimeoutError:
        return f"shielded {await inner}"
    return "no"


async def locks_and_queues() -> str:
    lock, queue, event = asyncio.Lock(), asyncio.Queue[int](), asyncio.Event()
    async with asyncio.TaskGroup() as group:

        async def feed() -> None:
            async with lock:
                await asyncio.sleep(1)
                await queue.put(1)
                event.set()

        group.create_task(feed())
        await event.wait()
        async with lock:
            return f"got {await queue.get()}"


async def same_task() -> bool:
    first = asyncio.current_task()
    await asyncio.sleep(0)
    second = asyncio.current_task()
    await asyncio.sleep(1)
    return first is second is asyncio.current_task() is not None


async def cancels_itself() -> str:
    task = asyncio.current_task()
    assert task is not None
    task.cancel("by myself")
    try:
        await asyncio.sleep(100)
    except asyncio.CancelledError as error:
        task.uncancel()
        await asyncio.sleep(1)
        return f"cancelled {error.args} and alive"
    return "slept through"


async def cancels_itself_and_sleeps_a_turn() -> str:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        task.uncancel()
        return "cancelled"
    return "slept through"


async def a_child_cancels_its_parent() -> str:
    parent = asyncio.current_task()
    assert parent is not None

    async def child() -> None:
        parent.cancel("by a child")

    kept = asyncio.ensure_future(child())
    waiter = asyncio.get_running_loop().create_future()
    try:
        await waiter
    except asyncio.CancelledError as error:
        parent.uncancel()
        await kept
        return f"{error.args} {waiter.cancelled()}"
    return "no"


async def anyio_fails_after() -> str:
    try:
        with anyio.fail_after(1):
            await anyio.sleep(100)
    except TimeoutError:
        return "timed out"
    return "no"


async def anyio_moves_on() -> str:
    with anyio.move_on_after(1) as scope:
        await anyio.sleep(100)
    await anyio.sleep(1)
    return f"{scope.cancelled_caught} {cancelling()}"


async def anyio_cancels_at_once() -> str:
    with anyio.CancelScope() as scope:
        scope.cancel()
        await anyio.sleep(100)
    return f"{scope.cancelled_caught}"


async def anyio_groups() -> str:
    seen: list[int] = []

    async def child(number: int) -> None:
        await anyio.sleep(number)
        seen.append(number)

    async with anyio.create_task_group() as group:
        for number in range(3):
            group.start_soon(child, number)
    return repr(seen)


async def anyio_shields() -> str:
    with anyio.move_on_after(1) as scope:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(5)
        await anyio.sleep(100)
    return f"{scope.cancelled_caught}"


@pytest.mark.parametrize("suspend_first", [False, True], ids=["in the first step", "after a suspension"])
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        (sleeps, "'slept'"),
        (times_out, "'timed out, cancelling 0'"),
        (times_out_at_once, "'timed out'"),
        (a_timeout_that_is_kept, "'kept'"),
        (waits_for, "'timed out'"),
        (groups, "[0, 1, 2]"),
        (a_group_that_fails, "\"(ValueError('in a child'),) 0\""),
        (gathers, "[1, 2]"),
        (shields, "'shielded 7'"),
        (locks_and_queues, "'got 1'"),
        (same_task, "True"),
        (cancels_itself, "\"cancelled ('by myself',) and alive\""),
        (cancels_itself_and_sleeps_a_turn, "'cancelled'"),
        (a_child_cancels_its_parent, "\"('by a child',) True\""),
        (anyio_fails_after, "'timed out'"),
        (anyio_moves_on, "'True 0'"),
        (anyio_cancels_at_once, "'True'"),
        (anyio_groups, "'[0, 1, 2]'"),
        (anyio_shields, "'True'"),
    ],
)
def test_primitives(probe: Probe, expected: str, suspend_first: bool) -> None:
    with harness() as server:
        for _ in range(2):  # the second time perhaps in a Task that was used before
            reply = outcome(server, probe, suspend_first=suspend_first)
            assert (reply.status, reply.body.decode()) == (200, expected)


def test_current_task_differs_between_requests_under_way_at_once() -> None:
    seen: list[asyncio.Task[Any] | None] = []

    async def handler(request: Request) -> Response:
        seen.append(asyncio.current_task())
        await asyncio.sleep(1)
        return Response()

    with harness(handler) as server:
        for _ in range(5):
            server.connect().send(request_bytes())
        server.advance(1)
    assert len(set(seen)) == 5


def test_a_plain_handler_runs_in_a_task_too() -> None:
    seen: list[object] = []

    def handler(request: Request) -> Response:
        seen.append(asyncio.current_task())
        return Response("plain")

    with harness(handler, options={"is_async": False}) as server:
        assert server.connect().get().body == b"plain"
    assert isinstance(seen[0], asyncio.Task)
