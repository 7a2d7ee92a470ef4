"""WebSockets of the test client: over a bad network, denied, and with servers that break the protocol."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from framework import App, Request, Response, Upgrade, WebSocket, WebSocketListener
from framework.errors import RemoteProtocolError, WebSocketClosed
from framework.net.websocket.settings import WebSocketSettings
from framework.testing import Conditions, TestClient, WebSocketDenied, run_virtual
from framework.wire.websocket.handshake import accept_key


class Echo(WebSocketListener):
    def on_message(self, ws: WebSocket, message: Any) -> None:
        ws.write_text(message)


def echoing() -> App:
    app = App()
    app.websocket("/echo", listener=Echo())
    return app


def test_a_slow_network_in_pieces() -> None:
    async def run() -> float:
        conditions = Conditions(latency=(0.05, 0.2), max_piece=7)
        async with (
            TestClient(echoing(), transport="network", conditions=conditions, seed=3) as client,
            client.websocket("/echo") as ws,
        ):
            for number in range(20):
                await ws.send_text(f"message {number}")
            assert [await ws.receive() for _ in range(20)] == [f"message {number}" for number in range(20)]
        return asyncio.get_running_loop().time()

    assert run_virtual(run()) > 0.3


def test_a_network_that_is_cut_is_noticed_by_both_sides() -> None:
    closes: list[int] = []

    class Watched(Echo):
        def on_close(self, ws: WebSocket, code: int, reason: str) -> None:
            closes.append(code)

    app = App()
    app.websocket("/echo", listener=Watched())

    async def run() -> None:
        async with TestClient(app, transport="network") as client:
            with pytest.raises(WebSocketClosed) as closed:  # noqa: PT012 - what is cut is inside
                async with client.websocket("/echo", settings=WebSocketSettings(ping_interval=5.0)) as ws:
                    client.network.cut()
                    await ws.receive()
            assert closed.value.code == 1006
            await asyncio.sleep(60.0)
            assert closes == [1006]
            assert not client.server.core.connections

    run_virtual(run())


def test_cookies_of_the_handshake_are_kept_and_sent() -> None:
    app = App()

    @app.get("/login")
    async def login() -> Response:
        response = Response("ok")
        response.set_cookie("user", "me")
        return response

    @app.websocket("/me")
    async def me(ws: WebSocket) -> None:
        await ws.send_text(ws.request.cookies.get("user", "nobody"))

    async def run() -> None:
        async with TestClient(app) as client:
            await client.get("/login")
            async with client.websocket("/me") as ws:
                assert await ws.receive() == "me"
                assert [message async for message in ws] == []

    run_virtual(run())


def test_a_denial_has_the_answer() -> None:
    async def run() -> None:
        async with TestClient(echoing()) as client:
            with pytest.raises(WebSocketDenied, match="the WebSocket was denied: 404") as denied:
                async with client.websocket("/nowhere"):
                    pass
            assert denied.value.answer.status == 404

    run_virtual(run())


@pytest.mark.parametrize("fault", ["accept", "frame"])
def test_a_server_that_breaks_the_protocol(fault: str) -> None:
    app = App()

    @app.get("/broken")
    async def broken(request: Request) -> Response:
        def connect(link: Any) -> None:
            link.transport.write(b"\x81\x85\x01\x02\x03\x04aaaaa")  # a masked frame

        key = request.field("sec-websocket-key") or ""
        accept = accept_key(key) if fault == "frame" else "something else"
        return Upgrade("websocket", connect, headers={"sec-websocket-accept": accept})

    async def run() -> None:
        async with TestClient(app) as client:
            if fault == "accept":
                with pytest.raises(RemoteProtocolError, match="Sec-WebSocket-Accept"):
                    async with client.websocket("/broken"):
                        pass
            else:
                async with client.websocket("/broken") as ws:
                    with pytest.raises(WebSocketClosed) as closed:
                        await ws.receive()
                    assert closed.value.code == 1002

    run_virtual(run())
