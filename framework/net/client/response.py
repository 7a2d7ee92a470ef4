"""A response as its reader sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Final, TypeVar, overload

import msgspec

from framework.codec import DECODE_ERRORS, Decoder, decode_json
from framework.errors import CodecError, LocalProtocolError
from framework.http.headers import Headers
from framework.http.media import parse_media_type
from framework.net.client.decoding import BodyDecoder
from framework.net.client.errors import ResponseTooLarge
from framework.net.client.incoming import RawResponse, Tunnel

__all__ = ["ClientResponse"]

T = TypeVar("T")
MAX_FAULTS: Final = 5


class ClientResponse:
    """One response: the head at once, the body by ``read`` or piece by piece.

    Args:
        raw: what came.
        url: where it came from, after redirects.
        max_body: what ``read`` takes unless told otherwise, in bytes.
        decoder: takes the content coding off.
        history: the URLs that redirected here, the first one first.
    """

    __slots__ = ("_body", "_decoder", "_headers", "_max_body", "_pending", "_raw", "history", "url")

    def __init__(
        self,
        raw: RawResponse,
        url: str,
        max_body: int,
        decoder: BodyDecoder | None = None,
        history: tuple[str, ...] = (),
    ) -> None:
        self._raw = raw
        self._headers: Headers | None = None
        self._body: bytes | None = None
        self._max_body = max_body
        self._decoder = decoder
        self._pending: Iterator[bytes] | None = None
        self.url = url
        self.history = history

    @property
    def raw(self) -> RawResponse:
        """The response below this one."""
        return self._raw

    @property
    def status(self) -> int:
        """200 to 999; 101 where an upgrade was asked for."""
        return self._raw.head.status

    @property
    def reason(self) -> str:
        """What the server calls the status; it means nothing (RFC 9112 section 4)."""
        return self._raw.head.reason

    @property
    def headers(self) -> Headers:
        """The fields, looked up without regard to case."""
        if self._headers is None:
            self._headers = Headers(self._raw.head.fields())
        return self._headers

    @property
    def trailers(self) -> Headers:
        """The fields behind a chunked body, once it was read."""
        return Headers(self._raw.trailers)

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self._raw.head.status < 300

    # -- the body ---------------------------------------------------------------------------------------------------

    async def read(self, max_size: int | None = None) -> bytes:
        """The whole body, once; then the same bytes again.

        Raises ResponseTooLarge past ``max_size`` bytes (decoded ones), whose connection is then closed; what
        ``RawResponse.receive`` raises; RemoteProtocolError where the content coding is broken.
        """
        if self._body is not None:
            return self._body
        limit = self._max_body if max_size is None else max_size
        raw = self._raw
        if self._decoder is None:
            body = raw.received()
            if body is not None:
                if len(body) > limit:
                    raise ResponseTooLarge(limit)
                self._body = body
                return body
            if raw.head.content_length > limit and not raw.complete:
                raw.close()
                raise ResponseTooLarge(limit)
        pieces: list[bytes] = []
        size = 0
        async for piece in self:
            size += len(piece)
            if size > limit:
                raw.close()
                raise ResponseTooLarge(limit)
            pieces.append(piece)
        self._body = b"".join(pieces)
        return self._body

    @property
    def body(self) -> bytes:
        """The body, where it was read. Raises LocalProtocolError where it was not."""
        if self._body is None:
            raise LocalProtocolError("the body was not read yet: await response.read()")
        return self._body

    @property
    def text(self) -> str:
        """The body that was read, decoded as its media type says, else as UTF-8. Raises CodecError."""
        charset = "utf-8"
        content_type = self._raw.head.field("content-type")
        if content_type is not None:
            try:
                charset = parse_media_type(content_type).parameters.get("charset", charset)
            except CodecError:
                pass
        try:
            return self.body.decode(charset)
        except (UnicodeDecodeError, LookupError) as error:
            raise CodecError(f"the body is no text in {charset}: {error}") from None

    @overload
    def json(self) -> Any: ...
    @overload
    def json(self, type: type[T]) -> T: ...
    def json(self, type: type[T] | None = None) -> T | Any:
        """The body that was read as JSON: as ``type`` where one is given.

        Raises CodecError for what is no JSON or no ``type``: a fault of the server, not of who asked us.
        """
        if type is None:
            return decode_json(self.body)
        try:
            return msgspec.json.decode(self.body, type=type)
        except DECODE_ERRORS as error:
            fault = Decoder(type).explain(self.body, error)
        if isinstance(fault, CodecError):
            raise fault
        faults = "; ".join(f"{each.pointer or '/'}: {each.detail}" for each in fault.errors[:MAX_FAULTS])
        raise CodecError(f"the JSON from {self.url} is not of its type: {faults}")

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """The next bytes of the body, as they come. Raises as ``RawResponse.receive``."""
        while True:
            if self._pending is not None:
                piece = next(self._pending, b"")
                if piece:
                    return piece
                self._pending = None
            data = await self._raw.receive()
            if self._decoder is None:
                if not data:
                    raise StopAsyncIteration
                return data
            if not data:
                self._decoder.end()
                raise StopAsyncIteration
            self._pending = self._decoder.decode(data)

    # -- endings ----------------------------------------------------------------------------------------------------

    async def aclose(self) -> None:
        """Drops the connection where the rest of the body is still to come; does nothing after its end."""
        self._raw.close()

    def detach(self) -> Tunnel:
        """The transport behind 101, or 2xx to CONNECT. Raises as ``RawResponse.detach``."""
        return self._raw.detach()

    def __repr__(self) -> str:
        return f"<ClientResponse {self.status} {self.url}>"
