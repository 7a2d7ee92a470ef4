"""Forms of type multipart/form-data (RFC 7578), part by part as they arrive: nothing is held but the piece in hand.

The grammar is the package ``multipart``'s: sans-I/O, with limits of its own on what it has to buffer, and events that
are asked for one at a time, so that a slow consumer slows the client down.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from importlib import import_module
from os import PathLike
from typing import Any, Final, NamedTuple, Protocol, cast

from msgspec import Struct

from framework.errors import CodecError, HTTPError
from framework.http.bodies import limited_stream
from framework.http.headers import Headers
from framework.http.media import parse_media_type
from framework.http.request import Request
from framework.http.uploads import save_stream

__all__ = ["FORM_DATA", "MultipartLimits", "Part", "read_multipart"]

FORM_DATA: Final = "multipart/form-data"
# RFC 2046 section 5.1.1.
_is_boundary = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]").fullmatch


class MultipartLimits(Struct, frozen=True, kw_only=True):
    """What a form may cost; beyond any of them the answer is 413. Sizes in bytes.

    Attributes:
        max_parts: fields and files.
        max_headers: lines in the head of a part; honest clients send two or three.
        max_header: one such line.
        max_field_size: a part without a file name.
        max_file_size: a part with one; None for no other limit than the body's.
    """

    max_parts: int = 100
    max_headers: int = 8
    max_header: int = 4_096
    max_field_size: int = 262_144
    max_file_size: int | None = None


class Part:
    """One field or file: an async iterator of its bytes, to be read before the next part is asked for, or not at all.

    Attributes:
        name: the form's name for it.
        filename: what the client calls its file: not to be used in a path; None for a field.
        headers: the part's own.
        media_type: the part's Content-Type without parameters; ``text/plain`` when it has none (section 4.4).
        charset: the Content-Type's, UTF-8 when it names none.
    """

    __slots__ = ("_reader", "charset", "filename", "headers", "max_size", "media_type", "name", "size")

    def __init__(self, reader: _Reader, segment: _Segment, limits: MultipartLimits) -> None:
        self._reader = reader
        self.name = segment.name
        self.filename = segment.filename
        self.headers = Headers([(name.lower(), value) for name, value in segment.headerlist])
        self.media_type = segment.content_type or "text/plain"
        self.charset = segment.charset or "utf-8"
        self.size = 0
        self.max_size = limits.max_field_size if segment.filename is None else limits.max_file_size

    def __aiter__(self) -> Part:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._reader.piece(self)
        if not piece:
            raise StopAsyncIteration
        return piece

    async def read(self, max_size: int = 1_048_576) -> bytes:
        """The rest of the part. Raises HTTPError 413 when that is more than ``max_size`` bytes."""
        content = bytearray()
        async for piece in self:
            content += piece
            if len(content) > max_size:
                raise HTTPError(413, f"a part of the form is larger than {max_size} bytes")
        return bytes(content)

    async def text(self, max_size: int = 1_048_576) -> str:
        """The rest of the part as text. Raises HTTPError 400 when it is not in its charset, and as ``read``."""
        content = await self.read(max_size)
        try:
            return content.decode(self.charset)
        except (UnicodeDecodeError, LookupError):
            raise HTTPError(400, "a field of the form is not in the charset it should be in") from None

    async def save_to(self, path: str | PathLike[str], *, fsync: bool = False, mode: int = 0o644) -> int:
        """Saves the rest of the part as it arrives; returns its length. See ``framework.http.uploads.save_stream``."""
        return await save_stream(self, path, fsync=fsync, mode=mode)

    def __repr__(self) -> str:
        return f"<Part {self.name!r}{' file' if self.filename is not None else ''}>"


async def read_multipart(
    request: Request, limits: MultipartLimits | None = None, *, max_size: int | None = None
) -> AsyncGenerator[Part, None]:
    """The parts of the form in ``request``, in order. One that is not read, or not to its end, is skipped.

    Args:
        max_size: bytes of the whole body, the route's ``max_body`` unless given.

    Raises:
        HTTPError: 415 for another media type, 400 for a form that breaks the grammar or ends early, 413 for one past
            a limit.
    """
    limits = limits or MultipartLimits()
    boundary = _boundary(request)
    async with aclosing(limited_stream(request, max_size)) as stream:
        reader = _Reader(stream, boundary, limits)
        while (part := await reader.next_part()) is not None:
            yield part


def _boundary(request: Request) -> str:
    told = request.field("content-type")
    try:
        media_type = None if told is None else parse_media_type(told)
    except CodecError:
        raise HTTPError(400, "malformed Content-Type") from None
    if media_type is None or media_type.essence != FORM_DATA:
        raise HTTPError(415, f"expected {FORM_DATA}")
    boundary = media_type.parameters.get("boundary", "")
    if _is_boundary(boundary) is None:
        raise HTTPError(400, "the Content-Type has no valid boundary")
    return boundary


class _Segment(Protocol):
    """The head of a part, as the parser has it."""

    headerlist: list[tuple[str, str]]
    name: str
    filename: str | None
    content_type: str | None
    charset: str | None


class _Parser(Protocol):
    def parse(self, chunk: bytes) -> Iterator[_Segment | bytes | None]: ...

    def close(self) -> None: ...


class _Errors(NamedTuple):
    any: type[Exception]
    strict: type[Exception]
    limit: type[Exception]


class _Reader:
    """Hands out what the parser finds, and feeds it when it wants more."""

    __slots__ = ("_begins", "_current", "_errors", "_events", "_in_part", "_limits", "_parser", "_stream")

    def __init__(self, stream: AsyncGenerator[bytes, None], boundary: str, limits: MultipartLimits) -> None:
        library: Any = import_module("multipart")
        self._stream = stream
        self._limits = limits
        self._errors = _Errors(library.MultipartError, library.StrictParserError, library.ParserLimitReached)
        self._parser: _Parser = library.PushMultipartParser(
            boundary,
            max_header_size=limits.max_header,
            max_header_count=limits.max_headers,
            max_segment_count=limits.max_parts,
            strict=True,
        )
        self._begins: bytes | None = f"--{boundary}".encode("latin-1")
        self._events: Iterator[_Segment | bytes | None] = iter(())
        self._current: Part | None = None
        self._in_part = False

    async def next_part(self) -> Part | None:
        """The next part, None when there is none; skips what is left of the one before."""
        while self._in_part:
            await self._next_piece()
        segment = await self._next_event()
        if segment is None:
            return None
        self._in_part = True
        self._current = Part(self, cast("_Segment", segment), self._limits)
        return self._current

    async def piece(self, part: Part) -> bytes:
        """The next bytes of ``part``, b"" at its end."""
        if part is not self._current:
            raise RuntimeError("the form has gone on: a part is read before the next one is asked for")
        return await self._next_piece() if self._in_part else b""

    async def _next_piece(self) -> bytes:
        event = await self._next_event()
        if event is None:
            self._in_part = False
            return b""
        piece, part = cast("bytes", event), cast("Part", self._current)
        part.size += len(piece)
        if part.max_size is not None and part.size > part.max_size:
            kind = "field" if part.filename is None else "file"
            raise HTTPError(413, f"a {kind} of the form is larger than {part.max_size} bytes")
        return piece

    async def _next_event(self) -> _Segment | bytes | None:
        """The head of a part, bytes of it, or None: at the end of a part, and of the form."""
        while True:
            try:
                for event in self._events:
                    return event
                chunk = await self._next_chunk()
                if not chunk:
                    self._parser.close()
                    return None
                self._events = self._parser.parse(chunk)
            except self._errors.limit as error:
                raise HTTPError(413, f"too much in the form: {error.args[0]}") from None
            except self._errors.any as error:
                if isinstance(error, self._errors.strict) and self._is_complete():
                    # An epilogue, mostly a line's end, is to be ignored (RFC 2046 section 5.1.1).
                    async for _ in self._stream:
                        pass
                    return None
                raise HTTPError(400, f"malformed form: {error.args[0]}") from None

    async def _next_chunk(self) -> bytes:
        chunk = await anext(self._stream, b"")
        begins, self._begins = self._begins, None
        if begins is not None and chunk:
            # No client sends a preamble, and the parser takes one or not as the bytes are cut.
            while len(chunk) < len(begins) + 2 and (more := await anext(self._stream, b"")):
                chunk += more
            if not chunk.startswith((begins, b"\r\n" + begins)):
                raise HTTPError(400, "malformed form: it does not begin with its boundary")
        return chunk

    def _is_complete(self) -> bool:
        try:
            self._parser.close()
        except self._errors.any:
            return False
        return True
