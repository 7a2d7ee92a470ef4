"""Bodies on their way through: the client's, which may be needed twice, and the upstream's, always closed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

from framework.http.request import Request
from framework.net.client import RawResponse

__all__ = ["ClientBody", "UpstreamBody", "client_body", "received_body"]

PENDING: Final = -1


class ClientBody:
    """What a try sends.

    Attributes:
        kept: all of it, where it is at hand and can be sent again.
        length: of one that streams; None where nobody knows.
        began: some of it has been taken, so that there is no second time.
    """

    __slots__ = ("_request", "began", "kept", "length")

    def __init__(self, request: Request, kept: bytes | None, length: int | None) -> None:
        self._request = request
        self.kept = kept
        self.length = length
        self.began = False

    @property
    def can_be_sent(self) -> bool:
        """Whether a try may send it from its beginning."""
        return self.kept is not None or not self.began

    @property
    def is_pending(self) -> bool:
        """It is to be asked for, by ``client_body``."""
        return self.length == PENDING

    @property
    def is_empty(self) -> bool:
        """There is no content."""
        return self.kept == b""

    def __aiter__(self) -> AsyncIterator[bytes]:
        self.began = True
        return self._request.stream()

    def trailers(self) -> Sequence[tuple[str, str]]:
        """Behind a chunked body that was read to its end."""
        return list(self._request.trailers.items())


def received_body(request: Request) -> ClientBody:
    """The body of a request as far as that is known without waiting."""
    received = request.received
    if received is not None:
        return ClientBody(request, received, len(received))
    return ClientBody(request, None, PENDING)


async def client_body(request: Request, buffer: int) -> ClientBody:
    """A body that was not here yet: at hand where it is at most ``buffer`` bytes by its own word; else streaming."""
    length = request.content_length
    if 0 <= length <= buffer:
        return ClientBody(request, await request.body(buffer), length)
    return ClientBody(request, None, length if length >= 0 else None)


class UpstreamBody:
    """The content of a response as it comes. ``ended`` is called once, with None or what went wrong."""

    __slots__ = ("_ended", "_raw")

    def __init__(self, raw: RawResponse, ended: Callable[[BaseException | None], None]) -> None:
        self._raw = raw
        self._ended: Callable[[BaseException | None], None] | None = ended

    def __aiter__(self) -> UpstreamBody:
        return self

    async def __anext__(self) -> bytes:
        try:
            data = await self._raw.receive()
        except BaseException as error:
            self._end(error)
            raise
        if not data:
            self._end(None)
            raise StopAsyncIteration
        return data

    async def aclose(self) -> None:
        """Nobody wants the rest."""
        self._raw.close()
        self._end(None)

    def _end(self, error: BaseException | None) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(error)
