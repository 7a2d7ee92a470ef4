"""What a handler returns becomes a response."""

from __future__ import annotations

import asyncio
import inspect
import typing
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from typing import Any, Final, Protocol, TypeGuard, cast

import msgspec

from framework.codec import encoder
from framework.errors import BindingError, CodecError, LocalProtocolError
from framework.http.response import Response, StreamingResponse
from framework.http.upgrade import Upgrade

__all__ = ["HeldStream", "hold", "response_maker"]

JSON: Final = "application/json"
BYTES: Final = "application/octet-stream"
TEXT: Final = "text/plain; charset=utf-8"
_STREAMS: Final = (AsyncIterator, AsyncIterable, AsyncGenerator)


class Exits(Protocol):
    """Clean-ups that wait for the response to be finished."""

    async def close(self, error: BaseException | None = None) -> None: ...


def response_maker(annotation: Any, status: int, where: str = "") -> Callable[[Any], Response]:
    """The function that turns a result into a response.

    A Struct, dict, list or number is JSON, str is text, bytes are bytes, None is 204, an async iterator is a
    stream, and a Response stays as it is. The annotation only decides which is tried first, how JSON is encoded,
    and whether a stream is text.

    Args:
        status: of the responses it makes; 204 for None where it is 200.
        where: the route, for errors.

    Raises:
        BindingError: the annotation promises a stream of what is neither text nor bytes.
    """
    encode = encoder(Any if annotation is inspect.Signature.empty else annotation)
    stream_type = _stream_type(annotation)

    def to_json(result: Any) -> Response:
        try:
            return Response(encode(result), status, media_type=JSON)
        except CodecError as error:
            raise _no_response(result, where, error) from error

    def from_any(result: Any) -> Response:
        if type(result) in (dict, list):
            return to_json(result)
        if isinstance(result, Response):
            return result
        if isinstance(result, str):
            return Response(result, status)
        if isinstance(result, (bytes, bytearray, memoryview)):
            return Response(bytes(cast("bytes", result)), status, media_type=BYTES)
        if result is None:
            return Response(b"", 204 if status == 200 else status)
        if _is_stream(result):
            return StreamingResponse(result, status, media_type=stream_type)
        return to_json(result)

    if annotation is str:

        def from_text(result: Any) -> Response:
            return Response(result, status) if type(result) is str else from_any(result)

        return from_text
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):

        def from_struct(result: Any) -> Response:
            if type(result) is not annotation:
                return from_any(result)
            try:
                return Response(encode(result), status, media_type=JSON)
            except CodecError as error:
                raise _no_response(result, where, error) from error

        return from_struct
    return from_any


def _no_response(result: Any, where: str, error: CodecError) -> LocalProtocolError:
    """The fault is the handler's, not the client's, as a CodecError would have it."""
    if inspect.iscoroutine(result):
        result.close()
    kind = type(result).__qualname__
    return LocalProtocolError(f"{where}: returned a {kind}, which makes no response: {error}")


def _is_stream(result: object) -> TypeGuard[AsyncIterable[Any]]:
    return isinstance(result, AsyncIterable)


def _stream_type(annotation: Any) -> str:
    """The media type of a stream, by what its annotation says it yields."""
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) not in _STREAMS or not arguments:
        return BYTES
    if arguments[0] is str:
        return TEXT
    options = typing.get_args(arguments[0]) or arguments[:1]
    if not all(option in (bytes, bytearray, memoryview, str, Any) for option in options):
        raise BindingError(
            f"{annotation} is no stream that can be sent: its pieces are neither str nor bytes"
        )
    return BYTES


def hold(response: Response, exits: Exits) -> None:
    """Keeps the request's dependencies open for a response that is more than its bytes, until that ends."""
    if isinstance(response, Upgrade):
        response.hold(exits)
    else:
        streamed = cast("StreamingResponse", response)
        streamed.content = HeldStream(streamed.content, exits)


class HeldStream:
    """A streamed body that keeps the request's dependencies open until it has been sent, or given up.

    They learn how it ended: by its error, by the cancellation of one that was given up half sent, or well. A body
    that nobody sends nor closes (a middleware dropped it) is closed when it is forgotten.
    """

    def __init__(self, content: AsyncIterable[bytes | str], exits: Exits) -> None:
        self._content = content
        self._exits: Exits | None = exits
        self._iterator: AsyncIterator[bytes | str] | None = None
        self._error: BaseException | None = None
        self._loop = asyncio.get_running_loop()

    def __aiter__(self) -> HeldStream:
        return self

    async def __anext__(self) -> bytes | str:
        if self._iterator is None:
            self._iterator = self._content.__aiter__()
            self._error = asyncio.CancelledError("the stream was given up")
        try:
            return await self._iterator.__anext__()
        except StopAsyncIteration:
            self._error = None
            raise
        except BaseException as error:
            self._error = error
            raise

    async def aclose(self) -> None:
        """Closes the body, then the dependencies, which learn of the error that ended it."""
        exits, self._exits = self._exits, None
        if exits is not None:
            await _close(self._iterator or self._content, exits, self._error)

    def __del__(self) -> None:
        if self._exits is not None and not self._loop.is_closed():
            closing = _close(self._iterator or self._content, self._exits, self._error)
            self._loop.call_soon_threadsafe(self._loop.create_task, closing)


async def _close(content: Any, exits: Exits, error: BaseException | None) -> None:
    close = getattr(content, "aclose", None)
    try:
        if close is not None:
            await close()
    except BaseException as failure:
        await exits.close(failure)
        raise
    await exits.close(error)
