"""Tries at a request: one after the other as the policy retries, or beside each other as it hedges."""

from __future__ import annotations

import asyncio
import re
from random import Random
from typing import Final

import msgspec

from framework.balancing import Attempt, Endpoint, Failure, NoEndpoint
from framework.errors import RemoteProtocolError, ResourceError, TransportError
from framework.http.request import Request, StateKey
from framework.net.client import OutgoingRequest, RawResponse, Timeouts
from framework.plugins.gateway.bodies import ClientBody
from framework.plugins.gateway.config import RouteConfig
from framework.plugins.gateway.failing import Failed, failed_by, unavailable
from framework.plugins.gateway.upstreams import Upstream
from framework.resilience import IDEMPOTENT, Outcome, Verdict
from framework.wire.request_head import encode_request_head

__all__ = ["TRACE", "Call", "Trace", "Tries"]

Pairs = list[tuple[str, str]]
_is_seconds = re.compile(r"[0-9]{1,6}").fullmatch


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


class Call(msgspec.Struct):
    """A request on its way: what each try of it needs.

    Attributes:
        key: what a hashing policy goes by.
        fields: all but Host and the framing.
        tried: endpoints that are not to be picked again while there are others.
        began: when, by the cluster's clock.
    """

    request: Request
    upstream: Upstream
    trace: Trace
    key: bytes | None
    target: str
    fields: Pairs
    body: ClientBody
    upgrade: bool
    began: float
    tried: list[Endpoint]


