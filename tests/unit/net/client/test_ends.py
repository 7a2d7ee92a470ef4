"""Kept connections that were closed meanwhile, and deadlines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from framework.errors import PeerClosed
from framework.net.client import (
    ExchangeDeadline,
    OriginPool,
    OutgoingRequest,
    StaleConnection,
    Timeouts,
)
from tests.support.exchanges import GET, OK, answers, get, run, whole
from tests.support.scripted import NetworkConnector, Peer, Play


async def fetched(pool: OriginPool, **options: Any) -> bytes:
    return await whole(await pool.exchange(get(**options)))


class TestStaleConnections:
    def test_a_get_is_sent_again_unseen(self) -> None:
        async def play(peer: Peer) -> None:
            await peer.head()
            if peer.number:
                peer.send(OK.replace(b"ok", b"me"))
            else:
                peer.send(OK)
                await peer.head()
                peer.close()
            await peer.gone()

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            assert await whole(await pool.exchange(get())) == b"ok"
            assert await whole(await pool.exchange(get())) == b"me"
            assert connector.calls == 2

        run(play, check)

    @pytest.mark.parametrize(
        "request_",
        [
            OutgoingRequest(method="POST", head=GET),
            OutgoingRequest(method="POST", head=GET, body=b"x"),
            OutgoingRequest(method="PUT", head=GET, body=b"x"),
            OutgoingRequest(method="GET", head=GET, body=[b"x"]),
            OutgoingRequest(method="GET", head=GET, idempotent=False),
        ],
    )
    def test_others_are_not_sent_again(self, request_: OutgoingRequest) -> None:
        async def play(peer: Peer) -> None:
            await peer.head()
            peer.send(OK)
            await peer.head()
            peer.close()

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            await whole(await pool.exchange(get()))
            with pytest.raises(StaleConnection):
                await pool.exchange(request_)
            assert connector.calls == 1
            assert pool.open == 0

        run(play, check)

    def test_a_request_called_idempotent_is_sent_again_with_its_body(self) -> None:
        async def play(peer: Peer) -> None:
            await peer.head()
            if peer.number == 0:
                peer.send(OK)
                await peer.head()
                peer.close()
            else:
                assert await peer.take(1) == b"x"
                peer.send(OK)
            await peer.gone()

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            await whole(await pool.exchange(get()))
            head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n"
            request = OutgoingRequest(method="POST", head=head, body=b"x", idempotent=True)
            assert await whole(await pool.exchange(request)) == b"ok"
            assert connector.calls == 2

        run(play, check)

    def test_it_is_sent_again_only_once(self) -> None:
        async def play(peer: Peer) -> None:
            await peer.head()
            if peer.number == 0:
                peer.send(OK)
                await peer.head()
            peer.close()

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            await whole(await pool.exchange(get()))
            with pytest.raises(PeerClosed, match="instead of answering"):
                await pool.exchange(get())
            assert connector.calls == 2

        run(play, check)

    @pytest.mark.parametrize("piece", [b"HTTP/1.1", b"HTTP/1.1 103 Early\r\n\r\n"])
    def test_not_after_any_byte_of_a_response(self, piece: bytes) -> None:
        async def play(peer: Peer) -> None:
            await peer.head()
            peer.send(OK)
            await peer.head()
            peer.send(piece)
            await asyncio.sleep(1)
            peer.close()

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            await whole(await pool.exchange(get()))
            with pytest.raises(PeerClosed) as caught:
                await pool.exchange(get())
            assert not isinstance(caught.value, StaleConnection)
            assert connector.calls == 1

        run(play, check)

    def test_one_that_closed_while_idle_is_never_tried(self) -> None:
        async def play(peer: Peer) -> None:
            await peer.head()
            peer.send(OK)
            peer.close()

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            for _ in range(3):
                raw = await pool.exchange(OutgoingRequest(method="POST", head=GET))
                assert await whole(raw) == b"ok"
                await asyncio.sleep(1)
                assert pool.open == 0
            assert connector.calls == 3

        run(play, check)


class TestDeadlines:
    """Each names itself; none comes early, and at most a tick late."""

    async def _silent(self, peer: Peer) -> None:
        await peer.gone()

    def _fails(self, play: Play, phase: str, after: float, timeouts: Timeouts, **options: Any) -> None:
        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            with pytest.raises(ExchangeDeadline) as caught:
                await fetched(pool, **options)
            assert caught.value.phase == phase
            assert after <= pool.loop.time() <= after + 0.1
            assert pool.open == 0
            assert f"{after:g} s" in str(caught.value)

        run(play, check, timeouts=timeouts)

    def test_head(self) -> None:
        self._fails(self._silent, "head", 3.0, Timeouts(head=3.0, total=60.0))

    def test_a_head_that_trickles_has_the_same_deadline(self) -> None:
        async def play(peer: Peer) -> None:
            await peer.head()
            for byte in b"HTTP/1.1 200 OK\r\nx: y\r\n":
                peer.send(bytes([byte]))
                await asyncio.sleep(1)

        self._fails(play, "head", 3.0, Timeouts(head=3.0))

    def test_body_idle(self) -> None:
        async def play(peer: Peer) -> None:
            await peer.head()
            peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n")
            await peer.gone()

        self._fails(play, "body_idle", 2.0, Timeouts(body_idle=2.0))

    def test_a_body_that_goes_on_meets_only_total(self) -> None:
        async def play(peer: Peer) -> None:
            await peer.head()
            peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n")
            while not peer.eof:
                await asyncio.sleep(1)
                peer.send(b"x")

        self._fails(play, "total", 20.0, Timeouts(body_idle=2.0, total=20.0))

    def test_a_slow_reader_is_no_fault_of_the_peer(self) -> None:
        async def play(peer: Peer) -> None:
            await peer.head()
            peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\na")
            await asyncio.sleep(20)
            peer.send(b"bc")
            await peer.gone()

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            raw = await pool.exchange(get())
            await asyncio.sleep(19)
            assert await whole(raw) == b"abc"

        run(play, check, timeouts=Timeouts(body_idle=2.0))

    def test_send(self) -> None:
        """The peer takes what its window holds, so that nothing is taken only in the second period."""

        async def play(peer: Peer) -> None:
            await peer.head()
            peer.stop_reading()
            await asyncio.sleep(100)

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            with pytest.raises(ExchangeDeadline) as caught:
                await pool.exchange(get(body=b"x" * 1_000_000))
            assert caught.value.phase == "send"
            assert 8.0 <= pool.loop.time() <= 8.2
            assert pool.open == 0

        run(play, check, timeouts=Timeouts(send=4.0))

    def test_a_deadline_of_the_caller_counts_as_total(self) -> None:
        self._fails(self._silent, "total", 1.5, Timeouts(), deadline=1.5)

    def test_a_producer_without_end_meets_total(self) -> None:
        async def never() -> AsyncIterator[bytes]:
            await asyncio.sleep(1000)
            yield b""

        self._fails(self._silent, "total", 5.0, Timeouts(total=5.0), body=never())

    def test_a_finished_exchange_has_none_left(self) -> None:
        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            assert await whole(await pool.exchange(get())) == b"ok"
            await asyncio.sleep(10)
            assert pool.idle == 1
            assert await whole(await pool.exchange(get())) == b"ok"
            assert connector.calls == 1

        run(answers(OK, OK), check, timeouts=Timeouts(head=2.0, total=3.0))
