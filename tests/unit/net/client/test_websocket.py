"""WebSockets as a client opens them: the handshake, the messages, the end. Real peers are in test_real_servers.py."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from hashlib import sha1
from typing import Any

import pytest

from framework.errors import PeerClosed, RemoteProtocolError, WebSocketClosed
from framework.net.client import (
    ClientWebSocket,
    ExchangeDeadline,
    HTTPClient,
    Timeouts,
    UpgradeRefused,
    connect_websocket,
)
from framework.net.websocket.settings import WebSocketSettings
from framework.testing import run_virtual
from framework.testing.cancellation import Trial, cancel_everywhere
from tests.support.scripted import Peer, Play, played

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accepting(head: bytes, *fields: bytes) -> bytes:
    """The answer to the handshake in ``head``."""
    key = head.partition(b"sec-websocket-key: ")[2].partition(b"\r")[0]
    accept = b64encode(sha1(key + GUID).digest())
    lines = (b"upgrade: websocket", b"connection: Upgrade", b"sec-websocket-accept: " + accept, *fields)
    return b"HTTP/1.1 101 Switching Protocols\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


async def frame(peer: Peer) -> tuple[int, bytes]:
    """The next frame of a client, unmasked: opcode and payload (up to 125 bytes)."""
    first, second = await peer.take(2)
    assert second & 0x80, "a client masks"
    mask = await peer.take(4)
    payload = await peer.take(second & 0x7F)
    return first & 0x0F, bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


async def echoing(peer: Peer) -> None:
    peer.send(accepting(await peer.head()))
    while True:
        opcode, payload = await frame(peer)
        peer.send(bytes([0x80 | opcode, len(payload)]) + payload)
        if opcode == 8:
            peer.close()
            return


def run(play: Play, check: Callable[[HTTPClient], Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        async with played(play) as connector:
            async with HTTPClient("ws://x", connector=connector, **options) as client:
                await check(client)
            assert client.pools.connections == 0

    run_virtual(main())


class TestHandshake:
    def test_what_is_sent(self) -> None:
        heads: list[bytes] = []

        async def play(peer: Peer) -> None:
            heads.append(await peer.head())
            peer.send(accepting(heads[0], b"sec-websocket-protocol: b", b"x-seen: 1"))
            assert await frame(peer) == (8, b"\x03\xe8")
            peer.send(b"\x88\x02\x03\xe8")
            peer.close()

        async def check(client: HTTPClient) -> None:
            async with client.websocket(
                "/chat?room=1", subprotocols=("a", "b"), headers={"x-me": "2"}, origin="http://x"
            ) as ws:
                assert ws.subprotocol == "b"
                assert ws.headers["X-Seen"] == "1"
                assert not ws.closed
            assert (ws.closed, ws.close_code) == (True, 1000)
            head = heads[0].lower()
            assert head.startswith(b"get /chat?room=1 http/1.1\r\nhost: x\r\n")
            for line in (
                b"upgrade: websocket",
                b"connection: upgrade",
                b"sec-websocket-version: 13",
                b"sec-websocket-protocol: a, b",
                b"origin: http://x",
                b"x-me: 2",
            ):
                assert b"\r\n" + line + b"\r\n" in head

        run(play, check)

    @pytest.mark.parametrize(
        ("wrong", "problem"),
        [
            (lambda head: accepting(b""), "Accept"),
            (lambda head: accepting(head, b"sec-websocket-protocol: c"), "not offered"),
            (lambda head: accepting(head, b"sec-websocket-extensions: permessage-deflate"), "not offered"),
            (
                lambda head: accepting(head).replace(b"upgrade: websocket", b"upgrade: h2c"),
                "another protocol",
            ),
            (lambda head: accepting(head).replace(b"connection: Upgrade", b"x: y"), "another protocol"),
            (
                lambda head: b"HTTP/1.1 101 X\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
                "both",
            ),
        ],
    )
    def test_an_answer_that_does_not_fit(self, wrong: Callable[[bytes], bytes], problem: str) -> None:
        async def play(peer: Peer) -> None:
            peer.send(wrong(await peer.head()))
            await peer.gone()

        async def check(client: HTTPClient) -> None:
            with pytest.raises(RemoteProtocolError, match=problem):
                async with client.websocket("/", subprotocols=("a",)):
                    raise AssertionError("it was opened")
            assert client.pool("/").open == 0

        run(play, check)

    def test_a_refusal_tells_its_status_and_leaves_the_connection_in_use(self) -> None:
        async def play(peer: Peer) -> None:
            await peer.head()
            peer.send(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno")
            await peer.gone()

        async def check(client: HTTPClient) -> None:
            with pytest.raises(UpgradeRefused) as caught:
                async with client.websocket("/"):
                    raise AssertionError("it was opened")
            assert caught.value.response_status == 403
            assert client.pool("/").idle == 1

        run(play, check)

    def test_it_has_the_deadlines_of_an_exchange(self) -> None:
        async def silent(peer: Peer) -> None:
            await peer.gone()

        async def check(client: HTTPClient) -> None:
            with pytest.raises(ExchangeDeadline) as caught:
                async with client.websocket("/", timeouts=Timeouts(head=2.0)):
                    raise AssertionError("it was opened")
            assert caught.value.phase == "head"

        run(silent, check)


class TestMessages:
    def test_both_kinds_both_ways(self) -> None:
        async def check(client: HTTPClient) -> None:
            async with client.websocket("/") as ws:
                await ws.send("text")
                await ws.send(b"\x00\xff")
                await ws.send({"a": 1})
                assert [await ws.receive() for _ in range(3)] == ["text", b"\x00\xff", '{"a":1}']

        run(echoing, check)

    def test_messages_that_came_with_the_answer(self) -> None:
        async def play(peer: Peer) -> None:
            peer.send(accepting(await peer.head()) + b"\x81\x03one\x81\x03two\x88\x02\x03\xe8")
            assert await frame(peer) == (8, b"\x03\xe8")
            peer.close()

        async def check(client: HTTPClient) -> None:
            async with client.websocket("/") as ws:
                assert [message async for message in ws] == ["one", "two"]
                assert ws.close_code == 1000
                with pytest.raises(WebSocketClosed):
                    await ws.send("late")

        run(play, check)

    def test_a_peer_that_vanishes(self) -> None:
        async def play(peer: Peer) -> None:
            peer.send(accepting(await peer.head()) + b"\x81\x03one")
            await asyncio.sleep(1)
            peer.abort()

        async def check(client: HTTPClient) -> None:
            async with client.websocket("/") as ws:
                assert await ws.receive() == "one"
                with pytest.raises(PeerClosed):
                    await ws.receive()
                assert ws.close_code == 1006

        run(play, check)

    def test_a_masked_frame_breaks_the_protocol(self) -> None:
        async def play(peer: Peer) -> None:
            peer.send(accepting(await peer.head()) + b"\x81\x81abcd\x00")
            assert (await frame(peer))[1][:2] == b"\x03\xea"  # 1002
            peer.close()

        async def check(client: HTTPClient) -> None:
            async with client.websocket("/") as ws:
                assert [message async for message in ws] == []
            assert ws.close_code == 1002

        run(play, check)

    def test_a_message_too_large(self) -> None:
        async def play(peer: Peer) -> None:
            peer.send(accepting(await peer.head()) + b"\x82\x7e\x04\x00" + bytes(1024))
            assert (await frame(peer))[1][:2] == b"\x03\xf1"  # 1009
            peer.close()

        async def check(client: HTTPClient) -> None:
            async with client.websocket("/", settings=WebSocketSettings(max_message=1000)) as ws:
                assert [message async for message in ws] == []

        run(play, check)

    def test_reading_pauses_for_a_slow_reader(self) -> None:
        async def play(peer: Peer) -> None:
            peer.send(accepting(await peer.head()))
            for number in range(100):
                await peer.flushed(100_000)
                peer.send(b"\x82\x7e" + (50_000).to_bytes(2, "big") + bytes([number]) * 50_000)
            await peer.gone()

        async def check(client: HTTPClient) -> None:
            async with client.websocket("/") as ws:
                await asyncio.sleep(30)
                for number in range(100):
                    message = await ws.receive()
                    assert message == bytes([number]) * 50_000
                ws.abort()

        run(play, check)

    def test_a_silent_peer_is_pinged_and_then_cut_off(self) -> None:
        async def play(peer: Peer) -> None:
            peer.send(accepting(await peer.head()))
            assert (await frame(peer))[0] == 9
            await peer.gone()

        async def check(client: HTTPClient) -> None:
            settings = WebSocketSettings(ping_interval=5.0, ping_timeout=3.0)
            async with client.websocket("/", settings=settings) as ws:
                with pytest.raises(WebSocketClosed):
                    await ws.receive()
            assert 8.0 <= asyncio.get_running_loop().time() <= 9.0

        run(play, check)


class TestEnds:
    def test_a_block_that_fails_closes_with_1011_and_waits_for_nothing(self) -> None:
        seen: list[tuple[int, bytes]] = []

        async def play(peer: Peer) -> None:
            peer.send(accepting(await peer.head()))
            seen.append(await frame(peer))
            await peer.gone()

        async def check(client: HTTPClient) -> None:
            with pytest.raises(ValueError, match="mine"):
                async with client.websocket("/"):
                    raise ValueError("mine")
            assert asyncio.get_running_loop().time() == 0
            await asyncio.sleep(1)
            assert seen == [(8, b"\x03\xf3")]

        run(play, check)

    def test_a_close_without_an_answer_has_a_deadline(self) -> None:
        async def play(peer: Peer) -> None:
            peer.send(accepting(await peer.head()))
            await peer.gone()

        async def check(client: HTTPClient) -> None:
            async with client.websocket("/", settings=WebSocketSettings(close_timeout=3.0)):
                pass
            assert 3.0 <= asyncio.get_running_loop().time() <= 4.0

        run(play, check)

    def test_closing_the_client_cuts_open_ones(self) -> None:
        async def main() -> None:
            async with played(echoing) as connector:
                client = HTTPClient("ws://x", connector=connector)

                async def listen() -> None:
                    async with client.websocket("/") as ws:
                        await ws.receive()

                listening = asyncio.create_task(listen())
                await asyncio.sleep(1)
                await client.aclose()
                with pytest.raises(WebSocketClosed):
                    await listening

        run_virtual(main())

    def test_one_by_itself_leaves_nothing(self) -> None:
        async def main() -> None:
            async with played(echoing) as connector:
                async with connect_websocket("ws://x/", connector=connector) as ws:
                    await ws.send("a")
                    assert await ws.receive() == "a"
                assert len(asyncio.all_tasks()) <= 2

        run_virtual(main())

    def test_cancelled_at_every_moment_it_leaves_nothing(self) -> None:
        @asynccontextmanager
        async def opened(client: HTTPClient) -> AsyncIterator[ClientWebSocket]:
            async with client.websocket("/") as ws:
                yield ws

        async def talk(client: HTTPClient) -> None:
            async with opened(client) as ws:
                await ws.send("a")
                assert await ws.receive() == "a"

        async def scenario(trial: Trial) -> None:
            async with played(echoing) as connector:
                client = HTTPClient("ws://x", connector=connector)
                await trial(talk(client))
                await asyncio.sleep(1)
                assert client.pools.connections == 0
                assert client.pool("/").open == 0
                assert all(peer.eof for peer in connector.peers)
                await client.aclose()

        assert cancel_everywhere(scenario).points > 5
