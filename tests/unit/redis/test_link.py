"""One connection's books: replies in step, whatever happens to those who wait for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from framework.errors import DeadlineExceeded
from framework.redis import RedisReplyError, RedisUnavailable
from framework.redis.link import Link
from framework.testing import run_virtual
from tests.support.transport import FakeTransport


class Wire:
    """A link over a transport in memory; ``sent`` is what the server got."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.pushes: list[Any] = []
        self.lost: list[Exception] = []
        self.link = Link(
            loop,
            on_push=self.pushes.append,
            on_room=lambda: None,
            on_lost=self.lost.append,
            stall_timeout=2.0,
        )
        self.transport = FakeTransport(loop, self.link)
        self.transport.connect()

    @property
    def sent(self) -> list[bytes]:
        return self.transport.writes


@asynccontextmanager
async def wired() -> AsyncGenerator[Wire]:
    wire = Wire()
    try:
        yield wire
    finally:
        if not wire.link.lost:
            wire.link.abort(RuntimeError("the test is over"))
        await asyncio.sleep(0)


def test_the_commands_of_a_turn_go_out_in_one_write() -> None:
    async def scenario() -> None:
        async with wired() as wire:
            futures = [wire.link.send(("GET", key), 1.0) for key in "abc"]
            assert wire.sent == []
            await asyncio.sleep(0)
            assert len(wire.sent) == 1
            assert wire.sent[0].count(b"GET") == 3
            assert wire.link.pending == 3
            wire.transport.feed(b"$1\r\n1\r\n_\r\n$1\r\n3\r\n")
            assert await asyncio.gather(*futures) == [b"1", None, b"3"]
            assert (wire.link.pending, wire.link.pending_bytes) == (0, 0)

    run_virtual(scenario())


@pytest.mark.parametrize("size", range(1, 12))
def test_replies_are_read_from_pieces_of_any_size(size: int) -> None:
    async def scenario() -> None:
        async with wired() as wire:
            replies = (
                b":7\r\n+OK\r\n-ERR no\r\n*2\r\n:1\r\n#t\r\n%1\r\n+k\r\n,1.5\r\n>2\r\n+x\r\n:1\r\n#f\r\n"
            )
            futures = [wire.link.send(("X",), 1.0) for _ in range(6)]
            await asyncio.sleep(0)
            for start in range(0, len(replies), size):
                wire.transport.feed(replies[start : start + size])
            got = await asyncio.gather(*futures, return_exceptions=True)
            assert isinstance(got[2], RedisReplyError)
            assert got[2].code == "ERR"
            assert [*got[:2], *got[3:]] == [7, b"OK", [1, True], {b"k": 1.5}, False]
            assert wire.pushes == [[b"x", 1]]

    run_virtual(scenario())


def test_a_cancelled_exchange_never_shifts_anothers_reply() -> None:
    async def scenario() -> None:
        async with wired() as wire:
            first = wire.link.send(("GET", "secret of one user"), 1.0)
            second = wire.link.send(("GET", "mine"), 1.0)
            await asyncio.sleep(0)
            first.cancel()
            third = wire.link.send(("GET", "later"), 1.0)
            wire.transport.feed(b"+secret\r\n+mine\r\n+later\r\n")
            assert await second == b"mine"
            assert await third == b"later"

    run_virtual(scenario())


def test_a_late_reply_is_dropped_and_the_next_ones_stay_in_step() -> None:
    async def scenario() -> None:
        async with wired() as wire:
            loop = asyncio.get_running_loop()
            slow = wire.link.send(("GET", "a"), 0.005)
            patient = wire.link.send(("GET", "b"), 1.5)
            with pytest.raises(DeadlineExceeded, match=r"longer than 0\.005 s"):
                await slow
            assert loop.time() == pytest.approx(0.005)
            wire.transport.feed(b"+late\r\n+b\r\n")
            assert await patient == b"b"

    run_virtual(scenario())


def test_each_deadline_is_kept_by_one_timer() -> None:
    async def scenario() -> None:
        async with wired() as wire:
            loop = asyncio.get_running_loop()
            ended: dict[float, float] = {}

            def note(timeout: float, future: asyncio.Future[Any]) -> None:
                assert isinstance(future.exception(), DeadlineExceeded)
                ended[timeout] = loop.time()

            for timeout in (1.0, 0.25, 0.5, 0.005):
                wire.link.send(("X",), timeout).add_done_callback(lambda f, t=timeout: note(t, f))
            await asyncio.sleep(1.5)
            assert ended == pytest.approx({t: t for t in (0.005, 0.25, 0.5, 1.0)})
            assert not wire.link.lost

    run_virtual(scenario())


