"""JSON Lines: one JSON value per line, written as they are made and read as they come."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing
from typing import Any, Final, Generic, TypeVar

from framework.codec import DECODE_ERRORS, Decoder, encoder
from framework.errors import CodecError, HTTPError
from framework.http.bodies import limited_stream
from framework.http.media import parse_media_type
from framework.http.pump import Pump
from framework.http.request import Request
from framework.http.response import HeaderInput, StreamingResponse

__all__ = ["JSON_LINES", "JsonLines", "JsonLinesReader"]

T = TypeVar("T")

JSON_LINES: Final = "application/jsonl"
# What the same format was called before it had a name that most agree on.
_MEDIA_TYPES: Final = frozenset(
    {
        JSON_LINES,
        "application/x-ndjson",
        "application/ndjson",
        "application/x-jsonlines",
        "application/json-lines",
    }
)


class JsonLines(StreamingResponse):
    """A response of JSON values, one on each line.

    Those that are ready together go out in one write. A failure of the source cuts the connection: no client takes
    the lines so far for all there are.

    Args:
        source: the values. It runs in a task of its own, at most ``ahead`` of them ahead of the client, and is
            closed when the client goes away.
        type: of the values, where they all have one: the faster encoder is chosen by it.
    """

    __slots__ = ()

    def __init__(
        self,
        source: AsyncIterable[Any],
        status: int = 200,
        *,
        type: Any = Any,
        headers: HeaderInput | None = None,
        ahead: int = 64,
    ) -> None:
        lines = _Lines(Pump(source, ahead), type)
        super().__init__(lines, status, headers=headers, media_type=JSON_LINES)


class _Lines:
    __slots__ = ("_encode", "_pump")

    def __init__(self, pump: Pump[Any], type: Any) -> None:
        self._pump = pump
        self._encode = encoder(type)

    def __aiter__(self) -> _Lines:
        return self

    async def __anext__(self) -> bytes:
        items = await self._pump.take()
        if items is None:
            raise StopAsyncIteration
        return b"\n".join([*map(self._encode, items), b""])

    async def aclose(self) -> None:
        await self._pump.close()


class JsonLinesReader(Generic[T]):
    """Reads request bodies of JSON Lines. Made once, for it compiles the type.

    Args:
        type: what each line is decoded to.
        max_line: bytes in one line; what is held in memory at any time.
        strict_unknown: members that no type names are errors.
    """

    __slots__ = ("_decoder", "_max_line")

    def __init__(self, type: type[T], *, max_line: int = 1_048_576, strict_unknown: bool = False) -> None:
        self._decoder = Decoder(type, strict_unknown=strict_unknown)
        self._max_line = max_line

    async def read(self, request: Request, max_size: int | None = None) -> AsyncGenerator[T, None]:
        """The values of the body as they come; reading slowly slows the client down. Empty lines are skipped.

        Args:
            max_size: bytes of body, the route's ``max_body`` unless given.

        Raises:
            HTTPError: 415 for another media type, 413 for a line or a body that is too long, 400 for a line that is
                no JSON, with its number; the lines before it were yielded.
            ValidationError: 422 for a line that is JSON but not of the type, with its number.
        """
        _require_json_lines(request)
        number = 0
        async with aclosing(self._lines(request, max_size)) as lines:
            async for line in lines:
                number += 1
                if line and not line.isspace():
                    yield self._decode(line, number)

    def _decode(self, line: bytes, number: int) -> T:
        try:
            value: T = self._decoder.decode(line)
        except DECODE_ERRORS as error:
            reason = self._decoder.explain(line, error, source=f"line {number}")
            if isinstance(reason, CodecError):
                raise HTTPError(400, f"line {number}: malformed JSON: {reason}") from None
            raise reason from None
        return value

    async def _lines(self, request: Request, max_size: int | None) -> AsyncGenerator[bytes, None]:
        begun = bytearray()
        number = 0
        async with aclosing(limited_stream(request, max_size)) as stream:
            async for data in stream:
                *whole, rest = data.split(b"\n")
                for part in whole:
                    number += 1
                    begun += part
                    self._check(begun, number)
                    yield bytes(begun)
                    begun.clear()
                begun += rest
                self._check(begun, number + 1)
        if begun:
            yield bytes(begun)

    def _check(self, line: bytearray, number: int) -> None:
        if len(line) > self._max_line:
            raise HTTPError(413, f"line {number} is longer than {self._max_line} bytes")


def _require_json_lines(request: Request) -> None:
    told = request.field("content-type")
    try:
        fits = told is None or parse_media_type(told).essence in _MEDIA_TYPES
    except CodecError:
        fits = False
    if not fits:
        raise HTTPError(415, f"expected {JSON_LINES}")
