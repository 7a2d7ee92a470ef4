"""permessage-deflate (RFC 7692). Imported where compression is asked for: it needs the ``websockets`` package.

That package's extension negotiates, on both sides; the streams are kept here. They are made when the first
compressed message comes or goes, a connection without context takeover borrows its compressor, inflating stops
at the limit of the message, and a deflate block marked as final does not lose what follows it (section 7.2.3.4).
"""

from __future__ import annotations

import zlib
from typing import Any, Final, Literal

from websockets.exceptions import InvalidHeader, NegotiationError
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    PerMessageDeflate,
    ServerPerMessageDeflateFactory,
)
from websockets.headers import build_extension, parse_extension
from websockets.typing import ExtensionHeader

from framework.errors import RemoteProtocolError
from framework.wire.websocket.events import WebSocketError

__all__ = ["ClientDeflation", "Deflate", "ServerDeflation"]

_NAME: Final = "permessage-deflate"
_TAIL: Final = b"\x00\x00\xff\xff"

_Key = tuple[int, int, int, int]


class _Deflation:
    """What the connections of one server or client have in common, their borrowed compressors among it."""

    def __init__(self, level: int, memory_level: int, threshold: int) -> None:
        self._level = level
        self._memory_level = memory_level
        self.threshold = max(threshold, 1)  # nothing is left of an empty message that is deflated twice
        self._shared: dict[_Key, Any] = {}

    def compressor(self, bits: int) -> Any:
        """A raw deflate stream with a window of 2 ** ``bits`` bytes."""
        return zlib.compressobj(self._level, zlib.DEFLATED, -bits, self._memory_level)

    def connection(self, agreed: PerMessageDeflate) -> Deflate:
        """The streams of a connection, of which there are none yet."""
        bits = agreed.local_max_window_bits
        key = (bits, self._level, self._memory_level, self.threshold)
        shared: Any = None
        if agreed.local_no_context_takeover:
            shared = self._shared.get(key)
            if shared is None:
                shared = self._shared[key] = self.compressor(bits)
        return Deflate(self, agreed, key, shared)


class ServerDeflation(_Deflation):
    """The server's side of the negotiation.

    Args:
        server_no_context_takeover: no message refers to an earlier one: all connections then share a compressor,
            and a broadcast is compressed once. Each connection else keeps 4 * 2 ** server_max_window_bits bytes
            and more.
        client_no_context_takeover: the same is asked of the client.
        server_max_window_bits: 9 to 15, None leaves it to the client.
        client_max_window_bits: 8 to 15, asked of clients that offer it; None asks for nothing.
        level: of compression, 1 to 9.
        memory_level: of the compressor, 1 to 9; it has about 2 ** (memory_level + 9) bytes.
        threshold: messages of fewer bytes go as they are.

    Raises ValueError for bits out of their range.
    """

    def __init__(
        self,
        *,
        server_no_context_takeover: bool = True,
        client_no_context_takeover: bool = False,
        server_max_window_bits: int | None = 12,
        client_max_window_bits: int | None = 12,
        level: int = 6,
        memory_level: int = 5,
        threshold: int = 128,
    ) -> None:
        super().__init__(level, memory_level, threshold)
        self._factory = ServerPerMessageDeflateFactory(
            server_no_context_takeover=server_no_context_takeover,
            client_no_context_takeover=client_no_context_takeover,
            server_max_window_bits=server_max_window_bits,
            client_max_window_bits=client_max_window_bits,
        )

    def accept(self, offers: str) -> tuple[str, Deflate] | None:
        """Answers the value of Sec-WebSocket-Extensions: the first offer that suits, or None.

        Raises RemoteProtocolError (400) where the value is malformed; what an offer asks for and nobody knows only
        declines that offer (RFC 7692 section 5).
        """
        for name, parameters in _parsed(offers):
            if name != _NAME:
                continue
            try:
                answer, agreed = self._factory.process_request_params(parameters, [])
            except (InvalidHeader, NegotiationError):
                continue
            return build_extension([(name, answer)]), self.connection(agreed)
        return None


