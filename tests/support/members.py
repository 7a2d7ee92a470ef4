"""A member of channels in memory: it frames, buffers, drains and closes as a WebSocket does; its client parses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from framework.wire.websocket.deflate import ClientDeflation, Deflate, ServerDeflation
from framework.wire.websocket.events import Close, Event
from framework.wire.websocket.frames import encode_close
from framework.wire.websocket.leaves import FrameParser

__all__ = ["MemoryMember"]


class MemoryMember:
    """The client takes bytes when told to; ``room`` None takes them at once.

    Attributes:
        events: all that was written, parsed as the client would: a frame that breaks the protocol fails the test.
        writes: how many writes there were.
        codes: of the close frames.
    """

    def __init__(
        self, deflation: ServerDeflation | None = None, *, low: int = 100, reads: bool = True
    ) -> None:
        self.deflater: Deflate | None = None
        inflater = None
        if deflation is not None:
            offerer = ClientDeflation()
            answer = deflation.accept(offerer.offer())
            assert answer is not None
            self.deflater = answer[1]
            inflater = offerer.confirm(answer[0])
        self._parser = FrameParser("client", inflater=inflater)
        self._low = low
        self._on_closed: list[Callable[[object], None]] = []
        self._on_drained: list[Callable[[], None]] = []
        self.reads = reads
        self.buffered = 0
        self.closed = False
        self.events: list[Event] = []
        self.writes: list[bytes] = []
        self.closed_callbacks = 0

    @property
    def messages(self) -> list[str | bytes]:
        return [event for event in self.events if isinstance(event, str | bytes)]

    @property
    def codes(self) -> list[int]:
        return [event.code for event in self.events if isinstance(event, Close)]

    # -- the member ----------------------------------------------------------------------------------------------------

    def write_frames(self, data: bytes) -> None:
        if self.closed:
            return
        assert data, "an empty write"
        self.writes.append(data)
        self.events += self._parser.feed(data)
        if not self.reads:
            self.buffered += len(data)

    def start_closing(self, code: int, reason: str) -> None:
        if not self.closed:
            self.events += self._parser.feed(encode_close(code, reason))
            self.closed = True
            asyncio.get_running_loop().call_soon(self._tell_closed)

    def on_closed(self, callback: Callable[[object], None]) -> None:
        self.closed_callbacks += 1
        self._on_closed.append(callback)

    def on_drained(self, callback: Callable[[], None]) -> None:
        self._on_drained.append(callback)
        self._tell_drained()

    # -- its client and its network -----------------------------------------------------------------------------------

    def take(self, size: int | None = None) -> None:
        """The client takes ``size`` bytes of what waits, all for None; call it in a callback of the loop."""
        self.buffered -= self.buffered if size is None else min(size, self.buffered)
        self._tell_drained()

    def vanish(self) -> None:
        """The connection is lost."""
        if not self.closed:
            self.closed = True
            self._tell_closed()

    def _tell_closed(self) -> None:
        callbacks, self._on_closed = self._on_closed, []
        for callback in callbacks:
            callback(self)
        self._tell_drained()

    def _tell_drained(self) -> None:
        if self._on_drained and (self.closed or self.buffered <= self._low):
            callbacks, self._on_drained = self._on_drained, []
            for callback in callbacks:
                asyncio.get_running_loop().call_soon(callback)
