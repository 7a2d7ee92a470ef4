"""A response on its way in: the head, the body as fast as somebody takes it, the trailers."""

from __future__ import annotations

import asyncio
from typing import NamedTuple, Protocol

from framework.errors import LocalProtocolError
from framework.wire.leaves import ResponseHead

__all__ = ["BodyFlow", "RawResponse", "Tunnel"]


class Tunnel(NamedTuple):
    """A connection that speaks HTTP no more. Reading is paused: set a protocol, give it ``received``, then resume."""

    transport: asyncio.Transport
    received: bytes


class BodyFlow(Protocol):
    """What a response asks of its connection."""

    def body_wanted(self) -> None:
        """Somebody waits for the body: read on, and mind the deadline."""
        ...

    def body_taken(self) -> None:
        """There is room again."""
        ...

    def drop(self) -> None:
        """The rest is not wanted: close at once."""
        ...

    def detach(self) -> Tunnel:
        """Hands the transport over."""
        ...


class RawResponse:
    """One response. Its connection is free for the next exchange from the moment its last byte came, read or not.

    Whoever has one reads it to the end or calls ``close``.

    Attributes:
        head: ``status``, ``reason``, ``fields()``, ``field(name)`` and the framing facts, as the wire parsed them.
        complete: the end of the body was seen; what of it was not received yet is in memory.
        is_tunnel: 101, or 2xx to CONNECT: there is no body; ``detach`` gives the transport.
        trailers: (lower-case name, value) behind a chunked body, once it is complete.
    """

    __slots__ = (
        "_error",
        "_flow",
        "_pieces",
        "_size",
        "_waiter",
        "complete",
        "head",
        "is_tunnel",
        "trailers",
    )

    def __init__(self, head: ResponseHead, flow: BodyFlow | None, body: bytes) -> None:
        self.head = head
        self.complete = flow is None
        self.is_tunnel = False
        self.trailers: list[tuple[str, str]] = []
        self._flow = flow
        self._pieces: list[bytes] = [body] if body else []
        self._size = len(body)
        self._error: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None

    # -- whoever reads ----------------------------------------------------------------------------------------------

    async def receive(self) -> bytes:
        """The next bytes of the body, all that are there; b"" at its end.

        A cancelled call loses nothing and may be made again; the response still has to be closed.

        Raises:
            PeerClosed: the connection ended before the body did.
            RemoteProtocolError: the body's framing is broken.
            ExchangeDeadline: no bytes came within ``body_idle``, or ``total`` is over.
            LocalProtocolError: the response was closed, or another task waits for it.
        """
        while not self._pieces:
            if self._error is not None:
                raise self._error
            if self.complete:
                return b""
            if self._waiter is not None:
                raise LocalProtocolError("two tasks read one response")
            await self._more()
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._pieces = []
        self._size = 0
        if self._flow is not None:
            self._flow.body_taken()
        return data

    async def _more(self) -> None:
        assert self._flow is not None
        self._waiter = asyncio.get_running_loop().create_future()
        self._flow.body_wanted()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def received(self) -> bytes | None:
        """The whole body where it is in memory, without a wait; None while more of it is to come."""
        if not self.complete or self._error is not None:
            return None
        pieces, self._pieces = self._pieces, []
        self._size = 0
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Drops the connection where the rest of the body is still to come; does nothing after its end."""
        flow, self._flow = self._flow, None
        if flow is not None:
            self.fail(LocalProtocolError("the response was closed"))
            flow.drop()

    def detach(self) -> Tunnel:
        """The transport of a tunnel, which the pool then knows no more.

        Raises LocalProtocolError where there is no tunnel (any more), PeerClosed where its peer has gone already.
        """
        flow = self._flow
        if not self.is_tunnel or flow is None:
            raise LocalProtocolError("the response did not open a tunnel, or it was taken")
        self._flow = None
        self.complete = True
        return flow.detach()

    # -- the connection ---------------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> int:
        """Takes more of the body; returns how much waits for the reader."""
        self._pieces.append(data)
        self._size += len(data)
        self._wake()
        return self._size

    def finish(self, trailers: list[tuple[str, str]] | None = None) -> None:
        """The body is whole."""
        if trailers is not None:
            self.trailers = trailers
        self.complete = True
        self._flow = None
        self._wake()

    def fail(self, error: BaseException) -> None:
        """The rest of the body will not come. What came already can still be received."""
        self._flow = None
        if self._error is None:
            self._error = error
        self._wake()

    @property
    def is_wanted(self) -> bool:
        """Whether somebody waits for bytes."""
        return self._waiter is not None

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
