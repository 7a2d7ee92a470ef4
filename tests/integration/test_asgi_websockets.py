"""WebSockets of ASGI applications, with the ``websockets`` package as their client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import websockets
from fastapi import Depends, FastAPI, WebSocket, WebSocketDisconnect, WebSocketException
from starlette.endpoints import WebSocketEndpoint
from starlette.responses import JSONResponse
from starlette.routing import WebSocketRoute

from framework.net.websocket.settings import WebSocketSettings
from tests.integration.asgi_serving import serving_asgi

pytestmark = pytest.mark.anyio


def chat(log: list[Any]) -> FastAPI:
    app = FastAPI()

    async def name(name: str = "nobody") -> str:
        return name

    @app.websocket("/echo")
    async def echo(socket: WebSocket, name: str = Depends(name)) -> None:
        await socket.accept(headers=[(b"x-name", name.encode())])
        try:
            while True:
                message = await socket.receive()
                if message["type"] == "websocket.disconnect":
                    log.append((message["code"], message["reason"]))
                    return
                if "text" in message:
                    await socket.send_text(f"{name}: {message['text']}")
                else:
                    await socket.send_bytes(message["bytes"][::-1])
        finally:
            log.append("ended")

    @app.websocket("/chosen")
    async def chosen(socket: WebSocket) -> None:
        log.append(socket.scope["subprotocols"])
        await socket.accept(subprotocol="b")
        await socket.close(4001, "enough")

    @app.websocket("/refused")
    async def refused(socket: WebSocket) -> None:
        await socket.close(1008)

    @app.websocket("/denied")
    async def denied(socket: WebSocket) -> None:
        await socket.send_denial_response(JSONResponse({"why": "no"}, 401, {"www-authenticate": "Basic"}))

    @app.websocket("/policy")
    async def policy(socket: WebSocket) -> None:
        await socket.accept()
        raise WebSocketException(1008, "not you")

    @app.websocket("/broken")
    async def broken(socket: WebSocket) -> None:
        await socket.accept()
        raise LookupError("a bug")

    @app.websocket("/early")
    async def early(socket: WebSocket) -> None:
        raise LookupError("a bug")

    @app.websocket("/returns")
    async def returns(socket: WebSocket) -> None:
        await socket.accept()

    @app.websocket("/pushes")
    async def pushes(socket: WebSocket) -> None:
        await socket.accept()
        try:
            while True:
                await socket.send_text("x" * 10_000)
                await asyncio.sleep(0)
        except WebSocketDisconnect as error:
            log.append(error.code)

    class Counting(WebSocketEndpoint):
        encoding = "json"

        async def on_receive(self, websocket: WebSocket, data: Any) -> None:
            await websocket.send_json({"got": data})

        async def on_disconnect(self, websocket: WebSocket, close_code: int) -> None:
            log.append(close_code)

    app.router.routes.append(WebSocketRoute("/json", Counting))
    return app


@asynccontextmanager
async def serving(log: list[Any], **options: Any) -> AsyncIterator[str]:
    async with serving_asgi(chat(log), **options) as client:
        yield f"ws://{client.base_url.host}:{client.base_url.port}"


async def test_text_bytes_and_a_close_with_its_reason() -> None:
    log: list[Any] = []
    async with serving(log) as url:
        async with websockets.connect(f"{url}/echo?name=ada") as client:
            assert client.response is not None
            assert client.response.headers["x-name"] == "ada"
            for text in ("hello", "", "é" * 1000):
                await client.send(text)
                assert await client.recv() == f"ada: {text}"
            await client.send(b"abc")
            assert await client.recv() == b"cba"
            await client.close(4000, "bye")
        await until(lambda: "ended" in log)
    assert log == [(4000, "bye"), "ended"]


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - of the server's side, which has no event to wait for
            await asyncio.sleep(0)


async def test_messages_sent_right_behind_the_handshake_wait_for_the_application() -> None:
    async with serving([]) as url, websockets.connect(f"{url}/echo") as client:
        for number in range(200):
            await client.send(str(number))
        assert [await client.recv() for _ in range(200)] == [f"nobody: {number}" for number in range(200)]


async def test_a_subprotocol_is_the_applications_choice() -> None:
    log: list[Any] = []
    protocols: Any = ["a", "b"]
    async with serving(log) as url, websockets.connect(f"{url}/chosen", subprotocols=protocols) as client:
        assert client.subprotocol == "b"
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await client.recv()
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "enough")
    assert log == [["a", "b"]]


@pytest.mark.parametrize("path", ["/refused", "/nowhere"])
async def test_a_close_ahead_of_the_accept_is_a_403(path: str) -> None:
    async with serving([]) as url:
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(f"{url}{path}")
        assert refused.value.response.status_code == 403


async def test_a_denial_response_is_the_applications_own() -> None:
    async with serving([]) as url:
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(f"{url}/denied")
        response = refused.value.response
        assert (response.status_code, response.body) == (401, b'{"why":"no"}')
        assert response.headers["www-authenticate"] == "Basic"


async def test_an_error_ahead_of_the_accept_is_a_500() -> None:
    async with serving([]) as url:
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(f"{url}/early")
        assert refused.value.response.status_code == 500


@pytest.mark.parametrize(("path", "code"), [("/broken", 1011), ("/returns", 1000), ("/policy", 1008)])
async def test_an_application_that_ends_closes_its_websocket(path: str, code: int) -> None:
    async with serving([]) as url, websockets.connect(f"{url}{path}") as client:
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await client.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == code


async def test_a_client_that_vanishes_is_a_1006_and_sends_are_refused() -> None:
    log: list[Any] = []
    async with serving(log) as url:
        client = await websockets.connect(f"{url}/pushes")
        await client.recv()
        client.transport.abort()
        await until(lambda: bool(log))
        assert log == [1006]


async def test_starlettes_endpoint_class_speaks_json() -> None:
    log: list[Any] = []
    async with serving(log) as url:
        async with websockets.connect(f"{url}/json") as client:
            await client.send('{"a": 1}')
            assert await client.recv() == '{"got":{"a":1}}'
        await until(lambda: bool(log))
    assert log == [1000]


async def test_a_shutdown_closes_with_1012_and_waits_for_the_application() -> None:
    log: list[Any] = []
    async with serving(log, drain_timeout=0.5) as url:
        client = await websockets.connect(f"{url}/echo")
        await client.send("x")
        await client.recv()
        listening = asyncio.create_task(client.recv())
    with pytest.raises(websockets.ConnectionClosed) as closed:
        await listening
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
    assert log == [(1012, "the server is restarting"), "ended"]


async def test_origins_are_the_applications_to_check_unless_the_settings_name_some() -> None:
    async with (
        serving([]) as url,
        websockets.connect(f"{url}/echo", origin=cast_origin("https://evil.example")),
    ):
        pass
    settings = WebSocketSettings(origins=("https://good.example",))
    async with serving([], websocket=settings) as url:
        async with websockets.connect(f"{url}/echo", origin=cast_origin("https://good.example")):
            pass
        with pytest.raises(websockets.InvalidStatus):
            await websockets.connect(f"{url}/echo", origin=cast_origin("https://evil.example"))


def cast_origin(origin: str) -> Any:
    return origin


async def test_compression_is_agreed_on_where_it_is_set() -> None:
    settings = WebSocketSettings(compression=True)
    async with serving([], websocket=settings) as url, websockets.connect(f"{url}/echo") as client:
        assert client.response is not None
        assert "permessage-deflate" in client.response.headers["sec-websocket-extensions"]
        await client.send("x" * 10_000)
        assert await client.recv() == "nobody: " + "x" * 10_000


async def test_bad_handshakes_never_reach_the_application() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "lifespan"

    async with serving_asgi(app) as client:
        for headers, status in (
            ({"upgrade": "websocket", "connection": "upgrade"}, 400),
            ({"upgrade": "websocket", "connection": "upgrade", "sec-websocket-version": "12"}, 426),
        ):
            assert (await client.get("/", headers=headers)).status_code == status


async def test_messages_out_of_turn_are_errors_the_application_sees() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "websocket":
            return
        assert await receive() == {"type": "websocket.connect"}
        for message in (
            {"type": "websocket.send", "text": "too soon"},
            {"type": "http.response.start", "status": 200},
            {"type": "websocket.accept", "subprotocol": "not offered"},
        ):
            with pytest.raises(RuntimeError):
                await send(message)
            seen.append(message["type"])
        await send({"type": "websocket.accept"})
        for message in (
            {"type": "websocket.accept"},
            {"type": "websocket.send"},
            {"type": "websocket.send", "text": "a", "bytes": b"b"},
        ):
            with pytest.raises(RuntimeError):
                await send(message)
        await send({"type": "websocket.send", "bytes": None, "text": "ok"})
        await send({"type": "websocket.close"})
        with pytest.raises(RuntimeError):
            await send({"type": "websocket.send", "text": "too late"})
        assert (await receive())["type"] == "websocket.disconnect"
        seen.append("done")

    async with serving_asgi(app) as client:
        url = f"ws://{client.base_url.host}:{client.base_url.port}"
        async with websockets.connect(url) as socket:
            assert await socket.recv() == "ok"
        await until(lambda: "done" in seen)
