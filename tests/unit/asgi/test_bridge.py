"""WebSockets of an app of ours that another server holds: its messages through a session, and back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from framework import App, Request, Response, WebSocket, WebSocketListener
from framework.errors import WebSocketClosed
from framework.middleware import time_left
from framework.testing import run_virtual
from tests.unit.asgi.outer import lifespan, scope_of


class Socket:
    """The other server's side of one WebSocket."""

    def __init__(self, **more: Any) -> None:
        self.scope = {**scope_of("GET", more.pop("path", "/ws"), **more), "type": "websocket", "scheme": "ws"}
        del self.scope["method"]
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.outgoing: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.room = asyncio.Event()
        self.room.set()
        self.incoming.put_nowait({"type": "websocket.connect"})

    async def send(self, message: dict[str, Any]) -> None:
        await self.room.wait()
        self.outgoing.put_nowait(message)

    def run(self, app: Any) -> asyncio.Task[None]:
        return asyncio.create_task(app(self.scope, self.incoming.get, self.send))

    def text(self, text: str) -> None:
        self.incoming.put_nowait({"type": "websocket.receive", "text": text})

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(100):
            return await self.outgoing.get()


def echoing(log: list[Any]) -> App:
    app = App()

    @app.websocket("/ws")
    async def echo(socket: WebSocket[Any, Any], name: str = "nobody") -> None:
        async for message in socket:
            await socket.send(f"{name} {message}" if isinstance(message, str) else message)
        log.append((socket.close_code, socket.close_reason))

    return app


ACCEPTED = {"type": "websocket.accept", "subprotocol": None, "headers": []}


def test_messages_go_both_ways_and_a_close_comes_with_its_reason() -> None:
    log: list[Any] = []

    async def run() -> None:
        app = echoing(log)
        async with lifespan(app):
            socket = Socket(path="/ws?name=ada")
            task = socket.run(app)
            assert await socket.next() == ACCEPTED
            socket.text("x")
            socket.incoming.put_nowait({"type": "websocket.receive", "bytes": b"y", "text": None})
            assert await socket.next() == {"type": "websocket.send", "text": "ada x"}
            assert await socket.next() == {"type": "websocket.send", "bytes": b"y"}
            socket.incoming.put_nowait({"type": "websocket.disconnect", "code": 4000, "reason": "bye"})
            await task
            await asyncio.sleep(1)
            assert socket.outgoing.empty()

    run_virtual(run())
    assert log == [(4000, "bye")]


@pytest.mark.parametrize(("message", "code"), [({"code": 1005}, 1005), ({}, 1005), ({"code": 1006}, 1006)])
def test_codes_that_are_never_on_the_wire_arrive_all_the_same(message: dict[str, Any], code: int) -> None:
    log: list[Any] = []

    async def run() -> None:
        app = echoing(log)
        async with lifespan(app):
            socket = Socket()
            task = socket.run(app)
            await socket.next()
            socket.incoming.put_nowait({"type": "websocket.disconnect", **message})
            await task
            await asyncio.sleep(1)

    run_virtual(run())
    assert log == [(code, "")]


def test_a_listener_needs_no_task_and_closes_with_its_code() -> None:
    class Once(WebSocketListener):
        def on_message(self, ws: Any, message: Any) -> None:
            ws.write_text(f"got {message}")
            ws.start_closing(4001, "once")

    app = App()
    app.websocket("/ws", listener=Once)

    async def run() -> None:
        async with lifespan(app):
            socket = Socket()
            task = socket.run(app)
            await socket.next()
            socket.text("x")
            assert (await socket.next())["text"] == "got x"
            assert await socket.next() == {"type": "websocket.close", "code": 4001, "reason": "once"}
            await task

    run_virtual(run())


def test_subprotocols_and_fields_are_the_apps() -> None:
    app = App()

    @app.websocket("/ws", subprotocols=("b", "c"))
    async def talk(socket: WebSocket[Any, Any]) -> None:
        await socket.send(str(socket.subprotocol))

    async def run() -> None:
        async with lifespan(app):
            socket = Socket(subprotocols=["a", "b"])
            task = socket.run(app)
            assert (await socket.next())["subprotocol"] == "b"
            assert (await socket.next())["text"] == "b"
            assert (await socket.next())["code"] == 1000
            await task

    run_virtual(run())


