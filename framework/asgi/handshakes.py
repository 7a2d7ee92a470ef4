"""Which requests ask for a WebSocket, and which of these an application is called for."""

from __future__ import annotations

from typing import Final

from framework.asgi.sockets import SocketExchange
from framework.errors import HTTPError, SetupError
from framework.http.request import Request
from framework.net.websocket.settings import WebSocketSettings
from framework.wire.websocket.compression import Negotiator
from framework.wire.websocket.handshake import Refusal, check_upgrade_request

__all__ = ["Handshakes", "asks_for_websocket"]

_ANY: Final = frozenset({"*"})


def asks_for_websocket(request: Request) -> bool:
    """Whether a request to upgrade asks for this protocol, be it in good form or not."""
    return "websocket" in (request.field("upgrade") or "").lower()


class Handshakes:
    """Judges opening handshakes ahead of an application, which answers the good ones.

    Args:
        settings: how the WebSockets behave. The origin is the application's to check, unless ``origins`` names some;
            so is the choice of a subprotocol.

    Raises:
        SetupError: compression is asked for, and its extra is not installed.
    """

    __slots__ = ("_deflation", "_origins", "_settings")

    def __init__(self, settings: WebSocketSettings) -> None:
        self._settings = settings
        self._origins = _ANY if settings.origins is None else frozenset(map(str.lower, settings.origins))
        self._deflation = _deflation() if settings.compression else None

    def judge(self, request: Request) -> SocketExchange:
        """The exchange for a good handshake. Raises HTTPError for another."""
        judged = check_upgrade_request(request, origins=self._origins, deflation=self._deflation)
        if isinstance(judged, Refusal):
            raise HTTPError(judged.status, judged.reason, headers=dict(judged.fields))
        return SocketExchange(request, judged, self._settings)


def _deflation() -> Negotiator:
    try:
        from framework.wire.websocket.deflate import ServerDeflation
    except ImportError as error:
        raise SetupError("websocket.compression needs the extra: pip install framework[deflate]") from error
    return ServerDeflation()
