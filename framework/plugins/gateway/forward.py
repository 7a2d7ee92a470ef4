"""Sends a request on and brings the answer back: one route's way to its clusters, with tries and their limits."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from random import Random
from typing import Final

import msgspec

from framework.balancing import Attempt, Endpoint, Failure, NoEndpoint
from framework.errors import (
    HTTPError,
    RemoteProtocolError,
    ResourceError,
    TransportError,
)
from framework.http.request import Request, StateKey
from framework.http.response import Response, StreamingResponse
from framework.net.client import (
    OutgoingRequest,
    RawResponse,
    Timeouts,
)
from framework.plugins.gateway.bodies import ClientBody, UpstreamBody, client_body
from framework.plugins.gateway.config import RouteConfig
from framework.plugins.gateway.edits import Edits
from framework.plugins.gateway.failing import Failed, failed_by, unavailable
from framework.plugins.gateway.fields import Forwarding, request_fields, response_fields
from framework.plugins.gateway.hashing import KeyOf, key_function
from framework.plugins.gateway.matching import Found
from framework.plugins.gateway.paths import Rewriter
from framework.plugins.gateway.tunnel import is_upgrade, tunnelled
from framework.plugins.gateway.upstreams import Upstream
from framework.resilience import Outcome, Verdict
from framework.wire.request_head import encode_request_head

__all__ = ["FOUND", "TRACE", "Forwarder", "Trace"]

FOUND: Final[StateKey[Found[object]]] = StateKey("gateway.found")
"""How a request was matched."""


class Trace(msgspec.Struct):
    """What became of a request, for logs and metrics: filled in as it goes.

    Attributes:
        route, cluster, endpoint: which; the last one tried.
        tries: how many were made.
        seconds: from the beginning to the head of the answer.
        outcome: of the last try where it failed.
    """

    route: str
    cluster: str = ""
    endpoint: str = ""
    tries: int = 0
    seconds: float = 0.0
    outcome: str = ""


TRACE: Final[StateKey[Trace]] = StateKey("gateway.trace")


class Forwarder:
    """One route's handler.

    Args:
        targets: clusters and their weights.
        drops: fields of clients that policies speak in, by name.
        via: the pseudonym in Via.
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
    ) -> None:
        self.name = name
        self.config = config
        self._upstreams = [upstream for upstream, _ in targets]
        self._bounds = list(accumulate(weight for _, weight in targets))
        self._keys: Mapping[str, KeyOf | None] = {
            upstream.name: key_function(upstream.config) for upstream in self._upstreams
        }
        self._edits = edits
        self._drops = drops
        self._forwarding = Forwarding(append=config.forwarded == "append", via=via)
        self._rewriter = Rewriter(config)
        self._random = random
        times = config.timeouts
        self._timeouts = Timeouts(
            acquire=times.connect,
            connect=times.connect,
            send=times.idle,
            head=times.per_try or times.total,
            body_idle=times.idle,
        )
        self._retry = config.retry

    # -- one request ------------------------------------------------------------------------------------------------

    async def __call__(self, request: Request) -> Response:
        """The answer to a request. Raises HTTPError: 502, 503 or 504, with the cause behind it."""
        upstream = self._choose()
        trace = request[TRACE] = Trace(self.name, upstream.name)
        limit = upstream.config.max_requests
        if limit is not None and upstream.in_flight >= limit:
            upstream.refused += 1
            raise unavailable("too many requests are under way")
        upstream.enter()
        try:
            response = await self._answer(request, upstream, trace)
        except BaseException:
            upstream.leave()
            raise
        return response

    def _choose(self) -> Upstream:
        if len(self._upstreams) == 1:
            return self._upstreams[0]
        drawn = self._random.random() * self._bounds[-1]
        return self._upstreams[bisect_right(self._bounds, drawn)]

    async def _answer(self, request: Request, upstream: Upstream, trace: Trace) -> Response:
        """Tries until there is an answer, or no sense in another try."""
        began = upstream.clock()
        upstream.budget.offered(began)
        found = request[FOUND]
        target = self._rewriter.target(request, found)
        fields = self._fields(request, found)
        upgrade = is_upgrade(request)
        if upgrade and not self.config.websocket:
            raise HTTPError(403, "this route does not switch protocols")
        body = await client_body(request, self.config.buffer if self._retry is not None else 0)
        key_of = self._keys[upstream.name]
        key = None if key_of is None else key_of(request)
        tried: list[Endpoint] = []
        while True:
            trace.tries += 1
            try:
                attempt, raw = await self._try(
                    request, upstream, key, tried, target, fields, body, trace, upgrade
                )
            except Failed as failed:
                trace.outcome = failed.outcome.value
                wait = self._wait_before_retry(failed.outcome, request, upstream, body, trace.tries, began)
                if wait is None:
                    raise failed.answer from failed.__cause__
                await asyncio.sleep(wait)
                continue
            if self._asks_again(raw, request, upstream, body, trace, began):
                raw.close()
                attempt.failed(Failure.GATEWAY)
                tried.append(attempt.endpoint)
                wait = self._backoff(trace.tries)
                await asyncio.sleep(wait)
                continue
            trace.seconds = upstream.clock() - began
            return await self._passed_on(request, upstream, attempt, raw, upgrade)

    async def _try(
        self,
        request: Request,
        upstream: Upstream,
        key: bytes | None,
        tried: list[Endpoint],
        target: str,
        fields: list[tuple[str, str]],
        body: ClientBody,
        trace: Trace,
        upgrade: bool,
    ) -> tuple[Attempt, RawResponse]:
        """One exchange with one endpoint. Raises Failed."""
        breaker = upstream.breaker
        ticket = 1 if breaker is None else breaker.enter(upstream.clock())
        if breaker is not None and not ticket:
            wait = breaker.retry_after(upstream.clock())
            answer = unavailable("the upstream is failing and is given time", wait)
            raise Failed(Outcome.NOT_SENT, answer, None)
        try:
            attempt = upstream.begin(key, tried)
        except NoEndpoint as error:
            if breaker is not None:
                breaker.left(ticket)
            if not tried:
                raise Failed(
                    Outcome.NOT_SENT, unavailable("the upstream has no healthy endpoint"), None
                ) from error
            tried.clear()  # all were tried: begin anew, while the policy has tries left
            raise Failed(Outcome.NOT_SENT, unavailable("the upstream has no other endpoint"), None) from error
        endpoint = attempt.endpoint
        trace.endpoint = endpoint.key
        try:
            raw = await upstream.pool(endpoint).exchange(
                self._outgoing(request, upstream, endpoint, target, fields, body, upgrade)
            )
        except (TransportError, RemoteProtocolError, ResourceError) as error:
            failed = failed_by(error)
            tried.append(endpoint)
            if failed.failure is None:
                attempt.cancelled()
            else:
                attempt.failed(failed.failure)
            if breaker is not None:
                if failed.failure is None:
                    breaker.left(ticket)
                else:
                    breaker.failed(ticket, upstream.clock())
            raise failed from error
        except BaseException:
            self._interrupted(request, attempt, upstream, ticket)
            raise
        attempt.answered()
        if breaker is not None:
            now = upstream.clock()
            if raw.head.status >= 500:
                breaker.failed(ticket, now)
            else:
                breaker.succeeded(ticket, now, now - attempt.started)
        return attempt, raw

    def _interrupted(self, request: Request, attempt: Attempt, upstream: Upstream, ticket: int) -> None:
        """The request's own time is over, by the endpoint's fault; or the client has left, which says nothing."""
        late = request.deadline is not None and asyncio.get_running_loop().time() >= request.deadline
        breaker = upstream.breaker
        if late:
            attempt.failed(Failure.LOCAL)
            if breaker is not None:
                breaker.failed(ticket, upstream.clock())
        else:
            attempt.cancelled()
            if breaker is not None:
                breaker.left(ticket)

    def _outgoing(
        self,
        request: Request,
        upstream: Upstream,
        endpoint: Endpoint,
        target: str,
        fields: list[tuple[str, str]],
        body: ClientBody,
        upgrade: bool,
    ) -> OutgoingRequest:
        host = self.config.host
        if host == "keep":
            host = request.origin.host
        elif host == "upstream":
            host = upstream.authority(endpoint)
        sent = [("host", host), *fields]
        if upgrade:
            sent += [("connection", "upgrade"), ("upgrade", request.field("upgrade") or "")]
        kept = body.kept
        if kept is not None:
            if kept or request.content_length == 0:
                sent.append(("content-length", str(len(kept))))
            return OutgoingRequest(
                method=request.method,
                head=encode_request_head(request.method, target, sent),
                body=kept,
                upgrade=upgrade,
                idempotent=False,
                timeouts=self._timeouts,
            )
        if body.length is None:
            sent.append(("transfer-encoding", "chunked"))
        else:
            sent.append(("content-length", str(body.length)))
        return OutgoingRequest(
            method=request.method,
            head=encode_request_head(request.method, target, sent),
            body=body,
            length=body.length,
            trailers=body.trailers if body.length is None else None,
            timeouts=self._timeouts,
        )

    def _fields(self, request: Request, found: Found[object]) -> list[tuple[str, str]]:
        fields = request_fields(request, self._drops)
        fields += self._forwarding.fields(request)
        return self._edits.apply(fields, request, found)

    # -- tries ------------------------------------------------------------------------------------------------------

    def _wait_before_retry(
        self,
        outcome: Outcome,
        request: Request,
        upstream: Upstream,
        body: ClientBody,
        tries: int,
        began: float,
    ) -> float | None:
        """Seconds to wait before one more try; None where there is none."""
        policy = self._retry
        if policy is None:
            return None
        left = self.config.timeouts.total - (upstream.clock() - began)
        verdict = policy.verdict(
            outcome, request.method, tries=tries, body_kept=body.can_be_sent, time_left=left
        )
        if verdict is not Verdict.RETRY or not upstream.budget.take(upstream.clock()):
            return None
        # A connection that was stale, or an endpoint that refuses, is no sign of load: the next is tried at once.
        return 0.0 if outcome in (Outcome.STALE, Outcome.NOT_SENT) and tries == 1 else self._backoff(tries)

    def _backoff(self, tries: int) -> float:
        return 0.0 if self._retry is None else self._retry.backoff.delay(tries, self._random)

    def _asks_again(
        self,
        raw: RawResponse,
        request: Request,
        upstream: Upstream,
        body: ClientBody,
        trace: Trace,
        began: float,
    ) -> bool:
        policy = self._retry
        if policy is None or raw.head.status not in policy.statuses or raw.is_tunnel:
            return False
        wait = self._wait_before_retry(Outcome.STATUS, request, upstream, body, trace.tries, began)
        return wait is not None

    # -- the answer -------------------------------------------------------------------------------------------------

    async def _passed_on(
        self, request: Request, upstream: Upstream, attempt: Attempt, raw: RawResponse, upgrade: bool
    ) -> Response:
        """The upstream's answer as the client's. Whatever holds the attempt ends it."""
        status = raw.head.status
        if raw.is_tunnel:
            return tunnelled(
                request,
                raw,
                idle_timeout=self.config.timeouts.idle,
                ended=lambda: self._ended(upstream, attempt, status),
            )
        fields = response_fields(raw.head.fields(), raw.head.field("connection"))
        media_type = None
        if upstream.sticky is not None:
            fields.append(("set-cookie", self._cookie(upstream, attempt.endpoint)))
        received = raw.received()
        if received is not None:
            response = Response(received, status, headers=fields, media_type=media_type)
            length = raw.head.field("content-length")
            if request.method == "HEAD" and length is not None and not received:
                response.headers["content-length"] = length
            self._ended(upstream, attempt, status)
            return response

        def ended(error: BaseException | None) -> None:
            if error is None or isinstance(error, asyncio.CancelledError):
                self._ended(upstream, attempt, status)
            else:
                upstream.leave()
                attempt.failed(Failure.LOCAL)

        length_known = raw.head.content_length
        return StreamingResponse(
            UpstreamBody(raw, ended),
            status,
            headers=fields,
            media_type=media_type,
            length=length_known if length_known >= 0 else None,
        )

    def _ended(self, upstream: Upstream, attempt: Attempt, status: int) -> None:
        upstream.leave()
        if status in (502, 503, 504):
            attempt.failed(Failure.GATEWAY)
        elif status >= 500:
            attempt.failed(Failure.STATUS)
        else:
            attempt.succeeded()

    def _cookie(self, upstream: Upstream, endpoint: Endpoint) -> str:
        sticky, name = upstream.sticky, upstream.config.sticky_cookie
        assert sticky is not None
        return f"{name}={sticky.token(endpoint)}; Path=/; HttpOnly; SameSite=Lax"