@pytest.mark.parametrize("path", ["/nowhere", "/..", "/ws?name=a&name=b"])
@pytest.mark.parametrize("extended", [True, False])
def test_a_denial_is_a_response_where_the_server_can_send_one(path: str, extended: bool) -> None:
    app = App()

    @app.websocket("/ws")
    async def talk(socket: WebSocket[Any, Any], count: int) -> None:
        """Needs a parameter it does not get."""

    async def run() -> None:
        async with lifespan(app):
            extensions = {"websocket.http.response": {}} if extended else {}
            socket = Socket(path=path, extensions=extensions)
            await socket.run(app)
            first = await socket.next()
            if extended:
                assert first["type"] == "websocket.http.response.start"
                assert 400 <= first["status"] < 500
                assert (await socket.next())["type"] == "websocket.http.response.body"
            else:
                assert first == {"type": "websocket.close", "code": 1008}

    run_virtual(run())


def test_a_handshake_that_takes_too_long_is_denied() -> None:
    app = App(request_timeout=5.0)
    deadlines: list[float | None] = []

    def asking(handler: Any) -> Any:
        async def asks(request: Request) -> Response:
            deadlines.append(request.deadline)
            await asyncio.sleep(1000)
            response: Response = await handler(request)
            return response

        return asks

    app.use(asking)

    @app.websocket("/ws")
    async def talk(socket: WebSocket[Any, Any]) -> None:
        """Never reached."""

    async def run() -> None:
        async with lifespan(app):
            now = asyncio.get_running_loop().time()
            socket = Socket(extensions={"websocket.http.response": {}})
            await socket.run(app)
            assert (await socket.next())["status"] == 504
            assert asyncio.get_running_loop().time() == pytest.approx(now + 5)
            assert deadlines == [pytest.approx(now + 5)]

    run_virtual(run())


def test_the_budget_of_the_handshake_ends_with_it() -> None:
    app = App(request_timeout=5.0)

    @app.websocket("/ws")
    async def talk(socket: WebSocket[Any, Any]) -> None:
        await asyncio.sleep(50)
        await socket.send(str(time_left(socket.request)))

    async def run() -> None:
        async with lifespan(app):
            socket = Socket()
            task = socket.run(app)
            assert await socket.next() == ACCEPTED
            assert await socket.next() == {"type": "websocket.send", "text": "5.0"}
            await task

    run_virtual(run())


def test_a_send_waits_for_the_other_server() -> None:
    app = App()
    sent: list[int] = []

    @app.websocket("/ws")
    async def push(socket: WebSocket[Any, Any]) -> None:
        for number in range(1000):
            await socket.send("x" * 1000)
            sent.append(number)

    async def run() -> None:
        async with lifespan(app):
            socket = Socket()
            task = socket.run(app)
            await socket.next()
            socket.room.clear()
            await asyncio.sleep(1)
            assert 0 < len(sent) < 200
            socket.room.set()
            await task
            assert len(sent) == 1000

    run_virtual(run())


def test_a_server_that_fails_to_receive_is_a_client_that_has_gone() -> None:
    seen: list[Any] = []
    app = App()

    @app.websocket("/ws")
    async def wait(socket: WebSocket[Any, Any]) -> None:
        try:
            await socket.receive()
        except WebSocketClosed as error:
            seen.append(error.code)
            raise

    async def run() -> None:
        async with lifespan(app):
            socket = Socket()

            async def receive() -> dict[str, Any]:
                message = await socket.incoming.get()
                if message["type"] == "broken":
                    raise OSError("gone")
                return message

            task = asyncio.create_task(app(socket.scope, receive, socket.send))
            await socket.next()
            socket.incoming.put_nowait({"type": "broken"})
            await task
            await asyncio.sleep(1)

    run_virtual(run())
    assert seen == [1006]


def test_a_stop_closes_what_the_server_has_left_open_and_cancels_its_handlers() -> None:
    seen: list[str] = []
    app = App()

    @app.websocket("/ws")
    async def wait(socket: WebSocket[Any, Any]) -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            seen.append("ended")

    async def run() -> None:
        async with lifespan(app):
            socket = Socket()
            task = socket.run(app)
            await socket.next()
        assert seen == ["ended"]
        await task
        assert (await socket.next())["code"] == 1012

    run_virtual(run())
