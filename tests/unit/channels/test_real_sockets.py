"""Channels of an app over real sockets, with the websockets package as the clients."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest
from websockets.asyncio.client import connect

from framework import App, WebSocket
from framework.channels import Channels, DropOldest, Policy
from framework.testing import TestClient
from framework.wire.websocket.events import Close, Event
from framework.wire.websocket.handshake_client import make_key
from framework.wire.websocket.leaves import FrameParser

pytestmark = pytest.mark.anyio


def room(policy: Policy | None = None) -> App:
    app = App()

    @app.websocket("/", compression=True)
    async def join(ws: WebSocket, channels: Channels) -> None:
        channel = channels.channel("room")
        channel.subscribe(ws, policy=policy)
        async for message in ws:
            channel.publish(message, exclude=ws)

    return app


async def until(condition: Callable[[], bool]) -> None:
    """Lets the loop and its sockets go on until something is so."""
    async with asyncio.timeout(10):
        while True:
            if condition():
                return
            await asyncio.sleep(0)


def address(client: TestClient) -> str:
    return client.url.replace("http://", "ws://") + "/"


async def test_a_room_of_plain_and_compressing_clients() -> None:
    app = room()
    async with TestClient(app, transport="socket") as client:
        url = address(client)
        sockets = [await connect(url, compression="deflate" if n % 2 else None) for n in range(6)]
        await until(lambda: len(app.channels.channel("room")) == 6)
        texts = ["short", "long " * 200, "ünï " * 100, b"\x00" * 500]
        for text in texts:
            await sockets[0].send(text)
        for ws in sockets[1:]:
            assert [await ws.recv() for _ in texts] == texts
        await sockets[5].send("to all")
        assert await sockets[0].recv() == "to all"
        for ws in sockets:
            await ws.close()
        await until(lambda: len(app.channels) == 0)


async def stalled(client: TestClient, app: App) -> socket.socket:
    """A member that does not read."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.setblocking(False)
    loop = asyncio.get_running_loop()
    host, _, port = client.url.removeprefix("http://").partition(":")
    await loop.sock_connect(made, (host, int(port)))
    await loop.sock_sendall(
        made,
        b"GET / HTTP/1.1\r\nHost: %b:%b\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n"
        % (host.encode(), port.encode(), make_key().encode()),
    )
    await until(lambda: len(app.channels.channel("room")) == 1)
    return made


async def read_events(made: socket.socket, done: Callable[[list[Event]], bool]) -> list[Event]:
    loop = asyncio.get_running_loop()
    data = b""
    while b"\r\n\r\n" not in data:
        data += await loop.sock_recv(made, 65_536)
    parser = FrameParser("client")
    events = parser.feed(data.partition(b"\r\n\r\n")[2])
    async with asyncio.timeout(20):
        while not done(events):
            data = await loop.sock_recv(made, 1 << 20)
            if not data:
                break
            events += parser.feed(data)
    return events


async def test_a_client_that_does_not_read_is_closed_by_1013() -> None:
    app = room()
    async with TestClient(app, transport="socket") as client:
        made = await stalled(client, app)
        channel = app.channels.channel("room")
        with made:
            sent = 0
            while channel.stats.closed == 0 and len(channel):
                channel.publish(f"{sent} ".ljust(20_000))
                sent += 1
                await asyncio.sleep(0)
                assert sent < 5000
            events = await read_events(made, lambda events: any(isinstance(event, Close) for event in events))
        texts = [str(event).split()[0] for event in events if isinstance(event, str)]
        assert texts == [str(n) for n in range(len(texts))]
        assert 0 < len(texts) < sent
        close = events[-1]
        assert isinstance(close, Close)
        assert close.code == 1013
        assert app.channels.stats.closed == 1


async def test_a_client_that_reads_again_gets_what_waited_and_then_the_rest() -> None:
    app = room(DropOldest(max_messages=3))
    async with TestClient(app, transport="socket") as client:
        made = await stalled(client, app)
        channel = app.channels.channel("room")
        with made:
            sent = 0
            while channel.stats.dropped < 10:
                channel.publish(f"{sent} ".ljust(20_000))
                sent += 1
                await asyncio.sleep(0)
                assert sent < 5000
            reading = asyncio.create_task(
                read_events(made, lambda events: bool(events) and str(events[-1]).startswith("end"))
            )
            await until(lambda: channel.stats.queued == 0)
            channel.publish("end")
            events = await reading
        numbers = [int(str(event).split()[0]) for event in events[:-1]]
        assert numbers == sorted(set(numbers))
        assert numbers[-3:] == [sent - 3, sent - 2, sent - 1]
        assert sent - len(numbers) == channel.stats.dropped
