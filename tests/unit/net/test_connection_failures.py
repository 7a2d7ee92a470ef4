"""Whatever a handler raises or returns, and wherever it is called from, there is an answer."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import traceback
from collections.abc import Awaitable, Generator
from typing import Any, cast

import pytest

from framework.http.request import Request
from framework.http.response import Response, StreamingResponse
from tests.support.harness import App, harness, request_bytes

NUMBER: contextvars.ContextVar[int] = contextvars.ContextVar("number", default=0)


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
        server.loop.unhandled.clear()  # asyncio tells of a Task that ended so, besides


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
