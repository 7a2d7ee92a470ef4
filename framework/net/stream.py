"""Sends a response whose body is made while it goes out: framed, paced, and closed in any case."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from contextlib import aclosing, nullcontext
from typing import Any, Protocol

from framework.errors import LocalProtocolError
from framework.http.request import Request
from framework.http.response import Response, StreamingResponse
from framework.net.core import Core
from framework.wire.chunked import LAST_CHUNK, encode_chunk

__all__ = ["Outgoing", "send_stream"]


class Outgoing(Protocol):
    """What sending needs of a connection."""

    transport: asyncio.Transport | None

    def write(self, data: bytes) -> None: ...

    async def drained(self) -> None: ...

    def abort(self) -> None: ...

    def apply_hooks(self, request: Request, response: Response) -> Response: ...

    def keeps_alive(self, request: Request, response: Response) -> bool: ...

    def ends_by_close(self) -> bool: ...


async def send_stream(
    connection: Outgoing, core: Core, request: Request, response: StreamingResponse
) -> None:
    """Writes head and body. A failure before the first byte is answered as an error; a later one cuts the
    connection, so that no client takes a torn body for a whole one."""
    hooked = connection.apply_hooks(request, response)
    if not isinstance(hooked, StreamingResponse):
        await _close(response.content)
        write_whole(connection, core, request, hooked)
        return
    response = hooked
    chunked = request.minor >= 1 and response.length is None
    framed = chunked or response.length is not None
    bodiless = request.method == "HEAD" or response.status in (204, 304)
    keep = connection.keeps_alive(request, response) if framed or bodiless else connection.ends_by_close()
    try:
        opening = core.encoder.opening(response, chunked=chunked, tail=core.encoder.tail(keep, request.minor))
    except Exception as error:
        await _close(response.content)
        write_whole(connection, core, request, core.failed(request, error))
        return
    connection.write(opening)
    if bodiless:
        await _close(response.content)
        return
    try:
        await _send_body(connection, response, chunked)
    except asyncio.CancelledError:
        connection.abort()
        raise
    except Exception as error:
        core.failed(request, error)
        connection.abort()


async def _send_body(connection: Outgoing, response: StreamingResponse, chunked: bool) -> None:
    left = response.length
    async with _closing(response.content) as content:
        async for piece in content:
            data = piece.encode() if isinstance(piece, str) else piece
            if not data:
                continue
            if left is not None:
                left -= len(data)
                if left < 0:
                    raise LocalProtocolError("a streamed body is longer than the length it declared")
            connection.write(encode_chunk(data) if chunked else data)
            await connection.drained()
            if connection.transport is None:
                return
    if left:
        raise LocalProtocolError(f"a streamed body is {left} bytes shorter than the length it declared")
    if chunked:
        connection.write(LAST_CHUNK)


def write_whole(connection: Outgoing, core: Core, request: Request, response: Response) -> None:
    keep = connection.keeps_alive(request, response)
    tail = core.encoder.tail(keep, request.minor)
    connection.write(core.encoder.whole(response, request.method == "HEAD", tail))


def _closing(content: AsyncIterable[bytes | str]) -> Any:
    """Async generators are closed however the sending ends; other iterables have no such need."""
    return aclosing(content) if hasattr(content, "aclose") else nullcontext(content)


async def _close(content: AsyncIterable[bytes | str]) -> None:
    async with _closing(content):
        pass
