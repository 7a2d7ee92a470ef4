"""Nothing of a request reaches another: neither its context variables nor its cancellation."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import weakref
from typing import Any

import pytest

from framework.http.request import Request
from framework.http.response import Response
from tests.support.harness import App, Client, harness, request_bytes

NUMBER: contextvars.ContextVar[int] = contextvars.ContextVar("number", default=0)


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
        client.send(request_bytes(), then=client.transport.reset)
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
