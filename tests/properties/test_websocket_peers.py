"""Our frames and those of the ``websockets`` package (its Sans-I/O protocol) mean the same, both ways."""

from __future__ import annotations

from codecs import getincrementaldecoder

from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.exceptions import PayloadTooBig
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side

from framework.wire.websocket.deflate import ClientDeflation, ServerDeflation
from framework.wire.websocket.events import Close, Event, Ping, Pong, WebSocketError
from framework.wire.websocket.frames import (
    Masks,
    encode_close,
    encode_compressed,
    encode_ping,
    encode_pong,
)
from framework.wire.websocket.leaves import FrameParser, encode_frame
from tests.support.pieces import split

# What may be said: a message in fragments, or a control frame.
Said = tuple[int, list[bytes]]

LIMIT = 1 << 20


class Peer:
    """The package's protocol, read as we read: messages whole, text decoded as it comes."""

    def __init__(self, side: Side, max_size: int = LIMIT, deflate: PerMessageDeflate | None = None) -> None:
        self.protocol = Protocol(side, max_size=max_size)
        if deflate is not None:
            self.protocol.extensions = [deflate]
        self._parts: list[bytes] = []
        self._kind = Opcode.TEXT
        self._decoder = getincrementaldecoder("utf-8")()

    def read(self, data: bytes) -> tuple[list[Event], int]:
        self.protocol.receive_data(data)
        events: list[Event] = []
        for frame in self.protocol.events_received():
            assert isinstance(frame, Frame)
            try:
                self._frame(frame, bytes(frame.data), events)
            except UnicodeDecodeError:
                return events, 1007
        error = self.protocol.parser_exc
        if error is None or isinstance(error, EOFError):
            return events, 0
        if isinstance(error, PayloadTooBig):
            return events, 1009
        return events, 1007 if isinstance(error, UnicodeDecodeError) else 1002

    def _frame(self, frame: Frame, data: bytes, events: list[Event]) -> None:
        if frame.opcode is Opcode.CLOSE:
            assert self.protocol.close_rcvd is not None
            events.append(Close(int(self.protocol.close_rcvd.code), self.protocol.close_rcvd.reason))
        elif frame.opcode in (Opcode.PING, Opcode.PONG):
            events.append(Ping(data) if frame.opcode is Opcode.PING else Pong(data))
        else:
            if frame.opcode is not Opcode.CONT:
                self._kind = frame.opcode
                self._parts = []
            if self._kind is Opcode.TEXT:
                self._decoder.decode(data, frame.fin)
            self._parts.append(data)
            if frame.fin:
                whole = b"".join(self._parts)
                events.append(whole.decode() if self._kind is Opcode.TEXT else whole)


def ours(parser: FrameParser, data: bytes, cuts: list[int]) -> tuple[list[Event], int]:
    events: list[Event] = []
    for piece in split(data, cuts):
        try:
            events += parser.feed(piece)
        except WebSocketError as error:
            return events + error.events, error.code
    return events, 0


TEXT = st.text(max_size=40).map(str.encode) | st.sampled_from([b"a" * 126, b"a" * 70000])
BINARY = st.binary(max_size=40) | st.sampled_from([bytes(125), bytes(126), bytes(65536)])


@st.composite
def in_fragments(draw: st.DrawFn) -> Said:
    opcode = draw(st.sampled_from([1, 2]))
    data = draw(TEXT if opcode == 1 else BINARY)
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=4)))
    return opcode, [data[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(data)], strict=True)]


SAID = st.lists(
    in_fragments()
    | st.tuples(st.sampled_from([9, 10]), st.lists(st.binary(max_size=125), min_size=1, max_size=1)),
    max_size=6,
)
CODES = st.sampled_from([1000, 1001, 1005, 1011, 1014, 3000, 4999])
REASONS = st.text(max_size=30)
CUTS = st.lists(st.integers(0, 200000), max_size=8)


def expected(said: list[Said]) -> list[Event]:
    kinds: dict[int, type[Ping | Pong]] = {9: Ping, 10: Pong}
    return [
        kinds[opcode](parts[0])
        if opcode in kinds
        else b"".join(parts).decode()
        if opcode == 1
        else b"".join(parts)
        for opcode, parts in said
    ]


