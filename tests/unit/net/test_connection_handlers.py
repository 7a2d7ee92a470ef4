"""What a handler may do with asyncio and anyio: all of it, in its first step as after any other."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import traceback
import weakref
from collections.abc import Awaitable, Callable, Generator
from typing import Any, cast

import anyio
import pytest

from framework.http.request import Request
from framework.http.response import Response, StreamingResponse
from tests.support.harness import App, Client, Harness, harness, request_bytes
from tests.support.replies import Reply

Probe = Callable[[], Awaitable[object]]

NUMBER: contextvars.ContextVar[int] = contextvars.ContextVar("number", default=0)


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


# -- context variables ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suspends", [False, True])
def test_context_variables_do_not_leak_to_the_next_request(suspends: bool) -> None:
    seen: list[int] = []

    async def handler(request: Request) -> Response:
        seen.append(NUMBER.get())
        NUMBER.set(len(seen))
        if suspends:
            await asyncio.sleep(1)
            assert NUMBER.get() == len(seen), "what was set before a suspension holds after it"
        return Response()

    with harness(handler) as server:
        first, second = server.connect(), server.connect()
        for client in (first, first, second):
            client.send(request_bytes())
            server.advance(1)
        first.send(request_bytes() * 3)
        server.advance(10)
    assert seen == [0] * 6


def test_context_variables_do_not_leak_between_requests_under_way_at_once() -> None:
    async def handler(request: Request) -> Response:
        NUMBER.set(int(request.query_string))
        await asyncio.sleep(1)
        return Response(str(NUMBER.get()))

    with harness(handler) as server:
        clients = [server.connect() for _ in range(3)]
        for number, client in enumerate(clients):
            client.send(request_bytes("GET", f"/?{number}"))
        server.advance(1)
        assert [client.reply().body for client in clients] == [b"0", b"1", b"2"]


@pytest.mark.parametrize("suspends", [False, True])
def test_hooks_and_the_error_map_share_the_handlers_context(suspends: bool) -> None:
    seen: list[tuple[str, int]] = []

    def before(request: Request) -> None:
        seen.append(("before", NUMBER.get()))
        NUMBER.set(1)

    async def handler(request: Request) -> Response:
        seen.append(("handler", NUMBER.get()))
        NUMBER.set(2)
        if suspends:
            await asyncio.sleep(0)
        raise ValueError

    class Told(App):
        def failed(self, request: Request, error: BaseException) -> Response:
            seen.append(("failed", NUMBER.get()))
            NUMBER.set(3)
            return super().failed(request, error)

    def after(request: Request, response: Response) -> None:
        seen.append(("after", NUMBER.get()))

    with harness(Told(handler, before=(before,), after=(after,))) as server:
        assert server.connect().get().status == 500
    assert seen == [("before", 0), ("handler", 1), ("failed", 2), ("after", 3)]


def test_nothing_of_a_request_is_kept_alive_by_the_task_it_ran_in() -> None:
    class Precious:
        pass

    held: list[weakref.ref[Precious]] = []
    variable: contextvars.ContextVar[Precious] = contextvars.ContextVar("precious")

    async def handler(request: Request) -> Response:
        precious = Precious()
        held.append(weakref.ref(precious))
        variable.set(precious)
        await request.body()
        await asyncio.sleep(0)
        return Response()

    with harness(handler) as server:
        client = server.connect()
        client.send(request_bytes("POST", body=b"x" * 10)[:-5])
        client.send(b"x" * 5)
        assert client.reply().status == 200
        server.app.requests.clear()
        gc.collect()
        assert held[0]() is None


# -- cancellation -----------------------------------------------------------------------------------------------------


def test_a_cancel_ahead_of_the_tasks_first_step_reaches_what_the_handler_awaits() -> None:
    waited: list[asyncio.Future[None]] = []
    seen: list[str] = []

    async def handler(request: Request) -> Response:
        waiter = asyncio.get_running_loop().create_future()
        waited.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        return Response()

    with harness(handler) as server:
        client = server.connect()

        def at_once() -> None:
            client.transport.feed(request_bytes())
            client.transport.reset()

        server.call(at_once)
        assert waited[0].cancelled()
        assert seen == ["cancelled"]
        assert not server.core.runners.active
        assert not server.core.connections


def test_a_cancel_of_a_task_that_never_ran_is_not_lost() -> None:
    """The first handlers to suspend in one turn of the loop get Tasks that are not a turn old."""
    seen: list[str] = []

    async def handler(request: Request) -> Response:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        return Response()

    with harness(handler) as server:
        clients = [server.connect() for _ in range(8)]

        def at_once() -> None:
            for client in clients:
                client.transport.feed(request_bytes())
            for client in clients:
                client.transport.reset()

        server.call(at_once)
        assert seen == ["cancelled"] * 8
        assert not server.core.runners.active
        assert not server.core.connections


def test_a_handler_may_clean_up_when_it_is_cancelled() -> None:
    seen: list[str] = []

    async def handler(request: Request) -> Response:
        try:
            await asyncio.sleep(100)
        finally:
            await asyncio.sleep(2)
            seen.append("cleaned up")
        return Response()

    with harness(handler) as server:
        client = server.connect()
        client.send(request_bytes())
        client.reset()
        assert len(server.core.connections) == 1, "the handler is still under way"
        server.advance(2)
        assert seen == ["cleaned up"]
        assert not server.core.connections


def test_a_handler_that_swallows_its_cancellation_goes_on() -> None:
    async def handler(request: Request) -> Response:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            await asyncio.sleep(1)
        return Response("went on")

    with harness(handler, options={"timeout": 5.0}) as server:
        client = server.connect()
        client.send(request_bytes())
        server.advance(7)
        assert client.reply().body == b"went on"
        assert client.get("/missing").status == 404


def test_cancelling_never_leaks_into_the_next_request() -> None:
    """A handler that was cancelled and did not uncancel leaves a Task nobody else may get."""
    counts: list[int] = []

    async def handler(request: Request) -> Response:
        task = asyncio.current_task()
        assert task is not None
        counts.append(task.cancelling())
        task.cancel()
        if request.query_string == "suspend":
            try:
                await asyncio.sleep(1)
            except asyncio.CancelledError:
                pass
        return Response()

    with harness(handler) as server:
        client = server.connect()
        for target in ("/", "/", "/?suspend", "/?suspend", "/"):
            client.send(request_bytes("GET", target))
            server.settle()
            assert client.reply().status == 200
    assert counts == [0] * 5


def test_a_late_cancel_does_not_hit_the_next_request() -> None:
    """Somebody kept current_task() of a request that is over, and cancels it."""
    kept: list[asyncio.Task[Any]] = []

    async def quick(request: Request) -> Response:
        task = asyncio.current_task()
        assert task is not None
        kept.append(task)
        if request.query_string:
            await asyncio.sleep(0)
        return Response("quick")

    async def slow(request: Request) -> Response:
        await asyncio.sleep(1)
        return Response("slow")

    app = App(quick)
    app.add("/slow", slow)
    for target in ("/", "/?suspend"):
        with harness(app) as server:
            client = server.connect()
            client.send(request_bytes("GET", target))
            assert client.reply().body == b"quick"

            def late(client: Client = client) -> None:
                kept[-1].cancel()
                client.transport.feed(request_bytes("GET", "/slow"))

            server.call(late)
            server.advance(1)
            assert client.reply().body == b"slow"
            server.call(kept[-1].cancel)
            client.send(request_bytes("GET", "/slow"))
            server.advance(1)
            assert client.reply().body == b"slow"


def test_a_late_cancel_that_is_taken_back_does_no_harm_either() -> None:
    kept: list[asyncio.Task[Any]] = []

    async def handler(request: Request) -> Response:
        task = asyncio.current_task()
        assert task is not None
        kept.append(task)
        task.cancel()
        task.uncancel()
        return Response("quick")

    async def slow(request: Request) -> Response:
        await asyncio.sleep(1)
        return Response("slow")

    with harness(handler) as server:
        server.app.add("/slow", slow)
        client = server.connect()
        assert client.get().body == b"quick"

        def late() -> None:
            kept[0].cancel()
            kept[0].uncancel()
            client.transport.feed(request_bytes("GET", "/slow"))

        server.call(late)
        server.advance(1)
        assert client.reply().body == b"slow"


def test_a_cancelled_future_is_the_handlers_own_failure() -> None:
    async def handler(request: Request) -> Response:
        waiter = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(1, waiter.cancel)
        await waiter
        return Response()

    with harness(handler) as server:
        client = server.connect()
        client.send(request_bytes())
        server.advance(1)
        assert client.reply().status == 500
        assert isinstance(server.app.errors[0], asyncio.CancelledError)


# -- failures ---------------------------------------------------------------------------------------------------------


class Odd(BaseException):
    pass


@pytest.mark.parametrize("suspends", [False, True])
@pytest.mark.parametrize(
    ("error", "seen"),
    [
        (ValueError("x"), ValueError),
        (StopIteration(1), RuntimeError),
        (StopAsyncIteration(), StopAsyncIteration),
        (asyncio.CancelledError(), asyncio.CancelledError),
        (Odd(), Odd),
        (ExceptionGroup("several", [ValueError(), TypeError()]), ExceptionGroup),
        (BaseExceptionGroup("several", [Odd()]), BaseExceptionGroup),
    ],
)
def test_whatever_a_handler_raises_is_answered(
    error: BaseException, seen: type[BaseException], suspends: bool
) -> None:
    async def handler(request: Request) -> Response:
        if suspends:
            await asyncio.sleep(0)
        raise error

    with harness(handler) as server:
        client = server.connect()
        assert client.get().status == 500
        assert [type(each) for each in server.app.errors] == [seen]
        assert client.get("/missing").status == 404, "the connection goes on"


@pytest.mark.parametrize("suspends", [False, True])
def test_a_handler_that_raises_generator_exit_is_answered(suspends: bool) -> None:
    async def handler(request: Request) -> Response:
        if suspends:
            await asyncio.sleep(0)
        raise GeneratorExit

    with harness(handler) as server:
        assert server.connect().get().status == 500


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("suspends", [False, True])
def test_what_ends_the_process_is_not_answered(error: type[BaseException], suspends: bool) -> None:
    async def handler(request: Request) -> Response:
        if suspends:
            await asyncio.sleep(0)
        raise error

    with harness(handler) as server:
        with pytest.raises(error):
            server.connect().get()
        gc.collect()
        server.loop.failures.clear()  # asyncio tells of a Task that ended so, besides


@pytest.mark.parametrize("suspends", [False, True])
def test_tracebacks_reach_the_error_map_whole(suspends: bool) -> None:
    async def deep() -> None:
        if suspends:
            await asyncio.sleep(0)
        raise ValueError("deep inside")

    async def handler(request: Request) -> Response:
        await deep()
        return Response()

    with harness(handler) as server:
        server.connect().get()
        (error,) = server.app.errors
    names = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    assert names[-2:] == ["handler", "deep"]


@pytest.mark.parametrize("suspends", [False, True])
@pytest.mark.parametrize("value", [None, "text", {"a": 1}, 200, Response, [Response()]])
def test_what_is_no_response_is_a_500(value: object, suspends: bool) -> None:
    async def handler(request: Request) -> Any:
        if suspends:
            await asyncio.sleep(0)
        return value

    with harness(handler) as server:
        client = server.connect()
        assert client.get().status == 500
        assert type(value).__name__ in str(server.app.errors[0])
        assert client.get("/missing").status == 404


def test_a_plain_function_where_a_coroutine_function_is_meant_is_a_500() -> None:
    with harness(lambda request: Response()) as server:
        assert server.connect().get().status == 500
        assert "cannot be awaited" in str(server.app.errors[0])


@pytest.mark.parametrize("suspends", [False, True])
def test_any_awaitable_will_do(suspends: bool) -> None:
    class Lazy:
        def __await__(self) -> Generator[Any, Any, Response]:
            if suspends:
                yield
            return Response("lazy")

    def handler(request: Request) -> Awaitable[Response]:
        return Lazy()

    def futures(request: Request) -> Awaitable[Response]:
        future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, Response("future"))
        return future

    with harness(handler) as server:
        server.app.add("/future", futures)
        assert server.connect().get().body == b"lazy"
        assert server.connect().get("/future").body == b"future"


def test_an_error_map_that_fails_is_a_bare_500() -> None:
    class Broken(App):
        def failed(self, request: Request, error: BaseException) -> Response:
            if request.query_string:
                return cast("Response", "not even a response")
            raise RuntimeError("the map")

    async def handler(request: Request) -> Response:
        raise ValueError

    with harness(Broken(handler)) as server:
        for target in ("/", "/?text"):
            client = server.connect()
            client.send(request_bytes("GET", target))
            reply = client.reply()
            assert reply.status == 500
            assert reply["content-type"] == "application/problem+json"


# -- a Task that is current already -----------------------------------------------------------------------------------


@pytest.mark.parametrize("is_async", [False, True])
def test_bytes_that_come_while_a_task_runs_are_served_in_another(is_async: bool) -> None:
    """As from an in-process client: data_received is called by a Task, not by the loop."""
    seen: list[object] = []

    def look(request: Request) -> None:
        seen.append(asyncio.current_task())

    async def handler(request: Request) -> Response:
        look(request)
        await asyncio.sleep(1)
        look(request)
        return Response("served")

    def plain(request: Request) -> Response:
        look(request)
        return Response("served")

    options = {"before": (look,), "is_async": is_async}
    with harness(handler if is_async else plain, options=options) as server:
        client = server.connect()

        async def send() -> None:
            client.transport.feed(request_bytes())
            seen.append(asyncio.current_task())

        server.loop.run(send())
        server.advance(1)
        assert client.reply().body == b"served"
        mine, *theirs = seen
        assert len(set(theirs)) == 1
        assert theirs[0] not in (None, mine)


def test_bytes_that_come_while_a_first_step_runs_are_served_in_another_task() -> None:
    """Even when the handler in its first step has dirtied the Task it runs in."""
    seen: list[str] = []

    async def inner(request: Request) -> Response:
        seen.append(f"inner {NUMBER.get()}")
        return Response("inner")

    with harness() as server:
        other = server.connect()

        async def outer(request: Request) -> Response:
            NUMBER.set(5)
            other.transport.feed(request_bytes("GET", "/inner"))
            await asyncio.sleep(1)
            seen.append(f"outer {NUMBER.get()}")
            return Response("outer")

        server.app.add("/", outer)
        server.app.add("/inner", inner)
        client = server.connect()
        client.send(request_bytes())
        server.advance(1)
        assert client.reply().body == b"outer"
        assert other.reply().body == b"inner"
    assert sorted(seen) == ["inner 0", "outer 5"]


@pytest.mark.parametrize("how", ["at once", "suspended", "in a task"])
def test_what_a_handler_returns_is_made_a_response_what_a_hook_returns_is_one(how: str) -> None:
    def before(request: Request) -> Response | None:
        return Response("hook") if request.query_string == "hook" else None

    async def handler(request: Request) -> Any:
        if how == "suspended":
            await asyncio.sleep(0)
        return {"fails": 0, "odd": 1}.get(request.query_string, "handler")

    def respond(result: Any) -> Any:
        if result == 0:
            raise ValueError("cannot be encoded")
        return result if result == 1 else Response(f"<{result}>")

    with harness(handler, options={"before": (before,), "respond": respond}) as server:
        client = server.connect()

        async def send(data: bytes) -> None:
            client.transport.feed(data)

        for target, status, body in (
            ("/", 200, b"<handler>"),
            ("/?hook", 200, b"hook"),
            ("/?fails", 500, None),
            ("/?odd", 500, None),
        ):
            data = request_bytes("GET", target)
            if how == "in a task":
                server.loop.run(send(data))
                server.settle()
            else:
                client.send(data)
            reply = client.reply()
            assert reply.status == status
            assert body is None or reply.body == body


def test_a_stream_in_answer_from_a_hook_or_an_error_is_sent() -> None:
    async def pieces() -> Any:
        yield b"streamed"

    def before(request: Request) -> Response | None:
        return StreamingResponse(pieces()) if request.query_string == "before" else None

    def after(request: Request, response: Response) -> Response | None:
        return StreamingResponse(pieces()) if request.query_string == "after" else None

    async def handler(request: Request) -> Response:
        if request.query_string == "suspend":
            await asyncio.sleep(0)
        return Response("plain")

    with harness(handler, options={"before": (before,), "after": (after,)}) as server:
        client = server.connect()
        for target, body in (("/?before", b"streamed"), ("/?after", b"streamed"), ("/", b"plain")):
            client.send(request_bytes("GET", target))
            assert client.reply().body == body
