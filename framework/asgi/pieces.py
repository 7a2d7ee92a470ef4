"""The body of a streamed response on its way from the application's Task to the connection's, one piece at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from framework.asgi.types import ClientDisconnected

__all__ = ["Changes", "Pieces"]


class Changes:
    """Wakes those who wait for some state to change, all of them, to look again."""

    __slots__ = ("_waiters",)

    def __init__(self) -> None:
        self._waiters: list[asyncio.Future[None]] = []

    async def wait(self) -> None:
        """Returns at the next ``tell``."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            if waiter in self._waiters:  # not told: the wait was given up
                self._waiters.remove(waiter)

    def tell(self) -> None:
        """Something has changed."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


class Pieces:
    """An async iterator of what is offered to it. It holds one piece, so that the writer goes on when the client does.

    Args:
        length: of all pieces together, in bytes; None where it is not known.
        on_closed: told when nobody takes any more, though the last piece has not come.
    """

    __slots__ = ("_changes", "_ended", "_error", "_left", "_on_closed", "_piece", "_written", "closed")

    def __init__(self, length: int | None, on_closed: Callable[[], None]) -> None:
        self._changes = Changes()
        self._on_closed = on_closed
        self._piece: bytes | None = None
        self._left = length
        self._written = True
        self._ended = False
        self._error: BaseException | None = None
        self.closed = False

    async def offer(self, piece: bytes) -> None:
        """Returns once the piece is written and the client has room for more.

        Raises:
            ClientDisconnected: nobody takes any more pieces.
            RuntimeError: it is longer than what is left of the length.
        """
        if self._left is not None and len(piece) > self._left:
            raise RuntimeError("the body is longer than Content-Length says")
        while self._piece is not None and not self.closed:  # another Task's
            await self._changes.wait()
        if self.closed:
            raise ClientDisconnected
        if self._left is not None:
            self._left -= len(piece)
        self._piece = piece
        self._written = False
        self._changes.tell()
        while not self._written and not self.closed:
            await self._changes.wait()

    async def end(self, piece: bytes) -> None:
        """The last piece, which is waited for by nobody. Raises as ``offer``, and for a body that is too short."""
        if self._left is not None and len(piece) != self._left:
            how = "longer" if len(piece) > self._left else "shorter"
            raise RuntimeError(f"the body is {how} than Content-Length says")
        while self._piece is not None and not self.closed:
            await self._changes.wait()
        if self.closed:
            raise ClientDisconnected
        self._piece = piece or None
        self._ended = True
        self._changes.tell()

    def fail(self, error: BaseException) -> None:
        """The rest will not come: whoever iterates gets ``error``."""
        self._ended = True
        self._error = error
        self._changes.tell()

    def close(self) -> None:
        """Nobody iterates any more: offers are refused."""
        if not self.closed:
            self.closed = True
            self._changes.tell()
            if not self._ended:
                self._on_closed()

    def __aiter__(self) -> Pieces:
        return self

    async def __anext__(self) -> bytes:
        # Asked for another piece, the server has written the one before, and waited for its client.
        if self._piece is None and not self._written:
            self._written = True
            self._changes.tell()
        while self._piece is None:
            if self._error is not None:
                raise self._error
            if self._ended:
                raise StopAsyncIteration
            await self._changes.wait()
        piece, self._piece = self._piece, None
        return piece

    async def aclose(self) -> None:
        """See ``close``."""
        self.close()
