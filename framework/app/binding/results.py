"""What a handler returns becomes a response."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import Any, Final, Protocol, TypeVar

import msgspec

from framework.codec import encode_json, encoder
from framework.http.response import Response, StreamingResponse

__all__ = ["HeldStream", "response_maker"]

JSON: Final = "application/json"
T = TypeVar("T")


class Exits(Protocol):
    """Clean-ups that wait for the response to be finished."""

    async def close(self, error: BaseException | None = None) -> None: ...


def response_maker(annotation: Any, status: int) -> Callable[[Any], Response]:
    """The function that turns a result into a response.

    A Struct, dict, list or number is JSON, str is text, bytes are bytes, None is 204, an async iterator is a
    stream, and a Response stays as it is. The annotation only decides which is tried first.
    """
    encode = encoder(annotation if isinstance(annotation, type) else Any)

    def from_any(result: Any) -> Response:
        if isinstance(result, Response):
            return result
        if isinstance(result, str):
            return Response(result, status)
        if isinstance(result, (bytes, bytearray, memoryview)):
            return Response(bytes(result), status, media_type="application/octet-stream")
        if result is None:
            return Response(b"", 204 if status == 200 else status)
        if isinstance(result, AsyncIterable):
            return StreamingResponse(result, status, media_type="application/octet-stream")
        return Response(encode_json(result), status, media_type=JSON)

    if annotation is str:

        def from_text(result: Any) -> Response:
            return Response(result, status) if type(result) is str else from_any(result)

        return from_text
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):

        def from_struct(result: Any) -> Response:
            if type(result) is annotation:
                return Response(encode(result), status, media_type=JSON)
            return from_any(result)

        return from_struct
    return from_any


class HeldStream:
    """A streamed body that keeps the request's dependencies open until it has been sent, or given up."""

    def __init__(self, content: AsyncIterable[bytes | str], exits: Exits) -> None:
        self._content = content
        self._exits: Exits | None = exits
        self._iterator: AsyncIterator[bytes | str] | None = None
        self._error: BaseException | None = None

    def __aiter__(self) -> HeldStream:
        return self

    async def __anext__(self) -> bytes | str:
        if self._iterator is None:
            self._iterator = self._content.__aiter__()
        try:
            return await self._iterator.__anext__()
        except StopAsyncIteration:
            raise
        except BaseException as error:
            self._error = error
            raise

    async def aclose(self) -> None:
        """Closes the body, then the dependencies, which learn of the error that ended it."""
        exits, self._exits = self._exits, None
        try:
            close = getattr(self._iterator or self._content, "aclose", None)
            if close is not None:
                await close()
        finally:
            if exits is not None:
                await exits.close(self._error)
