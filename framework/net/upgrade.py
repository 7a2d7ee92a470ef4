"""A connection on its way from HTTP to another protocol."""

from __future__ import annotations

import asyncio

from framework.http.request import Address
from framework.net.core import Core

__all__ = ["TakenLink"]


class TakenLink:
    """What ``Upgrade.connect`` is given: see ``framework.http.upgrade.Taken``."""

    __slots__ = ("core", "leaving", "peer", "received", "scheme", "transport")

    def __init__(
        self,
        core: Core,
        transport: asyncio.Transport,
        received: bytes = b"",
        *,
        peer: Address | None = None,
        scheme: str = "http",
        leaving: bool = False,
    ) -> None:
        self.core = core
        self.transport = transport
        self.received = received
        self.peer = peer
        self.scheme = scheme
        self.leaving = leaving
