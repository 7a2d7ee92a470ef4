"""Whatever servers do and callers cancel, the pool's books balance and every reply is its own request's."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from framework.errors import FrameworkError
from framework.net.client import OriginPool, OutgoingRequest, Pools, PoolSettings, Timeouts
from framework.testing import run_virtual
from tests.support.exchanges import ORIGIN, whole
from tests.support.scripted import Peer, played

BEHAVIOURS = (
    "answers",
    "answers and closes",
    "answers slowly",
    "answers twice",
    "chunks",
    "closes",
    "cuts the head",
    "cuts the body",
    "lies",
    "resets",
    "stalls",
)


class Call(NamedTuple):
    behaviour: str
    begins: float
    cancelled_after: float | None
    method: str


CALLS = st.lists(
    st.builds(
        Call,
        st.sampled_from(BEHAVIOURS),
        st.floats(0, 3).map(lambda value: round(value, 2)),
        st.none() | st.floats(0, 3).map(lambda value: round(value, 2)),
        st.sampled_from(["GET", "POST"]),
    ),
    min_size=1,
    max_size=12,
)


async def serve(peer: Peer) -> None:
    """Does what the target says; the reply names the request."""
    while True:
        head = await peer.head()
        number, _, behaviour = head.split()[1][1:].decode().replace("_", " ").partition("/")
        body = number.encode()
        length = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n" % len(body)
        await asyncio.sleep(0.1)
        if behaviour == "answers slowly":
            await asyncio.sleep(1)
        if behaviour in ("answers", "answers slowly"):
            peer.send(length + b"\r\n" + body)
        elif behaviour == "answers and closes":
            peer.send(length + b"connection: close\r\n\r\n" + body)
        elif behaviour == "answers twice":
            # Together: one that comes when the next request is out already cannot be told from its answer.
            peer.send((length + b"\r\n" + body) * 2)
        elif behaviour == "chunks":
            peer.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            for byte in body:
                await asyncio.sleep(0.05)
                peer.send(b"1\r\n%c\r\n" % byte)
            peer.send(b"0\r\n\r\n")
        elif behaviour == "cuts the head":
            peer.send(length)
            peer.close()
        elif behaviour == "cuts the body":
            peer.send(length.replace(b"length: ", b"length: 1") + b"\r\n" + body)
            peer.close()
        elif behaviour == "lies":
            peer.send(length + length[17:] + b"\r\n" + body)
        elif behaviour == "closes":
            peer.close()
        elif behaviour == "resets":
            peer.abort()
        elif behaviour == "stalls":
            await peer.gone()


async def ask(pool: OriginPool, number: int, call: Call) -> bytes:
    await asyncio.sleep(call.begins)
    target = f"/{number}/{call.behaviour.replace(' ', '_')}"
    head = f"{call.method} {target} HTTP/1.1\r\nhost: x\r\n\r\n".encode()
    raw = await pool.exchange(OutgoingRequest(method=call.method, head=head))
    try:
        return await whole(raw)
    finally:
        raw.close()


async def story(calls: list[Call], max_connections: int) -> None:
    async with played(serve) as connector:
        timeouts = Timeouts(head=2.0, body_idle=2.0, acquire=5.0)
        pools = Pools(PoolSettings(max_connections=max_connections, max_waiting=5), timeouts, connector)
        pool = pools.pool(ORIGIN)
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(ask(pool, number, call)) for number, call in enumerate(calls)]
        for task, call in zip(tasks, calls, strict=True):
            if call.cancelled_after is not None:
                loop.call_later(call.begins + call.cancelled_after, task.cancel)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for number, result in enumerate(results):
            if isinstance(result, BaseException):
                assert isinstance(result, (FrameworkError, asyncio.CancelledError)), repr(result)
            else:
                assert result == str(number).encode()
        await asyncio.sleep(1)
        assert pool.open == pool.idle <= max_connections
        assert pool.waiting == 0
        assert pools.connections == pool.open
        await pools.aclose()
        assert (pool.open, pools.connections) == (0, 0)


@given(CALLS, st.integers(1, 3))
@settings(deadline=None, max_examples=200)
def test_the_books_balance(calls: list[Call], max_connections: int) -> None:
    run_virtual(story(calls, max_connections))
