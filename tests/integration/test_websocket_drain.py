"""Long connections at shutdown and reload: WebSockets get 1012, streams of events end with a retry, all in time."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.support.served import served

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

FOLDER = Path(__file__).parents[1] / "support"
DRAIN = 4.0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def closed(ws: ClientConnection) -> tuple[int, float]:
    """The close's code, and when it came."""
    with pytest.raises(ConnectionClosed) as error:  # noqa: PT012 - whatever is received before
        while True:
            await ws.recv()
    assert error.value.rcvd is not None
    return error.value.rcvd.code, time.monotonic()


async def stream(port: int, begun: asyncio.Event) -> tuple[bytes, float]:
    """All of the events, and when they ended."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /events HTTP/1.1\r\nhost: x\r\n\r\n")
    data = await reader.readuntil(b"tick 0")
    begun.set()
    data += await reader.read()
    writer.close()
    return data, time.monotonic()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_long_connections_end_well(number: signal.Signals) -> None:
    async with served("chat_app:app", FOLDER, drain_timeout=DRAIN, workers=1) as server:
        url = f"ws://127.0.0.1:{server.port}"
        sockets = [await connect(f"{url}/{style}") for style in ("listener", "handler") for _ in range(10)]
        for ws in sockets:
            await ws.send("hello")
            assert await ws.recv() == "hello"
        begun = asyncio.Event()
        events: asyncio.Task[Any] = asyncio.create_task(stream(server.port, begun))
        await begun.wait()
        started = time.monotonic()
        server.signal(number)
        ends = await asyncio.gather(*(closed(ws) for ws in sockets))
        data, ended = await events
        assert {code for code, _ in ends} == {1012}
        waits = [at - started for _, at in ends]
        assert max(waits) < DRAIN + 1.0
        assert max(waits) - min(waits) > 0.3, "not all at once"
        assert ended - started < DRAIN
        assert data.rpartition(b"retry: ")[2].strip()[:1].isdigit(), "the browser is told when to come back"
        assert data.endswith(b"0\r\n\r\n"), "the stream is whole"
        if number == signal.SIGTERM:
            assert await server.ended() == 0
        else:
            async with connect(f"{url}/handler") as ws:
                await ws.send("to the new worker")
                assert await ws.recv() == "to the new worker"


async def test_a_socket_that_ignores_its_close_does_not_hold_up_the_shutdown() -> None:
    async with served("chat_app:app", FOLDER, drain_timeout=1.0, cancel_timeout=1.0, workers=1) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(
            b"GET /handler HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
            b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        await reader.readuntil(b"\r\n\r\n")
        started = time.monotonic()
        server.signal(signal.SIGTERM)
        assert await server.ended() == 0
        assert time.monotonic() - started < 6.0
        frame = await reader.read()
        assert frame[:1] == b"\x88"
        assert frame[2:4] == (1012).to_bytes(2, "big")
        writer.close()
