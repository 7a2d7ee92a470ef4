"""Streamed bodies, observed: how many bytes went out, how it ended, and a context around the making of each piece."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

from framework.errors import DeadlineExceeded, HTTPError, ProtocolError, ResourceError

__all__ = ["ObservedBody", "answered"]


class ObservedBody:
    """A body to put in the place of ``content``. Subclasses override what they want to see.

    It ends exactly once: with the last piece, with an error, or by being closed (the client is gone, or wanted no
    body), also when no piece was ever asked for.

    Attributes:
        begun: a piece was made. The head of a response goes out with it; what fails before is answered as an error.
        sent: bytes that were handed on so far.
    """

    __slots__ = ("_content", "_iterator", "_over", "begun", "sent")

    def __init__(self, content: AsyncIterable[bytes | str]) -> None:
        self.begun = False
        self.sent = 0
        self._content = content
        self._iterator: AsyncIterator[bytes | str] | None = None
        self._over = False

    def enter(self) -> Any:
        """Called ahead of each step of the body below."""

    def leave(self, entered: Any) -> None:
        """Called after it, with what ``enter`` returned."""

    def began(self) -> None:
        """Called once, with the first piece."""

    def ended(self, error: BaseException | None) -> None:
        """Called once; ``error`` is what the body below raised."""

    def __aiter__(self) -> ObservedBody:
        return self

    async def __anext__(self) -> bytes:
        entered = self.enter()
        try:
            if self._iterator is None:
                self._iterator = aiter(self._content)
            piece = await anext(self._iterator)
        except StopAsyncIteration:
            self._end(None)
            raise
        except BaseException as error:
            self._end(error)
            raise
        finally:
            self.leave(entered)
        data = piece.encode() if isinstance(piece, str) else piece
        self.sent += len(data)
        if not self.begun:
            self.begun = True
            self.began()
        return data

    async def aclose(self) -> None:
        """Closes the body below."""
        entered = self.enter()
        error: BaseException | None = None
        try:
            close: Any = getattr(self._iterator or self._content, "aclose", None)
            if close is not None:
                await close()
        except BaseException as raised:
            error = raised
            raise
        finally:
            self.leave(entered)
            self._end(error)

    def _end(self, error: BaseException | None) -> None:
        if not self._over:
            self._over = True
            self.ended(error)


def answered(status: int, error: BaseException | None) -> int:
    """The status that is sent for a stream of ``status`` whose body ended by ``error`` before its head went out.

    Hooks do not see that answer. It is the one an app gives that answers errors in no way of its own.
    """
    match error:
        case HTTPError() | ProtocolError():
            return error.status
        case DeadlineExceeded():
            return 504
        case ResourceError():
            return 503
        case Exception():
            return 500
        case _:
            return status
