"""Responses: a status, fields and a body that is bytes at hand (Response) or made as it is sent (StreamingResponse)."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from typing import ClassVar, Final, TypeAlias, cast

from framework.http.cookies import SameSite, set_cookie
from framework.http.headers import MutableHeaders

__all__ = ["PLAIN", "STREAM", "UPGRADE", "HeaderInput", "Response", "StreamingResponse"]

PLAIN: Final = 0
STREAM: Final = 1
UPGRADE: Final = 2

HeaderInput: TypeAlias = "Mapping[str, str] | Iterable[tuple[str, str]]"


class Response:
    """A whole response.

    Args:
        body: bytes as they are, or text sent as UTF-8 (``text/plain`` unless ``media_type`` says otherwise).
        status: 200 to 599.
        headers: further fields; Content-Length, Transfer-Encoding and Date are the server's to write.
        media_type: the Content-Type field.
    """

    __slots__ = ("body", "fields", "media_type", "status")

    kind: ClassVar[int] = PLAIN

    def __init__(
        self,
        body: bytes | str = b"",
        status: int = 200,
        *,
        headers: HeaderInput | None = None,
        media_type: str | None = None,
    ) -> None:
        if isinstance(body, str):
            body = body.encode()
            if media_type is None:
                media_type = "text/plain; charset=utf-8"
        self.body: bytes = body
        self.status = status
        self.media_type = media_type
        self.fields: MutableHeaders | None = None
        if headers:
            if isinstance(headers, Mapping):
                headers = cast("Mapping[str, str]", headers).items()
            self.headers.extend(headers)

    @property
    def headers(self) -> MutableHeaders:
        """The fields besides Content-Type and those of framing. ``fields`` is None until this was asked for."""
        fields = self.fields
        if fields is None:
            fields = self.fields = MutableHeaders()
        return fields

    def set_cookie(
        self,
        name: str,
        value: str = "",
        *,
        max_age: int | None = None,
        domain: str | None = None,
        path: str | None = "/",
        secure: bool = False,
        http_only: bool = True,
        same_site: SameSite | None = "lax",
    ) -> None:
        """Adds a Set-Cookie field (RFC 6265bis); ``max_age`` in seconds. Raises LocalProtocolError on a bad value."""
        self.headers.add(
            "set-cookie",
            set_cookie(
                name,
                value,
                max_age=max_age,
                domain=domain,
                path=path,
                secure=secure,
                http_only=http_only,
                same_site=same_site,
            ),
        )

    def delete_cookie(
        self, name: str, *, domain: str | None = None, path: str | None = "/", secure: bool = False
    ) -> None:
        """Tells the browser to forget the cookie: the same name, domain, path and ``secure`` it was set with."""
        self.set_cookie(name, "", max_age=0, domain=domain, path=path, secure=secure)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.status}, {self.media_type!r})"


class StreamingResponse(Response):
    """A response whose body is made while it is sent, each piece when the client has room for it.

    Args:
        content: pieces of bytes or text. Closed (``aclose``) when it ends and when the client goes away.
        length: the body's bytes where known: then Content-Length frames it, else chunked does (RFC 9112 section 7.1).
        trailers: called when the content is over, for fields that were not known before, as a digest. They follow a
            chunked body, all of them to a client that asks for trailers (``TE: trailers``), to others
            those that a Trailer field of the response declares; see ``framework.http.trailers``.

    The head goes out with the first piece, so that what fails before it is answered as an error; later failures cut
    the connection. An empty first piece sends the head alone, ahead of a body that takes its time; other empty pieces
    are skipped. The head of an event stream goes out at once, because browsers wait for it.

    ``on_drain`` is called when the server begins to shut down while the response is on its way: one without an end
    should end then.
    """

    __slots__ = ("content", "length", "on_drain", "trailers")

    kind: ClassVar[int] = STREAM

    def __init__(
        self,
        content: AsyncIterable[bytes | str],
        status: int = 200,
        *,
        headers: HeaderInput | None = None,
        media_type: str | None = None,
        length: int | None = None,
        trailers: Callable[[], HeaderInput] | None = None,
    ) -> None:
        super().__init__(b"", status, headers=headers, media_type=media_type)
        self.content = content
        self.length = length
        self.trailers = trailers
        self.on_drain: Callable[[], None] | None = None
