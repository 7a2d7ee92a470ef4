"""A pool whose server performs a play, in virtual time: what tests of the HTTP client share."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from framework.net.client import (
    Origin,
    OriginPool,
    OutgoingRequest,
    Pools,
    PoolSettings,
    RawResponse,
    Timeouts,
)
from framework.testing import run_virtual
from framework.testing.network import Conditions
from tests.support.scripted import NetworkConnector, Peer, Play, played

__all__ = ["GET", "OK", "ORIGIN", "POST", "answers", "get", "run", "whole"]

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
ORIGIN = Origin("x", 80)

Body = Callable[[OriginPool, NetworkConnector], Coroutine[Any, Any, None]]


def run(
    play: Play,
    body: Body,
    *,
    settings: PoolSettings | None = None,
    timeouts: Timeouts | None = None,
    conditions: Conditions | None = None,
) -> None:
    """Runs ``body`` with a pool whose server performs ``play``; nothing may be left behind."""

    async def main() -> None:
        async with played(play, conditions) as connector:
            pools = Pools(settings, timeouts, connector)
            pool = pools.pool(ORIGIN)
            await body(pool, connector)
            await pools.aclose()
            assert pool.open == 0
            assert pools.connections == 0
            assert not pools.wheel.turning

    run_virtual(main())


def get(**options: Any) -> OutgoingRequest:
    return OutgoingRequest(method="GET", head=GET, **options)


async def whole(raw: RawResponse) -> bytes:
    pieces: list[bytes] = []
    while piece := await raw.receive():
        pieces.append(piece)
    return b"".join(pieces)


def answers(*responses: bytes) -> Play:
    """Answers each request of a connection with the next of ``responses``."""

    async def play(peer: Peer) -> None:
        for response in responses:
            await peer.head()
            peer.send(response)
        await peer.gone()

    return play


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
