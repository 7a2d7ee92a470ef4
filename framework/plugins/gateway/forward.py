"""Sends a request on and brings the answer back: one route's way to its clusters."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from random import Random
from typing import Final

from framework.balancing import Attempt, Endpoint, Failure
from framework.errors import HTTPError
from framework.http.request import Request, StateKey
from framework.http.response import Response, StreamingResponse
from framework.middleware.trace_context import trace_of
from framework.net.client import RawResponse
from framework.plugins.auth import FORWARDED_FIELDS
from framework.plugins.gateway.bodies import UpstreamBody, client_body, received_body
from framework.plugins.gateway.config import RouteConfig
from framework.plugins.gateway.edits import Edits
from framework.plugins.gateway.failing import unavailable
from framework.plugins.gateway.fields import Forwarding, request_fields, response_fields
from framework.plugins.gateway.hashing import KeyOf, key_function
from framework.plugins.gateway.matching import Found
from framework.plugins.gateway.mirror import Mirror
from framework.plugins.gateway.paths import Rewriter
from framework.plugins.gateway.tries import TRACE, Call, Trace, Tries
from framework.plugins.gateway.tunnel import is_upgrade, tunnelled
from framework.plugins.gateway.upstreams import Upstream

__all__ = ["FOUND", "TRACE", "Forwarder", "Trace"]

FOUND: Final[StateKey[Found[object]]] = StateKey("gateway.found")
"""How a request was matched."""


class Forwarder:
    """One route's handler.

    Args:
        targets: clusters and their weights.
        drops: fields of clients that policies speak in, by name.
        via: the pseudonym in Via.
        mirror: gets a copy of some of the requests.
    """

    def __init__(
        self,
        name: str,
        config: RouteConfig,
        targets: Sequence[tuple[Upstream, int]],
        *,
        edits: Edits,
        drops: Callable[[str], bool] | None,
        via: str,
        random: Random,
        mirror: Mirror | None = None,
    ) -> None:
        self.name = name
        self.config = config
        self._upstreams = [upstream for upstream, _ in targets]
        self._bounds = list(accumulate(weight for _, weight in targets))
        self._keys: Mapping[str, KeyOf | None] = {
            upstream.name: key_function(upstream.config) for upstream in self._upstreams
        }
        self._edits = None if edits.are_none else edits
        self._drops = drops
        self._forwarding = Forwarding(append=config.forwarded == "append", via=via)
        self._rewriter = Rewriter(config)
        self._random = random
        self._tries = Tries(config, random)
        self._buffer = config.buffer if config.retry is not None or config.hedge is not None else 0
        self.mirror = mirror
        if mirror is not None:
            self._buffer = max(self._buffer, mirror.config.max_body)

    async def aclose(self) -> None:
        """Ends the copies that are under way."""
        if self.mirror is not None:
            await self.mirror.aclose()

    async def __call__(self, request: Request) -> Response:
        """The answer to a request. Raises HTTPError: 502, 503 or 504, with the cause behind it."""
        upstream = self._upstreams[0] if len(self._upstreams) == 1 else self._choose()
        trace = request[TRACE] = Trace(self.name, upstream.name)
        limit = upstream.config.max_requests
        if limit is not None and upstream.in_flight >= limit:
            upstream.refused += 1
            raise unavailable("too many requests are under way")
        upstream.in_flight += 1
        try:
            call = self._call(request, upstream, trace)
            if call.body.is_pending:
                call.body = await client_body(request, self._buffer)
            if self.mirror is not None and not call.upgrade and call.body.kept is not None:
                self.mirror.copy(
                    request.method, call.target, request.origin.host, call.fields, call.body.kept
                )
            attempt, raw = await self._tries.answer(call)
        except BaseException:
            upstream.leave()
            raise
        trace.seconds = upstream.clock() - call.began
        return self._passed_on(request, upstream, attempt, raw)

    def _choose(self) -> Upstream:
        drawn = self._random.random() * self._bounds[-1]
        return self._upstreams[bisect_right(self._bounds, drawn)]

    def _call(self, request: Request, upstream: Upstream, trace: Trace) -> Call:
        """What goes on, but for what each try makes anew, and for a body that is still to be read."""
        began = upstream.clock()
        upstream.budget.offered(began)
        found = request[FOUND]
        upgrade = is_upgrade(request)
        if upgrade and not self.config.websocket:
            raise HTTPError(403, "this route does not switch protocols")
        target = self._rewriter.target(request, found)
        fields = self.fields(request, found)
        key_of = self._keys[upstream.name]
        key = None if key_of is None else key_of(request)
        body = received_body(request)
        return Call(request, upstream, trace, key, target, fields, body, upgrade, began, [])

    def fields(self, request: Request, found: Found[object]) -> list[tuple[str, str]]:
        """The fields that go on, but for Host and the framing."""
        fields = request_fields(request, self._drops)
        fields += self._forwarding.fields(request)
        trace = trace_of(request)
        fields.append(("traceparent", trace.traceparent))
        if trace.state:
            fields.append(("tracestate", trace.state))
        copied = request.get(FORWARDED_FIELDS)
        if copied:
            fields += copied
        return fields if self._edits is None else self._edits.apply(fields, request, found)

    def target(self, request: Request, found: Found[object]) -> str:
        """The request target that goes on."""
        return self._rewriter.target(request, found)

    # -- the answer -------------------------------------------------------------------------------------------------

    def _passed_on(
        self, request: Request, upstream: Upstream, attempt: Attempt, raw: RawResponse
    ) -> Response:
        """The upstream's answer as the client's. Whatever holds the attempt ends it."""
        head = raw.head
        status = head.status
        if raw.is_tunnel:
            return tunnelled(
                request,
                raw,
                idle_timeout=self.config.timeouts.idle,
                ended=lambda: self._ended(upstream, attempt, status),
            )
        fields = response_fields(head.fields())
        if upstream.sticky is not None:
            fields.append(("set-cookie", self._cookie(upstream, attempt.endpoint)))
        received = raw.received()
        if received is not None:
            response = Response(received, status)
            response.headers.pairs += fields  # the wire has checked them already
            if request.method == "HEAD" and not received:
                length = head.field("content-length")
                if length is not None:
                    response.headers["content-length"] = length
            self._ended(upstream, attempt, status)
            return response

        def ended(error: BaseException | None) -> None:
            if error is None or isinstance(error, asyncio.CancelledError):
                self._ended(upstream, attempt, status)
            else:
                upstream.leave()
                attempt.failed(Failure.LOCAL)

        known = head.content_length
        streamed = StreamingResponse(UpstreamBody(raw, ended), status, length=known if known >= 0 else None)
        streamed.headers.pairs += fields
        return streamed

    def _ended(self, upstream: Upstream, attempt: Attempt, status: int) -> None:
        upstream.leave()
        if status < 500:
            attempt.succeeded()
        elif status in (502, 503, 504):
            attempt.failed(Failure.GATEWAY)
        else:
            attempt.failed(Failure.STATUS)

    def _cookie(self, upstream: Upstream, endpoint: Endpoint) -> str:
        sticky, name = upstream.sticky, upstream.config.sticky_cookie
        assert sticky is not None
        return f"{name}={sticky.token(endpoint)}; Path=/; HttpOnly; SameSite=Lax"
