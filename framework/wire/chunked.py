"""The chunked transfer coding, both ways, sans I/O (RFC 9112 section 7.1)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NoReturn

from framework.errors import LocalProtocolError, ProtocolError, RemoteProtocolError
from framework.wire._pure_grammar import TCHAR, VCHARS
from framework.wire.leaves import Limits, encode_fields

__all__ = ["FORBIDDEN_TRAILERS", "LAST_CHUNK", "ChunkedDecoder", "encode_chunk", "encode_last_chunk"]

LAST_CHUNK: Final = b"0\r\n\r\n"

# A chunk line is bounded by itself; all of them, with the line ends behind the data, by what they carry: each
# chunk may cost 16 bytes and twice its data, and everything past that adds up to the excess.
MAX_CHUNK_LINE: Final = 4096
MAX_EXCESS: Final = 16384

MANY_PIECES: Final = 16

# What has to be known before the body is read, so that it means nothing behind it (RFC 9110 section 6.5.1).
FORBIDDEN_TRAILERS: Final = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)

_QUOTED = rf'"(?:[\t !#-\[\]-~\x80-\xff]|\\{VCHARS})*+"'
_EXTENSION = rf"[ \t]*+;[ \t]*+{TCHAR}++(?:[ \t]*+=[ \t]*+(?:{TCHAR}++|{_QUOTED}))?+"
_CHUNK_LINE = re.compile(
    rf"(?=[0-9A-Fa-f])(0{{0,8}}+[0-9A-Fa-f]{{0,16}}+)(?:{_EXTENSION})*+\r\n".encode("latin-1")
).fullmatch
_FIELD_LINE = re.compile(rf"({TCHAR}++):[ \t]*+({VCHARS}*+)\r\n".encode("latin-1")).fullmatch

_CR, _LF = b"\r\n"


def encode_chunk(data: bytes) -> bytes:
    """One chunk; nothing for no data, because an empty chunk would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def encode_last_chunk(trailers: list[tuple[str, str]]) -> bytes:
    """The end of a body, with these fields behind it. Raises LocalProtocolError as ``encode_fields`` does, and for a
    field that is never in a trailer section.
    """
    for name, _ in trailers:
        if name.lower() in FORBIDDEN_TRAILERS:
            raise LocalProtocolError(f"the field {name!r} in a trailer section")
    return b"0\r\n%b\r\n" % encode_fields(trailers)


class ChunkedDecoder:
    """Takes the bytes of a chunked body in any pieces; the time is linear in their number.

    Attributes:
        complete: whether the whole body and its trailer section were seen.
        leftover: what was fed behind their end.
        size: bytes of payload so far.
        trailers: (lower-case name, value) in order; no header fields, and not to be merged with them.

    Args:
        limits: bounds the trailer section: ``max_head`` bytes, ``max_fields`` lines.
    """

    __slots__ = (
        "_error",
        "_excess",
        "_expected",
        "_held",
        "_max_trailers",
        "_room",
        "_step",
        "complete",
        "leftover",
        "size",
        "trailers",
    )

    def __init__(self, limits: Limits | None = None) -> None:
        limits = limits or Limits()
        self._step: _Step = ChunkedDecoder._chunk_line
        self._held = bytearray()
        self._expected = 0
        self._excess = 0
        self._room = limits.max_head
        self._max_trailers = limits.max_fields
        self._error: ProtocolError | None = None
        self.complete = False
        self.leftover = b""
        self.size = 0
        self.trailers: list[tuple[str, str]] = []

    def feed(self, data: bytes) -> list[bytes]:
        """Returns the payload in ``data``, in a few pieces; one that is all of ``data`` is not copied.

        Raises RemoteProtocolError (400, or 431 for too many trailers), again on every later call; and
        LocalProtocolError when the body was complete already.
        """
        pieces: list[bytes] = []
        at = 0
        while at < len(data):
            at = self._step(self, data, at, pieces)
        # Each piece is an object with a cost of its own, which a peer must not choose.
        return pieces if len(pieces) < MANY_PIECES else [b"".join(pieces)]

    # Each state takes bytes from a position on, at least one, and returns the position of the first it left.

    def _chunk_line(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        """chunk-size [ chunk-ext ] CRLF."""
        stop = data.find(b"\n", at) + 1 or len(data)
        line = self._line(data[at:stop], MAX_CHUNK_LINE, "a chunk line is too long", 400)
        if line is None:
            return stop
        match = _CHUNK_LINE(line)
        if match is None:
            self._fail("an invalid chunk line")
        size = int(match[1], 16)  # the digits were checked: nothing int() likes besides can be among them
        self._excess = max(0, self._excess + len(line) + 2 - 16 - 2 * size)
        if self._excess > MAX_EXCESS:
            self._fail("the chunks carry too little beside their lines")
        self._expected = size
        self._step = ChunkedDecoder._data if size else ChunkedDecoder._trailer
        return stop

    def _data(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        piece = data[at : at + self._expected]
        pieces.append(piece)
        self.size += len(piece)
        self._expected -= len(piece)
        if self._expected == 0:
            self._step = ChunkedDecoder._data_end
        return at + len(piece)

    def _data_end(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        if data[at] != _CR:
            self._fail("chunk data longer than its size")
        self._step = ChunkedDecoder._line_feed
        return at + 1

    def _line_feed(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        if data[at] != _LF:
            self._fail("a bare CR behind chunk data")
        self._step = ChunkedDecoder._chunk_line
        return at + 1

    def _trailer(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        """One field line of the trailer section, or the empty line that ends all."""
        stop = data.find(b"\n", at) + 1 or len(data)
        line = self._line(data[at:stop], self._room, "the trailer section is too large", 431)
        if line is None:
            return stop
        if line == b"\r\n":
            self.complete = True
            self.leftover = data[stop:]
            self._step = ChunkedDecoder._ended
            return len(data)
        match = _FIELD_LINE(line)
        if match is None:
            self._fail("an invalid trailer field line")
        name = match[1].decode("ascii").lower()
        if name in FORBIDDEN_TRAILERS:
            self._fail(f"the field {name} in a trailer section")
        if len(self.trailers) == self._max_trailers:
            self._fail("too many trailer fields", 431)
        self._room -= len(line)
        self.trailers.append((name, match[2].decode("latin-1").rstrip(" \t")))
        return stop

    def _ended(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        raise LocalProtocolError("bytes were fed to a body that is complete")

    def _broken(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        assert self._error is not None
        raise self._error

    def _line(self, part: bytes, most: int, reason: str, status: int) -> bytes | None:
        """The line that ``part`` ends, None while there is no end; at most ``most`` bytes."""
        if len(self._held) + len(part) > most:
            self._fail(reason, status)
        if part[-1] != _LF:
            self._held += part
            return None
        if self._held:
            part = bytes(self._held) + part
            self._held.clear()
        return part

    def _fail(self, reason: str, status: int = 400) -> NoReturn:
        self._error = RemoteProtocolError(reason, status)
        self._step = ChunkedDecoder._broken
        raise self._error


_Step = Callable[[ChunkedDecoder, bytes, int, list[bytes]], int]