class ClientDeflation(_Deflation):
    """The client's side of the negotiation.

    Args:
        server_no_context_takeover: asked of the server.
        client_no_context_takeover: this side will not do it, whatever the server says.
        server_max_window_bits: 8 to 15, asked of the server; None asks for nothing.
        client_max_window_bits: 9 to 15; True offers to take what the server says, None does not.
        level, memory_level, threshold: as for ServerDeflation.

    Raises ValueError for bits out of their range.
    """

    def __init__(
        self,
        *,
        server_no_context_takeover: bool = False,
        client_no_context_takeover: bool = False,
        server_max_window_bits: int | None = None,
        client_max_window_bits: int | Literal[True] | None = True,
        level: int = 6,
        memory_level: int = 5,
        threshold: int = 128,
    ) -> None:
        super().__init__(level, memory_level, threshold)
        self._factory = ClientPerMessageDeflateFactory(
            server_no_context_takeover=server_no_context_takeover,
            client_no_context_takeover=client_no_context_takeover,
            server_max_window_bits=server_max_window_bits,
            client_max_window_bits=client_max_window_bits,
        )

    def offer(self) -> str:
        """The value of Sec-WebSocket-Extensions for the request."""
        return build_extension([(self._factory.name, list(self._factory.get_request_params()))])

    def confirm(self, answer: str) -> Deflate:
        """Reads the value that the server answered with.

        Raises RemoteProtocolError where it is malformed, or agrees to anything that was not offered.
        """
        extensions = _parsed(answer)
        if len(extensions) != 1 or extensions[0][0] != _NAME:
            raise RemoteProtocolError("an extension that was not offered")
        try:
            agreed = self._factory.process_response_params(extensions[0][1], [])
        except (InvalidHeader, NegotiationError) as error:
            raise RemoteProtocolError(f"the server's {_NAME} does not fit the offer: {error}") from None
        return self.connection(agreed)


class Deflate:
    """The two streams of one connection: the FrameParser's ``inflater``, and what encode_compressed takes.

    ``key`` is the same for all connections to which the same compressed bytes may go, None where the context is
    kept from message to message.
    """

    __slots__ = ("_deflation", "_fresh", "_inbound", "_inbound_bits", "_outbound", "_outbound_bits", "key")

    def __init__(self, deflation: _Deflation, agreed: PerMessageDeflate, key: _Key, shared: Any) -> None:
        self._deflation = deflation
        self._inbound_bits = agreed.remote_max_window_bits
        self._outbound_bits = agreed.local_max_window_bits
        self._fresh = agreed.remote_no_context_takeover
        self._inbound: Any = None
        self._outbound = shared
        self.key = None if shared is None else key

    def inflate(self, payload: bytes, first: bool, final: bool, room: int) -> bytes:
        """What is in the frame ``payload``, the ``first`` or ``final`` one of its message or both.

        Raises WebSocketError: 1009 for more than ``room`` bytes, no more of which are ever made than one;
        1007 for what does not inflate.
        """
        if self._inbound is None or (first and self._fresh):
            self._inbound = zlib.decompressobj(-self._inbound_bits)
        data = payload + _TAIL if final else payload
        out = self._piece(data, room)
        if self._inbound.eof:
            # The stream goes on behind a final block, once in a frame: each costs much more than its two bytes.
            rest = self._inbound.unused_data
            self._inbound = zlib.decompressobj(-self._inbound_bits, zdict=out[-(1 << self._inbound_bits) :])
            out += self._piece(rest, room - len(out))
            if self._inbound.eof:
                raise WebSocketError("several final blocks of deflate in a frame", 1007)
        if final and self._fresh:
            self._inbound = None
        return out

    def deflate(self, data: bytes) -> bytes | None:
        """``data`` compressed as a message of its own, or None where it had better go as it is."""
        if len(data) < self._deflation.threshold:
            return None
        if self.key is not None:
            # The full flush makes it forget the message, so that the next may be another connection's.
            out = self._outbound.compress(data) + self._outbound.flush(zlib.Z_FULL_FLUSH)
            return out[:-4] if len(out) - 4 < len(data) else None
        if self._outbound is None:
            self._outbound = self._deflation.compressor(self._outbound_bits)
        compressed: bytes = self._outbound.compress(data) + self._outbound.flush(zlib.Z_SYNC_FLUSH)
        return compressed[:-4]

    def _piece(self, data: bytes, room: int) -> bytes:
        try:
            # A limit of 0 would be none at all.
            out: bytes = self._inbound.decompress(data, room + 1)
        except zlib.error:
            raise WebSocketError("compressed data that does not inflate", 1007) from None
        if len(out) > room:
            raise WebSocketError("the message is too large", 1009)
        return out


def _parsed(value: str) -> list[ExtensionHeader]:
    try:
        return parse_extension(value)
    except InvalidHeader as error:
        raise RemoteProtocolError(f"a malformed Sec-WebSocket-Extensions field: {error}") from None
