"""A server of WebSockets without sockets, and a peer that sends it what frames it likes, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from framework.http.request import Request
from framework.http.response import Response
from framework.http.upgrade import Upgrade
from framework.net.upgrade import TakenLink
from framework.net.websocket.conversation import Conversation
from framework.net.websocket.listener import Listening, WebSocketListener
from framework.net.websocket.session import Session
from framework.net.websocket.settings import WebSocketSettings
from framework.net.websocket.socket import WebSocket
from framework.wire.websocket.events import Close, Event, Ping, Pong
from framework.wire.websocket.frames import encode_close, encode_ping, encode_pong
from framework.wire.websocket.handshake import accept_key
from framework.wire.websocket.leaves import FrameParser, encode_batch
from tests.support.harness import App, Client, Harness, harness, request_bytes

__all__ = ["MASK", "Peer", "SocketServer", "frames", "handshake", "socket_server"]

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
MASK = b"\x01\x02\x03\x04"
HANDSHAKE = {
    "upgrade": "websocket",
    "connection": "Upgrade",
    "sec_websocket_version": "13",
    "sec_websocket_key": KEY,
}


class SocketServer:
    """A harness whose one endpoint is a WebSocket of ``what``: a listener, or a coroutine function of a WebSocket.

    Attributes:
        sockets: every WebSocket, in the order they were opened; ``sessions`` are theirs.
        lines: what was logged for people.
    """

    def __init__(self, what: Any, settings: WebSocketSettings, held: Callable[[], Any] | None) -> None:
        self.sockets: list[WebSocket[Any, Any]] = []
        self.sessions: list[Session] = []
        self.harness: Harness
        self._what = what
        self._settings = settings
        self._held = held

    def upgrade(self, request: Request) -> Response:
        def connect(link: Any) -> None:
            assert isinstance(link, TakenLink)
            session = Session(link.core, self._settings)
            socket: WebSocket[Any, Any] = WebSocket(session, request)
            request.exchange = session
            self.sockets.append(socket)
            self.sessions.append(session)
            held = None if self._held is None else self._held()
            if isinstance(self._what, WebSocketListener):
                Listening(link.core, session, socket, self._what, held)
            else:
                Conversation(link.core, session, socket, self._what, held)
            session.open(link)

        accept = accept_key(request.field("sec-websocket-key") or "")
        return Upgrade("websocket", connect, headers={"sec-websocket-accept": accept})

    @property
    def core(self) -> Any:
        return self.harness.core

    def advance(self, seconds: float) -> None:
        self.harness.advance(seconds)

    def call(self, function: Callable[..., object], *args: object) -> None:
        self.harness.call(function, *args)

    def connect(self, *, high: int = 65_536, behind: bytes = b"") -> Peer:
        """A peer behind its handshake; ``behind`` are bytes that come in one piece with that."""
        return Peer(self.harness.connect(high=high), behind)


class Peer:
    """The other side of one WebSocket.

    Attributes:
        raw: its connection.
    """

    def __init__(self, client: Client, behind: bytes = b"") -> None:
        self.raw = client
        self._parser = FrameParser("client")
        self.raw.send(handshake() + behind)
        head, _, rest = self.raw.raw().partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101"), head
        self._rest = rest

    @property
    def transport(self) -> Any:
        return self.raw.transport

    def send(self, *messages: str | bytes) -> None:
        """Sends messages, all in one piece."""
        self.raw.send(frames(*messages))

    def send_bytes(self, data: bytes) -> None:
        self.raw.send(data)

    def ping(self, data: bytes = b"") -> None:
        self.raw.send(encode_ping(data, MASK))

    def pong(self, data: bytes = b"") -> None:
        self.raw.send(encode_pong(data, MASK))

    def close(self, code: int = 1000, reason: str = "") -> None:
        self.raw.send(encode_close(code, reason, MASK))

    def events(self) -> list[Event]:
        """What came since the last look."""
        rest, self._rest = self._rest, b""
        return self._parser.feed(rest + self.raw.raw())

    def messages(self) -> list[str | bytes]:
        """The messages among ``events``; the rest is passed over."""
        return [event for event in self.events() if isinstance(event, (str, bytes))]

    def closes(self) -> list[tuple[int, str]]:
        return [(event.code, event.reason) for event in self.events() if isinstance(event, Close)]

    def pings(self) -> list[bytes]:
        return [event.data for event in self.events() if isinstance(event, Ping)]

    def pongs(self) -> list[bytes]:
        return [event.data for event in self.events() if isinstance(event, Pong)]

    @property
    def lost(self) -> bool:
        """The connection is gone."""
        return bool(self.transport.lost)


def frames(*messages: str | bytes) -> bytes:
    """Messages as a client sends them."""
    return encode_batch(list(messages), MASK * len(messages))


def handshake() -> bytes:
    """The opening handshake of a client."""
    fields: dict[str, Any] = HANDSHAKE
    return request_bytes(**fields)


@contextmanager
def socket_server(
    what: Any,
    /,
    *,
    server: dict[str, Any] | None = None,
    held: Callable[[], Any] | None = None,
    **settings: Any,
) -> Iterator[SocketServer]:
    """Serves ``what`` at ``/``; ``settings`` are those of the WebSockets, ``server`` those of the server.

    At the end nothing may be left: no connection, no lent Task, no WebSocket on the books.
    """
    made = SocketServer(what, WebSocketSettings(**{"ping_interval": None, **settings}), held)
    app = App()
    app.add("/", made.upgrade, is_async=False)
    with harness(app, **(server or {})) as made.harness:
        yield made
        for session in made.sessions:
            made.call(session.abort)
        made.advance(30)
        assert not made.core.connections
        assert not made.core.runners.lent
        assert made.core.websockets == 0
