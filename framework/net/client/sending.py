"""Sends a request's body as fast as the peer takes it: counted or chunked, with its trailers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Final, Protocol, cast

from framework.errors import LocalProtocolError
from framework.net.client.outgoing import OutgoingRequest
from framework.wire.chunked import FORBIDDEN_TRAILERS, LAST_CHUNK, encode_chunk
from framework.wire.leaves import encode_fields

__all__ = ["BodyOutlet", "send_body"]

PIECES_PER_TURN: Final = 32


class BodyOutlet(Protocol):
    """What sending needs of a connection."""

    def write(self, data: bytes) -> None:
        """Writes; dropped when the connection is gone."""
        ...

    async def drained(self) -> None:
        """Waits until there is room to write."""
        ...


async def send_body(outlet: BodyOutlet, request: OutgoingRequest) -> None:
    """Sends the body behind a head that was written.

    Raises what the source raises; LocalProtocolError where its pieces do not make up ``length`` bytes or are no
    bytes, and for a trailer field that may not stand there.
    """
    body = request.body
    if isinstance(body, bytes):
        outlet.write(body)
        await outlet.drained()
        return
    pieces = _pieces(body)
    try:
        await _send_pieces(outlet, request, pieces)
    finally:
        for made in (pieces, body):
            close = getattr(made, "aclose", None)
            if close is not None:
                await close()


async def _send_pieces(outlet: BodyOutlet, request: OutgoingRequest, pieces: AsyncIterator[bytes]) -> None:
    left = request.length
    count = 0
    async for piece in pieces:
        made = cast("object", piece)
        if not isinstance(made, bytes):
            raise LocalProtocolError(f"a body is made of bytes, not of {type(made).__qualname__}")
        if left is not None:
            left -= len(piece)
            if left < 0:
                raise LocalProtocolError("a streamed body is longer than the length it declared")
        if piece:
            outlet.write(encode_chunk(piece) if left is None else piece)
            await outlet.drained()
        count += 1
        if count % PIECES_PER_TURN == 0:
            await asyncio.sleep(0)
    if left:
        raise LocalProtocolError(f"a streamed body is {left} bytes shorter than the length it declared")
    if left is None:
        outlet.write(_last_chunk(request))
        await outlet.drained()


def _pieces(body: AsyncIterable[bytes] | Iterable[bytes]) -> AsyncIterator[bytes]:
    return aiter(body) if isinstance(body, AsyncIterable) else _stepped(body)


async def _stepped(body: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in body:
        yield piece


def _last_chunk(request: OutgoingRequest) -> bytes:
    if request.trailers is None:
        return LAST_CHUNK
    pairs = list(request.trailers())
    for name, _ in pairs:
        if name.lower() in FORBIDDEN_TRAILERS:
            raise LocalProtocolError(f"the field {name} may not stand in a trailer section")
    return b"0\r\n%b\r\n" % encode_fields(pairs)
