"""A request body on its way in: decoded, bounded, and read only as fast as somebody takes it."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Protocol

from framework.errors import FrameworkError, LocalProtocolError
from framework.wire.chunked import ChunkedDecoder
from framework.wire.leaves import Limits

__all__ = ["BodyFlow", "BodyStream"]


class BodyFlow(Protocol):
    """What a body asks of its connection."""

    def body_wanted(self) -> None:
        """Somebody waits for the body: send 100 Continue where it was asked for, and read on."""
        ...

    def body_full(self) -> None:
        """The buffer is past its high watermark: stop reading."""
        ...


class BodyStream:
    """Buffers at most ``high_water`` bytes (and the read in hand) between the socket and the handler.

    ``feed`` takes wire bytes and returns what lies behind the body's end, None while it goes on. After ``discard``
    the rest is decoded and dropped.

    Attributes:
        complete: the body's end was seen.
        arriving: neither complete nor failed; bytes that come are the body's.
        reader: the Task that is suspended in ``receive``.
        trailers: of a chunked body, there once it is complete.

    Args:
        length: in bytes; None for a chunked body.
        limits: bound the trailer section.
        high_water: in bytes; reading stops there until the buffer is taken.
    """

    __slots__ = (
        "_buffer",
        "_decoder",
        "_discarding",
        "_error",
        "_flow",
        "_high_water",
        "_remaining",
        "_size",
        "_waiter",
        "arriving",
        "complete",
        "reader",
        "trailers",
    )

    def __init__(
        self, flow: BodyFlow, length: int | None, *, limits: Limits | None = None, high_water: int = 65_536
    ) -> None:
        self._flow = flow
        self._remaining = 0 if length is None else length
        self._decoder = ChunkedDecoder(limits) if length is None else None
        self._buffer: deque[bytes] = deque()
        self._size = 0
        self._high_water = high_water
        self._waiter: asyncio.Future[None] | None = None
        self._error: FrameworkError | None = None
        self._discarding = False
        self.arriving = True
        self.complete = False
        self.reader: asyncio.Task[Any] | None = None
        self.trailers: list[tuple[str, str]] = []

    @property
    def remaining(self) -> int | None:
        """Bytes still to come; None for a chunked body."""
        return None if self._decoder is not None else self._remaining

    def feed(self, data: bytes) -> bytes | None:
        """Raises RemoteProtocolError when the chunked framing is broken."""
        decoder = self._decoder
        rest: bytes | None = None
        if decoder is None:
            if len(data) > self._remaining:
                data, rest = data[: self._remaining], data[self._remaining :]
            self._remaining -= len(data)
            self._keep(data)
            if self._remaining == 0:
                rest = rest or b""
        else:
            for piece in decoder.feed(data):
                self._keep(piece)
            if decoder.complete:
                self.trailers = decoder.trailers
                rest = decoder.leftover
        if rest is not None:
            self.complete = True
            self.arriving = False
        elif self._size >= self._high_water:
            self._flow.body_full()
        self._wake()
        return rest

    def _keep(self, data: bytes) -> None:
        if data and not self._discarding:
            self._buffer.append(data)
            self._size += len(data)

    def fail(self, error: FrameworkError) -> None:
        """The rest will not come: readers get ``error`` once the buffer is empty."""
        if self.arriving:
            self._error = error
            self.arriving = False
            self._wake()

    def discard(self) -> None:
        """The rest is not wanted; a reader there still is gets an error, never a torn body."""
        self._discarding = True
        self._error = LocalProtocolError("the body was dropped when its request had been answered")
        self._buffer.clear()
        self._size = 0
        self._wake()

    def _wake(self) -> None:
        waiter = self._waiter
        if (
            waiter is not None
            and not waiter.done()
            and (self._buffer or not self.arriving or self._discarding)
        ):
            waiter.set_result(None)

    async def receive(self) -> bytes:
        """The next bytes, b"" at the end. Raises what ``fail`` was given when the rest cannot be had."""
        while not self._buffer:
            if self._error is not None:
                raise self._error
            if self.complete:
                return b""
            self._flow.body_wanted()
            self._waiter = asyncio.get_running_loop().create_future()
            self.reader = asyncio.current_task()
            try:
                await self._waiter
            finally:
                self._waiter = self.reader = None
        data = self._buffer.popleft() if len(self._buffer) == 1 else b"".join(self._buffer)
        self._buffer.clear()
        self._size = 0
        if self.arriving:
            self._flow.body_wanted()
        return data
