"""From the messages of a response to a Response: what frames it is the server's, all else the application's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from framework.http.headers import MutableHeaders
from framework.http.response import Response, StreamingResponse

__all__ = ["BODILESS", "Head"]

BODILESS: Final = frozenset({204, 205, 304})
_LENGTH: Final = b"content-length"
_TYPE: Final = b"content-type"
# The server writes these itself ("you may send a Transfer-Encoding header, but the server must ignore it").
_OURS: Final = frozenset({b"transfer-encoding", b"connection", b"date", b"keep-alive", b"upgrade"})


class Head:
    """A response as ``http.response.start`` describes it.

    Attributes:
        length: of the body, as Content-Length says; None without one.
        trailers: fields behind the body; None where none are to come.
    """

    __slots__ = ("fields", "length", "media_type", "status", "trailers")

    def __init__(self, status: int, headers: Iterable[Iterable[bytes]]) -> None:
        """Raises RuntimeError for a Content-Length that is none, ValueError and TypeError for headers that are none."""
        self.status = status
        self.length: int | None = None
        self.media_type: str | None = None
        self.fields: list[tuple[str, str]] | None = None
        self.trailers: list[tuple[str, str]] | None = None
        for name, value in headers:
            if name == _LENGTH:
                self.length = _read_length(value, self.length)
            elif name == _TYPE and self.media_type is None:
                self.media_type = value.decode("latin-1")
            else:
                self._add(bytes(name).lower(), bytes(value))

    def _add(self, name: bytes, value: bytes) -> None:
        if name in _OURS:
            if name != b"connection" or value.lower() != b"close":
                return
        elif name == _LENGTH:
            self.length = _read_length(value, self.length)
            return
        elif name == _TYPE and self.media_type is None:
            self.media_type = value.decode("latin-1")
            return
        if self.fields is None:
            self.fields = []
        self.fields.append((name.decode("latin-1"), value.strip(b" \t").decode("latin-1")))

    def whole(self, body: bytes, method: str) -> Response:
        """The response with all of its body at hand, to a request of ``method``.

        Raises RuntimeError where the body is not as long as Content-Length says.
        """
        length = self.length
        response = Response(body, self.status, media_type=self.media_type)
        if self.fields is not None:
            self._tell(response)
        if length is not None and length != len(body) and self.status not in BODILESS:
            if body or method != "HEAD":
                raise RuntimeError(f"the body has {len(body)} bytes, and Content-Length says {length}")
            response.headers.add("content-length", str(length))
        return response

    def stream(self, content: Iterable[bytes] | object) -> StreamingResponse:
        """The response with a body that is to come."""
        response = StreamingResponse(
            content,  # type: ignore[arg-type]
            self.status,
            media_type=self.media_type,
            length=None if self.status in BODILESS else self.length,
        )
        if self.trailers is not None:
            response.trailers = self.trailers.copy
        self._tell(response)
        return response

    def trail(self, headers: Iterable[Iterable[bytes]]) -> None:
        """Takes fields behind the body."""
        assert self.trailers is not None
        for name, value in headers:
            pair = bytes(name).lower().decode("latin-1"), bytes(value).strip(b" \t").decode("latin-1")
            self.trailers.append(pair)

    def _tell(self, response: Response) -> None:
        """Adopts the fields as they are: the serialiser checks each of them."""
        if self.fields is not None:
            fields = response.fields = MutableHeaders()
            fields.pairs = self.fields


def _read_length(value: bytes, before: int | None) -> int:
    """Digits only: int() takes signs, blanks and underscores too."""
    length = int(value) if value.isdigit() and len(value) <= 18 else -1
    if length < 0 or before not in (None, length):
        raise RuntimeError(f"{value!r} as the Content-Length of a response")
    return length
