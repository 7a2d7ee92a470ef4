"""The middleware: answers by what is stored, has the rest made once for all who ask, and tells what it did."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, cast
from urllib.parse import urljoin, urlsplit

from framework.errors import HTTPError
from framework.http.handler import Handler
from framework.http.request import Request
from framework.http.response import PLAIN, STREAM, Response, StreamingResponse
from framework.plugins.cache.cache import Cache
from framework.plugins.cache.http.answers import freshened, respond, same_fields, stored_of, told
from framework.plugins.cache.http.collapse import GONE, STORED, Collapse, Crowds
from framework.plugins.cache.http.requests import adopt, asked_anew, is_conditional
from framework.plugins.cache.http.rules import (
    Stored,
    Terms,
    Wishes,
    age_of,
    judge,
    terms_of,
    vary_of,
    wishes_of,
)
from framework.plugins.cache.http.store import Place, ResponseStore
from framework.plugins.cache.reservation import Reservation

__all__ = ["ResponseCache"]

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_FAILURES: Final = frozenset({500, 502, 503, 504})


class ResponseCache:
    """A shared cache of responses (RFC 9111), for an app, a group, a route or a gateway. A middleware (phase CONTENT).

    What it stores the responses say themselves, in Cache-Control and Expires; nothing is stored of those that say
    nothing, unless ``default_ttl`` does. Never stored: what sets a cookie, what is private, what a request with
    Authorization got and that does not say that all may have it, parts (206), and what is larger than ``max_body``.
    Concurrent requests for what is not there are answered by one call of the handler where its response can be stored.

    Every response gets Cache-Status (RFC 9211), and Age where it was stored.

    Args:
        cache: where to; one of its own, in memory and of ``max_bytes``, unless given.
        name: of this cache in Cache-Status.
        max_body: bytes of a response that is stored; larger ones, and streams without end, go by.
        default_ttl: seconds for responses to requests without cookie or Authorization that say nothing themselves.
        stale_if_error: seconds past its time for which a response is served when the handler fails, unless it says.
        stale_while_revalidate: the same, while a new one is fetched behind the scenes.
        collapse_timeout: seconds to wait for the response to another's request.
        obey: what requests ask of caches (no-cache, max-age, only-if-cached...) is done.
        now: Unix time.
    """

    def __init__(
        self,
        cache: Cache | None = None,
        *,
        name: str = "framework",
        max_body: int = 1024 * 1024,
        max_bytes: int = 64 * 1024 * 1024,
        default_ttl: float = 0.0,
        stale_if_error: float = 0.0,
        stale_while_revalidate: float = 0.0,
        collapse_timeout: float = 5.0,
        obey: bool = True,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.cache = cache or Cache(max_entries=100_000, max_bytes=max_bytes)
        self._store = ResponseStore(self.cache)
        self._crowds = Crowds()
        self._name = name
        self._max_body = max_body
        self._default_ttl = default_ttl
        self._on_error = stale_if_error
        self._behind = stale_while_revalidate
        self._collapse_timeout = collapse_timeout
        self._obey = obey
        self._now = now

    def __call__(self, handler: Handler) -> Handler:
        """Puts the cache around a handler."""

        async def cached(request: Request) -> Response:
            if request.method not in ("GET", "HEAD"):
                response = await handler(request)
                if request.method not in _SAFE and response.status < 400:
                    await self._invalidate(request, response)
                return response
            if self._goes_by(request):
                return told(await handler(request), self._name, "fwd=bypass")
            return await self._answer(handler, request)

        return cached

    def _goes_by(self, request: Request) -> bool:
        """Whether the request is none for a cache: it has a body, or conditions for the origin (section 4.3.2)."""
        return (
            request.content_length > 0
            or request.chunked
            or request.field("if-match") is not None
            or request.field("if-unmodified-since") is not None
        )

    def _wishes(self, request: Request) -> Wishes:
        if not self._obey:
            return Wishes()
        control = request.field("cache-control")
        if control is not None:
            control = request.headers.combined("cache-control")
        return wishes_of(control, request.field("pragma"))

    # -- answering ----------------------------------------------------------------------------------------------------

    async def _answer(self, handler: Handler, request: Request, *, waited: bool = False) -> Response:
        wishes = self._wishes(request)
        place = await self._store.find(request)
        stored, reason = place.stored, "uri-miss" if place.varies is None else "vary-miss"
        if stored is not None:
            verdict, left = judge(stored, wishes, self._now())
            if verdict == "refresh":
                again = asked_anew(request)
                again.deadline = None  # it is nobody's who waits
                request.background(self._refresh, handler, again, place)
            if verdict != "validate":
                # A response that was waited for was made for this request too (RFC 9211 section 2.6).
                how = "hit" if not waited else "fwd=miss; collapsed"
                return respond(stored, request, self._now(), self._name, f"{how}; ttl={int(left)}")
            reason = "stale" if left <= 0 else "request"
        if wishes.only_if_cached:
            raise HTTPError(504, "no stored response answers this request, and only such was asked for")
        if request.method == "HEAD":
            return told(await handler(request), self._name, "fwd=method")
        if not waited and not wishes.no_store:
            crowd = self._crowds.find(place.own, self._collapse_timeout)
            if crowd is not None:
                return await self._wait(handler, request, crowd)
        return await self._forward(handler, request, place, wishes, reason)

    async def _wait(self, handler: Handler, request: Request, crowd: Collapse) -> Response:
        """Waits for the response to another's request, which may or may not come to be stored."""
        outcome = await crowd.wait(self._collapse_timeout)
        if outcome == GONE:
            return await self._answer(handler, request)  # whoever is first of those who wait is the next
        return await self._answer(handler, request, waited=True)

    async def _refresh(self, handler: Handler, request: Request, place: Place) -> None:
        """Asks about a stored response that was served already."""
        if self._crowds.find(place.own, self._collapse_timeout) is None:
            response = await self._forward(handler, request, place, Wishes(), "stale")
            if isinstance(response, StreamingResponse):
                async for _ in response.content:
                    pass

    # -- asking -------------------------------------------------------------------------------------------------------

    async def _forward(
        self, handler: Handler, request: Request, place: Place, wishes: Wishes, reason: str
    ) -> Response:
        stored, asked = place.stored, request
        if stored is not None and (stored.etag is not None or stored.modified is not None):
            asked = asked_anew(request, etag=stored.etag, modified=stored.modified)
        elif request.field("range") is None and is_conditional(request):
            asked = asked_anew(
                request
            )  # for a whole response, by which the client's question is answered then
        alone = wishes.no_store or request.field("range") is not None
        crowd = None if alone else self._crowds.begin(place.own, self._collapse_timeout)
        reservation: Reservation | None = None
        handed_over = False
        try:
            reservation = await self._store.reserve(place)
            sent = self._now()
            try:
                response = await handler(asked)
            except Exception:
                instead = self._instead(request, stored)
                if instead is None:
                    raise
                return instead
            if response.status in _FAILURES and (instead := self._instead(request, stored)) is not None:
                await _closed(response)
                return told(instead, None, f"fwd-status={response.status}")
            adopt(request, asked)
            outcome, put = await self._received(request, place, reservation, response, sent, wishes, reason)
            if (
                crowd is not None
                and isinstance(outcome, StreamingResponse)
                and isinstance(outcome.content, _Tee)
            ):
                outcome.content.crowd = crowd
                handed_over = True
            elif crowd is not None and put:
                crowd.end(STORED)
            return outcome
        except asyncio.CancelledError:
            if crowd is not None:
                crowd.end(GONE)
            raise
        finally:
            if not handed_over:
                if crowd is not None:
                    crowd.end()
                if reservation is not None:
                    reservation.release()

    def _instead(self, request: Request, stored: Stored | None) -> Response | None:
        """The stored response where it may be served because of an error."""
        if stored is None or stored.validate:
            return None
        left = stored.life - stored.age - max(0.0, self._now() - stored.at)
        if left <= 0 and -left >= stored.on_error:
            return None
        return respond(stored, request, self._now(), self._name, f"hit; ttl={int(left)}; detail=error")

    async def _received(
        self,
        request: Request,
        place: Place,
        reservation: Reservation,
        response: Response,
        sent: float,
        wishes: Wishes,
        reason: str,
    ) -> tuple[Response, bool]:
        """What to answer with, and whether it was stored."""
        now, stored = self._now(), place.stored
        fields = same_fields(response)
        age = age_of(fields, asked=sent, now=now)
        if response.status == 304 and stored is not None and (stored.etag or stored.modified):
            fields = freshened(stored.fields, fields)
            terms = self._terms(request, stored.status, fields, now)
            if isinstance(terms, str):
                terms = Terms(0.0, 0.0, 0.0, validate=True, strict=True)
            fresh = stored_of(stored.status, fields, stored.media_type, stored.body, terms, age, now)
            put = not wishes.no_store and await self._store.put(
                place, reservation, request, vary_of(fields), fresh
            )
            status = f"fwd={reason}; fwd-status=304" + ("; stored" if put else "")
            return respond(fresh, request, now, self._name, status), put
        terms = self._terms(request, response.status, fields, now)
        status = f"fwd={reason}; fwd-status={response.status}"
        if isinstance(terms, str) or wishes.no_store or request.field("range") is not None:
            return told(response, self._name, status), False

        async def keep(body: bytes) -> Stored | None:
            made = stored_of(response.status, fields, response.media_type, body, terms, age, now)
            if made.life <= made.age and made.etag is None and made.modified is None and not made.behind:
                return None  # neither fresh nor ever to be validated
            put = await self._store.put(place, reservation, request, vary_of(fields), made)
            return made if put else None

        if response.kind == PLAIN and len(response.body) <= self._max_body:
            made = await keep(response.body)
            if made is None:
                return told(response, self._name, status), False
            return respond(made, request, now, self._name, f"{status}; stored"), True
        if isinstance(response, StreamingResponse) and self._may_tee(response):
            told(response, self._name, status)
            tee = _Tee(response.content, self._max_body, keep, reservation)
            return _teed(response, tee), False
        return told(response, self._name, status), False

    def _terms(
        self, request: Request, status: int, fields: tuple[tuple[str, str], ...], now: float
    ) -> Terms | str:
        authorized = request.field("authorization") is not None
        return terms_of(
            status,
            fields,
            authorized=authorized,
            personal=authorized or request.field("cookie") is not None,
            now=now,
            default_life=self._default_ttl,
            on_error=self._on_error,
            behind=self._behind,
        )

    def _may_tee(self, response: StreamingResponse) -> bool:
        kind = response.media_type or response.headers.get("content-type") or ""
        return not kind.startswith("text/event-stream") and (response.length or 0) <= self._max_body

    async def _invalidate(self, request: Request, response: Response) -> None:
        """Forgets what an unsafe method changed (section 4.4): its URL, and those of the same host it tells of."""
        url = request.url
        told = [response.headers.get(name) for name in ("location", "content-location")]
        others = [urljoin(url, reference) for reference in told if reference is not None]
        origin = urlsplit(url)[:2]
        for each in dict.fromkeys([url, *[other for other in others if urlsplit(other)[:2] == origin]]):
            await self._store.delete(each)


