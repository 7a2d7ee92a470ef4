"""The way out: bodies of every kind, 100 (Continue), and responses that come early."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from framework.errors import LocalProtocolError
from framework.net.client import (
    OriginPool,
    OutgoingRequest,
    Timeouts,
)
from tests.support.exchanges import OK, POST, run, whole
from tests.support.scripted import NetworkConnector, Peer


class TestSending:
    def test_bytes_go_out_with_their_head_in_one_write(self) -> None:
        seen: list[bytes] = []

        async def play(peer: Peer) -> None:
            seen.append(await peer.head())
            seen.append(await peer.take(4))
            peer.send(OK)
            await peer.gone()

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n"
            raw = await pool.exchange(OutgoingRequest(method="POST", head=head, body=b"body"))
            assert await whole(raw) == b"ok"
            assert seen == [head, b"body"]

        run(play, check)

    @pytest.mark.parametrize("kind", ["async", "sync"])
    def test_a_stream_is_chunked_with_its_trailers(self, kind: str) -> None:
        seen: list[bytes] = []

        async def play(peer: Peer) -> None:
            await peer.head()
            seen.append(await peer.until(b"\r\n\r\n"))
            peer.send(OK)
            await peer.gone()

        async def pieces() -> AsyncIterator[bytes]:
            for piece in (b"one", b"", b"three"):
                await asyncio.sleep(0.5)
                yield piece

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            body = pieces() if kind == "async" else [b"one", b"", b"three"]
            request = OutgoingRequest(method="POST", head=POST, body=body, trailers=lambda: [("x-sum", "1")])
            assert await whole(await pool.exchange(request)) == b"ok"
            assert seen == [b"3\r\none\r\n5\r\nthree\r\n0\r\nx-sum: 1\r\n\r\n"]
            assert pool.idle == 1

        run(play, check)

    def test_a_counted_stream_is_sent_as_it_is(self) -> None:
        seen: list[bytes] = []

        async def play(peer: Peer) -> None:
            await peer.head()
            seen.append(await peer.take(6))
            peer.send(OK)
            await peer.gone()

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            request = OutgoingRequest(method="POST", head=POST, body=[b"abc", b"def"], length=6)
            assert await whole(await pool.exchange(request)) == b"ok"
            assert seen == [b"abcdef"]

        run(play, check)

    @pytest.mark.parametrize(
        ("body", "length", "problem"),
        [([b"abc"], 4, "shorter"), ([b"abc", b"de"], 4, "longer"), ([b"a", "b"], None, "made of bytes")],
    )
    def test_a_stream_that_is_not_what_it_said_ends_the_exchange(
        self, body: Any, length: int | None, problem: str
    ) -> None:
        async def play(peer: Peer) -> None:
            await peer.gone()

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            with pytest.raises(LocalProtocolError, match=problem):
                await pool.exchange(OutgoingRequest(method="POST", head=POST, body=body, length=length))
            assert pool.open == 0
            await asyncio.sleep(1)
            assert connector.peers[0].eof

        run(play, check)

    def test_a_forbidden_trailer_ends_the_exchange(self) -> None:
        async def play(peer: Peer) -> None:
            await peer.gone()

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            request = OutgoingRequest(
                method="POST", head=POST, body=[b"a"], trailers=lambda: [("Content-Length", "1")]
            )
            with pytest.raises(LocalProtocolError, match="Content-Length"):
                await pool.exchange(request)

        run(play, check)

    def test_a_source_that_fails_ends_the_exchange_with_its_error(self) -> None:
        async def play(peer: Peer) -> None:
            assert b"0\r\n\r\n" not in await peer.gone()

        async def pieces() -> AsyncIterator[bytes]:
            yield b"a"
            raise ValueError("no more")

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            with pytest.raises(ValueError, match="no more"):
                await pool.exchange(OutgoingRequest(method="POST", head=POST, body=pieces()))
            assert pool.open == 0
            await asyncio.sleep(1)

        run(play, check)

    def test_sending_waits_for_a_slow_peer(self) -> None:
        made = 0

        async def play(peer: Peer) -> None:
            await peer.head()
            peer.stop_reading()
            await asyncio.sleep(10)
            assert made < 10
            peer.read_on()
            await peer.until(b"0\r\n\r\n")
            peer.send(OK)
            await peer.gone()

        async def pieces() -> AsyncIterator[bytes]:
            nonlocal made
            for _ in range(50):
                made += 1
                yield b"x" * 65_536

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            raw = await pool.exchange(OutgoingRequest(method="POST", head=POST, body=pieces()))
            assert await whole(raw) == b"ok"
            assert made == 50

        run(play, check)

    def test_large_bytes_have_no_head_deadline_while_they_are_sent(self) -> None:
        async def play(peer: Peer) -> None:
            await peer.head()
            peer.stop_reading()
            await asyncio.sleep(20)
            peer.read_on()
            await peer.take(1_000_000)
            peer.send(OK)
            await peer.gone()

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n"
            raw = await pool.exchange(OutgoingRequest(method="POST", head=head, body=b"x" * 1_000_000))
            assert await whole(raw) == b"ok"

        run(play, check, timeouts=Timeouts(head=5.0, send=30.0))


class TestExpectContinue:
    def request(self, body: Any = b"body") -> OutgoingRequest:
        head = b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n"
        return OutgoingRequest(method="POST", head=head, body=body, length=4, expect_continue=True)

    def test_the_body_waits_for_100(self) -> None:
        async def play(peer: Peer) -> None:
            await peer.head()
            await asyncio.sleep(0.5)
            assert peer.buffer == b""
            peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            assert await peer.take(4) == b"body"
            peer.send(OK)
            await peer.gone()

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            assert await whole(await pool.exchange(self.request())) == b"ok"
            assert pool.idle == 1

        run(play, check)

    def test_it_does_not_wait_for_ever(self) -> None:
        async def play(peer: Peer) -> None:
            await peer.head()
            assert await peer.take(4) == b"body"
            peer.send(OK)
            await peer.gone()

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            assert await whole(await pool.exchange(self.request())) == b"ok"
            assert pool.loop.time() == pytest.approx(1.0)

        run(play, check)

    @pytest.mark.parametrize("status", [b"417 Expectation Failed", b"200 OK"])
    def test_a_final_response_takes_its_place(self, status: bytes) -> None:
        async def play(peer: Peer) -> None:
            await peer.head()
            peer.send(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\n\r\n")
            assert await peer.gone() == b""

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            raw = await pool.exchange(self.request())
            assert await whole(raw) == b""
            assert pool.open == 0
            await asyncio.sleep(2)

        run(play, check)


class TestEarlyResponses:
    """The response comes while the request is still being sent."""

    async def _endless(self, ended: list[bool]) -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 1000
                await asyncio.sleep(0.1)
        finally:
            ended.append(True)

    @pytest.mark.parametrize(
        "response",
        [
            b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno",
            b"HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 2\r\n\r\nno",
            b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno",
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno",
        ],
    )
    def test_a_complete_one_stops_the_sending_and_closes(self, response: bytes) -> None:
        async def play(peer: Peer) -> None:
            await peer.head()
            await asyncio.sleep(1)
            peer.send(response)
            assert b"0\r\n\r\n" not in await peer.gone()

        ended: list[bool] = []

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            raw = await pool.exchange(OutgoingRequest(method="POST", head=POST, body=self._endless(ended)))
            assert await whole(raw) == b"no"
            assert pool.open == 0
            await asyncio.sleep(1)
            assert ended == [True]

        run(play, check)

    def test_an_error_stops_the_sending_before_its_body_came(self) -> None:
        async def play(peer: Peer) -> None:
            await peer.head()
            peer.send(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\n")
            await asyncio.sleep(5)
            peer.send(b"no")
            await peer.gone()

        ended: list[bool] = []

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            raw = await pool.exchange(OutgoingRequest(method="POST", head=POST, body=self._endless(ended)))
            await asyncio.sleep(1)
            assert ended == [True]
            assert await whole(raw) == b"no"

        run(play, check)

    def test_a_success_goes_on_both_ways(self) -> None:
        """A server may answer while it reads; stopping would cut a body that it means to take."""

        async def play(peer: Peer) -> None:
            await peer.head()
            peer.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            for _ in range(3):
                await peer.until(b"\r\nx\r\n")
                peer.send(b"1\r\ny\r\n")
            await peer.until(b"0\r\n\r\n")
            peer.send(b"0\r\n\r\n")
            await peer.gone()

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(3):
                await asyncio.sleep(1)
                yield b"x"

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            raw = await pool.exchange(OutgoingRequest(method="POST", head=POST, body=pieces()))
            assert pool.loop.time() < 1
            assert await whole(raw) == b"yyy"
            assert pool.idle == 1

        run(play, check)

    def test_closing_the_response_stops_the_sending(self) -> None:
        async def play(peer: Peer) -> None:
            await peer.head()
            peer.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            await peer.gone()

        ended: list[bool] = []

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            raw = await pool.exchange(OutgoingRequest(method="POST", head=POST, body=self._endless(ended)))
            raw.close()
            assert pool.open == 0
            await asyncio.sleep(1)
            assert ended == [True]
            with pytest.raises(LocalProtocolError, match="closed"):
                await raw.receive()

        run(play, check)

    def test_what_waits_for_a_peer_that_stopped_reading_does_not_keep_the_socket(self) -> None:
        async def play(peer: Peer) -> None:
            await peer.head()
            peer.stop_reading()
            await asyncio.sleep(1)
            peer.send(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")
            await asyncio.sleep(50)

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n"
            raw = await pool.exchange(OutgoingRequest(method="POST", head=head, body=bytes(1_000_000)))
            assert await whole(raw) == b"no"
            await asyncio.sleep(1)
            assert connector.connections[0].transport is None

        run(play, check)
