"""Sends a response whose body is made while it goes out: framed, paced, and closed in any case."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable
from functools import partial
from typing import Final, Protocol

from framework.errors import LocalProtocolError
from framework.http.request import Request
from framework.http.response import PLAIN, Response, StreamingResponse
from framework.http.trailers import trailers_of
from framework.net.core import Core
from framework.net.encoder import BODILESS
from framework.wire.chunked import LAST_CHUNK, encode_chunk, encode_last_chunk

__all__ = ["Outlet", "send_stream"]

PIECES_PER_TURN: Final = 32
EVENT_STREAM: Final = "text/event-stream"
ABOUT_CONTENT: Final = frozenset(
    {
        "accept-ranges",
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-length",
        "content-location",
        "content-range",
        "etag",
        "expires",
        "last-modified",
    }
)


class Outlet(Protocol):
    """What sending needs of a connection."""

    transport: asyncio.Transport | None

    def write(self, data: bytes) -> None:
        """Writes, or drops it when the client is gone."""
        ...

    async def drained(self) -> None:
        """Waits until there is room to write."""
        ...

    def abort(self) -> None:
        """Closes at once."""
        ...

    def failure(self, request: Request, error: BaseException) -> Response:
        """The response to an error."""
        ...

    def apply_hooks(self, request: Request, response: Response) -> Response:
        """Runs the after hooks."""
        ...

    def encode(self, request: Request, response: Response) -> bytes:
        """The bytes of a plain response."""
        ...

    def begins(self, request: Request, response: StreamingResponse, *, framed: bool) -> bool:
        """Whether the connection outlives the response that begins now."""
        ...


class Pieces(AsyncIterator[bytes]):
    """The content of a response, whose first piece can be had ahead of the others."""

    __slots__ = ("_closed", "_content", "_first", "_iterator")

    def __init__(self, content: AsyncIterable[bytes | str]) -> None:
        self._content = content
        self._iterator: AsyncIterator[bytes | str] | None = None
        self._first: bytes | None = None
        self._closed = False

    async def begin(self) -> None:
        """Makes the first piece. Raises what making it raises."""
        try:
            self._first = await self.__anext__()
        except StopAsyncIteration:
            pass

    async def __anext__(self) -> bytes:
        first, self._first = self._first, None
        if first is not None:
            return first
        if self._iterator is None:
            self._iterator = aiter(self._content)
        piece = await anext(self._iterator)
        return piece.encode() if isinstance(piece, str) else piece

    async def aclose(self) -> None:
        """Ends an async generator, whose ``finally`` runs; other iterables have no such need."""
        if self._closed:
            return
        self._closed = True
        for made in (self._iterator, self._content):
            close = getattr(made, "aclose", None)
            if close is not None:
                await close()


async def send_stream(
    outlet: Outlet,
    core: Core,
    request: Request,
    response: StreamingResponse,
    interrupt: asyncio.CancelledError | None = None,
    *,
    hooked: bool = False,
) -> None:
    """Runs the after hooks, which may wrap the content, makes the first piece (but of an event stream, whose head is
    waited for), then writes head and body.

    What fails up to the first piece is answered as an error; a later failure cuts the connection, so that no client
    takes a torn body for a whole one. The content is closed in any case.

    Args:
        interrupt: a cancellation that came before this was called.
        hooked: the after hooks have run.
    """
    final: Response = response
    before = _pairs(response)
    try:
        if interrupt is not None and not hooked:
            final = outlet.apply_hooks(request, outlet.failure(request, interrupt))
        elif interrupt is not None:
            final = outlet.failure(request, interrupt)
        elif not hooked:
            final = outlet.apply_hooks(request, response)
        if isinstance(final, StreamingResponse):
            await _send(outlet, core, request, final, [pair for pair in _pairs(final) if pair not in before])
        else:
            outlet.write(outlet.encode(request, final))
    finally:
        if final is not response:
            await _close(core, response)


async def _send(
    outlet: Outlet, core: Core, request: Request, response: StreamingResponse, added: list[tuple[str, str]]
) -> None:
    """Sends a response; one that is an error before its first byte has the fields that hooks ``added``."""
    sending = Sending(outlet)
    pieces = response.content = Pieces(response.content)
    bodiless = request.method == "HEAD" or response.status in BODILESS
    prompt = bodiless or response.media_type == EVENT_STREAM
    chunked = request.minor >= 1 and response.length is None
    try:
        if not prompt:
            await pieces.begin()
        keep = outlet.begins(request, response, framed=chunked or bodiless or response.length is not None)
        tail = core.encoder.tail(keep, request.minor)
        sending.held = core.encoder.opening(response, chunked=chunked, tail=tail)
        if prompt:
            sending.write(b"")
        if not bodiless:
            end = partial(_last_chunk, request, response) if chunked else _nothing
            await sending.body(pieces, response.length, end, chunked=chunked)
    except (Exception, asyncio.CancelledError) as error:
        _fail(outlet, core, request, error, sending, added)
    finally:
        await _close(core, response)


def _fail(
    outlet: Outlet,
    core: Core,
    request: Request,
    error: BaseException,
    sending: Sending,
    added: list[tuple[str, str]],
) -> None:
    if sending.began:
        outlet.abort()
        if isinstance(error, Exception):
            outlet.failure(request, error)  # for its line in the log
        return
    failed = outlet.failure(request, error)
    if failed.kind != PLAIN:
        failed = core.bare_failure()
    # Hooks add what lets a browser read a response at all (CORS, security): an error needs it as well.
    own = ABOUT_CONTENT.union(failed.headers)
    failed.headers.extend([pair for pair in added if pair[0] not in own])
    outlet.write(outlet.encode(request, failed))


def _last_chunk(request: Request, response: StreamingResponse) -> bytes:
    return LAST_CHUNK if response.trailers is None else encode_last_chunk(trailers_of(request, response))


def _nothing() -> bytes:
    return b""


def _pairs(response: Response) -> list[tuple[str, str]]:
    return [] if response.fields is None else list(response.fields.pairs)


async def _close(core: Core, response: StreamingResponse) -> None:
    """Ends the content, whatever hooks have made of it: a generator's ``finally`` runs. Other iterables than those with
    ``aclose`` have no such need."""
    close = getattr(response.content, "aclose", None)
    if close is not None:
        try:
            await close()
        except Exception as error:
            core.log.error("the content of a streamed response could not be closed", exc_info=error)


class Sending:
    """One response on its way. ``held``: its head, which goes out with the first piece of the body."""

    __slots__ = ("_outlet", "began", "held")

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self.held = b""
        self.began = False

    def write(self, data: bytes) -> None:
        """Writes ``data`` behind what is held."""
        self.began = True
        self._outlet.write(self.held + data if self.held else data)
        self.held = b""

    async def body(
        self, pieces: Pieces, length: int | None, end: Callable[[], bytes], *, chunked: bool
    ) -> None:
        """Writes the pieces and, when they are over, ``end()``. Raises LocalProtocolError where the pieces do not make
        up ``length`` bytes.
        """
        left = length
        count = 0
        async for piece in pieces:
            if left is not None:
                left -= len(piece)
                if left < 0:
                    raise LocalProtocolError("a streamed body is longer than the length it declared")
            if piece or self.held:
                self.write(encode_chunk(piece) if chunked else piece)
            await self._outlet.drained()
            if self._outlet.transport is None:
                return
            count += 1
            if count % PIECES_PER_TURN == 0:
                await asyncio.sleep(0)
        if left:
            raise LocalProtocolError(f"a streamed body is {left} bytes shorter than the length it declared")
        if chunked or self.held:
            self.write(end())
