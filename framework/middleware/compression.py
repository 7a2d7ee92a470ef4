"""Compression: response bodies as zstd, br or gzip, whatever the client likes best."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from typing import Any, Final, cast

from framework.http.encodings import parse_accept_encoding, preferred_encodings
from framework.http.handler import Handler
from framework.http.headers import MutableHeaders
from framework.http.request import Request
from framework.http.response import PLAIN, STREAM, Response, StreamingResponse
from framework.middleware.codings import Coder, Coding, load_codings
from framework.middleware.personal import unshared

__all__ = ["COMPRESSIBLE", "Compression"]

COMPRESSIBLE: Final = (
    "text/*",
    "application/*+json",
    "application/*+xml",
    "application/javascript",
    "application/json",
    "application/jsonl",
    "application/manifest+json",
    "application/wasm",
    "application/x-ndjson",
    "application/xml",
    "font/otf",
    "font/ttf",
    "image/svg+xml",
    "image/x-icon",
)
_EVENTS: Final = "text/event-stream"
# The coded bytes would not be those these fields speak of (RFC 9530; RFC 1864).
_DIGESTS: Final = ("content-digest", "repr-digest", "digest", "content-md5")
_MAX_REMEMBERED: Final = 256
_Choice = tuple[Coding | None, bool]


class Compression:
    """Compresses response bodies by Accept-Encoding (RFC 9110 section 12.5.3). An onion for phase CONTENT.

    A stream is compressed piece by piece, each flushed, so that nothing waits for more to come. Left alone are bodies
    that have a Content-Encoding, are parts of a whole (206, 416) or carry a digest, ``no-transform`` responses,
    events unless ``events`` is set, and what the client would rather have plain. A strong ETag becomes weak, for the
    bytes differ by coding (section 8.8.1).

    Compression tells lengths: a page that holds a secret beside text a stranger chose leaks the secret letter by
    letter (BREACH). Leave such routes out with ``skip``, or mark the response ``cache-control: no-transform``.

    Args:
        codings: those offered, by liking. One whose package is missing is not offered; ``missing`` and ``repr`` say so.
        levels: of those that shall not have the level of ``codings.LEVELS``.
        min_size: bytes; a smaller body would hardly shrink. Does not count where the client refuses plain bodies.
        media_types: what is worth it: ``text/html``, ``text/*``, ``application/*+json``.
        events: also compress text/event-stream.
        thread_above: bytes; larger bodies and pieces are compressed in a worker thread, off the loop.

    Raises:
        SetupError: an unknown coding, or a level out of range.
    """

    def __init__(
        self,
        codings: Iterable[str] = ("zstd", "br", "gzip"),
        *,
        levels: Mapping[str, int] | None = None,
        min_size: int = 1024,
        media_types: Iterable[str] = COMPRESSIBLE,
        events: bool = False,
        thread_above: int = 65_536,
    ) -> None:
        self._codings, self.missing = load_codings(codings, levels)
        self._min_size = min_size
        self._types = frozenset(media_types)
        self._events = events
        self._thread_above = thread_above
        self._choices: dict[str, _Choice] = {}
        self._worthy: dict[str, bool] = {}

    @property
    def offers(self) -> tuple[str, ...]:
        """The codings that are offered, by liking."""
        return tuple(coding.name for coding in self._codings)

    def __repr__(self) -> str:
        missing = "".join(f"; no {name}: {reason}" for name, reason in self.missing.items())
        return f"<Compression {', '.join(self.offers)}{missing}>"

    def __call__(self, handler: Handler) -> Handler:
        async def compressed(request: Request) -> Response:
            response = await handler(request)
            if response.status == 304:
                return _revalidated(request, response)
            if response.kind not in (PLAIN, STREAM) or not self._may(response):
                return response
            coding, refused = self._choose(request)
            if not refused and not self._worth(response):
                return response
            response.headers.vary("accept-encoding")
            if coding is None:
                return response
            if response.kind == STREAM:
                return self._stream(coding, cast("StreamingResponse", response))
            return await self._whole(coding, response, refused=refused)

        return compressed

    def _may(self, response: Response) -> bool:
        """Nothing forbids to code this body."""
        if response.status in (204, 206) or not (response.kind == STREAM or response.body):
            return False
        headers = response.fields
        if headers is None:
            return True
        if "content-encoding" in headers or "content-range" in headers:
            return False
        directives = ",".join(headers.get_all("cache-control")).lower()
        return "no-transform" not in directives and not any(name in headers for name in _DIGESTS)

    def _worth(self, response: Response) -> bool:
        """The body is large enough, as far as is known, and of a type that shrinks."""
        stream = response.kind == STREAM
        size = cast("StreamingResponse", response).length if stream else len(response.body)
        if size is not None and size < self._min_size:
            return False
        media_type = response.media_type or response.headers.get("content-type") or ""
        worthy = self._worthy.get(media_type)
        if worthy is None:
            worthy = _remember(self._worthy, media_type, self._matches(media_type))
        return worthy

    def _matches(self, media_type: str) -> bool:
        essence = media_type.partition(";")[0].strip(" \t").lower()
        if essence == _EVENTS:
            return self._events
        kind, _, subtype = essence.partition("/")
        suffix = subtype.rpartition("+")[2]
        return not self._types.isdisjoint((essence, f"{kind}/*", f"{kind}/*+{suffix}"))

    def _choose(self, request: Request) -> _Choice:
        field = request.headers.combined("accept-encoding")
        if field is None:
            return None, False
        choice = self._choices.get(field)
        if choice is None:
            liked = preferred_encodings(field, self.offers)
            weights = parse_accept_encoding(field)
            refused = weights.get("identity", weights.get("*")) == 0
            best = next((one for one in self._codings if liked and one.name == liked[0]), None)
            choice = _remember(self._choices, field, (best, refused))
        return choice

    async def _whole(self, coding: Coding, response: Response, *, refused: bool) -> Response:
        body = response.body
        if len(body) > self._thread_above:
            coded = await asyncio.to_thread(coding.whole, body)
        else:
            coded = coding.whole(body)
        if len(coded) >= len(body) and not refused:
            return response
        made = unshared(response)
        made.body = coded
        _tell(made.headers, coding.name)
        return made

    def _stream(self, coding: Coding, response: StreamingResponse) -> Response:
        """In place: a stream is sent once, and what else it can do (``EventStream.drain``) must not be lost."""
        response.content = _Coded(response.content, coding.stream(), self._thread_above)
        response.length = None
        _tell(response.headers, coding.name)
        return response


class _Coded:
    """A streamed body, coded. Closing it closes the body below, also when no piece was ever taken (HEAD)."""

    def __init__(self, content: AsyncIterable[bytes | str], coder: Coder, thread_above: int) -> None:
        self._content = content
        self._coder = coder
        self._thread_above = thread_above
        self._iterator: AsyncIterator[bytes | str] | None = None
        self._ended = False

    def __aiter__(self) -> _Coded:
        return self

    async def __anext__(self) -> bytes:
        if self._ended:
            raise StopAsyncIteration
        if self._iterator is None:
            self._iterator = aiter(self._content)
        try:
            piece = await anext(self._iterator)
        except StopAsyncIteration:
            self._ended = True
            return self._coder.end()
        data = piece.encode() if isinstance(piece, str) else piece
        if not data:
            return b""
        if len(data) > self._thread_above:
            return await asyncio.to_thread(self._coder.piece, data)
        return self._coder.piece(data)

    async def aclose(self) -> None:
        """Closes the body below."""
        close: Any = getattr(self._iterator or self._content, "aclose", None)
        if close is not None:
            await close()


def _tell(headers: MutableHeaders, coding: str) -> None:
    headers.delete("content-length")
    headers.delete("accept-ranges")
    headers.set("content-encoding", coding)
    etag = headers.get("etag")
    if etag is not None and not etag.startswith("W/"):
        headers.set("etag", f"W/{etag}")


def _revalidated(request: Request, response: Response) -> Response:
    """A 304 names the tag of what the client has (RFC 9110 section 15.4.5): the weak one, if that was sent."""
    etag = response.headers.get("etag")
    response.headers.vary("accept-encoding")
    if etag is None or etag.startswith("W/"):
        return response
    if f"W/{etag}" not in (request.headers.combined("if-none-match") or ""):
        return response
    made = unshared(response)
    made.headers.set("etag", f"W/{etag}")
    return made


def _remember(memory: dict[str, Any], key: str, value: Any) -> Any:
    """Keeps the answers for fields clients send again and again, never more than a few."""
    if len(memory) >= _MAX_REMEMBERED:
        memory.clear()
    memory[key] = value
    return value
