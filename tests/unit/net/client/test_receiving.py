"""The way in: back-pressure, 1xx, and tunnels."""

from __future__ import annotations

import asyncio

import pytest

from framework.errors import LocalProtocolError
from framework.net.client import (
    OriginPool,
    OutgoingRequest,
)
from tests.support.exchanges import OK, answers, get, run, whole
from tests.support.scripted import NetworkConnector, Peer


class TestReceiving:
    def test_reading_pauses_for_a_slow_reader(self) -> None:
        sent = 0

        async def play(peer: Peer) -> None:
            nonlocal sent
            await peer.head()
            peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 5000000\r\n\r\n")
            for _ in range(50):
                await peer.flushed(100_000)
                peer.send(b"x" * 100_000)
                sent += 100_000
            await peer.gone()

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            raw = await pool.exchange(get())
            await asyncio.sleep(30)
            assert sent < 1_000_000
            assert len(await raw.receive()) < 300_000
            assert len(await whole(raw)) > 4_000_000
            assert sent == 5_000_000
            assert pool.idle == 1

        run(play, check)

    def test_the_connection_is_free_before_the_body_is_read(self) -> None:
        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            first = await pool.exchange(get())
            assert pool.idle == 1
            second = await pool.exchange(get())
            assert await whole(second) == b"b"
            assert first.received() == b"a"
            first.close()
            assert pool.idle == 1
            assert connector.calls == 1

        head = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n"
        run(answers(head + b"a", head + b"b"), check)

    def test_two_readers_of_one_response_are_a_mistake(self) -> None:
        async def play(peer: Peer) -> None:
            await peer.head()
            peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n")
            await peer.gone()

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            raw = await pool.exchange(get())
            reading = asyncio.create_task(raw.receive())
            await asyncio.sleep(0)
            with pytest.raises(LocalProtocolError, match="two tasks"):
                await raw.receive()
            raw.close()
            with pytest.raises(LocalProtocolError, match="closed"):
                await reading

        run(play, check)

    def test_informational_responses_are_told_in_order(self) -> None:
        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            told: list[tuple[int, str | None]] = []
            request = get(on_informational=lambda head: told.append((head.status, head.field("link"))))
            assert await whole(await pool.exchange(request)) == b"ok"
            assert told == [(103, "a"), (102, None)]

        run(answers(b"HTTP/1.1 103 Early\r\nlink: a\r\n\r\nHTTP/1.1 102 Wait\r\n\r\n" + OK), check)

    def test_what_an_informational_callback_raises_ends_the_exchange(self) -> None:
        def on_informational(head: object) -> None:
            raise ValueError("not that")

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            with pytest.raises(ValueError, match="not that"):
                await pool.exchange(get(on_informational=on_informational))
            assert pool.open == 0

        run(answers(b"HTTP/1.1 103 Early\r\n\r\n" + OK), check)


class TestTunnels:
    def test_an_upgrade_hands_the_transport_over_with_what_came_behind(self) -> None:
        async def play(peer: Peer) -> None:
            await peer.head()
            peer.send(b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nfirst")
            await asyncio.sleep(1)
            peer.send(b"second")
            assert await peer.take(5) == b"reply"
            peer.send(b"third")
            await peer.gone()

        class Far(asyncio.Protocol):
            def __init__(self) -> None:
                self.data = b""

            def data_received(self, data: bytes) -> None:
                self.data += data

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            raw = await pool.exchange(get(upgrade=True))
            assert (raw.head.status, raw.is_tunnel) == (101, True)
            await asyncio.sleep(2)
            transport, received = raw.detach()
            assert received == b"first"
            assert pool.open == 0
            far = Far()
            transport.set_protocol(far)
            transport.resume_reading()
            transport.write(b"reply")
            await asyncio.sleep(1)
            assert far.data == b"secondthird"
            with pytest.raises(LocalProtocolError, match="taken"):
                raw.detach()
            transport.close()

        run(play, check)

    def test_connect_opens_a_tunnel(self) -> None:
        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            request = OutgoingRequest(method="CONNECT", head=b"CONNECT y:1 HTTP/1.1\r\nhost: y:1\r\n\r\n")
            raw = await pool.exchange(request)
            transport, received = raw.detach()
            assert received == b"hi"
            transport.abort()

        run(answers(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nhi"), check)

    def test_a_refused_upgrade_is_an_ordinary_response(self) -> None:
        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            raw = await pool.exchange(get(upgrade=True))
            assert not raw.is_tunnel
            assert await whole(raw) == b"no"
            with pytest.raises(LocalProtocolError):
                raw.detach()
            assert pool.idle == 1

        run(answers(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno"), check)

    def test_a_tunnel_nobody_takes_is_closed(self) -> None:
        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            raw = await pool.exchange(get(upgrade=True))
            raw.close()
            assert pool.open == 0
            with pytest.raises(LocalProtocolError):
                raw.detach()

        run(answers(b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"), check)