class Tries:
    """How one route tries."""

    def __init__(self, config: RouteConfig, random: Random) -> None:
        self._host = config.host
        self._retry = config.retry
        self._hedge = config.hedge
        self._total = config.timeouts.total
        self._random = random
        times = config.timeouts
        self._timeouts = Timeouts(
            acquire=times.connect,
            connect=times.connect,
            send=times.idle,
            head=times.per_try or times.total,
            body_idle=times.idle,
        )

    async def answer(self, call: Call) -> tuple[Attempt, RawResponse]:
        """Tries until there is an answer, or no sense in another try. Raises HTTPError.

        Whoever gets the answer closes it and ends the attempt.
        """
        hedged = self._hedge is not None and _may_be_doubled(call)
        while True:
            call.trace.tries += 1
            try:
                if hedged:
                    attempt, raw = await self._hedged(call)
                else:  # as in ``_try``, but for its coroutine
                    ticket, attempt = self._enter(call)
                    endpoint = attempt.endpoint
                    try:
                        raw = await call.upstream.pool(endpoint).exchange(self._outgoing(call, endpoint))
                    except BaseException as error:
                        self._lost(call, attempt, ticket, error)
                        raise
                    self._answered(call, attempt, ticket, raw)
            except Failed as failed:
                call.trace.outcome = failed.outcome.value
                wait = None if failed.is_final else self._wait_before_retry(failed.outcome, call)
                if wait is None:
                    raise failed.answer from failed.__cause__
                if wait:
                    await asyncio.sleep(wait)
                continue
            policy = self._retry
            if policy is None or raw.head.status not in policy.statuses or raw.is_tunnel:
                return attempt, raw
            wait = self._wait_after_status(call, raw, attempt.endpoint)
            if wait is None:
                return attempt, raw
            raw.close()
            attempt.failed(Failure.GATEWAY)
            call.tried.append(attempt.endpoint)
            await asyncio.sleep(wait)

    # -- one try ----------------------------------------------------------------------------------------------------

    async def _try(self, call: Call) -> tuple[Attempt, RawResponse]:
        """One exchange with one endpoint. Raises Failed."""
        ticket, attempt = self._enter(call)
        try:
            raw = await call.upstream.pool(attempt.endpoint).exchange(self._outgoing(call, attempt.endpoint))
        except BaseException as error:
            self._lost(call, attempt, ticket, error)
            raise
        self._answered(call, attempt, ticket, raw)
        return attempt, raw

    def _enter(self, call: Call) -> tuple[int, Attempt]:
        """Past the breaker to an endpoint. Raises Failed."""
        upstream = call.upstream
        breaker = upstream.breaker
        ticket = 1
        if breaker is not None:
            ticket = breaker.enter(upstream.clock())
            if not ticket:
                wait = breaker.retry_after(upstream.clock())
                answer = unavailable("the upstream is failing and is given time", wait)
                raise Failed(Outcome.NOT_SENT, answer, None, is_final=True)
        try:
            attempt = self._begin(call)
        except NoEndpoint as error:
            if breaker is not None:
                breaker.left(ticket)
            answer = unavailable("the upstream has no healthy endpoint")
            raise Failed(Outcome.NOT_SENT, answer, None) from error
        call.trace.endpoint = attempt.endpoint.key
        return ticket, attempt

    def _answered(self, call: Call, attempt: Attempt, ticket: int, raw: RawResponse) -> None:
        """The head of an answer is there."""
        attempt.answered()
        breaker = call.upstream.breaker
        if breaker is not None:
            now = call.upstream.clock()
            if raw.head.status >= 500:
                breaker.failed(ticket, now)
            else:
                breaker.succeeded(ticket, now, now - attempt.started)

    def _lost(self, call: Call, attempt: Attempt, ticket: int, error: BaseException) -> None:
        """There is no answer. Raises Failed, unless it is this side that gave up."""
        if not isinstance(error, (TransportError, RemoteProtocolError, ResourceError)):
            self._interrupted(call.request, attempt, call.upstream, ticket)
            return
        failed = failed_by(error)
        call.tried.append(attempt.endpoint)
        breaker = call.upstream.breaker
        if failed.failure is None:
            attempt.cancelled()
            if breaker is not None:
                breaker.left(ticket)
        else:
            attempt.failed(failed.failure)
            if breaker is not None:
                breaker.failed(ticket, call.upstream.clock())
        raise failed from error

    def _begin(self, call: Call) -> Attempt:
        """Picks an endpoint that was not tried; where all were, any."""
        tried = call.tried
        try:
            return call.upstream.begin(call.key, tried)
        except NoEndpoint:
            if not tried:
                raise
            tried.clear()
            return call.upstream.begin(call.key, ())

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

    def _outgoing(self, call: Call, endpoint: Endpoint) -> OutgoingRequest:
        request, body, host = call.request, call.body, self._host
        if host == "keep":
            host = request.origin.host
        elif host == "upstream":
            host = call.upstream.authority(endpoint)
        sent = [("host", host), *call.fields]
        if call.upgrade:
            sent += [("connection", "upgrade"), ("upgrade", request.field("upgrade") or "")]
        kept = body.kept
        if kept is not None:
            if kept or request.content_length == 0:
                sent.append(("content-length", str(len(kept))))
            return OutgoingRequest(
                method=request.method,
                head=encode_request_head(request.method, call.target, sent),
                body=kept,
                upgrade=call.upgrade,
                idempotent=False,
                timeouts=self._timeouts,
            )
        if body.length is None:
            sent.append(("transfer-encoding", "chunked"))
        else:
            sent.append(("content-length", str(body.length)))
        return OutgoingRequest(
            method=request.method,
            head=encode_request_head(request.method, call.target, sent),
            body=body,
            length=body.length,
            trailers=body.trailers if body.length is None else None,
            timeouts=self._timeouts,
        )

    # -- hedges -----------------------------------------------------------------------------------------------------

    async def _hedged(self, call: Call) -> tuple[Attempt, RawResponse]:
        """A try, and further ones beside it while it is silent; the first answer is taken. Raises Failed with the last
        failure where there is none."""
        hedge = self._hedge
        assert hedge is not None
        loop = asyncio.get_running_loop()
        running = {loop.create_task(self._try(call))}
        failed: Failed | None = None
        left = hedge.max_hedges
        try:
            while running:
                done, _ = await asyncio.wait(
                    running,
                    timeout=hedge.delay if left else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for task in done:
                    error = task.exception()
                    if error is None:
                        running.discard(task)
                        return task.result()
                    running.discard(task)
                    if not isinstance(error, Failed):
                        raise error
                    failed = error
                if done:
                    continue
                left -= 1
                if not call.upstream.budget.take(call.upstream.clock()):
                    left = 0
                    continue
                busy = [each for each in call.upstream.cluster.endpoints if each.key == call.trace.endpoint]
                call.tried += busy
                call.trace.tries += 1
                running.add(loop.create_task(self._try(call)))
        finally:
            await _dropped(running)
        assert failed is not None
        raise failed

    # -- retries ----------------------------------------------------------------------------------------------------

    def _wait_before_retry(self, outcome: Outcome, call: Call) -> float | None:
        """Seconds to wait before one more try; None where there is none."""
        policy = self._retry
        if policy is None:
            return None
        upstream, tries = call.upstream, call.trace.tries
        left = self._total - (upstream.clock() - call.began)
        verdict = policy.verdict(
            outcome, call.request.method, tries=tries, body_kept=call.body.can_be_sent, time_left=left
        )
        if verdict is not Verdict.RETRY or not upstream.budget.take(upstream.clock()):
            return None
        # A connection that was stale, or an endpoint that refuses, is no sign of load: the next is tried at once.
        if tries == 1 and outcome in (Outcome.STALE, Outcome.NOT_SENT):
            return 0.0
        return policy.backoff.delay(tries, self._random)

    def _wait_after_status(self, call: Call, raw: RawResponse, endpoint: Endpoint) -> float | None:
        """As for a failure. An endpoint that says when to come again is taken at its word where there is no other to
        ask: its answer is passed on when that is too late."""
        asked = raw.head.field("retry-after")
        least = float(asked) if asked is not None and _is_seconds(asked) else 0.0
        if least:
            others = call.upstream.cluster.endpoints
            if any(one.available and one is not endpoint and one not in call.tried for one in others):
                least = 0.0
            elif least >= self._total - (call.upstream.clock() - call.began):
                return None
        wait = self._wait_before_retry(Outcome.STATUS, call)
        return None if wait is None else max(wait, least)


def _may_be_doubled(call: Call) -> bool:
    return call.request.method in IDEMPOTENT and call.body.kept is not None and not call.upgrade


async def _dropped(tasks: set[asyncio.Task[tuple[Attempt, RawResponse]]]) -> None:
    """Ends tries that nobody waits for; one that was answered meanwhile says nothing about its endpoint."""
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if not isinstance(result, BaseException):
            attempt, raw = result
            raw.close()
            attempt.cancelled()
