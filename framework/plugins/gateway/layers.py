"""The smaller policies, each a middleware, and what they are put together with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from random import Random
from typing import Final, Protocol

from framework.errors import HTTPError
from framework.http.handler import Handler, Middleware
from framework.http.request import Request
from framework.http.response import Response
from framework.middleware.chain import Hooks
from framework.plugins.auth import PRINCIPAL
from framework.plugins.gateway.config import CacheConfig, FaultConfig
from framework.plugins.ratelimit.keys import USER

__all__ = [
    "Counted",
    "answered",
    "any_of",
    "around",
    "cached",
    "failing_on_purpose",
    "known_user",
    "under_maintenance",
]


class InFlight(Protocol):
    """Counts requests under way."""

    in_flight: int


class Counted:
    """A stream that counts as under way until it ends."""

    def __init__(self, content: AsyncIterable[bytes | str], counts: InFlight) -> None:
        self._content = content
        self._counts: InFlight | None = counts

    async def __aiter__(self) -> AsyncIterator[bytes | str]:
        try:
            async for piece in self._content:
                yield piece
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        counts, self._counts = self._counts, None
        if counts is not None:
            counts.in_flight -= 1
            close = getattr(self._content, "aclose", None)
            if close is not None:
                await close()


async def answered(handler: Handler, request: Request) -> Response:
    """The response, rendered already where it was an error."""
    try:
        return await handler(request)
    except Exception as error:
        response: Response = request.endpoint.failed(request, error)
        return response


def around(hooks: Hooks) -> Middleware:
    """Hooks as an onion: their ``after`` sees errors as well."""

    def layer(handler: Handler) -> Handler:
        async def hooked(request: Request) -> Response:
            response = hooks.before(request)
            if response is None:
                response = await answered(handler, request)
            return hooks.after(request, response) or response

        return hooked

    return layer


def any_of(ways: Sequence[Middleware]) -> Middleware:
    """The first way that knows who asks; where none does, the refusal of the first."""

    def layer(handler: Handler) -> Handler:
        async def reached(request: Request) -> Response:
            return REACHED

        tries = [way(reached) for way in ways]

        async def authenticated(request: Request) -> Response:
            refusal: HTTPError | None = None
            for attempt in tries:
                try:
                    response = await attempt(request)
                except HTTPError as error:
                    if error.status not in (401, 403):
                        raise
                    refusal = refusal or error
                    continue
                return await handler(request) if response is REACHED else response
            assert refusal is not None
            raise refusal

        return authenticated

    return layer


REACHED: Final = Response()


def known_user(handler: Handler) -> Handler:
    """Tells the limits who asks."""

    async def known(request: Request) -> Response:
        principal = request.get(PRINCIPAL)
        if principal is not None:
            request[USER] = f"{principal.scheme}:{principal.subject}"
        return await handler(request)

    return known


def under_maintenance(text: str) -> Middleware:
    """Everybody gets 503."""

    def layer(handler: Handler) -> Handler:
        async def closed(request: Request) -> Response:
            raise HTTPError(503, text or "this service is being maintained", headers={"retry-after": "60"})

        return closed

    return layer


def cached(config: CacheConfig, name: str) -> Middleware:
    """What a principal asked for goes by: its answer may be its own, whatever the upstream forgot to say."""
    from framework.plugins.cache import ResponseCache

    cache = ResponseCache(
        name=name,
        max_bytes=config.max_bytes,
        max_body=config.max_body,
        default_ttl=config.default_ttl,
        stale_if_error=config.stale_if_error,
    )

    def layer(handler: Handler) -> Handler:
        behind = cache(handler)

        async def stored(request: Request) -> Response:
            return await (behind if request.get(PRINCIPAL) is None else handler)(request)

        return stored

    return layer


def failing_on_purpose(config: FaultConfig, random: Random) -> Middleware:
    """Delays some requests, refuses some."""

    def layer(handler: Handler) -> Handler:
        async def faulty(request: Request) -> Response:
            if random.random() < config.delay_part:
                await asyncio.sleep(config.delay)
            if random.random() < config.abort_part:
                raise HTTPError(config.abort, "a fault on purpose")
            return await handler(request)

        return faulty

    return layer
