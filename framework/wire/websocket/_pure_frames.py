"""The part of the pure twin that reads frames (RFC 6455 section 5). ``_frames.pyx`` is the compiled one."""

from __future__ import annotations

from codecs import utf_8_decode
from collections.abc import Callable
from typing import Literal, NoReturn

from framework.wire.websocket._pure_mask import apply_mask
from framework.wire.websocket.compression import Inflater
from framework.wire.websocket.events import MAX_CONTROL, Event, Ping, Pong, WebSocketError, read_close

__all__ = ["FrameParser"]

_SURROGATES = tuple(bytes((0xED, second)) for second in range(0xA0, 0xC0))


class FrameParser:
    """Takes the bytes of one direction of a connection in any pieces; the time is linear in their number.

    Args:
        side: who reads: a "server" reads masked frames, a "client" unmasked ones.
        max_frame: bytes of payload in a frame.
        max_message: bytes in a message, all its fragments together, inflated.
        max_fragments: frames in a message.
        text: whether text messages are taken; else their first head is answered by 1003.
        binary: whether binary messages are taken.
        inflater: where permessage-deflate was agreed: see ``framework.wire.websocket.deflate``.

    ``ended`` is true after a close frame or a fault. Raises ValueError where an argument makes no sense.
    """

    __slots__ = (
        "_binary",
        "_checked",
        "_compressed",
        "_first",
        "_fragments",
        "_held",
        "_inflater",
        "_kind",
        "_length",
        "_mask",
        "_masked",
        "_message",
        "_missing",
        "_piece",
        "_short",
        "_step",
        "_text",
        "_usual",
        "ended",
        "max_fragments",
        "max_frame",
        "max_message",
    )

    def __init__(
        self,
        side: Literal["server", "client"] = "server",
        *,
        max_frame: int = 1048576,
        max_message: int = 1048576,
        max_fragments: int = 65536,
        text: bool = True,
        binary: bool = True,
        inflater: Inflater | None = None,
    ) -> None:
        if side not in ("server", "client"):
            raise ValueError("the side is server or client")
        for limit in (max_frame, max_message, max_fragments):
            if not 0 < limit < 2**62:
                raise ValueError("a limit is positive and less than 2**62")
        self.max_frame = max_frame
        self.max_message = max_message
        self.max_fragments = max_fragments
        self.ended = False
        self._masked = side == "server"
        self._text = text
        self._binary = binary
        self._inflater = inflater
        self._usual = (b"\x81" if text else b"") + (b"\x82" if binary else b"")
        self._short = min(125, max_frame, max_message)
        self._step: _Step = FrameParser._frames
        self._held = b""
        # The frame.
        self._first = 0
        self._mask = b""
        self._length = 0
        self._missing = 0
        self._piece: bytearray | None = None
        # The message; the kind is 0 between two.
        self._kind = 0
        self._compressed = False
        self._fragments = 0
        self._message: bytearray | None = None
        self._checked = 0

    def feed(self, data: bytes) -> list[Event]:
        """Returns what became complete: a str or bytes is a message, the rest is Ping, Pong or Close.

        Raises WebSocketError with the close code, at the first byte that shows the fault; its ``events`` are what
        came before. After that, or a Close, nothing more is read and the list is always empty.
        """
        events: list[Event] = []
        at = 0
        try:
            while at < len(data):
                at = self._step(self, data, at, events)
        except BaseException as error:
            self._stop()
            if isinstance(error, WebSocketError):
                error.events = events
            raise
        return events

    # Each state takes bytes from a position on, at least one, and returns the position of the first it left.

    def _frames(self, data: bytes, at: int, events: list[Event]) -> int:
        """Frames, as long as whole ones are there."""
        size = len(data)
        masked = self._masked
        head, bit = (6, 128) if masked else (2, 0)
        while at < size:
            # The usual frame: a short message of its own, all there.
            start = at + head
            if self._kind == 0 and start < size and data[at] in self._usual:
                length = data[at + 1] - bit
                stop = start + length
                if 0 < length <= self._short and stop <= size:
                    payload = data[start:stop]
                    if masked:
                        key = int.from_bytes((data[at + 2 : start] * (length // 4 + 1))[:length], "little")
                        payload = (int.from_bytes(payload, "little") ^ key).to_bytes(length, "little")
                    events.append(_text(payload) if data[at] == 0x81 else payload)
                    at = stop
                    continue
            used = self._read_head(data, at)
            if used == 0:
                self._held = b""
                self._step = FrameParser._head
                return at
            at += used
            if size - at < self._length:
                self._missing = self._length
                self._step = FrameParser._payload
                return at
            stop = at + self._length
            payload = data[at:stop]
            self._end_frame(apply_mask(payload, self._mask) if masked else payload, events)
            if self.ended:
                return size
            at = stop
        return at

    def _head(self, data: bytes, at: int, events: list[Event]) -> int:
        """A head in parts."""
        while at < len(data):
            self._held += data[at : at + 1]
            at += 1
            if self._read_head(self._held, 0):
                self._missing = self._length
                self._step = FrameParser._payload
                return self._payload(data, at, events) if self._length == 0 else at
        return at

    def _payload(self, data: bytes, at: int, events: list[Event]) -> int:
        """A payload in parts."""
        piece = data[at : at + self._missing]
        at += len(piece)
        if self._masked:
            turn = (self._length - self._missing) % 4
            self._missing -= len(piece)
            piece = apply_mask(piece, self._mask[turn:] + self._mask[:turn])
        else:
            self._missing -= len(piece)
        if self._missing == 0:
            self._step = FrameParser._frames
        if self._first & 8 or self._compressed:
            if self._piece is None:
                self._piece = bytearray()
            self._piece += piece
            if self._missing == 0:
                piece = bytes(self._piece)
                self._piece = None
                self._end_frame(piece, events)
        else:
            self._take(piece)
            if self._missing == 0 and self._first & 0x80:
                self._end_message(events)
        return at

    def _ended(self, data: bytes, at: int, events: list[Event]) -> int:
        return len(data)

    def _read_head(self, data: bytes, at: int) -> int:
        """The size of the head, 0 while it is incomplete; nothing is noted before it is complete."""
        size = len(data) - at
        if size < 2:
            return 0
        first = data[at]
        second = data[at + 1]
        self._check_head(first, second)
        used = 2
        length = second & 0x7F
        if length > 125:
            least = 126 if length == 126 else 65536
            used = 4 if length == 126 else 10
            if size < used:
                return 0
            length = int.from_bytes(data[at + 2 : at + used], "big")
            if length < least or length >= 2**63:
                _fault("a length that is not minimal")
        if not first & 8:
            self._check_length(first, length)
        if self._masked:
            used += 4
            if size < used:
                return 0
            self._mask = data[at + used - 4 : at + used]
        self._first = first
        self._length = length
        if not first & 8:
            self._fragments += 1
            if first & 15:
                self._kind = first & 15
                self._compressed = first & 0x40 != 0
        return used

    def _check_head(self, first: int, second: int) -> None:
        opcode = first & 15
        if first & 0x70 and (first & 0x30 or self._inflater is None or opcode == 0 or opcode & 8):
            _fault("a reserved bit is set")
        if opcode & 7 > 2:
            _fault("an unknown opcode")
        if opcode & 8:
            if not first & 0x80:
                _fault("a control frame in fragments")
            if second & 0x7F > MAX_CONTROL:
                _fault("a control frame is too long")
        elif opcode == 0:
            if self._kind == 0:
                _fault("a continuation of nothing")
        elif self._kind:
            _fault("a new message before the end of the last")
        elif not (self._text if opcode == 1 else self._binary):
            _fault("a kind of message that is not taken here", 1003)
        if (second & 0x80 != 0) != self._masked:
            _fault("a client's frame without a mask" if self._masked else "a server's frame with a mask")

    def _check_length(self, first: int, length: int) -> None:
        """Of a data frame; a compressed one may be larger, as far as deflate makes bytes longer."""
        if first & 0x40 or (first & 15 == 0 and self._compressed):
            if length > self.max_frame + (self.max_frame >> 3) + 64:
                _fault("the frame is too large", 1009)
        elif length > self.max_frame:
            _fault("the frame is too large", 1009)
        elif length > self.max_message - len(self._message or b""):
            _fault("the message is too large", 1009)
        if self._fragments == self.max_fragments:
            _fault("a message in too many fragments", 1009)

    def _end_frame(self, payload: bytes, events: list[Event]) -> None:
        """Of a frame that is whole, unmasked."""
        first = self._first
        if first & 8:
            self._control(first & 15, payload, events)
            return
        final = first & 0x80 != 0
        if self._compressed:
            assert self._inflater is not None
            room = self.max_message - len(self._message or b"")
            payload = self._inflater.inflate(payload, self._fragments == 1, final, room)
        if final and self._fragments == 1:
            events.append(_text(payload) if self._kind == 1 else payload)
            self._between()
            return
        self._take(payload)
        if final:
            self._end_message(events)

    def _control(self, opcode: int, payload: bytes, events: list[Event]) -> None:
        if opcode == 8:
            events.append(read_close(payload))
            self._stop()
        else:
            events.append(Ping(payload) if opcode == 9 else Pong(payload))

    def _take(self, piece: bytes) -> None:
        """More of the message; its text is checked as it comes."""
        if self._message is None:
            self._message = bytearray()
        self._message += piece
        if self._kind == 1:
            try:
                _, used = utf_8_decode(self._message[self._checked :], "strict", False)
            except UnicodeDecodeError:
                _fault("text that is not UTF-8", 1007)
            self._checked += used
            # The codec waits for the third byte of a surrogate, though the second has decided.
            if self._message.startswith(_SURROGATES, self._checked):
                _fault("text that is not UTF-8", 1007)

    def _end_message(self, events: list[Event]) -> None:
        message = bytes(self._message or b"")
        events.append(_text(message) if self._kind == 1 else message)
        self._between()

    def _between(self) -> None:
        self._kind = 0
        self._fragments = 0
        self._compressed = False
        self._message = None
        self._checked = 0

    def _stop(self) -> None:
        self.ended = True
        self._step = FrameParser._ended
        self._inflater = None
        self._piece = None
        self._message = None


_Step = Callable[[FrameParser, bytes, int, list[Event]], int]


def _fault(reason: str, code: int = 1002) -> NoReturn:
    raise WebSocketError(reason, code)


def _text(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise WebSocketError("text that is not UTF-8", 1007) from None
