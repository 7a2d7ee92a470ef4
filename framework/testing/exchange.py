"""The client's side of HTTP/1.1 for tests: one connection, one request at a time, on the framework's own wire."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable
from typing import Any, Final, cast

from framework.errors import PeerClosed, RemoteProtocolError
from framework.http.headers import Headers
from framework.testing.answer import Answer
from framework.wire.chunked import LAST_CHUNK, ChunkedDecoder, encode_chunk
from framework.wire.http1 import Framing, response_body_framing
from framework.wire.leaves import Limits, ResponseHead, parse_response

__all__ = ["ClientConnection", "Incoming"]

_LIMITS = Limits(65_536, 1000, 8192)
_MAX_HELD: Final = 262_144


class Incoming:
    """A response on its way: the head now, the body piece by piece."""

    def __init__(self, head: ResponseHead, connection: ClientConnection) -> None:
        self.status: int = head.status
        self.headers = Headers(head.fields())
        self.trailers: list[tuple[str, str]] = []
        self.informational = connection.informational
        self.request = connection.request
        self._connection = connection

    def __aiter__(self) -> Incoming:
        return self

    async def __anext__(self) -> bytes:
        data = await self._connection.next_piece(self)
        if not data:
            raise StopAsyncIteration
        return data

    async def read(self) -> Answer:
        """The whole response."""
        body = b"".join([piece async for piece in self])
        return Answer(
            self.status, self.headers, body, self.trailers, self.informational, request=self.request
        )


class ClientConnection(asyncio.Protocol):
    """Sends a request, reads its response. A response that breaks the framing is an error, never a guess.

    It stops to read while more of a body than 256 KiB waits to be iterated, so that the server feels a slow reader.
    """

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.informational: list[int] = []
        self.request = "the request"
        self._data = b""
        self._pieces: deque[bytes] = deque()
        self._held = 0  # their bytes
        self._is_paused = False
        self._method = ""
        self._framing = Framing.NONE
        self._left = 0
        self._decoder: ChunkedDecoder | None = None
        self._head: ResponseHead | None = None
        self._complete = True
        self._reusable = True
        self._eof = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def usable(self) -> bool:
        """Whether another request can be sent on it."""
        return self.transport is not None and self._complete and self._reusable and not self._eof

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._eof = True
        self._error = self._error or exc
        self._finish_by_close()
        self._wake()

    def eof_received(self) -> bool:
        self._eof = True
        self._finish_by_close()
        self._wake()
        return False

    def data_received(self, data: bytes) -> None:
        self._data += data
        try:
            self._advance()
        except Exception as error:
            self._error = error
            if self.transport is not None:
                self.transport.abort()
        self._wake()

    def close(self) -> None:
        """Closes it, whatever is under way."""
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Leaves without a good-bye: the server sees a reset, at once or when it next writes."""
        if self.transport is not None:
            self.transport.abort()

    async def exchange(
        self, method: str, head: bytes, body: bytes | AsyncIterable[bytes], request: str
    ) -> Incoming:
        """Sends a request, its body chunked where that comes in pieces, and waits for the head of its response.

        Args:
            request: what errors and failed tests call it.
        """
        self.request = request
        if isinstance(body, bytes):
            self.send(method, head + body)
        else:
            self.send(method, head)
            async for piece in body:
                self.write(encode_chunk(piece))
            self.write(LAST_CHUNK)
        return await self.response()

    def send(self, method: str, data: bytes) -> None:
        """Writes a whole request, or its head; ``write`` sends more of its body."""
        self._method = method
        self.informational = []
        self._head = None
        self._complete = False
        self._pieces.clear()
        self._held = 0
        self._relax()
        self.write(data)

    def write(self, data: bytes) -> None:
        """Writes bytes as they are."""
        if self.transport is None:
            raise PeerClosed("the server has closed the connection") from self._error
        self.transport.write(data)

    def give_away(self) -> tuple[asyncio.Transport, ResponseHead, bytes]:
        """The transport for another protocol, behind a 101, with the head of that and the bytes that came after it.

        Raises PeerClosed where the connection has ended.
        """
        transport, head = self.transport, self._head
        if transport is None or head is None:
            raise PeerClosed("the server has closed the connection") from self._error
        data, self._data = self._data, b""
        self.transport = None
        self._eof = True
        return transport, head, data

    async def response(self) -> Incoming:
        """The head of the next response, once it is there. Raises PeerClosed where the connection ends before.

        After bytes of one's own (``write``) it is read as the response to a GET.
        """
        if self._complete:
            self._head = None
            self._complete = False
            self._advance()
        while self._head is None:
            await self._more()
        return Incoming(self._head, self)

    async def interim(self) -> int:
        """The status of the next 1xx response."""
        while not self.informational:
            await self._more()
        return self.informational.pop(0)

    async def next_piece(self, incoming: Incoming) -> bytes:
        """More of the body, b"" at its end. Raises PeerClosed where it is torn."""
        while not self._pieces:
            if self._complete:
                if self._decoder is not None:
                    incoming.trailers = self._decoder.trailers
                return b""
            await self._more()
        piece = self._pieces.popleft()
        self._held -= len(piece)
        self._relax()
        return piece

    async def _more(self) -> None:
        if self._eof or self._error is not None:
            if isinstance(self._error, RemoteProtocolError):
                raise self._error
            raise PeerClosed(
                f"the server closed the connection before its response to {self.request} was whole"
            ) from self._error
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    def _hold(self, *pieces: bytes) -> None:
        self._pieces.extend(pieces)
        self._held += sum(map(len, pieces))
        if self._held > _MAX_HELD and not self._is_paused and self.transport is not None:
            self._is_paused = True
            self.transport.pause_reading()

    def _relax(self) -> None:
        if self._is_paused and self._held <= _MAX_HELD // 2:
            self._is_paused = False
            if self.transport is not None:
                self.transport.resume_reading()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _advance(self) -> None:
        while self._head is None and not self._complete:
            head = parse_response(self._data, 0, _LIMITS)
            if head is None:
                return
            self._data = self._data[head.end :]
            if head.status < 200 and head.status != 101:
                self.informational.append(head.status)
                continue
            self._begin_body(head)
        if self._head is not None and self._data:
            self._take(self._data)

    def _begin_body(self, head: ResponseHead) -> None:
        self._head = head
        self._reusable = head.keep_alive
        self._decoder = None
        framing: Any = response_body_framing(self._method, head)
        self._framing = framing
        if framing is Framing.LENGTH:
            self._left = head.content_length
            self._complete = self._left == 0
        elif framing is Framing.CHUNKED:
            self._decoder = ChunkedDecoder()
        elif framing is Framing.UNTIL_CLOSE:
            self._reusable = False
        else:
            self._complete = True

    def _take(self, data: bytes) -> None:
        if self._complete:
            return
        self._data = b""
        if self._framing is Framing.LENGTH:
            piece, self._data = data[: self._left], data[self._left :]
            self._left -= len(piece)
            self._hold(piece)
            self._complete = self._left == 0
        elif self._decoder is not None:
            self._hold(*self._decoder.feed(data))
            if self._decoder.complete:
                self._complete = True
                self._data = self._decoder.leftover
        else:
            self._hold(data)

    def _finish_by_close(self) -> None:
        if self._framing is Framing.UNTIL_CLOSE and self._head is not None:
            self._complete = True
