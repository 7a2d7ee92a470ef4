"""A response of ours as the messages of ASGI: the other server frames and writes it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Final

from framework.asgi.answers import BODILESS
from framework.asgi.types import Message, Send
from framework.errors import LocalProtocolError
from framework.http.request import Request
from framework.http.response import Response, StreamingResponse
from framework.http.trailers import trailers_of
from framework.net.core import not_a_response
from framework.wire.leaves import encode_fields

__all__ = ["checked", "hooked", "send_response"]

_FRAMING: Final = frozenset(
    {"connection", "content-length", "date", "keep-alive", "transfer-encoding", "upgrade"}
)
_EVENT_STREAM: Final = "text/event-stream"

Failed = Callable[[BaseException], Response]


def checked(result: object) -> Response:
    """What a handler returned. Raises where it is no response."""
    if not isinstance(result, Response):
        raise not_a_response(result)
    return result


def hooked(request: Request, response: Response, failed: Failed) -> Response:
    """Runs the after hooks; one that fails makes the request a failed one, which the others still see."""
    for hook in request.endpoint.after:
        try:
            changed = hook(request, response)
        except Exception as error:
            response = failed(error)
        else:
            response = response if changed is None else changed
    return response


async def send_response(send: Send, request: Request, response: Response, failed: Failed) -> None:
    """Sends a response whose after hooks have run.

    What fails up to the first piece of a stream is answered as an error; what fails later is raised, so that the server
    cuts the connection. The content is closed in any case.

    Args:
        failed: makes the response to an error.
    """
    if not isinstance(response, StreamingResponse):
        await _send_whole(send, request, response, failed)
        return
    request.deadline = None  # it was for the head
    try:
        await _send_stream(send, request, response, failed)
    finally:
        close = getattr(response.content, "aclose", None)
        if close is not None:
            await close()


async def _send_whole(send: Send, request: Request, response: Response, failed: Failed) -> None:
    try:
        headers = _headers(response, request, len(response.body))
    except LocalProtocolError as error:
        response = failed(error)
        headers = _headers(response, request, len(response.body))
    bodiless = request.method == "HEAD" or response.status in BODILESS
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if bodiless else response.body})


async def _send_stream(send: Send, request: Request, response: StreamingResponse, failed: Failed) -> None:
    bodiless = request.method == "HEAD" or response.status in BODILESS
    pieces = _encoded(response)
    first: bytes | None = None
    try:
        headers = _headers(response, request, response.length)
        if not bodiless and response.media_type != _EVENT_STREAM:
            first = await anext(pieces, None)
    except Exception as error:
        await pieces.aclose()
        await _send_whole(send, request, failed(error), failed)
        return
    # As on our own server, only a body without a length has anything behind it.
    trailing = response.trailers is not None and response.length is None and not bodiless
    trailing = trailing and getattr(request.exchange, "takes_trailers", False)
    start: Message = {"type": "http.response.start", "status": response.status, "headers": headers}
    await send({**start, "trailers": True} if trailing else start)
    try:
        if not bodiless:
            if first is not None or response.media_type == _EVENT_STREAM:
                await send({"type": "http.response.body", "body": first or b"", "more_body": True})
            async for piece in pieces:
                if piece:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        # Made ahead of the end: when they fail, the body has none.
        trailers = _encode(trailers_of(request, response)) if trailing else []
        await send({"type": "http.response.body", "body": b""})
        if trailing:
            await send({"type": "http.response.trailers", "headers": trailers})
    finally:
        await pieces.aclose()


async def _encoded(response: StreamingResponse) -> AsyncGenerator[bytes, None]:
    """The pieces as bytes. Raises LocalProtocolError where they are not as many as the length says."""
    left = response.length
    async for piece in response.content:
        data = piece.encode() if isinstance(piece, str) else piece
        if left is not None:
            left -= len(data)
            if left < 0:
                raise LocalProtocolError("a streamed body is longer than the length it declared")
        yield data
    if left:
        raise LocalProtocolError(f"a streamed body is {left} bytes shorter than the length it declared")


def _headers(response: Response, request: Request, length: int | None) -> list[tuple[bytes, bytes]]:
    """The fields, in lower case. Raises LocalProtocolError where one would break the message."""
    pairs: list[tuple[str, str]] = []
    told = None
    if response.media_type is not None:
        pairs.append(("content-type", response.media_type))
    for name, value in response.fields.pairs if response.fields is not None else ():
        if name not in _FRAMING:
            pairs.append((name, value))
        elif name == "content-length":
            told = value
    if response.status not in BODILESS:
        if request.method == "HEAD" and not length and told is not None:
            pairs.append(("content-length", told))
        elif length is not None:
            pairs.append(("content-length", str(length)))
    return _encode(pairs)


def _encode(pairs: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    encode_fields(pairs)  # for its checks
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