def test_a_connection_that_owes_a_reply_for_too_long_is_given_up() -> None:
    async def scenario() -> None:
        async with wired() as wire:
            loop = asyncio.get_running_loop()
            future = wire.link.send(("X",), 0.5)
            with pytest.raises(DeadlineExceeded):
                await future
            while not wire.lost:
                later = wire.link.send(("X",), 0.1)  # whoever still asks does not keep it alive
                with pytest.raises((DeadlineExceeded, RedisUnavailable)):
                    await later
            assert loop.time() == pytest.approx(2.5, abs=0.11)
            assert wire.transport.aborted

    run_virtual(scenario())


def test_a_lost_connection_tells_everybody_who_waits() -> None:
    async def scenario() -> None:
        async with wired() as wire:
            futures = [wire.link.send(("INCR", "n"), 1.0) for _ in range(3)]
            futures[1].cancel()
            await asyncio.sleep(0)
            wire.transport.reset()
            for index in (0, 2):
                with pytest.raises(RedisUnavailable) as lost:
                    await futures[index]
                assert lost.value.sent
            assert len(wire.lost) == 1

    run_virtual(scenario())


@pytest.mark.parametrize("nonsense", [b"HTTP/1.1 400\r\n", b"+reply to nothing\r\n", b"$-9\r\n"])
def test_what_is_no_reply_ends_the_connection(nonsense: bytes) -> None:
    async def scenario() -> None:
        async with wired() as wire:
            wire.transport.feed(nonsense)
            await asyncio.sleep(0)
            assert len(wire.lost) == 1
            assert wire.transport.aborted

    run_virtual(scenario())


def test_subscribe_is_confirmed_by_a_push_and_refused_by_an_error_each_in_its_turn() -> None:
    async def scenario() -> None:
        async with wired() as wire:
            before = wire.link.send(("GET", "a"), 1.0)
            good = wire.link.send(("SUBSCRIBE", "news"), 1.0, pushed=True)
            bad = wire.link.send(("SUBSCRIBE", "forbidden"), 1.0, pushed=True)
            after = wire.link.send(("GET", "b"), 1.0)
            await asyncio.sleep(0)
            wire.transport.feed(
                b">3\r\n+message\r\n+other\r\n+x\r\n+a\r\n>3\r\n+subscribe\r\n+news\r\n:1\r\n"
            )
            wire.transport.feed(b"-NOPERM no\r\n>3\r\n+message\r\n+news\r\n+y\r\n+b\r\n")
            assert await before == b"a"
            assert await good == [b"subscribe", b"news", 1]
            with pytest.raises(RedisReplyError, match="NOPERM"):
                await bad
            assert await after == b"b"
            assert [push[1:] for push in wire.pushes] == [[b"other", b"x"], [b"news", b"y"]]

    run_virtual(scenario())


def test_a_script_the_server_does_not_know_follows_as_text() -> None:
    async def scenario() -> None:
        async with wired() as wire:
            future = wire.link.send(("EVALSHA", "d1g3st", 0), 1.0, ("EVAL", "return 1", 0))
            other = wire.link.send(("GET", "a"), 1.0)
            await asyncio.sleep(0)
            wire.transport.feed(b"-NOSCRIPT No matching script.\r\n+a\r\n")
            assert await other == b"a"
            await asyncio.sleep(0)
            assert b"return 1" in wire.sent[-1]
            wire.transport.feed(b":1\r\n")
            assert await future == 1

    run_virtual(scenario())


def test_nothing_is_written_while_the_socket_is_full() -> None:
    async def scenario() -> None:
        async with wired() as wire:
            wire.transport.room = 0
            future = wire.link.send(("SET", "k", b"x" * 100_000), 5.0)
            await asyncio.sleep(0)
            assert len(wire.sent) == 1
            more = [wire.link.send(("GET", "k"), 5.0) for _ in range(3)]
            await asyncio.sleep(1.0)
            late = wire.link.send(("GET", "k"), 5.0)
            assert len(wire.sent) == 1
            assert wire.link.pending == 5
            wire.transport.take(None)
            await asyncio.sleep(0)
            assert len(wire.sent) == 2
            wire.transport.feed(b"+OK\r\n" + b"+v\r\n" * 4)
            assert await future == b"OK"
            assert await asyncio.gather(*more, late) == [b"v"] * 4

    run_virtual(scenario())
