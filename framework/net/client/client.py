"""The client's front door: methods, URLs and headers in, responses out."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Unpack
from urllib.parse import urlencode

import msgspec

from framework.errors import LocalProtocolError
from framework.net.client.connect import Connector, client_tls
from framework.net.client.cookiejar import CookieJar
from framework.net.client.decoding import body_decoder, known_codings
from framework.net.client.errors import TooManyRedirects
from framework.net.client.fields import Fields, RequestOptions, pairs
from framework.net.client.fields import content as content_of
from framework.net.client.incoming import RawResponse
from framework.net.client.keeper import Pools
from framework.net.client.origin import Origin
from framework.net.client.outgoing import BodySource, OnInformational, OutgoingRequest, Trailers
from framework.net.client.place import Place
from framework.net.client.pool import OriginPool
from framework.net.client.redirects import CREDENTIALS, redirected
from framework.net.client.response import ClientResponse
from framework.net.client.settings import PoolSettings, Timeouts
from framework.net.client.url import parse_url
from framework.net.client.websocket import ClientWebSocket, Handshake, WebSocketHome
from framework.net.websocket.settings import WebSocketSettings
from framework.net.wheel import NEVER
from framework.wire.leaves import encode_fields
from framework.wire.websocket.compression import Offerer

__all__ = ["HTTPClient"]

MAX_PLACES: Final = 1024
CLOSING_PATIENCE: Final = 2.0
# Their say is the framing's, which the client decides by the body it was given.
FRAMING: Final = frozenset({"content-length", "transfer-encoding"})
WITH_CONTENT: Final = frozenset({"POST", "PUT", "PATCH"})


class HTTPClient:
    """Sends requests over kept connections; ``async with`` it, or ``aclose`` it in the end.

    Make one for the life of a program (or an app's lifespan), not one for each request.

    Args:
        base_url: put before every URL that begins with "/".
        headers: sent with every request that has no field of the same name.
        timeouts: of requests that bring none.
        pool: bounds of the connections to each origin.
        tls: for https; ``client_tls()`` (verified against the system's authorities) where it is None.
        unix_socket: the path of a socket to connect to, whatever host the URL names.
        cookies: a jar to keep; no cookies are kept without.
        follow_redirects: unless a request says otherwise.
        max_redirects: followed for one request.
        decompress: asks for compressed bodies and decompresses them.
        max_body: what ``read`` takes of a response's body, in bytes, decompressed ones.
        connector: opens the connections; for tests and proxies.
    """

    def __init__(
        self,
        base_url: str = "",
        *,
        headers: Fields | None = None,
        timeouts: Timeouts | None = None,
        pool: PoolSettings | None = None,
        tls: ssl.SSLContext | None = None,
        unix_socket: str | None = None,
        cookies: CookieJar | None = None,
        follow_redirects: bool = False,
        max_redirects: int = 10,
        decompress: bool = False,
        max_body: int = 16_777_216,
        connector: Connector | None = None,
    ) -> None:
        self.timeouts = timeouts or Timeouts()
        self.cookies = cookies
        self._base_url = base_url.removesuffix("/")
        self._pool_settings = pool
        self._tls = tls
        self._unix_socket = unix_socket
        self._follow_redirects = follow_redirects
        self._max_redirects = max_redirects
        self._max_body = max_body
        self._connector = connector
        self._codings = known_codings() if decompress else {}
        defaults = {"accept": "*/*", "user-agent": "framework"}
        if decompress:
            defaults["accept-encoding"] = ", ".join(name for name in self._codings if name != "x-gzip")
        defaults.update({name.lower(): value for name, value in pairs(headers)})
        if not FRAMING.isdisjoint(defaults) or "host" in defaults:
            raise LocalProtocolError("Host and the framing fields are made for each request")
        self._defaults = list(defaults.items())
        self._default_lines = encode_fields(self._defaults)
        self._places: dict[str, Place] = {}
        self._pools: Pools | None = None
        self._home: WebSocketHome | None = None

    @property
    def pools(self) -> Pools:
        """The connections. Made at the first use, for the running loop."""
        if self._pools is None:
            self._pools = Pools(self._pool_settings, self.timeouts, self._connector)
        return self._pools

    def pool(self, url: str) -> OriginPool:
        """The pool of the origin that ``url`` leads to, for exchanges without the comforts of ``request``."""
        return self._place(url).pool

    async def __aenter__(self) -> HTTPClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Ends what is under way and closes every connection, those of WebSockets among them."""
        pools, self._places = self.pools, {}
        home, self._home = self._home, None
        try:
            if home is not None:
                await home.aclose(CLOSING_PATIENCE)
        finally:
            await pools.aclose(CLOSING_PATIENCE)

    # -- requests ---------------------------------------------------------------------------------------------------

    async def request(self, method: str, url: str, **options: Unpack[RequestOptions]) -> ClientResponse:
        """Sends a request and reads the whole response; options as of ``send``."""
        response = await self.send(method, url, **options)
        await response.read()
        return response

    @asynccontextmanager
    async def stream(
        self, method: str, url: str, **options: Unpack[RequestOptions]
    ) -> AsyncGenerator[ClientResponse]:
        """Sends a request; the block begins when the head of its response is there. Options as of ``send``.

        Leaving before the body's end closes the connection.
        """
        response = await self.send(method, url, **options)
        try:
            yield response
        finally:
            await response.aclose()

    async def get(self, url: str, **options: Unpack[RequestOptions]) -> ClientResponse:
        """GET; options as of ``send``."""
        return await self.request("GET", url, **options)

    async def head(self, url: str, **options: Unpack[RequestOptions]) -> ClientResponse:
        """HEAD; options as of ``send``."""
        return await self.request("HEAD", url, **options)

    async def post(self, url: str, **options: Unpack[RequestOptions]) -> ClientResponse:
        """POST; options as of ``send``."""
        return await self.request("POST", url, **options)

    async def put(self, url: str, **options: Unpack[RequestOptions]) -> ClientResponse:
        """PUT; options as of ``send``."""
        return await self.request("PUT", url, **options)

    async def patch(self, url: str, **options: Unpack[RequestOptions]) -> ClientResponse:
        """PATCH; options as of ``send``."""
        return await self.request("PATCH", url, **options)

    async def delete(self, url: str, **options: Unpack[RequestOptions]) -> ClientResponse:
        """DELETE; options as of ``send``."""
        return await self.request("DELETE", url, **options)

    async def send(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, object] | None = None,
        headers: Fields | None = None,
        body: BodySource | None = None,
        length: int | None = None,
        json: Any = msgspec.UNSET,
        form: Mapping[str, object] | None = None,
        trailers: Trailers | None = None,
        timeouts: Timeouts | None = None,
        deadline: float | None = None,
        idempotent: bool | None = None,
        expect_continue: bool = False,
        on_informational: OnInformational | None = None,
        follow_redirects: bool | None = None,
        upgrade: bool = False,
    ) -> ClientResponse:
        """Sends a request; whoever calls this reads the response to its end or closes it.

        Args:
            params: put behind the URL's query, encoded.
            headers: Host and the framing fields are made from URL and body. A field of the client's own defaults
                gives way to one of the same name.
            body: bytes; or what yields bytes, sent as it comes (chunked, unless ``length`` says how many).
            json: a body encoded as JSON, with its media type.
            form: a body encoded as browsers encode forms.
            trailers: called at the end of a chunked body for its trailer fields.
            deadline: loop time by which all has to be over (``Request.deadline``: the budget of the request that
                this one is made for).
            idempotent: lets a request with a body be sent again when the kept connection turns out to be closed.
            expect_continue: the body waits until the server wants it.
            on_informational: told of each 1xx.

        Raises:
            LocalProtocolError: the URL, a field or the combination of options is wrong; nothing was sent.
            ConnectError, ExchangeDeadline, PoolExhausted, PeerClosed, RemoteProtocolError: see ``OriginPool.exchange``.
            TooManyRedirects: after ``max_redirects``.
        """
        fields = pairs(headers)
        content, fields = content_of(body, json, form, fields)
        if params:
            url += ("&" if "?" in url else "?") + urlencode(params, doseq=True)
        request = OutgoingRequest(
            method=method,
            head=b"",
            body=b"" if content is None else content,
            length=length,
            trailers=trailers,
            on_informational=on_informational,
            expect_continue=expect_continue,
            upgrade=upgrade,
            idempotent=idempotent,
            timeouts=timeouts,
            deadline=NEVER if deadline is None else deadline,
        )
        follow = self._follow_redirects if follow_redirects is None else follow_redirects
        if not follow:
            raw, url = await self._exchange(request, url, fields, bodiless=content is None)
            return self._response(raw, url, ())
        return await self._follow(request, url, fields, bodiless=content is None)

    @asynccontextmanager
    async def websocket(
        self,
        url: str,
        *,
        subprotocols: Sequence[str] = (),
        compression: bool | Offerer = False,
        headers: Fields | None = None,
        origin: str | None = None,
        timeouts: Timeouts | None = None,
        settings: WebSocketSettings | None = None,
    ) -> AsyncGenerator[ClientWebSocket]:
        """Opens a WebSocket for the length of an ``async with``, and closes it with 1000.

        Where the block raises, the WebSocket is closed with 1011 at once, waiting for nothing.

        Args:
            url: ws, wss, http or https.
            subprotocols: offered, the best first; ``subprotocol`` tells which was chosen.
            compression: offers permessage-deflate; a ``ClientDeflation`` for parameters of its own.
            origin: as a browser would send it.
            timeouts: of the opening handshake.
            settings: limits, pings and deadlines of the WebSocket.

        Raises:
            UpgradeRefused: the server answered with another status, ``response_status``.
            RemoteProtocolError: it answered with an upgrade that does not fit.
            SetupError: ``compression`` needs ``framework[deflate]``.
            as ``send``: where there is no answer.
        """
        handshake = Handshake.offering(tuple(subprotocols), compression, origin)
        fields = [*pairs(headers), *handshake.fields]
        if self._home is None:
            self._home = WebSocketHome(self.timeouts.send)
        response = await self.send("GET", url, headers=fields, timeouts=timeouts, upgrade=True)
        async with self._home.opened(response.raw, handshake, settings or WebSocketSettings()) as ws:
            yield ws

    # -- the way of one request -------------------------------------------------------------------------------------

    async def _exchange(
        self,
        request: OutgoingRequest,
        url: str,
        fields: Sequence[tuple[str, str]],
        *,
        bodiless: bool,
        trusted: bool = True,
    ) -> tuple[RawResponse, str]:
        place = self._place(url)
        url = self._absolute(url)
        request.head = self._head(place, request, fields, bodiless=bodiless, trusted=trusted)
        raw = await place.pool.exchange(request)
        if self.cookies is not None:
            for name, value in raw.head.fields():
                if name == "set-cookie":
                    self.cookies.keep(place.url, value)
        return raw, url

    async def _follow(
        self, request: OutgoingRequest, url: str, fields: list[tuple[str, str]], *, bodiless: bool
    ) -> ClientResponse:
        """Follows redirects. All of them together have the one ``total``."""
        timeouts = request.timeouts or self.timeouts
        if timeouts.total is not None:
            request.deadline = min(request.deadline, asyncio.get_running_loop().time() + timeouts.total)
        replayable = isinstance(request.body, bytes)
        history: list[str] = []
        trusted = True
        while True:
            raw, url = await self._exchange(request, url, fields, bodiless=bodiless, trusted=trusted)
            head = raw.head
            try:
                step = redirected(
                    request.method, url, head.status, head.field("location"), fields, replayable=replayable
                )
                if step is None:
                    return self._response(raw, url, tuple(history))
                history.append(url)
                if len(history) > self._max_redirects:
                    raise TooManyRedirects(history)
            except BaseException:
                raw.close()
                raise
            trusted = trusted and not step.leaves
            if raw.received() is None:  # what it says to people is not worth a wait
                raw.close()
            request.method, url, fields = step.method, step.url, step.fields
            if not step.with_body:
                request.body, request.length, request.trailers = b"", None, None
                request.expect_continue, bodiless = False, True

    def _response(self, raw: RawResponse, url: str, history: tuple[str, ...]) -> ClientResponse:
        decoder = None
        if self._codings:
            decoder = body_decoder(self._codings, raw.head.field("content-encoding"))
        return ClientResponse(raw, url, self._max_body, decoder, history)

    def _head(
        self,
        place: Place,
        request: OutgoingRequest,
        fields: Sequence[tuple[str, str]],
        *,
        bodiless: bool,
        trusted: bool,
    ) -> bytes:
        """The request's head. Ours are Host and the framing, and the defaults that nobody replaced; ``trusted``: those
        that are credentials, too."""
        host: str | None = None
        lines = self._default_lines
        if fields or not trusted:
            names = {name.lower() for name, _ in fields}
            if not names.isdisjoint(FRAMING):
                raise LocalProtocolError("Content-Length and Transfer-Encoding follow from the body")
            if "host" in names:
                host = next(value for name, value in fields if name.lower() == "host")
                fields = [pair for pair in fields if pair[0].lower() != "host"]
            names |= frozenset() if trusted else CREDENTIALS
            own = [pair for pair in self._defaults if pair[0] not in names]
            lines = encode_fields([*own, *fields])
        framing = b""
        body = request.body
        if not isinstance(body, bytes):
            framing = (
                b"transfer-encoding: chunked\r\n"
                if request.length is None
                else b"content-length: %d\r\n" % request.length
            )
        elif body or not bodiless or request.method in WITH_CONTENT:
            framing = b"content-length: %d\r\n" % len(body)
        if request.expect_continue:
            framing += b"expect: 100-continue\r\n"
        if self.cookies is not None:
            kept = self.cookies.cookie_field(place.url)
            if kept is not None:
                framing += encode_fields([("cookie", kept)])
        return place.begin(request.method, host) + lines + framing + b"\r\n"

    def _absolute(self, url: str) -> str:
        return self._base_url + url if url.startswith("/") else url

    def _place(self, url: str) -> Place:
        place = self._places.get(url)
        if place is not None and not place.pool.is_retired:
            return place
        parsed = parse_url(self._absolute(url))
        tls: ssl.SSLContext | None = None
        if parsed.is_secure:
            if self._tls is None:
                self._tls = client_tls()
            tls = self._tls
        origin = Origin(parsed.host, parsed.port, tls, None, self._unix_socket)
        pool = self.pools.pool(origin)
        if len(self._places) >= MAX_PLACES:
            self._places.clear()
        place = self._places[url] = Place(parsed, pool)
        return place
