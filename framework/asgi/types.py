"""The words of ASGI 3: what an application is called with, and the error of a client that has gone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

__all__ = ["ASGIApp", "ClientDisconnected", "Message", "Receive", "Scope", "Send"]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class ClientDisconnected(OSError):
    """``send`` was called, but the client has gone (ASGI HTTP and WebSocket message format, since version 2.4)."""

    def __init__(self) -> None:
        super().__init__("the client closed the connection")
