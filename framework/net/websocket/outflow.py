"""A WebSocket's way out: messages to frames, one write for a turn, and what waits for a peer that does not read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeAlias

from framework.errors import WebSocketClosed
from framework.net.core import Core
from framework.net.link import Link
from framework.net.websocket.settings import WebSocketSettings
from framework.wire.websocket.compression import Compression
from framework.wire.websocket.frames import Masks, encode_compressed
from framework.wire.websocket.leaves import encode_binary, encode_text

__all__ = ["BROKEN", "Message", "Outflow"]

Message: TypeAlias = str | bytes

BROKEN: Final = 1006
"""Stands for the code where the connection ended without a close; never on the wire (RFC 6455 section 7.4.1)."""
# Bytes collected for one write within a turn.
CORK: Final = 65_536


class Outflow(Link):
    """The sending half of a session.

    Attributes:
        over: nothing can be sent any more.
        on_end: called once, when that is so.
        code: of the close, 0 until one is known; ``reason`` is its text. That of the side that closed first counts.
        deflater: compresses what is sent; None where that was not agreed.
        plain: messages are neither compressed nor masked.

    While ``_corked``, ``_out`` collects the frames of one turn for one write.
    """

    __slots__ = (
        "_corked",
        "_drained",
        "_masks",
        "_out",
        "_out_size",
        "_settings",
        "code",
        "deflater",
        "on_end",
        "over",
        "plain",
        "reason",
    )

    def __init__(
        self, core: Core, settings: WebSocketSettings, masks: Masks | None, compression: Compression | None
    ) -> None:
        super().__init__(core)
        self._settings = settings
        self._masks = masks
        self.deflater = compression
        self.plain = masks is None and compression is None
        self.over = False
        self.code = 0
        self.reason = ""
        self.on_end: Callable[[], None] | None = None
        self._corked = False
        self._out: list[bytes] | None = None
        self._out_size = 0
        self._drained: list[Callable[[], None]] | None = None

    # -- writing ----------------------------------------------------------------------------------------------------

    def write_frames(self, data: bytes) -> None:
        """Writes whole frames, encoded for this connection (its ``deflater``, and the mask of a client). Dropped once
        the WebSocket is closed."""
        if self.over:
            return
        if self._corked:
            if self._out is None:
                self._out = [data]
            else:
                self._out.append(data)
            self._out_size += len(data)
            if self._out_size > CORK or self._writable is not None:
                self._flush()
            return
        transport = self.transport
        if transport is not None:
            transport.write(data)
            if self._writable is not None:
                self._check_unsent(transport)

    def _flush(self) -> None:
        out = self._out
        if out is None:
            return
        self._out = None
        self._out_size = 0
        transport = self.transport
        if transport is not None and not self._closing:
            transport.write(out[0] if len(out) == 1 else b"".join(out))
            if self._writable is not None:
                self._check_unsent(transport)

    def _check_unsent(self, transport: asyncio.Transport) -> None:
        unsent = transport.get_write_buffer_size()
        if unsent > self._settings.max_unsent:
            self._core.log.info("cut off %s: %d bytes were waiting for it", self.name, unsent)
            self.abort()

    def write_message(self, message: Message) -> None:
        """Writes a message in one frame. Raises LocalProtocolError for text with a lone surrogate."""
        mask = None if self._masks is None else self._masks.take()
        if self.deflater is not None:
            self.write_frames(encode_compressed(message, self.deflater, mask))
        elif isinstance(message, str):
            self.write_frames(encode_text(message, mask))
        else:
            self.write_frames(encode_binary(message, mask))

    async def send(self, message: Message) -> None:
        """Writes a message, and waits while more waits for the peer than the high watermark allows.

        Raises:
            WebSocketClosed: the WebSocket is closed, before or meanwhile.
            LocalProtocolError: text with a lone surrogate.
        """
        if self.over:
            raise self.closed()
        self.write_message(message)
        if self._writable is not None:
            await self.sent()

    async def sent(self) -> None:
        """Waits until the peer has taken enough to write on. Raises WebSocketClosed when it will not."""
        await self.drained()
        if self.over:
            raise self.closed()

    @property
    def congested(self) -> bool:
        """More waits for the peer than the high watermark allows."""
        return self._writable is not None

    @property
    def buffered(self) -> int:
        """Bytes that the peer has not taken yet, as far as this process knows."""
        transport = self.transport
        return self._out_size + (0 if transport is None else transport.get_write_buffer_size())

    def on_drained(self, callback: Callable[[], None]) -> None:
        """Calls back once, when what waits has fallen below the low watermark, or the connection is gone; soon, when
        that is so already."""
        if self._drained is None:
            self._drained = []
        self._drained.append(callback)
        if self._writable is None:
            self._core.loop.call_soon(self._call_drained)

    def _call_drained(self) -> None:
        if self._drained is None or (self._writable is not None and self.transport is not None):
            return
        callbacks, self._drained = self._drained, None
        for callback in callbacks:
            try:
                callback()
            except Exception as error:
                self.callback_failed(error)

    def callback_failed(self, error: Exception) -> None:
        """Logs what a callback raised that nobody waits for."""
        self._core.log.error("a callback of a WebSocket failed", exc_info=error)

    def _mask(self) -> bytes | None:
        return None if self._masks is None else self._masks.take()

    # -- the end ----------------------------------------------------------------------------------------------------

    def closed(self) -> WebSocketClosed:
        """The error that says how the WebSocket was closed."""
        return WebSocketClosed(self.code or BROKEN, self.reason)

    @property
    def name(self) -> str:
        """How log lines call the peer."""
        return "a WebSocket" if self.peer is None else f"the WebSocket of {self.peer.host}"

    def _end(self, code: int, reason: str) -> None:
        """Nothing can be sent from here on. Only the first call counts."""
        if self.over:
            return
        self.over = True
        self.code = code
        self.reason = reason
        on_end, self.on_end = self.on_end, None
        if on_end is not None:
            on_end()
