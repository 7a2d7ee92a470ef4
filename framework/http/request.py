"""The request a handler sees: the head the wire parsed, with everything else made when it is asked for."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar, cast

from framework.codec import decode_json
from framework.errors import CodecError, HTTPError
from framework.http.cookies import parse_cookies
from framework.http.endpoint import Endpoint
from framework.http.forms import FormData, parse_urlencoded
from framework.http.headers import Headers
from framework.http.ids import random_id
from framework.http.media import is_json
from framework.http.path import canonical_path
from framework.http.query import QueryParams
from framework.wire.leaves import RequestHead

__all__ = ["Address", "BodySource", "Exchange", "Request", "StateKey"]

T = TypeVar("T")
MAX_FORM_FIELDS: Final = 1000
_MAX_BODY: Final = "max_body"


class Address(NamedTuple):
    """Where a client is: an IP address as text, and its port (0 when a proxy did not tell)."""

    host: str
    port: int


class StateKey(Generic[T]):
    """A typed name for a value carried with the request: ``USER = StateKey[User]("user")``, ``request[USER] = u``."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"StateKey({self.name!r})"


class BodySource(Protocol):
    """A body that is still arriving. ``receive`` returns its next bytes, b"" at the end; raises PeerClosed,
    RemoteProtocolError or DeadlineExceeded when the rest cannot be had."""

    trailers: list[tuple[str, str]]

    async def receive(self) -> bytes: ...


