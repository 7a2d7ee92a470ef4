"""Who gets which connection: reuse, bounds, the queue, and books that balance whatever is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from framework.errors import LocalProtocolError
from framework.net.client import (
    ConnectError,
    ExchangeDeadline,
    Origin,
    OriginPool,
    OutgoingRequest,
    PoolExhausted,
    Pools,
    PoolSettings,
    Timeouts,
)
from framework.testing import run_virtual
from framework.testing.cancellation import Trial, cancel_everywhere
from tests.support.exchanges import OK, ORIGIN, POST, answers, get, run, whole
from tests.support.scripted import NetworkConnector, Peer, played

SLOW = 1.0


async def slowly(peer: Peer) -> None:
    """Answers every request after a second, saying on which connection."""
    while True:
        await peer.head()
        await asyncio.sleep(SLOW)
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n%d" % peer.number)


async def fetch(pool: OriginPool) -> bytes:
    return await whole(await pool.exchange(get()))


class TestReuse:
    def test_the_connection_used_last_is_used_next(self) -> None:
        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            await asyncio.gather(*(fetch(pool) for _ in range(3)))
            assert (pool.open, pool.idle) == (3, 3)
            last = await fetch(pool)
            for _ in range(3):
                assert await fetch(pool) == last

        run(slowly, check)

    def test_no_more_are_kept_than_max_idle(self) -> None:
        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            await asyncio.gather(*(fetch(pool) for _ in range(5)))
            assert (pool.open, pool.idle) == (2, 2)

        run(slowly, check, settings=PoolSettings(max_idle=2))

    def test_idle_ones_are_closed_after_idle_timeout(self) -> None:
        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            await fetch(pool)
            await asyncio.sleep(3.9)
            assert pool.idle == 1
            await asyncio.sleep(0.3)
            assert pool.open == 0
            await asyncio.sleep(0.1)
            assert connector.peers[0].eof

        run(slowly, check, settings=PoolSettings(idle_timeout=4.0))

    @pytest.mark.parametrize(
        ("hint", "kept"),
        [
            (b"timeout=5", 4.0),
            (b"timeout=5, max=100", 4.0),
            (b"max=3, TIMEOUT = 2", 1.0),
            (b"timeout=1", 0.5),
            (b"timeout=600", 15.0),
            (b"timeout=0x5", 15.0),
            (b"timeout=", 15.0),
            (b"timeout=\xb2", 15.0),
            (b"timeout=" + b"9" * 400, 15.0),
        ],
    )
    def test_a_hint_of_keep_alive_is_heeded(self, hint: bytes, kept: float) -> None:
        response = OK.replace(b"\r\n\r\n", b"\r\nKeep-Alive: " + hint + b"\r\n\r\n")

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            await fetch(pool)
            await asyncio.sleep(kept - 0.1)
            assert pool.idle == 1
            await asyncio.sleep(0.3)
            assert pool.open == 0

        run(answers(response), check)

    def test_an_old_connection_is_not_used_again(self) -> None:
        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            for _ in range(6):
                await fetch(pool)
                await asyncio.sleep(1)
            assert connector.calls > 1

        run(slowly, check, settings=PoolSettings(max_age=3.0))

    def test_an_unread_response_is_not_in_the_way_of_the_next(self) -> None:
        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            first = await pool.exchange(get())
            second = await pool.exchange(get())
            assert (await whole(first), await whole(second)) == (b"0", b"0")

        run(slowly, check)


class TestWaiting:
    def test_who_waits_longest_is_served_first(self) -> None:
        order: list[int] = []

        async def one(pool: OriginPool, number: int) -> None:
            await fetch(pool)
            order.append(number)

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            async with asyncio.TaskGroup() as group:
                for number in range(6):
                    group.create_task(one(pool, number))
                    await asyncio.sleep(0.01)
                assert (pool.open, pool.waiting) == (2, 4)
            assert order == [0, 1, 2, 3, 4, 5]
            assert connector.calls == 2

        run(slowly, check, settings=PoolSettings(max_connections=2))

    def test_the_queue_is_bounded(self) -> None:
        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            async with asyncio.TaskGroup() as group:
                for _ in range(3):
                    group.create_task(fetch(pool))
                await asyncio.sleep(0.1)
                with pytest.raises(PoolExhausted, match="2 wait"):
                    await fetch(pool)

        run(slowly, check, settings=PoolSettings(max_connections=1, max_waiting=2))

    @pytest.mark.parametrize(("total", "phase", "after"), [(None, "acquire", 2.0), (1.5, "total", 1.5)])
    def test_waiting_has_a_deadline(self, total: float | None, phase: str, after: float) -> None:
        async def stalls(peer: Peer) -> None:
            await peer.gone()

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            async with asyncio.TaskGroup() as group:
                stalled = group.create_task(pool.exchange(get()))
                await asyncio.sleep(0)
                began = pool.loop.time()
                with pytest.raises(ExchangeDeadline) as caught:
                    await pool.exchange(get(timeouts=Timeouts(acquire=2.0, total=total)))
                assert caught.value.phase == phase
                assert after <= pool.loop.time() - began <= after + 0.1
                assert pool.waiting == 0
                stalled.cancel()

        run(stalls, check, settings=PoolSettings(max_connections=1))

    def test_a_lost_connection_makes_room_for_who_waits(self) -> None:
        async def play(peer: Peer) -> None:
            await peer.head()
            await asyncio.sleep(1)
            if peer.number:
                peer.send(OK)
                await peer.gone()
            else:
                peer.abort()

        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            first, second = await asyncio.gather(fetch(pool), fetch(pool), return_exceptions=True)
            assert isinstance(first, Exception)
            assert second == b"ok"
            assert (pool.open, pool.idle, connector.calls) == (1, 1, 2)

        run(play, check, settings=PoolSettings(max_connections=1))

    def test_a_failed_connect_makes_room_for_who_waits(self) -> None:
        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            connector.delay = 1.0
            connector.failures = [ConnectError("x", [OSError("down")])]
            first, second = await asyncio.gather(fetch(pool), fetch(pool), return_exceptions=True)
            assert isinstance(first, ConnectError)
            assert second == b"0"

        run(slowly, check, settings=PoolSettings(max_connections=1))

    def test_connecting_has_a_deadline(self) -> None:
        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            connector.delay = 10.0
            with pytest.raises(
                ExchangeDeadline, match="connecting to http://x took longer than 3 s"
            ) as caught:
                await fetch(pool)
            assert caught.value.phase == "connect"
            assert pool.open == 0

        run(slowly, check, timeouts=Timeouts(connect=3.0))


class TestClosing:
    def test_what_is_under_way_fails_and_what_is_idle_closes(self) -> None:
        async def main() -> None:
            async with played(slowly) as connector:
                pools = Pools(connector=connector)
                pool = pools.pool(ORIGIN)
                await asyncio.gather(fetch(pool), fetch(pool))
                busy = asyncio.create_task(fetch(pool))
                await asyncio.sleep(0.1)
                await pools.aclose()
                with pytest.raises(LocalProtocolError, match="closed"):
                    await busy
                assert (pools.connections, pool.open) == (0, 0)
                with pytest.raises(LocalProtocolError, match="closed"):
                    pools.pool(Origin("y", 80))

        run_virtual(main())

    def test_closing_ends_the_sending_of_bodies(self) -> None:
        ended: list[bool] = []

        async def endless() -> AsyncIterator[bytes]:
            try:
                while True:
                    await asyncio.sleep(1)
                    yield b"x"
            finally:
                ended.append(True)

        async def main() -> None:
            async with played(answers()) as connector:
                pools = Pools(connector=connector)
                request = OutgoingRequest(method="POST", head=POST, body=endless())
                sending = asyncio.create_task(pools.pool(ORIGIN).exchange(request))
                await asyncio.sleep(3)
                await pools.aclose()
                assert ended == [True]
                with pytest.raises(LocalProtocolError):
                    await sending

        run_virtual(main())

    def test_the_pools_are_bounded(self) -> None:
        async def main() -> None:
            async with played(slowly) as connector:
                pools = Pools(connector=connector, max_origins=2)
                first = pools.pool(Origin("a", 80))
                await fetch(first)
                busy = asyncio.create_task(fetch(pools.pool(Origin("b", 80))))
                await asyncio.sleep(0.1)
                third = pools.pool(Origin("c", 80))
                assert first.is_retired
                assert first.open == 0
                waiting = asyncio.create_task(fetch(third))
                await asyncio.sleep(0.1)
                with pytest.raises(PoolExhausted, match="2 origins"):
                    pools.pool(Origin("d", 80))
                await asyncio.gather(busy, waiting)
                await pools.aclose()

        run_virtual(main())

    def test_who_waits_when_all_is_closed_is_told(self) -> None:
        async def main() -> None:
            async with played(slowly) as connector:
                pools = Pools(PoolSettings(max_connections=1), connector=connector)
                pool = pools.pool(ORIGIN)
                tasks = [asyncio.create_task(fetch(pool)) for _ in range(3)]
                await asyncio.sleep(0.1)
                await pools.aclose()
                results = await asyncio.gather(*tasks, return_exceptions=True)
                assert [type(result) for result in results] == [LocalProtocolError] * 3
                assert connector.calls == 1
                assert (pool.open, pool.waiting) == (0, 0)

        run_virtual(main())


class TestCancellation:
    """A cancellation at every moment of an exchange: no slot is lost, no reply goes to another request."""

    @staticmethod
    def _balanced(pools: Pools, pool: OriginPool) -> None:
        assert pool.waiting == 0
        assert pool.open == pool.idle
        assert pools.connections == pool.open

    def test_a_coroutine_that_is_thrown_away_leaves_nothing(self) -> None:
        async def check(pool: OriginPool, connector: NetworkConnector) -> None:
            await fetch(pool)
            exchanging = pool.exchange(get())
            exchanging.send(None)
            exchanging.close()
            assert pool.open == 0

        run(slowly, check)

    @pytest.mark.parametrize("kind", ["fresh", "kept", "queued", "body", "upload", "expect", "stale"])
    def test_every_moment(self, kind: str) -> None:
        async def play(peer: Peer) -> None:
            while True:
                head = await peer.head()
                if b"chunked" in head:
                    await peer.until(b"0\r\n\r\n")
                if b"stale" in head and peer.number == 0:
                    peer.close()
                    return
                await asyncio.sleep(0.01)
                peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n")
                await asyncio.sleep(0.01)
                number = head.split()[1]
                peer.send(b"reply %b" % number.rjust(3))

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(3):
                await asyncio.sleep(0.01)
                yield b"x"

        async def numbered(pool: OriginPool, number: int, mark: bytes = b"x") -> bytes:
            head = b"GET %d HTTP/1.1\r\nhost: %b\r\n\r\n" % (number, mark)
            raw = await pool.exchange(OutgoingRequest(method="GET", head=head))
            try:
                return await whole(raw)
            finally:
                raw.close()

        async def tried(pool: OriginPool) -> bytes:
            if kind in ("upload", "expect"):
                head = POST.replace(b" / ", b" 1 ")
                request = OutgoingRequest(
                    method="POST",
                    head=head,
                    body=pieces(),
                    expect_continue=kind == "expect",
                    continue_timeout=0.02,
                )
                raw = await pool.exchange(request)
                try:
                    return await whole(raw)
                finally:
                    raw.close()
            return await numbered(pool, 1, b"stale" if kind == "stale" else b"x")

        async def scenario(trial: Trial) -> None:
            async with played(play) as connector:
                pools = Pools(PoolSettings(max_connections=2), connector=connector)
                pool = pools.pool(ORIGIN)
                if kind != "fresh":
                    await numbered(pool, 0)
                others: list[asyncio.Task[bytes]] = []
                if kind == "queued":
                    others = [asyncio.create_task(numbered(pool, number)) for number in (2, 3, 4)]
                    await asyncio.sleep(0)
                outcome = await trial(tried(pool))
                if not outcome.cancelled:
                    assert outcome.result == b"reply   1"
                for number, other in zip((2, 3, 4), others, strict=False):
                    assert await other == b"reply %3d" % number
                for number in (5, 6):
                    assert await numbered(pool, number) == b"reply %3d" % number
                await asyncio.sleep(0.1)
                self._balanced(pools, pool)
                await pools.aclose()
                assert (pool.open, pools.connections) == (0, 0)

        report = cancel_everywhere(scenario)
        assert report.points > 2