class _Tee:
    """A body on its way to the client, of which a copy is kept if it comes to its end and is not too large."""

    def __init__(
        self,
        content: Any,
        limit: int,
        keep: Callable[[bytes], Any],
        reservation: Reservation,
    ) -> None:
        self.crowd: Collapse | None = None
        self._content = content
        self._limit = limit
        self._keep = keep
        self._reservation = reservation
        self._parts: list[bytes] | None = []

    async def __aiter__(self) -> AsyncIterator[bytes | str]:
        size = 0
        try:
            async for piece in self._content:
                parts = self._parts
                if parts is not None:
                    data = piece.encode() if isinstance(piece, str) else piece
                    size += len(data)
                    if size > self._limit:
                        self._end()
                    else:
                        parts.append(data)
                yield piece
            if self._parts is not None and await self._keep(b"".join(self._parts)) is not None:
                self._end(STORED)
        finally:
            await self.aclose()

    def _end(self, outcome: str = "") -> None:
        self._parts = None
        self._reservation.release()
        if self.crowd is not None:
            self.crowd.end(outcome)

    async def aclose(self) -> None:
        """Whatever was kept of it is dropped."""
        self._end(GONE if self._parts is not None else "")
        close = getattr(self._content, "aclose", None)
        if close is not None:
            await close()


def _teed(response: StreamingResponse, tee: _Tee) -> StreamingResponse:
    response.content = cast("Any", tee)
    return response


async def _closed(response: Response) -> None:
    if response.kind == STREAM:
        close = getattr(cast("StreamingResponse", response).content, "aclose", None)
        if close is not None:
            await close()
