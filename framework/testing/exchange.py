"""The client's side of HTTP/1.1 for tests: one connection, one request at a time, on the framework's own wire."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, cast

from framework.errors import PeerClosed, RemoteProtocolError
from framework.http.headers import Headers
from framework.wire.chunked import ChunkedDecoder
from framework.wire.http1 import Framing, response_body_framing
from framework.wire.leaves import Limits, ResponseHead, parse_response

__all__ = ["ClientConnection", "Incoming"]

_LIMITS = Limits(65_536, 1000, 8192)


class Incoming:
    """A response on its way: the head now, the body piece by piece."""

    def __init__(self, head: ResponseHead, connection: ClientConnection) -> None:
        self.status: int = head.status
        self.headers = Headers(head.fields())
        self.trailers: list[tuple[str, str]] = []
        self.informational = connection.informational
        self._connection = connection

    def __aiter__(self) -> Incoming:
        return self

    async def __anext__(self) -> bytes:
        data = await self._connection.next_piece(self)
        if not data:
            raise StopAsyncIteration
        return data


class ClientConnection(asyncio.Protocol):
    """Sends a request, reads its response. A response that breaks the framing is an error, never a guess."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.informational: list[int] = []
        self._data = b""
        self._pieces: deque[bytes] = deque()
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

    def send(self, method: str, data: bytes) -> None:
        """Writes a whole request, or its head; ``write`` sends more of its body."""
        self._method = method
        self.informational = []
        self._head = None
        self._complete = False
        self._pieces.clear()
        self.write(data)

    def write(self, data: bytes) -> None:
        """Writes bytes as they are."""
        if self.transport is None:
            raise PeerClosed("the server has closed the connection") from self._error
        self.transport.write(data)

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
        return self._pieces.popleft()

    async def _more(self) -> None:
        if self._eof or self._error is not None:
            if isinstance(self._error, RemoteProtocolError):
                raise self._error
            raise PeerClosed(
                "the server closed the connection before its response was whole"
            ) from self._error
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

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
            self._pieces.append(piece)
            self._complete = self._left == 0
        elif self._decoder is not None:
            self._pieces.extend(self._decoder.feed(data))
            if self._decoder.complete:
                self._complete = True
                self._data = self._decoder.leftover
        else:
            self._pieces.append(data)

    def _finish_by_close(self) -> None:
        if self._framing is Framing.UNTIL_CLOSE and self._head is not None:
            self._complete = True
