"""The response that ends HTTP on a connection: 101, and then another protocol has it (RFC 9110 section 7.8)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar, Final, Protocol

from framework.http.request import Address
from framework.http.response import UPGRADE, HeaderInput, Response

__all__ = ["SWITCHING", "Held", "Taken", "Upgrade"]

SWITCHING: Final = 101


class Taken(Protocol):
    """A connection as it is handed over.

    Attributes:
        transport: still with the old protocol; ``transport.set_protocol`` comes first.
        received: bytes of the new protocol that have come already.
        peer: the other end of the socket, None on a unix socket.
        scheme: ``http`` or ``https``.
        core: what the connections of the server share (``framework.net.core.Core``). The new protocol object puts
            itself into ``core.connections``, so that a shutdown finds it, and takes itself out by ``core.leave``.
        leaving: the server is shutting down: the new protocol object was not told so by ``shut_down``.
    """

    transport: asyncio.Transport
    received: bytes
    peer: Address | None
    scheme: str
    core: Any
    leaving: bool


class Held(Protocol):
    """Clean-ups that wait for the end of what was upgraded to."""

    async def close(self, error: BaseException | None = None) -> None: ...


class Upgrade(Response):
    """Takes the connection over. What asked for it must be a request to upgrade; that is the handler's to check.

    Args:
        protocol: the value of the Upgrade field, such as ``websocket``.
        connect: called with the connection (a ``Taken``) once the 101 is written.
        headers: further fields of the 101.

    Where it is not sent after all (a hook put another response in its place, the client went away) ``dropped`` is
    called in place of ``connect``.

    Attributes:
        held: the request's dependencies with a clean-up, for ``connect`` to close at the end of it all; closed when the
            upgrade is dropped or forgotten.
    """

    __slots__ = ("_connect", "_loop", "held", "protocol")

    kind: ClassVar[int] = UPGRADE

    def __init__(
        self, protocol: str, connect: Callable[[Taken], None], *, headers: HeaderInput | None = None
    ) -> None:
        self.held: Held | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connect = connect
        self.protocol = protocol
        super().__init__(b"", SWITCHING, headers=headers)

    def connect(self, link: Taken) -> None:
        """Called once, by the server."""
        self._connect(link)

    def hold(self, held: Held) -> None:
        """Keeps the request's dependencies open. Call it in the running loop."""
        self.held = held
        self._loop = asyncio.get_running_loop()

    def dropped(self) -> None:
        """It is not sent, or nobody takes care of what it holds."""
        held, self.held = self.held, None
        loop = self._loop
        if held is not None and loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(loop.create_task, held.close())

    def __del__(self) -> None:
        self.dropped()
