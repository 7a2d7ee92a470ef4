"""However the bytes of responses are cut on their way, the same comes of them."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from framework.errors import FrameworkError
from framework.net.client import OutgoingRequest, Pools
from framework.testing import run_virtual
from tests.support.exchanges import GET, ORIGIN
from tests.support.scripted import Peer, played

HEADS = (
    b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    b'HTTP/1.1 200 \r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nA;x="y"\r\n0123456789\r\n0\r\nx-t: 1\r\n\r\n',
    b"HTTP/1.1 103 Early\r\nlink: a\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
    b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabcd\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\na",
    b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nraw",
    b"HTTP/1.1 101 Switching\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nx: a\r\n b\r\n\r\n",
    b"HTTP",
    b"",
)


async def outcome(pieces: list[bytes], method: str, upgrade: bool) -> tuple[Any, ...]:
    """What an exchange tells of a response that comes in ``pieces``, and then the end of the connection."""

    async def play(peer: Peer) -> None:
        await peer.head()
        for piece in pieces:
            peer.send(piece)
            await asyncio.sleep(0.01)
        peer.close()

    async with played(play) as connector:
        pools = Pools(connector=connector)
        told: list[int] = []
        request = OutgoingRequest(
            method=method, head=GET, upgrade=upgrade, on_informational=lambda head: told.append(head.status)
        )
        seen: list[Any] = []
        try:
            raw = await pools.pool(ORIGIN).exchange(request)
            seen += [raw.head.status, raw.head.fields(), raw.is_tunnel]
            if raw.is_tunnel:
                raw.close()
            else:
                body = b""
                try:
                    while piece := await raw.receive():
                        body += piece
                except FrameworkError:
                    body = b""  # how much came ahead of the break is the cuts' matter
                    raise
                finally:
                    seen += [body, raw.trailers]
        except FrameworkError as error:
            seen += [type(error), str(error)]
        await pools.aclose()
        return (*seen, told)


@given(
    st.sampled_from(HEADS),
    st.lists(st.integers(0, 120), max_size=8),
    st.sampled_from(["GET", "HEAD"]),
    st.booleans(),
)
@settings(deadline=None)
def test_any_split_of_the_bytes_gives_the_same(
    data: bytes, cuts: list[int], method: str, upgrade: bool
) -> None:
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[start:end] for start, end in pairwise(edges)]
    whole = run_virtual(outcome([data] if data else [], method, upgrade))
    assert run_virtual(outcome(pieces, method, upgrade)) == whole


@given(st.lists(st.binary(max_size=40), max_size=6), st.sampled_from(["GET", "HEAD"]))
@settings(deadline=None)
def test_any_bytes_end_in_a_response_or_an_error(pieces: list[bytes], method: str) -> None:
    run_virtual(outcome(pieces, method, False))