class Exchange(Protocol):
    """What a request may ask of the connection that carries it."""

    @property
    def scheme(self) -> str: ...

    @property
    def peer(self) -> Address | None: ...

    def extra(self, name: str) -> Any: ...

    def resolve(self, request: Request) -> Origin: ...

    def after_response(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None: ...


class Origin(NamedTuple):
    """Who asks, seen through the trusted proxies."""

    client: Address | None
    scheme: str
    host: str


class Request(RequestHead):
    """One request.

    ``method``, ``target`` (as sent), ``raw_path``, ``query_string``, ``minor`` and the framing facts come from the
    wire; ``params`` holds the path parameters, converted; ``endpoint`` is the route's; ``deadline`` (loop time) is set
    to the route's ``timeout`` from when the handler first waits, unless it was set to an earlier one before.
    """

    __slots__ = ()

    made: dict[Any, Any] | None
    source: BodySource | None
    deadline: float | None
    endpoint: Endpoint
    exchange: Exchange
    params: dict[str, Any]
    received: bytes | None

    def attach(self, exchange: Exchange, body: bytes | None, source: BodySource | None) -> None:
        """Ties the head to its connection and body: ``body`` where it is complete, else ``source``."""
        self.exchange = exchange
        self.received = body
        self.source = source

    def _make(self, key: Any, make: Callable[[], T]) -> T:
        """``make()`` at the first call for ``key``, then the same object. Most requests never need the dictionary."""
        made = self.made
        if made is None:
            made = self.made = {}
        try:
            return cast("T", made[key])
        except KeyError:
            value = made[key] = make()
            return value

    @property
    def path(self) -> str:
        """The canonical path, which router, policies and files share. Raises HTTPError 400 where there is none."""
        return self.raw_path if self.plain_path else self._make("path", lambda: canonical_path(self.raw_path))

    @property
    def headers(self) -> Headers:
        """The fields, looked up without regard to case."""
        return self._make("headers", lambda: Headers(self.fields()))

    @property
    def trailers(self) -> Headers:
        """The fields behind a chunked body, kept apart from ``headers`` (RFC 9110 section 6.5); empty for any other.

        There once the body was read to its end; raises RuntimeError before.
        """
        made = self.made
        if made is not None and "trailers" in made:
            return cast("Headers", made["trailers"])
        if self.received is None:
            raise RuntimeError("trailers come behind the body: read it to its end first")
        return Headers([])

    @property
    def query(self) -> QueryParams:
        """The query string's parameters. Raises HTTPError 400 where there are too many."""
        return self._make("query", lambda: QueryParams(self.query_string))

    @property
    def cookies(self) -> Mapping[str, str]:
        """The cookies by name; of equal names the first."""
        return self._make("cookies", lambda: parse_cookies("; ".join(self.headers.get_all("cookie"))))

    @property
    def id(self) -> str:
        """Names this request in logs and problem documents: 32 hex digits unless a middleware took the client's."""
        made = self.made
        if made is None:
            made = self.made = {}
        known: str | None = made.get("id")
        if known is None:
            known = made["id"] = random_id()
        return known

    @id.setter
    def id(self, value: str) -> None:
        if self.made is None:
            self.made = {}
        self.made["id"] = value

    @property
    def origin(self) -> Origin:
        """Client, scheme and host as the trusted proxies tell them; the connection's own without any."""
        made = self.made
        if made is None:
            made = self.made = {}
        known: Origin | None = made.get("origin")
        if known is None:
            known = made["origin"] = self.exchange.resolve(self)
        return known

    @property
    def client(self) -> Address | None:
        """Who asks, as far as trusted proxies tell; None on a unix socket."""
        return self.origin.client

    @property
    def scheme(self) -> str:
        """``http`` or ``https``, as trusted proxies tell."""
        return self.origin.scheme

    @property
    def url(self) -> str:
        """The absolute URL that was asked for (RFC 9110 section 7.1).

        The wire lets no character into the host that could begin a path, and a proxy's word on it is checked too.
        """
        origin = self.origin
        path = "" if self.raw_path == "*" else self.raw_path
        query = f"?{self.query_string}" if self.query_string else ""
        return f"{origin.scheme}://{origin.host}{path}{query}"

    def __getitem__(self, key: StateKey[T]) -> T:
        if self.made is None:
            raise KeyError(key)
        return cast("T", self.made[key])

    def __setitem__(self, key: StateKey[T], value: T) -> None:
        if self.made is None:
            self.made = {}
        self.made[key] = value

    def get(self, key: StateKey[T]) -> T | None:
        """The value under ``key``, None where nothing was put there."""
        return None if self.made is None else self.made.get(key)

    def limit_body(self, max_size: int) -> None:
        """Lets nobody read a body of more than ``max_size`` bytes from now on, whatever they allow. Never widens.

        Raises HTTPError 413 at once where the length is told or the body is there; a body in chunks is counted as it
        is read, by ``body`` and ``stream`` alike.
        """
        if self.content_length > max_size or (self.received is not None and len(self.received) > max_size):
            raise _too_large(max_size)
        made = self.made
        if made is None:
            made = self.made = {}
        made[_MAX_BODY] = min(max_size, made.get(_MAX_BODY, max_size))

    async def body(self, max_size: int | None = None) -> bytes:
        """The whole body, at most ``max_size`` bytes (the route's ``max_body`` unless given).

        Raises HTTPError 413 as soon as the length, told or counted, is past it.
        """
        body = self.received
        limit = self.endpoint.max_body if max_size is None else max_size
        if body is None:
            parts = [part async for part in self._limited(limit)]
            body = self.received = parts[0] if len(parts) == 1 else b"".join(parts)
        elif len(body) > limit:
            raise _too_large(limit)
        return body

    def stream(self, max_size: int | None = None) -> AsyncIterator[bytes]:
        """The body as it arrives; reading slowly slows the client down. ``max_size`` None sets no limit besides that of
        ``limit_body``.

        Raises HTTPError 413 past ``max_size``, and PeerClosed when the client goes away meanwhile.
        """
        return self._limited(max_size) if self.received is None else self._again(self.received, max_size)

    async def _again(self, body: bytes, limit: int | None) -> AsyncGenerator[bytes, None]:
        if limit is not None and len(body) > limit:
            raise _too_large(limit)
        if body:
            yield body

    async def _limited(self, limit: int | None) -> AsyncGenerator[bytes, None]:
        source = self.source
        if source is None:
            raise RuntimeError("the body of this request was consumed already")
        if self.made is not None and (narrow := self.made.get(_MAX_BODY)) is not None:
            limit = narrow if limit is None else min(limit, narrow)
        if limit is not None and self.content_length > limit:
            raise _too_large(limit)
        self.source = None
        total = 0
        while part := await source.receive():
            total += len(part)
            if limit is not None and total > limit:
                raise _too_large(limit)
            yield part
        self._make("trailers", lambda: Headers(source.trailers))

    async def json(self, max_size: int | None = None) -> Any:
        """The body as untyped JSON. Raises HTTPError 415 for another media type, 400 with the position of a fault."""
        media_type = self.field("content-type")
        if media_type is not None and not is_json(media_type):
            raise HTTPError(415, f"expected JSON, not {media_type}")
        try:
            return decode_json(await self.body(max_size))
        except CodecError as error:
            raise HTTPError(400, f"malformed JSON: {error}") from error

    async def form(self, max_size: int | None = None, max_fields: int = MAX_FORM_FIELDS) -> FormData:
        """The body as application/x-www-form-urlencoded. Raises HTTPError 415 for another media type."""
        media_type = self.field("content-type") or ""
        if media_type.partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
            raise HTTPError(415, "expected application/x-www-form-urlencoded")
        return parse_urlencoded(await self.body(max_size), max_fields)

    def background(self, function: Callable[..., Any], *args: Any) -> None:
        """Runs ``function(*args)``, sync or async, once the response is written, whatever that is. The server owns it:
        its failure is logged, and shutdown waits for it within the drain deadline. It sees the context variables as
        they are now."""
        self.exchange.after_response(function, args)

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.target}>"


def _too_large(limit: int) -> HTTPError:
    return HTTPError(413, f"the body is larger than {limit} bytes")