@settings(max_examples=200, deadline=None)
@given(said=SAID, code=CODES, reason=REASONS, as_client=st.booleans())
def test_they_read_what_we_write(said: list[Said], code: int, reason: str, as_client: bool) -> None:
    masks = Masks()

    def mask() -> bytes | None:
        return masks.take() if as_client else None

    data = b""
    for opcode, parts in said:
        if opcode >= 9:
            data += (encode_ping if opcode == 9 else encode_pong)(parts[0], mask())
        for at, part in enumerate(parts if opcode < 9 else []):
            data += encode_frame(0 if at else opcode, part, fin=at == len(parts) - 1, mask=mask())
    data += encode_close(code, "" if code == 1005 else reason, mask())
    peer = Peer(Side.SERVER if as_client else Side.CLIENT)
    close = Close(code, "" if code == 1005 else reason)
    assert peer.read(data) == ([*expected(said), close], 0)


@settings(max_examples=200, deadline=None)
@given(said=SAID, code=CODES, reason=REASONS, as_client=st.booleans(), cuts=CUTS)
def test_we_read_what_they_write(
    said: list[Said], code: int, reason: str, as_client: bool, cuts: list[int]
) -> None:
    peer = Protocol(Side.CLIENT if as_client else Side.SERVER)
    for opcode, parts in said:
        if opcode >= 9:
            (peer.send_ping if opcode == 9 else peer.send_pong)(parts[0])
            continue
        for at, part in enumerate(parts):
            send = peer.send_continuation if at else peer.send_text if opcode == 1 else peer.send_binary
            send(part, at == len(parts) - 1)
    if code == 1005:
        peer.send_close()
    else:
        peer.send_close(code, reason)
    data = b"".join(peer.data_to_send())
    parser = FrameParser("server" if as_client else "client")
    close = Close(code, "" if code == 1005 else reason)
    assert ours(parser, data, cuts) == ([*expected(said), close], 0)


@st.composite
def any_frames(draw: st.DrawFn) -> bytes:
    """Whole frames, each with its length in the right form, right and wrong in all else."""
    first = draw(
        st.sampled_from([0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8A, 0x88]) | st.integers(0, 255)
    )
    mask = draw(st.sampled_from([True] * 15 + [False]))
    payload = draw(
        st.text(max_size=10).map(str.encode)
        | st.binary(max_size=10)
        | st.integers(0, 5100).map(lambda code: code.to_bytes(2, "big"))
        | st.just(bytes(126))
    )
    bit = 0x80 if mask else 0
    length = bytes((bit | len(payload),)) if len(payload) < 126 else bytes((bit | 126, 0, len(payload)))
    return bytes((first,)) + length + (bytes(4) if mask else b"") + payload


@settings(max_examples=500, deadline=None)
@given(data=st.lists(any_frames(), max_size=6).map(b"".join), cuts=CUTS)
def test_we_judge_frames_alike(data: bytes, cuts: list[int]) -> None:
    assert ours(FrameParser("server"), data, cuts) == Peer(Side.SERVER).read(data)


@settings(max_examples=200, deadline=None)
@given(said=SAID, limit=st.sampled_from([1, 10, 100, 1000, 65536]), cuts=CUTS)
def test_we_keep_the_same_limits(said: list[Said], limit: int, cuts: list[int]) -> None:
    data = b"".join(
        encode_frame(0 if at else opcode, part, fin=at == len(parts) - 1, mask=b"mask")
        for opcode, parts in said
        if opcode < 9
        for at, part in enumerate(parts)
    )
    assert ours(FrameParser("server", max_message=limit), data, cuts) == Peer(Side.SERVER, limit).read(data)


@settings(max_examples=100, deadline=None)
@given(
    messages=st.lists(st.text(max_size=300) | st.binary(max_size=300), max_size=6),
    server_fresh=st.booleans(),
    client_fresh=st.booleans(),
    bits=st.sampled_from([9, 12, 15]),
    cuts=CUTS,
)
def test_we_compress_alike(
    messages: list[str | bytes], server_fresh: bool, client_fresh: bool, bits: int, cuts: list[int]
) -> None:
    offer = ClientDeflation(
        server_no_context_takeover=server_fresh,
        client_no_context_takeover=client_fresh,
        server_max_window_bits=bits,
        client_max_window_bits=bits,
    ).offer()
    answer = ServerDeflation(
        server_no_context_takeover=server_fresh, client_no_context_takeover=client_fresh, threshold=0
    ).accept(offer)
    assert answer is not None
    theirs = PerMessageDeflate(server_fresh, client_fresh, min(bits, 12), min(bits, 12))
    peer = Peer(Side.CLIENT, deflate=theirs)
    sent = b"".join(encode_compressed(message, answer[1]) for message in messages)
    assert peer.read(sent) == (messages, 0)
    for message in messages:
        if isinstance(message, str):
            peer.protocol.send_text(message.encode())
        else:
            peer.protocol.send_binary(message)
    received = b"".join(peer.protocol.data_to_send())
    assert ours(FrameParser("server", inflater=answer[1]), received, cuts) == (messages, 0)
